"""One-hot: a column of categories as one 0/1 column for each category, and back.

    species                species_setosa  species_versicolor  species_virginica
    setosa          <->          1.0              0.0                  0.0
    virginica                    0.0              0.0                  1.0

    rows/<datum>.parquet    the new columns stand where the old one was
    encoding.json           {"species": ["setosa", "versicolor", "virginica"]}

`categories` fixes the values and their order; without it they are those of the data, sorted. A missing
value is 0 in all columns, and comes back as missing. A value that is not among the declared ones is
an error: to drop it without a word would be to change the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

Encoding = Mapping[str, Sequence[Any]]


def encode(rows: pa.Table, *, columns: Sequence[str], categories: Encoding | None = None) -> dict[str, Any]:
    """`rows` with each of `columns` one-hot, and the encoding. Raises ValueError."""
    missing = [name for name in columns if name not in rows.column_names]
    if missing:
        raise ValueError(f"there is no column {', '.join(missing)}; there are {', '.join(rows.column_names)}")
    encoding = {name: list((categories or {}).get(name, _values(rows[name]))) for name in columns}
    return {"rows": encoded(rows, encoding), "encoding.json": encoding}


def decode(rows: pa.Table, encoding: Path) -> pa.Table:
    """The inverse of `encode`, also for columns of probabilities: the largest wins."""
    return decoded(rows, json.loads(encoding.read_text(encoding="utf-8")))


def encoded(rows: pa.Table, encoding: Encoding) -> pa.Table:
    """`rows` with the columns of `encoding` one-hot. Raises ValueError."""
    made: dict[str, Any] = {}
    for name in rows.column_names:
        if name not in encoding:
            made[name] = rows[name]
            continue
        values = rows[name].to_pylist()
        unknown = sorted(
            {str(value) for value in values if value is not None and value not in encoding[name]}
        )
        if unknown:
            known = ", ".join(map(str, encoding[name]))
            raise ValueError(f"{name} is {', '.join(unknown[:5])}; the declared categories are {known}")
        made |= {
            f"{name}_{category}": pa.array(
                [float(value == category) if value is not None else 0.0 for value in values]
            )
            for category in encoding[name]
        }
    return pa.table(made)


def decoded(rows: pa.Table, encoding: Encoding) -> pa.Table:
    """The columns of `encoding` back in one; all 0 is missing. Raises ValueError."""
    parts = {f"{name}_{category}": name for name, categories in encoding.items() for category in categories}
    missing = [part for part in parts if part not in rows.column_names]
    if missing:
        raise ValueError(f"there is no column {', '.join(missing)}; there are {', '.join(rows.column_names)}")
    made: dict[str, Any] = {}
    for column in rows.column_names:
        name = parts.get(column, column)
        if name not in made:
            made[name] = rows[column] if column not in parts else _likeliest(rows, name, encoding[name])
    return pa.table(made)


def _likeliest(rows: pa.Table, name: str, categories: Sequence[Any]) -> pa.Array:
    values = np.column_stack([rows[f"{name}_{category}"].to_numpy() for category in categories])
    place = values.argmax(axis=1)
    return pa.array([categories[at] if row.any() else None for at, row in zip(place, values, strict=True)])


def _values(column: pa.ChunkedArray) -> list[Any]:
    return sorted(value for value in column.unique().to_pylist() if value is not None)
