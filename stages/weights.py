"""PyTorch's weights without PyTorch, and without trusting them.

    efficientnet-lite0.pth  ->  {"_conv_stem.weight": float32[32,3,3,3], "_bn0.bias": float32[32], …}

A `.pth` file is a pickle, and a pickle is a program: whoever loads one with `pickle.load` executes what
its author wrote. Here every name that the program asks for is looked up in a list of five: an ordered
dict, the function that makes a tensor of a storage, and three kinds of storage. Whatever else it names is
refused before anything of it runs. Numbers are read from the file by numpy alone.

This is the format that PyTorch wrote until version 1.6: a number, the version of the protocol, facts
about the machine, the tensors, the keys of the storages (a pickle each), then the storages.
"""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
KINDS = {"FloatStorage": "<f4", "HalfStorage": "<f2", "LongStorage": "<i8"}

Array = npt.NDArray[Any]


class _Storage(NamedTuple):
    """A run of numbers in the file, by key."""

    key: str
    kind: np.dtype[Any]
    length: int


class _Tensor(NamedTuple):
    """A view of a storage; steps are counted in numbers."""

    storage: _Storage
    start: int
    shape: tuple[int, ...]
    steps: tuple[int, ...]


def tensors(file: Path) -> dict[str, Array]:
    """The tensors of a state dict by name. Raises ValueError where the file is anything else."""
    try:
        with file.open("rb") as stream:
            return _read(stream)
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(f"{file.name} is no file of tensors: {error}") from error


def _read(stream: BinaryIO) -> dict[str, Array]:
    if _TensorsOnly(stream).load() != MAGIC or _TensorsOnly(stream).load() != PROTOCOL:
        raise pickle.UnpicklingError("it does not begin as PyTorch's files before version 1.6 do")
    machine = _TensorsOnly(stream).load()
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise pickle.UnpicklingError("its numbers are not in the order that is expected")
    state = _TensorsOnly(stream).load()
    if not isinstance(state, Mapping) or not all(isinstance(value, _Tensor) for value in state.values()):
        raise pickle.UnpicklingError("it holds something else than named tensors")
    storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
    numbers = {key: _numbers(stream, storages[key]) for key in _TensorsOnly(stream).load()}
    return {str(name): _view(numbers[tensor.storage.key], tensor) for name, tensor in state.items()}


class _TensorsOnly(pickle.Unpickler):
    """Looks names up in a list, and imports nothing."""

    def find_class(self, module: str, name: str) -> Any:
        """What a name of the pickle means here. Raises UnpicklingError for all but five."""
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in KINDS:
            return np.dtype(KINDS[name])
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")

    def persistent_load(self, pid: Any) -> _Storage:
        """A storage, which the pickle names and the file has further down."""
        word, kind, key, _device, count, *_ = pid
        if word != "storage" or not isinstance(kind, np.dtype):
            raise pickle.UnpicklingError(f"it refers to a {word}, which is refused")
        return _Storage(str(key), kind, int(count))


def _tensor(storage: Any, start: int, shape: tuple[int, ...], steps: tuple[int, ...], *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("it makes a tensor of something that is no storage")
    last = start + sum((size - 1) * step for size, step in zip(shape, steps, strict=True))
    inside = start >= 0 and min((*shape, *steps, 0)) >= 0 and (0 in shape or last < storage.length)
    if not inside or prod(shape) > storage.length:
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    return _Tensor(storage, start, tuple(shape), tuple(steps))


def _numbers(stream: BinaryIO, storage: _Storage) -> Array:
    count = int.from_bytes(stream.read(8), "little")
    size, here = storage.length * storage.kind.itemsize, stream.tell()
    left = stream.seek(0, os.SEEK_END) - here
    if count != storage.length or not 0 <= size <= left:
        raise pickle.UnpicklingError(f"storage {storage.key} has not the {storage.length} numbers it should")
    stream.seek(here)
    return np.frombuffer(stream.read(size), storage.kind)


def _view(numbers: Array, tensor: _Tensor) -> Array:
    steps = [step * numbers.itemsize for step in tensor.steps]
    return np.lib.stride_tricks.as_strided(numbers[tensor.start :], tensor.shape, steps).copy()
