"""Raw files to typed Parquet: CSV, JSON, Parquet, the answer of an SQL query (images: `ingest_images.py`).

    age,city,seen                                     age: int32, city: string,
    41,Oslo,2013-01-01T10:00:00Z               ->     seen: timestamp[ms, tz=UTC]
    NA,,2013-01-01T11:00:00Z                          NA and empty fields are nulls

`types` declares what is known: {age: int32, seen: "timestamp[ms, tz=UTC]"}. A declared type is the
same in every file, also in one of no rows; the types of all other columns are inferred from the file
at hand. What cannot be read as its type is an error that names file, column and value: to clean such
values, declare the column a string and leave them to `clean`. Rows stay in the file's order.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
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


def ingest_json(raw: Path, *, types: Types = None, nulls: Sequence[str] = NULLS) -> pa.Table:
    """The table in a JSON file: a list of objects, or one object a line. Raises ValueError.

    Columns are those of all objects, in the order of their first mention.
    """
    rows = _objects(raw)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return _typed(raw, {name: [_null(row.get(name), nulls) for row in rows] for name in names}, types)


def ingest_parquet(raw: Path, *, types: Types = None) -> pa.Table:
    """The table in a Parquet file, with `types` where they are declared. Raises ValueError."""
    try:
        table = pq.read_table(raw, use_threads=False)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{raw.name} cannot be read as Parquet: {error}") from error
    return _cast(raw, table, types)


def ingest_query(raw: Path, *, query: str, types: Types = None) -> pa.Table:
    """What `query` answers on an SQLite database file, which is opened for reading only. Raises ValueError.

    Say ORDER BY in the query: without it a database owes nobody an order.
    """
    try:
        with closing(sqlite3.connect(f"{raw.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            answer = database.execute(query)
            names = [each[0] for each in answer.description or ()]
            rows = answer.fetchall()
    except sqlite3.Error as error:
        raise ValueError(f"{raw.name} does not answer the query: {error}") from error
    if not names:
        raise ValueError(f"the query on {raw.name} gives no table; write a SELECT")
    if len(set(names)) < len(names):
        raise ValueError(f"the query on {raw.name} names a column twice: {', '.join(names)}; write AS")
    return _typed(raw, {name: [row[at] for row in rows] for at, name in enumerate(names)}, types)


def _objects(raw: Path) -> list[dict[str, Any]]:
    text = raw.read_text(encoding="utf-8-sig")
    try:
        rows = (
            json.loads(text)
            if text.lstrip().startswith("[")
            else [json.loads(line) for line in text.splitlines() if line.strip()]
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"{raw.name} cannot be read as JSON: {error}") from error
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError(
            f"{raw.name} has something else than objects; a list of them, or one a line, is needed"
        )
    return list(rows)


def _null(value: Any, nulls: Sequence[str]) -> Any:
    return None if isinstance(value, str) and value in nulls else value


def _typed(raw: Path, columns: Mapping[str, list[Any]], types: Types) -> pa.Table:
    """Python values as columns: the declared types, others by what is there."""
    made: dict[str, pa.Array] = {}
    for name, values in columns.items():
        try:
            made[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            advice = f"declare its type, types: {{{name}: string}}, or clean the source"
            if name not in (types or {}):
                raise ValueError(
                    f"column {name} of {raw.name} has values of several kinds: {error}; {advice}"
                ) from error
            made[name] = pa.array([None if value is None else str(value) for value in values])
    table = _cast(raw, pa.table(made), types)
    return table.cast(_without_untyped(table.schema))


def _cast(raw: Path, table: pa.Table, types: Types) -> pa.Table:
    for name, kind in data_types(types).items():
        if name in table.column_names:
            try:
                values = table[name].cast(kind)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise ValueError(f"column {name} of {raw.name} cannot be read as {kind}: {error}") from error
            table = table.set_column(table.schema.get_field_index(name), name, values)
    return table


def _without_untyped(schema: pa.Schema) -> pa.Schema:
    """A column without any value has no type to infer: text, as the next file may well say."""
    fields = [pa.field(f.name, pa.string() if pa.types.is_null(f.type) else f.type) for f in schema]
    return pa.schema(fields)
