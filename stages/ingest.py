"""CSV to typed Parquet.

    year,month,day,dep_time,…,time_hour            year: int32, …, dep_time: int32,
    2013,1,1,517,…,2013-01-01T10:00:00Z     ->     time_hour: timestamp[ms, tz=UTC]
    2013,1,1,NA,…,2013-01-01T11:00:00Z             NA and empty fields are nulls

One function for every kind of CSV file: what a column is called decides its type
(`stages/columns.py`); the type of an unknown column is inferred.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from stages.columns import TYPES

NULLS = ["", "NA"]


def ingest_csv(raw: Path) -> pa.Table:
    """The table in a CSV file with a header; rows stay in the file's order. Raises ValueError."""
    try:
        table = csv.read_csv(
            raw,
            read_options=csv.ReadOptions(use_threads=False),
            convert_options=csv.ConvertOptions(
                column_types=TYPES, null_values=NULLS, strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        raise ValueError(f"{raw.name} cannot be read as CSV: {error}") from error
    if len(set(table.column_names)) < table.num_columns:
        raise ValueError(f"{raw.name} names a column twice: {', '.join(table.column_names)}")
    return table.cast(_without_untyped(table.schema))


def _without_untyped(schema: pa.Schema) -> pa.Schema:
    """A column without any value has no type to infer: text, as the next file may well say."""
    fields = [pa.field(f.name, pa.string() if pa.types.is_null(f.type) else f.type) for f in schema]
    return pa.schema(fields)
