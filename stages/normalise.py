"""Numbers to one scale, by what the training side alone shows.

    minmax      (x - min) / (max - min)      0..1 on train; a little outside of it elsewhere is in order
    standard    (x - mean) / deviation       mean 0 and deviation 1 on train

    train/, validation/, holdout/    the same rows, `columns` scaled
    statistics.json                  {"Price": {"shift": 24.0, "scale": 167.0}, …}     x = shift + scale * scaled

Statistics of all rows would tell the model about rows that it is judged by: a leak, however small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

METHODS = ("minmax", "standard")

Statistics = Mapping[str, Mapping[str, float]]


def normalise(
    train: pa.Table,
    validation: pa.Table,
    holdout: pa.Table,
    *,
    columns: Sequence[str],
    method: str = "minmax",
) -> dict[str, Any]:
    """The three sides with `columns` scaled by the statistics of `train`, and those. Raises ValueError."""
    found = statistics(train, columns, method)
    sides = {"train": train, "validation": validation, "holdout": holdout}
    return {side: scaled(rows, found) for side, rows in sides.items()} | {"statistics.json": found}


def statistics(rows: pa.Table, columns: Sequence[str], method: str) -> dict[str, dict[str, float]]:
    """Shift and scale of each column. One that never varies is only shifted. Raises ValueError."""
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; minmax or standard is needed")
    return {name: _statistics(_numbers(rows, name), name, method) for name in columns}


def scaled(rows: pa.Table, found: Statistics) -> pa.Table:
    """`rows` with the columns that `found` names on their new scale; a gap stays one."""
    for name, each in found.items():
        values = pc.divide(pc.subtract(_floats(rows, name), each["shift"]), each["scale"])
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    return rows


def _statistics(values: npt.NDArray[np.float64], name: str, method: str) -> dict[str, float]:
    if not len(values):
        raise ValueError(f"{name} has no value in train, so there is nothing to scale it by")
    low, high = float(values.min()), float(values.max())
    if method == "minmax":
        return {"shift": low, "scale": (high - low) or 1.0}
    return {"shift": float(values.mean()), "scale": float(values.std()) if low < high else 1.0}


def _floats(rows: pa.Table, name: str) -> pa.ChunkedArray:
    if name not in rows.column_names:
        raise ValueError(f"there is no column {name}; there are {', '.join(rows.column_names)}")
    try:
        return rows[name].cast(pa.float64())
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"{name} cannot be scaled, it is no number: {error}; map or encode it first"
        ) from error


def _numbers(rows: pa.Table, name: str) -> npt.NDArray[np.float64]:
    values: npt.NDArray[np.float64] = _floats(rows, name).drop_null().to_numpy()
    return values[~np.isnan(values)]
