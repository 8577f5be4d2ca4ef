"""Manifests of version 1, which pyarrow wrote: read by pyarrow, and never written again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from trunkline.errors import CorruptData
from trunkline.model import Datum, File, Item, ManifestRow
from trunkline.tables import first_line

_Read = TypeVar("_Read")

_COLUMNS = ["datum_id", "name", "key", "join_on", "inputs", "outputs"]


def read_rows(path: str) -> list[ManifestRow]:
    """The rows of one file, sorted by datum id. Raises CorruptData."""
    return sorted(_rows(path, _guarded(path, pq.ParquetFile.read)), key=lambda row: row.datum.id)


def read_metadata(path: str) -> tuple[int, dict[str, str]]:
    """How many rows a file has, and its metadata. Raises CorruptData."""
    rows, schema = _guarded(path, lambda file: (file.metadata.num_rows, file.schema_arrow))
    return rows, {key.decode(): value.decode() for key, value in (schema.metadata or {}).items()}


def _rows(path: str, table: pa.Table) -> Iterator[ManifestRow]:
    if table.column_names[: len(_COLUMNS)] != _COLUMNS:
        raise CorruptData("this is not a manifest: its columns are others", where=path)
    for row in table.to_pylist():
        items = tuple(Item(*item.values()) for item in row["inputs"])
        files = tuple(File(*file.values()) for file in row["outputs"])
        yield ManifestRow(Datum(row["datum_id"], row["name"], items, row["join_on"]), row["key"], files)


def _guarded(path: str, read: Callable[[Any], _Read]) -> _Read:
    try:
        with pq.ParquetFile(path) as file:
            return read(file)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise CorruptData(f"this is not a manifest: {first_line(error)}", where=path) from error
