"""A model's answers for a table, from the ONNX file alone.

    a regressor     prediction
    a classifier    label, probability_<class> for each class
    others          each output by its name; an output of several columns as name_0, name_1, …

The model says by name and type which columns it wants; a whole number is also taken for a float, and
a gap is NaN for a float and "" for a text, as in training. `trunkline serve` gives the same answers.

Rows are computed a slice at a time: in a graph over text, tensors of rows x terms would fill the memory.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pyarrow as pa
import pyarrow.compute as pc

TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
SLICE = 256  # rows computed at once
CHARACTERS = 1 << 22  # of the longest text, times rows: words are padded to the text that has most
Answers = dict[str, npt.NDArray[Any]]


def predict(model: Path, rows: pa.Table, *, keep: Sequence[str] = ()) -> pa.Table:
    """One row of answers for each of `rows`, behind those of its columns that `keep` names."""
    session = session_of(model.read_bytes())
    answers = columns(run(session, rows), classes(session))
    kept = {name: rows[name] for name in keep}
    return pa.table(kept | {name: pa.array(values) for name, values in answers.items()})


def session_of(model: bytes) -> onnxruntime.InferenceSession:
    """The model, loaded on one thread of the processor: sums come out the same on every run."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def classes(session: onnxruntime.InferenceSession) -> list[Any] | None:
    """What the columns of `probability` mean, if the file says so."""
    text = session.get_modelmeta().custom_metadata_map.get("classes")
    return None if text is None else list(json.loads(text))


def run(session: onnxruntime.InferenceSession, rows: pa.Table) -> Answers:
    """Every output of the model for `rows`, by name. Raises ValueError."""
    wanted = session.get_inputs()
    missing = [each.name for each in wanted if each.name not in rows.column_names]
    if missing:
        raise ValueError(
            f"the model needs {', '.join(missing)}; the rows have {', '.join(rows.column_names)}"
        )
    feed = {each.name: fed(rows[each.name], each.name, each.type) for each in wanted}
    names = [output.name for output in session.get_outputs()]
    parts = [
        session.run(names, {name: values[piece] for name, values in feed.items()}) for piece in slices(feed)
    ]
    return {
        name: np.concatenate(values) for name, values in zip(names, zip(*parts, strict=True), strict=True)
    }


def slices(feed: Mapping[str, npt.NDArray[Any]]) -> list[slice]:
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


def fed(column: pa.ChunkedArray, name: str, kind: str) -> npt.NDArray[Any]:
    """One column as the model takes it: an array [rows, 1]. Raises ValueError."""
    if kind not in TYPES:
        raise ValueError(f"the model's input {name} is a {kind}; a table can feed {', '.join(TYPES)}")
    try:
        if kind == "tensor(string)":
            values = np.array(pc.fill_null(column.cast(pa.string()), "").to_pylist(), dtype=object)
        elif kind in ("tensor(float)", "tensor(double)"):
            values = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy().astype(TYPES[kind])
        else:
            values = _whole(column, name, kind)
    except pa.ArrowInvalid as error:
        raise ValueError(f"column {name} cannot be read as {kind}: {error}") from error
    return values.reshape(-1, 1)


def _whole(column: pa.ChunkedArray, name: str, kind: str) -> npt.NDArray[Any]:
    if column.null_count:
        raise ValueError(
            f"column {name} has {column.null_count} gaps, which a {kind} cannot hold; fill them in clean"
        )
    values: npt.NDArray[Any] = column.cast(pa.int64()).to_numpy().astype(TYPES[kind])
    return values


def columns(answers: Mapping[str, npt.NDArray[Any]], names: Sequence[Any] | None = None) -> Answers:
    """Outputs as columns of one number or text a row; `names` are the classes."""
    made: Answers = {}
    for output, values in answers.items():
        flat = values.reshape(len(values), int(np.prod(values.shape[1:])))
        if flat.shape[1] == 1:
            made[output] = flat[:, 0]
            continue
        given = names if names is not None and len(names) == flat.shape[1] else range(flat.shape[1])
        made |= {f"{output}_{name}": flat[:, place] for place, name in enumerate(given)}
    return made
