"""Files as PyTorch wrote them before version 1.6, made without PyTorch: honest ones, and others."""

from __future__ import annotations

import io
import pickle
import struct
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt

KINDS = {"float32": "FloatStorage", "float16": "HalfStorage", "int64": "LongStorage"}
MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


class Storage:
    def __init__(self, numbers: npt.NDArray[Any], key: str) -> None:
        self.numbers, self.key = numbers.reshape(-1), key


class Tensor:
    """A view of a storage, which pickles as PyTorch's tensors do."""

    def __init__(
        self, storage: Storage, start: int = 0, shape: tuple[int, ...] = (), steps: tuple[int, ...] = ()
    ) -> None:
        hooks: OrderedDict[str, Any] = OrderedDict()
        self.arguments = (storage, start, shape, steps, False, hooks)

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"].__dict__["_rebuild_tensor_v2"], self.arguments


class _Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, Storage):
            return None
        kind = sys.modules["torch"].__dict__[KINDS[obj.numbers.dtype.name]]
        return ("storage", kind, obj.key, "cpu", obj.numbers.size, None)


def _torch() -> dict[str, ModuleType]:
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")
    for name in KINDS.values():
        torch.__dict__[name] = type(name, (), {"__module__": "torch"})

    def _rebuild_tensor_v2() -> None: ...

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils.__dict__["_rebuild_tensor_v2"] = _rebuild_tensor_v2
    return {"torch": torch, "torch._utils": utils}


def pickled(value: Any, protocol: int = 2) -> bytes:
    stream = io.BytesIO()
    with patch.dict(sys.modules, _torch()):
        _Pickler(stream, protocol).dump(value)
    return stream.getvalue()


def parts(state: Any, storages: list[Storage]) -> list[bytes]:
    """The five pickles of a file."""
    values = (0x1950A86A20F9469CFC6C, 1001, MACHINE, state, [storage.key for storage in storages])
    return [pickled(value) for value in values]


def numbers(storages: list[Storage]) -> bytes:
    return b"".join(struct.pack("<q", one.numbers.size) + one.numbers.tobytes() for one in storages)


def write(path: Path, arrays: dict[str, npt.NDArray[Any]]) -> Path:
    """A state dict, a storage for each tensor."""
    storages = [
        Storage(np.ascontiguousarray(array), str(place)) for place, array in enumerate(arrays.values())
    ]
    state = OrderedDict(
        (name, Tensor(storage, 0, array.shape, steps(array)))
        for (name, array), storage in zip(arrays.items(), storages, strict=True)
    )
    path.write_bytes(b"".join(parts(state, storages)) + numbers(storages))
    return path


def steps(array: npt.NDArray[Any]) -> tuple[int, ...]:
    return tuple(step // array.itemsize for step in np.ascontiguousarray(array).reshape(array.shape).strides)
