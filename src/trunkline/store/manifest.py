"""A stage's manifest: which datums it had, from which inputs, with which outputs. Parquet.

    manifest.parquet                        up to 4,096 datums
    0.parquet … f.parquet                   up to 65,536: by the first hex digit of the datum id
    00.parquet … ff.parquet                 above: by the first two

    datum_id  string                        rows are sorted by it
    name      string
    key       string
    join_on   string
    inputs    list<struct<name, dataset, path, md5: string, size, nfiles: int64>>   nfiles null: a file
    outputs   list<struct<path, md5: string, size: int64>>

    trunkline.manifest   1                  schema metadata: the version of this format,
    trunkline.transform  <digest>           the transform digest of all rows,
    trunkline.writer     trunkline/1 …      and what wrote the outputs

Equal rows give equal bytes, and one changed datum changes one file, so the manifest of a million
datums costs a commit the 256th part of it. Nothing that differs from run to run is in it: no times,
no run ids. Everything is done by column: a million rows pass through Arrow's flat arrays, not through
a million dicts. A version above ours is an error that says to upgrade; there is no older one.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trunkline.errors import CorruptData, MissingData, StoreError
from trunkline.model import Datum, File, Item, ManifestRow
from trunkline.tables import WRITER, first_line, write_arrow

VERSION = 1
ONE_FILE = 4_096
SIXTEEN_FILES = 65_536

_Read = TypeVar("_Read")

_INPUT = pa.struct(
    [(name, pa.string()) for name in ("name", "dataset", "path", "md5")]
    + [("size", pa.int64()), ("nfiles", pa.int64())]
)
_OUTPUT = pa.struct([("path", pa.string()), ("md5", pa.string()), ("size", pa.int64())])
_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("datum_id", "name", "key", "join_on")]
    + [("inputs", pa.list_(_INPUT)), ("outputs", pa.list_(_OUTPUT))]
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read: its rows sorted by datum id, and what made them."""

    rows: tuple[ManifestRow, ...]
    transform: str
    writer: str


class Facts(NamedTuple):
    """What the footers of a manifest tell; `rows` counts its datums."""

    transform: str
    writer: str
    rows: int


def write_manifest(directory: str, rows: Sequence[ManifestRow], transform: str) -> tuple[File, ...]:
    """Write the manifest of `rows` into an existing `directory`: its files, sorted by name."""
    ordered = sorted(rows, key=_id)
    files = []
    for name, part in _shards(ordered):
        md5, size = write_arrow(_table(part, transform), os.path.join(directory, name))
        files.append(File(name, md5, size))
    return tuple(files)


def read_manifest(paths: Sequence[str]) -> Manifest:
    """The manifest in these files, all files of one manifest in any order. Raises StoreError."""
    tables: list[pa.Table] = [_guarded(path, pq.ParquetFile.read) for path in paths]
    facts = _one(paths, [_facts(path, table.schema) for path, table in zip(paths, tables, strict=True)])
    rows = chain.from_iterable(_rows(path, table) for path, table in zip(paths, tables, strict=True))
    return Manifest(tuple(sorted(rows, key=_id)), facts.transform, facts.writer)


def read_facts(paths: Sequence[str]) -> Facts:
    """What the footers of a manifest's files say; no row is read. Raises StoreError."""
    footers = [_guarded(path, lambda file: (file.schema_arrow, file.metadata.num_rows)) for path in paths]
    return _one(paths, [_facts(path, *footer) for path, footer in zip(paths, footers, strict=True)])


# ---------------------------------------------------------------- rows to columns


def _id(row: ManifestRow) -> str:
    return row.datum.id


def _shards(rows: list[ManifestRow]) -> Iterator[tuple[str, list[ManifestRow]]]:
    """The files: how many there are depends on the number of rows alone, so empty ones exist too."""
    if len(rows) <= ONE_FILE:
        yield "manifest.parquet", rows
        return
    width = 1 if len(rows) <= SIXTEEN_FILES else 2
    names = [format(number, f"0{width}x") for number in range(16**width)]
    starts = [0, *(bisect_left(rows, name, key=_id) for name in names[1:]), len(rows)]
    for name, start, end in zip(names, starts, starts[1:], strict=False):
        yield f"{name}.parquet", rows[start:end]


