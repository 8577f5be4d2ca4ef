"""The ONNX file as something to compute with. Its named, typed inputs are the schema of what may be sent.

    rows    every input is a column, [N,1] or [N]: numbers, whole numbers, true or false, text;
            or, of numbers, [N,k]: k of them a row, like an embedding
    image   one input `image`: uint8 [1,height,width,3], RGB, any height and width or fixed ones

A model with a single text column also takes plain text, a line a row. One computation uses one thread,
so that the answers are those of the stage that computes in a file of rows; requests run beside each other.
Rows are computed a slice at a time, since a graph over text makes tensors of rows x terms: a small body would
take gigabytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime

from trunkline.errors import CorruptData, UsageError
from trunkline.serve.refusals import Refused
from trunkline.tables import first_line

Array = npt.NDArray[Any]
KINDS: Mapping[str, type[Any]] = {
    "float": np.float32, "double": np.float64, "float16": np.float16, "string": np.object_, "bool": np.bool_,
    **{name: getattr(np, name) for name in ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")},
}  # fmt: skip
FLOATS = ("float", "double", "float16")
# What is computed at once; `stages.predict` has the same.
SLICE = 256  # rows
CHARACTERS = 1 << 22  # of the longest text, times rows: words are padded to the text that has most


class Tensor(NamedTuple):
    """An input or output. `kind` is ONNX's word for its type, `shape` has None where any size will do."""

    name: str
    kind: str
    shape: tuple[int | None, ...]

    @property
    def dtype(self) -> Any:
        """What numpy calls the type."""
        return KINDS[self.kind]

    @property
    def width(self) -> int:
        """How many numbers a row has in it; 0 where it is a single value."""
        size = self.shape[1] if len(self.shape) == 2 else 1
        return size if size is not None and size > 1 else 0

    @property
    def is_column(self) -> bool:
        """Whether it is one value a row, or numbers of a fixed number."""
        if self.kind not in KINDS or len(self.shape) not in (1, 2) or self.shape[0] is not None:
            return False
        return len(self.shape) == 1 or self.shape[1] == 1 or (self.width > 0 and self.kind in FLOATS)

    @property
    def is_image(self) -> bool:
        """Whether it is one picture."""
        shape = self.shape
        return self.kind == "uint8" and len(shape) == 4 and shape[0] in (1, None) and shape[3] == 3


class Network:
    """A model in memory. Every method may be called from any thread. Raises CorruptData, UsageError."""

    def __init__(self, data: bytes, where: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no common base
            raise CorruptData(f"onnxruntime cannot load it: {first_line(error)}", where=where) from error
        self.inputs = tuple(_tensor(each) for each in self._session.get_inputs())
        self.outputs = tuple(_tensor(each) for each in self._session.get_outputs())
        self.classes = _classes(self._session.get_modelmeta().custom_metadata_map.get("classes", ""))
        self.takes_image = len(self.inputs) == 1 and self.inputs[0].is_image
        self.takes_text = len(self.inputs) == 1 and self.inputs[0].kind == "string"
        self._check(where)

    def _check(self, where: str) -> None:
        if self.takes_image:
            return
        for each in self.inputs:
            if not each.is_column:
                shape = ",".join("N" if size is None else str(size) for size in each.shape)
                raise UsageError(
                    f"its input {each.name} is {each.kind}[{shape}], and `trunkline serve` has no way to send that",
                    where=where,
                    hint="inputs are columns ([N,1]; of numbers also [N,k]), or one picture: uint8 [1,height,width,3]",
                )

    def run(self, columns: Mapping[str, Array]) -> dict[str, Any]:
        """Every output by name. `columns` have a value for each row, or they are the picture. Raises Refused."""
        feed = {
            each.name: columns[each.name].reshape(-1, each.width or 1)
            if len(each.shape) == 2
            else columns[each.name]
            for each in self.inputs
        }
        try:
            found = self._whole(feed) if self.takes_image else self._sliced(feed)
        except (
            Exception
        ) as error:  # the types are right: it is this model that can do nothing with these values
            text = first_line(error)
            raise Refused(422, "model", f"the model can compute nothing from this: {text}") from error
        return {output.name: value for output, value in zip(self.outputs, found, strict=True)}

    def _whole(self, feed: Mapping[str, Array]) -> Sequence[Any]:
        found: Sequence[Any] = self._session.run(None, feed)
        return found

    def _sliced(self, feed: Mapping[str, Array]) -> list[Any]:
        parts = [
            self._whole({name: values[piece] for name, values in feed.items()}) for piece in _slices(feed)
        ]
        return [_joined(values) for values in zip(*parts, strict=True)]


def _slices(feed: Mapping[str, Array]) -> list[slice]:
    """Which rows to compute at once: `SLICE` of them, fewer where texts are very long.

    The last row never is a slice by itself, if its text is not that long: onnxruntime adds up the
    products of a single row in another order.
    """
    rows = len(next(iter(feed.values())))
    texts = [values.ravel().tolist() for values in feed.values() if values.dtype == np.object_]
    lengths = [max(map(len, row)) for row in zip(*texts, strict=True)] if texts else [0] * rows
    found, start, longest = [], 0, 0
    for row, length in enumerate(lengths):
        full = row - start >= SLICE and row + 1 < rows
        longest = max(longest, length)
        if row > start and (full or (row - start + 1) * longest > CHARACTERS):
            found.append(slice(start, row))
            start, longest = row, length
    return [*found, slice(start, rows)]


def _joined(values: Sequence[Any]) -> Any:
    """One output of all slices: an array, or a list with an item for each row."""
    if len(values) == 1:
        return values[0]
    if isinstance(values[0], np.ndarray):
        return np.concatenate(values)
    return [item for value in values for item in value]


def _tensor(each: Any) -> Tensor:
    kind = str(each.type).removeprefix("tensor(").removesuffix(")")
    shape = tuple(size if isinstance(size, int) else None for size in each.shape or ())
    return Tensor(str(each.name), kind, shape)


def _classes(text: str) -> list[Any]:
    """The names of the classes that the file has among its metadata."""
    try:
        found = json.loads(text) if text else []
    except ValueError:
        return []
    return found if isinstance(found, list) else []
