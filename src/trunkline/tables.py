"""Tables as Parquet files: equal tables give equal bytes.

A file written here depends on the columns and the rows and on nothing else: one file, one schema,
zstd, row groups of 131,072 rows, no pandas metadata, no index, no dictionary columns (the order of
a dictionary is no part of the values, but it would be part of the bytes). The order of the rows is
the caller's. "Equal" is equality of bit patterns: 0.0 and -0.0 differ, as do two kinds of NaN.

A DataFrame's index is not a column. Row numbers are dropped; an index that means something (it has
a name, several levels, or anything but integers) is an error that tells the way out, because to
drop it silently would lose data.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from trunkline.digest import md5_bytes, md5_file
from trunkline.errors import CorruptData, TrunklineError
from trunkline.writer import writer_tag

if TYPE_CHECKING:
    import pandas as pd

WRITER: str = writer_tag()

_OPTIONS: dict[str, Any] = {
    "version": "2.6",
    "compression": "zstd",
    "compression_level": 3,
    "row_group_size": 131_072,
    "use_dictionary": True,
    "write_statistics": True,
    "data_page_version": "1.0",
    "data_page_size": 1 << 20,
    "store_schema": True,
    "write_page_index": False,
}
_IN_MEMORY = 32 << 20  # a table up to this size is hashed before it is written, not read back
_ALONE = 1 << 20  # below this size, threads cost more than they save


def write_table(table: pa.Table | pd.DataFrame, path: str) -> tuple[str, int]:
    """Write `table` to `path` and return the file's (md5, size). Raises TrunklineError."""
    return write_arrow(canonical(table), path)


def write_arrow(table: pa.Table, path: str) -> tuple[str, int]:
    """Write an Arrow table as it is, its metadata included, and return the file's (md5, size)."""
    if table.nbytes > _IN_MEMORY:
        pq.write_table(table, path, **_OPTIONS)
        with open(path, "rb") as stream:
            size = stream.seek(0, 2)
        return md5_file(path), size
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **_OPTIONS)
    data = sink.getvalue()
    with open(path, "wb", buffering=0) as stream:
        view = memoryview(data)
        while view:
            view = view[stream.write(view) :]
    return md5_bytes(data), data.size


def read_table(path: str) -> pa.Table:
    """The table in the Parquet file at `path`, without metadata. Raises CorruptData, OSError."""
    try:
        with open(path, "rb", buffering=0) as stream:
            if stream.seek(0, 2) > _ALONE:
                table = pq.ParquetFile(path).read()
            else:
                stream.seek(0)
                table = pq.ParquetFile(pa.BufferReader(stream.read())).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise CorruptData(f"this is not a Parquet file: {first_line(error)}", where=path) from error
    return table.replace_schema_metadata(None)


def footer(path: str) -> tuple[tuple[tuple[str, str], ...], int]:
    """Name and type of every column of the Parquet file at `path`, and its number of rows; no data is read.

    Raises CorruptData, OSError.
    """
    try:
        with pq.ParquetFile(path) as file:
            columns = tuple((field.name, str(field.type)) for field in file.schema_arrow)
            return columns, file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise CorruptData(f"this is not a Parquet file: {first_line(error)}", where=path) from error


def canonical(table: pa.Table | pd.DataFrame) -> pa.Table:
    """The Arrow table that stands for `table`, in the one form that is written."""
    arrow = table if isinstance(table, pa.Table) else _from_frame(table)
    _check_names(arrow.schema.names)
    schema = pa.schema([pa.field(f.name, _plain(f.type), f.nullable) for f in arrow.schema])
    if not schema.equals(arrow.schema, check_metadata=True):
        arrow = arrow.cast(schema) if schema != arrow.schema else pa.table(arrow.columns, schema=schema)
    if any(column.num_chunks > 1 for column in arrow.columns):
        arrow = arrow.combine_chunks()
    return arrow


def is_frame(value: object) -> bool:
    """Whether `value` is a pandas.DataFrame; pandas is not imported to find out."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def first_line(error: BaseException) -> str:
    """What a library's error says, without the paragraphs that follow."""
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _from_frame(frame: pd.DataFrame) -> pa.Table:
    index = frame.index
    rows_only = index.nlevels == 1 and index.name is None and index.dtype.kind in "iu"
    if not rows_only and len(index):
        what = ", ".join(repr(name) for name in index.names if name is not None) or "labels"
        raise TrunklineError(
            f"the frame's index ({what}) would be lost: an index is not written to Parquet",
            hint="make it columns with .reset_index(), or drop it with .reset_index(drop=True)",
        )
    _check_names(list(frame.columns))
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        detail = "; ".join(str(part) for part in error.args)
        raise TrunklineError(
            f"the frame has no form in Parquet: {detail}", hint="give each column one type with .astype()"
        ) from error


def _check_names(names: list[Any]) -> None:
    for name in names:
        if not isinstance(name, str):
            raise TrunklineError(
                f"the column name {name!r} is not text", hint="rename the columns: frame.columns = [...]"
            )
    doubled = (
        sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    )
    if doubled:
        raise TrunklineError(f"two columns have the name {doubled[0]!r}", hint="rename one of them")


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type without dictionaries and field metadata, inside of nested types too."""
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_struct(kind):
        return pa.struct([_plain_field(field) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain_field(kind.item_field), keys_sorted=kind.keys_sorted)
    if pa.types.is_list(kind):
        return pa.list_(_plain_field(kind.value_field))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_field(kind.value_field))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_plain_field(kind.value_field), kind.list_size)
    return kind


def _plain_field(field: pa.Field) -> pa.Field:
    return pa.field(field.name, _plain(field.type), field.nullable)