def _table(rows: list[ManifestRow], transform: str) -> pa.Table:
    datums = [row.datum for row in rows]
    columns = [
        _strings([datum.id for datum in datums]),
        _strings([datum.name for datum in datums]),
        _strings([row.key for row in rows]),
        _strings([datum.join_on for datum in datums]),
        _lists([datum.items for datum in datums], _INPUT),
        _lists([row.files for row in rows], _OUTPUT),
    ]
    metadata = {
        "trunkline.manifest": str(VERSION),
        "trunkline.transform": transform,
        "trunkline.writer": WRITER,
    }
    return pa.Table.from_arrays(columns, schema=_SCHEMA.with_metadata(metadata))


def _lists(groups: Sequence[Sequence[tuple[Any, ...]]], kind: pa.StructType) -> pa.ListArray:
    """A list column, from offsets and one flat array for each field."""
    fields = list(kind)
    flat: Iterable[tuple[Any, ...]] = zip(*chain.from_iterable(groups), strict=True)
    columns = list(flat) or [()] * len(fields)
    makers = [_strings if field.type == pa.string() else _integers for field in fields]
    values = [make(column) for make, column in zip(makers, columns, strict=True)]
    structs = pa.StructArray.from_arrays(values, fields=fields)
    ends = pa.py_buffer(array("i", accumulate(map(len, groups), initial=0)))
    return pa.ListArray.from_buffers(pa.list_(kind), len(groups), [None, ends], children=[structs])


# `pa.array` imports pandas, which takes longer than the manifest of 10,000 datums.


def _strings(values: Sequence[str]) -> pa.StringArray:
    texts = [value.encode() for value in values]
    ends = pa.py_buffer(array("i", accumulate(map(len, texts), initial=0)))
    return pa.Array.from_buffers(pa.string(), len(texts), [None, ends, pa.py_buffer(b"".join(texts))])


def _integers(values: Sequence[int | None]) -> pa.Int64Array:
    present = np.array([value is not None for value in values], bool)
    valid = pa.py_buffer(np.packbits(present, bitorder="little"))
    numbers = pa.py_buffer(array("q", [value or 0 for value in values]))
    return pa.Array.from_buffers(pa.int64(), len(values), [valid, numbers])


# ---------------------------------------------------------------- columns to rows


def _rows(path: str, table: pa.Table) -> Iterator[ManifestRow]:
    if table.schema.remove_metadata() != _SCHEMA:
        raise CorruptData("this is not a manifest: its columns are others", where=path)
    whole = table.combine_chunks()
    ids, names, keys, joins = (whole.column(number).to_pylist() for number in range(4))
    inputs = _groups(whole.column(4), Item._make)
    outputs = _groups(whole.column(5), File._make)
    datums = map(Datum, ids, names, inputs, joins)
    return map(ManifestRow, datums, keys, outputs)


def _groups(column: pa.ChunkedArray, make: Any) -> Iterator[tuple[Any, ...]]:
    if not column.num_chunks:
        return
    lists = column.chunk(0)
    values = lists.flatten()
    flat = [make(row) for row in zip(*(field.to_pylist() for field in values.flatten()), strict=True)]
    ends = lists.value_lengths().to_pylist()
    start = 0
    for length in ends:
        yield tuple(flat[start : start + length])
        start += length


def _one(paths: Sequence[str], facts: Sequence[Facts]) -> Facts:
    """The facts of the manifest whose files say this."""
    origins = {entry[:2] for entry in facts}
    if len(origins) != 1:
        message = f"{len(origins)} manifests where there must be one"
        raise CorruptData(message, where=", ".join(sorted(paths)[:2]))
    return Facts(*origins.pop(), sum(entry.rows for entry in facts))


def _facts(path: str, schema: pa.Schema, rows: int = 0) -> Facts:
    metadata = schema.metadata or {}
    version = metadata.get(b"trunkline.manifest", b"").decode()
    if not version.isdecimal():
        raise CorruptData("this Parquet file is not a manifest", where=path)
    if int(version) > VERSION:
        raise StoreError(
            f"this manifest was written by a newer trunkline (format {version}, known here: {VERSION})",
            where=path,
            hint="upgrade trunkline: pip install --upgrade trunkline",
        )
    transform = metadata.get(b"trunkline.transform", b"").decode()
    return Facts(transform, metadata.get(b"trunkline.writer", b"").decode(), rows)


def _guarded(path: str, read: Callable[[Any], _Read]) -> _Read:
    try:
        with pq.ParquetFile(path) as file:
            return read(file)
    except FileNotFoundError as error:
        raise MissingData("a file of a manifest is missing", where=path) from error
    except pa.ArrowException as error:
        raise CorruptData(f"this is not a manifest: {first_line(error)}", where=path) from error
