"""Raw files to typed Parquet: CSV, JSON, Parquet, the answer of an SQL query, a folder of images.

    age,city,seen                                     age: int32, city: string,
    41,Oslo,2013-01-01T10:00:00Z               ->     seen: timestamp[ms, tz=UTC]
    NA,,2013-01-01T11:00:00Z                          NA and empty fields are nulls

`types` declares what is known: {age: int32, seen: "timestamp[ms, tz=UTC]"}. A declared type is the
same in every file, also in one of no rows; the types of all other columns are inferred from the file
at hand. What cannot be read as its type is an error that names file, column and value: to clean such
values, declare the column a string and leave them to `clean`. Rows stay in the file's order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import csv

from stages.types import data_types

NULLS = ("", "NA")

Types = Mapping[str, str | pa.DataType] | None


def ingest_csv(
    raw: Path, *, types: Types = None, nulls: Sequence[str] = NULLS, delimiter: str = ","
) -> pa.Table:
    """The table in a CSV file with a header; fields that say one of `nulls` are missing. Raises ValueError."""
    try:
        table = csv.read_csv(
            raw,
            read_options=csv.ReadOptions(use_threads=False),
            parse_options=csv.ParseOptions(delimiter=delimiter),
            convert_options=csv.ConvertOptions(
                column_types=data_types(types), null_values=list(nulls), strings_can_be_null=True
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
