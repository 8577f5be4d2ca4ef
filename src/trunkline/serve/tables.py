"""Parquet and Arrow streams -> columns, typed as the model declares them.

Any type of Arrow will do that holds what the model asks for: numbers of any width, where whole numbers are
asked for those that are whole; text also where it is dictionary-encoded, and whole numbers and booleans as
text. Nulls follow the rule of JSON: a missing value, where one can be.

A small body can hold a great deal: compressed, or one text that thousands of rows name. So what is compared
with the limits is what the values take when written out, before they are: in Parquet as its own directory
says it, then batch by batch, texts as dictionaries; an Arrow stream is as large as its body, and compressed
ones are refused, since Arrow unpacks a batch before one can ask how large it is.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trunkline.serve.network import FLOATS, Array, Tensor
from trunkline.serve.refusals import Problems, Refused, few
from trunkline.serve.rows import EXACT, expected, unknown
from trunkline.tables import first_line

MAX_DECODED = 256 << 20  # bytes in memory
_BATCH = 1024
_WIDEST = 8  # bytes of a number
PARQUET = "application/vnd.apache.parquet"
ARROW = "application/vnd.apache.arrow.stream"
_NAMES = {PARQUET: "Parquet", ARROW: "an Arrow stream"}

_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)

Checked = Callable[[pa.Schema], list[str]]


def read(body: bytes, media: str, columns: Sequence[Tensor], *, ignore: bool) -> dict[str, Array]:
    """The columns of a Parquet file or an Arrow stream. Raises Refused."""

    def checked(schema: pa.Schema) -> list[str]:
        return _checked(schema, columns, ignore=ignore)

    try:
        batches = (_parquet if media == PARQUET else _stream)(body, columns, checked)
        table = pa.Table.from_batches(list(_limited(batches)))
    except Refused:
        raise
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, MemoryError) as error:
        message = f"this cannot be read as {_NAMES[media]}: {first_line(error)}"
        raise Refused(400, "table", message) from error
    problems = Problems()
    found = {each.name: _values(table.column(each.name), each, problems) for each in columns}
    if problems:
        raise problems.refuse(f"{table.num_rows:,} rows", hint="`/schema` lists the columns and their types")
    return found


def _checked(schema: pa.Schema, columns: Sequence[Tensor], *, ignore: bool) -> list[str]:
    """The names of the columns to read, if all are there and of a type that will do. Raises Refused."""
    problems, wanted = Problems(), [column.name for column in columns]
    for column in columns:
        places = schema.get_all_field_indices(column.name)
        if len(places) != 1:
            got = f"{len(places)} columns of that name" if places else "no such column"
            problems.add(expected(column), got, None, column.name)
        elif not _fits(schema.field(places[0]).type, column):
            problems.add(expected(column), f"a column of {schema.field(places[0]).type}", None, column.name)
    for name in () if ignore else schema.names:
        if problems.enough:
            problems.more_to_find = True
            break
        if name not in wanted:
            problems.add(unknown(name, wanted), "a column", None, name)
    if problems:
        raise problems.refuse("its columns", hint="`/schema` lists them; `?unknown=ignore` lets others pass")
    return wanted


def _fits(kind: pa.DataType, column: Tensor) -> bool:
    if column.width:
        lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
        return bool(lists and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type)))
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        return column.kind in (*FLOATS, "string")
    if column.kind == "string":
        return any(check(kind) for check in (*_TEXTS, pa.types.is_integer, pa.types.is_boolean))
    if column.kind == "bool":
        return bool(pa.types.is_boolean(kind))
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


# ---------------------------------------------------------------- batches


def _parquet(body: bytes, columns: Sequence[Tensor], checked: Checked) -> Iterator[pa.RecordBatch]:
    texts = [column.name for column in columns if column.kind == "string"]
    with pq.ParquetFile(pa.BufferReader(body), read_dictionary=texts) as file:
        wanted = checked(file.schema_arrow)
        few(file.metadata.num_rows)
        # Asked for a column chunk, pyarrow 26 ends the process where the metadata is damaged; groups are safe.
        groups = range(file.metadata.num_row_groups)
        _check_size(sum(file.metadata.row_group(group).total_byte_size for group in groups))
        for batch in file.iter_batches(_BATCH, columns=wanted, use_threads=False):
            batch.validate(full=True)  # texts need not be UTF-8
            yield batch


def _stream(body: bytes, _columns: Sequence[Tensor], checked: Checked) -> Iterator[pa.RecordBatch]:
    if any(map(_is_compressed, pa.ipc.MessageReader.open_stream(pa.BufferReader(body)))):
        raise Refused(415, "type", "the Arrow stream is compressed", hint="write it without compression")
    with pa.ipc.open_stream(pa.BufferReader(body)) as reader:
        wanted = checked(reader.schema)
        for batch in reader:
            few(batch.num_rows)
            batch.validate(full=True)  # offsets that lead elsewhere would be read
            yield batch.select(wanted)


def _is_compressed(message: pa.ipc.Message) -> bool:
    """Whether the buffers of a message are compressed; pyarrow does not say, so its header is read here.

    The header is a flatbuffer, see Message.fbs of Arrow: `header` is field 2 of Message, `data` field 1 of
    DictionaryBatch, `compression` field 3 of RecordBatch. Arrow has verified its offsets.
    """
    data = message.metadata.to_pybytes()
    table = _field(data, struct.unpack_from("<I", data)[0], 2)
    if message.type == "dictionary" and table:
        table = _field(data, table, 1)
    return message.type in ("dictionary", "record batch") and bool(table and _field(data, table, 3))


def _field(data: bytes, table: int, number: int) -> int:
    """Where the table is that a field of a table of a flatbuffer names; 0 where the field is not set."""
    (back,) = struct.unpack_from("<i", data, table)
    (length,) = struct.unpack_from("<H", data, table - back)
    at = 4 + 2 * number
    (offset,) = struct.unpack_from("<H", data, table - back + at) if at < length else (0,)
    return int(table + offset + struct.unpack_from("<I", data, table + offset)[0]) if offset else 0


def _limited(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    rows = size = 0
    for batch in batches:
        rows, size = rows + batch.num_rows, size + sum(map(_size, batch.columns))
        few(rows)
        _check_size(size)
        yield batch
    if not rows:
        raise Refused(422, "input", "the table has no rows: there is nothing to predict")


def _check_size(size: int) -> None:
    if size > MAX_DECODED:
        raise Refused(
            413, "size", f"unpacked, this is more than {MAX_DECODED >> 20} MiB", hint="send less at once"
        )


def _size(column: pa.Array) -> int:
    """Bytes of its values when each is written out: rows may share a text."""
    if pa.types.is_dictionary(column.type):
        if not any(check(column.type.value_type) for check in _TEXTS):
            return _WIDEST * len(column)
        lengths = _lengths(column.dictionary)
        return int(lengths[column.indices.drop_null().to_numpy()].sum())
    return int(_lengths(column).sum()) if pa.types.is_string_view(column.type) else column.nbytes


def _lengths(texts: pa.Array) -> Array:
    """Bytes of each text, 0 where it is null."""
    if not pa.types.is_string_view(texts.type):  # pyarrow 26 has no binary_length of a view
        return np.asarray(pc.fill_null(pc.binary_length(texts), 0)).astype(np.int64)
    views = np.frombuffer(texts.buffers()[1], np.int32)[::4]  # 16 bytes a view, the length first
    lengths: Array = views[texts.offset : texts.offset + len(texts)].astype(np.int64)
    return np.where(np.asarray(texts.is_valid()), lengths, 0)


# ---------------------------------------------------------------- values


def _values(column: pa.ChunkedArray, wanted: Tensor, problems: Problems) -> Array:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if wanted.width:
        return _vectors(column, wanted, problems)
    if wanted.kind in FLOATS:
        return _floats(column, wanted, problems)
    if wanted.kind == "string":
        return np.array(pc.fill_null(column.cast(pa.string()), "").to_pylist(), np.object_)
    if column.null_count:
        for place in np.flatnonzero(column.is_null().to_numpy()):
            problems.add(expected(wanted), "null", int(place), wanted.name)
        return np.zeros(len(column), wanted.dtype)
    values: Array = column.to_numpy()
    return values if wanted.kind == "bool" else _whole(values, wanted, problems)


def _whole(values: Array, wanted: Tensor, problems: Problems) -> Array:
    """Whole numbers, of whatever type they came as."""
    limits = np.iinfo(wanted.dtype)
    bad = (values < limits.min) | (values > limits.max)
    if values.dtype.kind == "f":
        bad = ~((np.abs(values) <= EXACT) & (np.trunc(values) == values)) | bad  # also what is not a number
    for place in np.flatnonzero(bad):
        problems.add(expected(wanted), str(values[place]), int(place), wanted.name)
    return np.where(bad, 0, values).astype(wanted.dtype)


def _vectors(column: pa.ChunkedArray, wanted: Tensor, problems: Problems) -> Array:
    """Lists of numbers, all of one length, none of them missing."""
    lengths = pc.fill_null(pc.list_value_length(column), -1).to_numpy()
    for place in np.flatnonzero(lengths != wanted.width):
        got = "null" if lengths[place] < 0 else f"a list of {lengths[place]}"
        problems.add(expected(wanted), got, int(place), wanted.name)
    if problems:
        return np.zeros((len(column), wanted.width), wanted.dtype)
    with np.errstate(over="ignore"):
        flat: Array = pc.list_flatten(column).to_numpy().astype(wanted.dtype)
    for place in np.flatnonzero(~np.isfinite(flat)):
        row, at = divmod(int(place), wanted.width)
        problems.add(expected(wanted), f"{flat[place]} at {at}", row, wanted.name)
    return flat.reshape(-1, wanted.width)


def _floats(column: pa.ChunkedArray, wanted: Tensor, problems: Problems) -> Array:
    """Null and NaN are missing. What is infinite, or becomes so, is no number."""
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan, wanted.dtype)
    with np.errstate(over="ignore"):
        values: Array = column.to_numpy().astype(wanted.dtype)  # nulls among whole numbers come as NaN
    for place in np.flatnonzero(np.isinf(values)):
        problems.add(expected(wanted), str(column[int(place)].as_py()), int(place), wanted.name)
    return values


def written(table: pa.Table, media: str) -> bytes:
    """A table in one of the two formats."""
    sink = io.BytesIO()
    if media == PARQUET:
        pq.write_table(table, sink)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()
