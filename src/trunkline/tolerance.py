"""How far two files of one name are apart: not at all, by so much at most, or in what no number says.

    apart("a/metrics.json", "b/metrics.json")    Apart(2.2e-16, "")     the largest relative difference
    apart("a/model.onnx", "b/model.onnx")        Apart(inf, "its graph") what differs beside numbers

JSON, Parquet, CSV, NumPy arrays and ONNX models (where `onnx` is installed) are read; anything else is
equal or not. A relative difference is |x - y| / max(|x|, |y|), and |x - y| where both are below 1e-12.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_TINY = 1e-12


class Apart(NamedTuple):
    """The largest relative difference, `inf` where something differs that is no number: `what`."""

    difference: float
    what: str = ""

    def within(self, tolerance: float) -> bool:
        """Whether that is little enough."""
        return self.difference <= tolerance


def apart(one: str, other: str) -> Apart:
    """How far the files at two paths are apart; their formats are told by the end of `one`'s name."""
    compare = _COMPARE.get(os.path.splitext(one)[1].lower())
    if compare is None:
        return Apart(math.inf, "its bytes")
    try:
        return compare(one, other)
    except Exception as error:  # whatever a reader of a foreign format raises: then it is not comparable
        return Apart(math.inf, f"it cannot be read: {type(error).__name__}: {error}")


def _json(one: str, other: str) -> Apart:
    with open(one, encoding="utf-8") as left, open(other, encoding="utf-8") as right:
        return _worst(_values(json.load(left), json.load(right), ""))


def _values(one: Any, other: Any, place: str) -> Iterator[Apart]:
    if isinstance(one, dict) and isinstance(other, dict):
        if one.keys() != other.keys():
            yield Apart(math.inf, f"{place or 'it'}: its keys")
        for key in one.keys() & other.keys():
            yield from _values(one[key], other[key], f"{place}.{key}".lstrip("."))
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            yield Apart(math.inf, f"{place or 'it'}: {len(one)} and {len(other)} items")
        for number, (left, right) in enumerate(zip(one, other, strict=False)):
            yield from _values(left, right, f"{place}[{number}]")
    elif _number(one) and _number(other):
        yield Apart(_relative(one, other), place)
    elif one != other:
        yield Apart(math.inf, place or "it")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _relative(one: float, other: float) -> float:
    if one == other or (math.isnan(one) and math.isnan(other)):
        return 0.0
    size = max(abs(one), abs(other))
    found = abs(one - other) / (size if size > _TINY else 1.0)
    return math.inf if math.isnan(found) else found


def _worst(found: Iterator[Apart]) -> Apart:
    return max(found, key=lambda each: each.difference, default=Apart(0.0))


def _parquet(one: str, other: str) -> Apart:
    import pyarrow.parquet as pq

    return _tables(pq.read_table(one), pq.read_table(other))


def _csv(one: str, other: str) -> Apart:
    from pyarrow import csv

    return _tables(csv.read_csv(one), csv.read_csv(other))


def _tables(one: Any, other: Any) -> Apart:
    if one.schema != other.schema:
        return Apart(math.inf, "its schema")
    if one.num_rows != other.num_rows:
        return Apart(math.inf, f"{one.num_rows} and {other.num_rows} rows")
    return _worst(_column(name, one[name], other[name]) for name in one.column_names)


def _column(name: str, one: Any, other: Any) -> Apart:
    import pyarrow as pa

    if one.equals(other):
        return Apart(0.0, name)
    if not pa.types.is_floating(one.type) or not one.is_null().equals(other.is_null()):
        return Apart(math.inf, f"column {name}")
    return Apart(_arrays(one.to_numpy(), other.to_numpy()), f"column {name}")


def _npy(one: str, other: str) -> Apart:
    import numpy as np

    left, right = np.load(one, allow_pickle=False), np.load(other, allow_pickle=False)
    if left.shape != right.shape or left.dtype != right.dtype:
        return Apart(math.inf, "its shape or type")
    return Apart(_arrays(left, right))


def _arrays(one: Any, other: Any) -> float:
    """The largest relative difference of two arrays of one shape."""
    import numpy as np

    left, right = np.asarray(one, dtype=float), np.asarray(other, dtype=float)
    if not np.array_equal(np.isnan(left), np.isnan(right)):
        return math.inf
    size = np.maximum(np.abs(left), np.abs(right))
    with np.errstate(invalid="ignore"):
        found = np.abs(left - right) / np.where(size > _TINY, size, 1.0)
    found[left == right] = 0.0
    return float(np.nanmax(found, initial=0.0))


def _onnx(one: str, other: str) -> Apart:
    import onnx
    from onnx import numpy_helper

    left, right = onnx.load(one), onnx.load(other)
    worst = Apart(0.0)
    weights = [{each.name: each for each in model.graph.initializer} for model in (left, right)]
    for name in weights[0].keys() & weights[1].keys():
        arrays = [numpy_helper.to_array(some[name]) for some in weights]
        if arrays[0].shape != arrays[1].shape or arrays[0].dtype.kind not in "fiu":
            continue
        worst = max(worst, Apart(_arrays(*arrays), f"weights {name}"), key=lambda each: each.difference)
    attributes = _numbers(onnx, left, right)
    for model in (left, right):
        del model.graph.initializer[:]
    if attributes is None or left.SerializeToString(deterministic=True) != right.SerializeToString(
        deterministic=True
    ):
        return Apart(math.inf, "its graph")
    return max(worst, attributes, key=lambda each: each.difference)


def _numbers(onnx: Any, left: Any, right: Any) -> Apart | None:
    """The numbers in the nodes' attributes, which are then cleared; None where the nodes are others."""
    worst = Apart(0.0)
    if [node.op_type for node in left.graph.node] != [node.op_type for node in right.graph.node]:
        return None
    for one, other in zip(left.graph.node, right.graph.node, strict=True):
        for mine, theirs in zip(one.attribute, other.attribute, strict=False):
            if mine.name == theirs.name and len(mine.floats) == len(theirs.floats):
                found = Apart(_arrays(list(mine.floats), list(theirs.floats)), f"{one.op_type}.{mine.name}")
                worst = max(worst, found, key=lambda each: each.difference)
                del mine.floats[:], theirs.floats[:]
    return worst


_COMPARE: dict[str, Callable[[str, str], Apart]] = {
    ".json": _json, ".parquet": _parquet, ".csv": _csv, ".npy": _npy, ".onnx": _onnx,
}  # fmt: skip
