"""Parquet without pyarrow, as far as the manifest needs it: importing pyarrow costs more than all the rest.

    texts      one text for each row                       optional binary (STRING)
    groups     a list of records for each row              optional group (LIST) of optional groups
               whose fields are texts or whole numbers     of optional binary (STRING), optional int64

What is written here anybody can read: one row group, a column in one page, PLAIN and uncompressed, so
that the bytes depend on the rows alone, and on no library's version. Levels are runs, never packed bits.

`read` reads what `write` wrote, which says so (`created_by`); of any other file it returns None.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, groupby
from struct import pack, unpack_from
from typing import Any, NamedTuple

CREATED_BY = b"trunkline parquet 1"
_MAGIC = b"PAR1"
_INT64, _BINARY = 2, 6  # physical types
_REPEATED = 2
_EMPTY, _NULL, _PRESENT = 1, 3, 4  # definition levels of a record's field

Value = str | int | None
Record = tuple[Value, ...]
Group = Sequence[Record]


class Kind(NamedTuple):
    """A column of lists of records: its fields by name, True where it is a number, which may be missing."""

    name: str
    fields: tuple[tuple[str, bool], ...]


class Damaged(ValueError):
    """A file says that it was written here, and was not."""


class Read(NamedTuple):
    """A file that was read. Of each column of lists its records in one sequence, and how many a row has.

    `counts` is None where every row has one.
    """

    rows: int
    metadata: dict[str, str]
    texts: tuple[list[str], ...]
    records: tuple[list[Sequence[Value]], ...]
    counts: tuple[list[int] | None, ...]


# ---------------------------------------------------------------- write


def write(
    texts: Mapping[str, Sequence[str]],
    groups: Mapping[Kind, Sequence[Group]],
    metadata: Mapping[str, str],
    rows: int,
) -> bytes:
    """The file of these columns of `rows` rows: texts first, then lists."""
    chunks: list[tuple[list[bytes], int, int, bytes]] = []  # path, type, number of values, page
    for name, values in texts.items():
        chunks.append(([name.encode()], _BINARY, rows, _runs([(1, rows)]) + _texts(values)))
    for kind, column in groups.items():
        chunks += _group_chunks(kind, column)
    body, described = [_MAGIC], []
    at = len(_MAGIC)
    for path, physical, count, page in chunks:
        data = _page_header(len(page), count) + page
        body.append(data)
        described.append(_chunk(path, physical, count, len(data), at))
        at += len(data)
    footer = _footer(tuple(texts), tuple(groups), rows, described, at - len(_MAGIC), metadata)
    return b"".join([*body, footer, pack("<I", len(footer)), _MAGIC])


def _group_chunks(kind: Kind, column: Sequence[Group]) -> Iterator[tuple[list[bytes], int, int, bytes]]:
    counts = list(map(len, column))
    places = sum(counts) + counts.count(0)
    one_each = counts.count(1) == len(counts)
    repeats = _runs([(0, places)] if one_each else groupby(_repeats(counts)))
    fields: Sequence[Sequence[Value]] = list(zip(*chain.from_iterable(column), strict=True))
    fields = fields or [()] * len(kind.fields)
    for (name, number), values in zip(kind.fields, fields, strict=True):
        path = [kind.name.encode(), b"list", b"element", name.encode()]
        if one_each and (not number or None not in values):
            levels = _runs([(_PRESENT, places)])
        else:
            levels = _runs(groupby(_levels(counts, values)))
        data = _numbers(values) if number else _texts(values)  # type: ignore[arg-type]
        yield path, _INT64 if number else _BINARY, places, repeats + levels + data


def _repeats(counts: Sequence[int]) -> Iterator[int]:
    for count in counts:
        yield 0
        for _ in range(count - 1):
            yield 1


def _levels(counts: Sequence[int], values: Sequence[Value]) -> Iterator[int]:
    rest = iter(values)
    for count in counts:
        if not count:
            yield _EMPTY
        for _ in range(count):
            yield _NULL if next(rest) is None else _PRESENT


def _runs(levels: Any) -> bytes:
    """Levels as runs of equal ones, given as (level, how many) or (level, iterator over them)."""
    out = []
    for level, run in levels:
        length = run if isinstance(run, int) else sum(1 for _ in run)
        if length:
            out.append(_varint(length << 1) + bytes((level,)))
    data = b"".join(out)
    return pack("<I", len(data)) + data


def _texts(values: Sequence[str]) -> bytes:
    data = [value.encode() for value in values]
    lengths = set(map(len, data))
    if len(lengths) == 1:
        prefix = pack("<I", lengths.pop())
        return prefix + prefix.join(data)
    prefixes = {length: pack("<I", length) for length in lengths}
    return b"".join(chain.from_iterable((prefixes[len(text)], text) for text in data))


def _numbers(values: Sequence[int | None]) -> bytes:
    numbers = array("q", [value for value in values if value is not None])
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


# ---------------------------------------------------------------- what describes it, in Thrift's compact form


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


_I32, _I64, _BYTES, _LIST, _STRUCT = 5, 6, 8, 9, 12


def _struct(*fields: tuple[int, int, Any]) -> bytes:
    """A struct of (field id, type, value): bytes stand for themselves, lists and structs for their encoding."""
    out, last = [], 0
    for number, kind, value in fields:
        out.append(bytes(((number - last) << 4 | kind,)))
        out.append(_value(kind, value))
        last = number
    return b"".join([*out, b"\0"])


def _value(kind: int, value: Any) -> bytes:
    if kind in (_I32, _I64):
        return _varint(value << 1)  # zigzag; nothing here is negative
    return _varint(len(value)) + value if kind == _BYTES else bytes(value)


def _list(kind: int, values: Sequence[Any]) -> bytes:
    size = (
        bytes((len(values) << 4 | kind,))
        if len(values) < 15
        else bytes((0xF0 | kind,)) + _varint(len(values))
    )
    return size + b"".join(_value(kind, value) for value in values)


def _page_header(size: int, count: int) -> bytes:
    plain, runs = 0, 3
    data = _struct((1, _I32, count), (2, _I32, plain), (3, _I32, runs), (4, _I32, runs))
    return _struct((1, _I32, 0), (2, _I32, size), (3, _I32, size), (5, _STRUCT, data))


def _chunk(path: list[bytes], physical: int, count: int, size: int, at: int) -> bytes:
    described = _struct(
        (1, _I32, physical), (2, _LIST, _list(_I32, [0, 3])), (3, _LIST, _list(_BYTES, path)), (4, _I32, 0),
        (5, _I64, count), (6, _I64, size), (7, _I64, size), (9, _I64, at),
    )  # fmt: skip
    return _struct((2, _I64, at), (3, _STRUCT, described))


def _footer(
    texts: Sequence[str], kinds: Sequence[Kind], rows: int, chunks: Sequence[bytes], size: int,
    metadata: Mapping[str, str],
) -> bytes:  # fmt: skip
    pairs = [_struct((1, _BYTES, key.encode()), (2, _BYTES, text.encode())) for key, text in metadata.items()]
    group = _struct((1, _LIST, _list(_STRUCT, chunks)), (2, _I64, size), (3, _I64, rows))
    return _struct(
        (1, _I32, 2),
        (2, _LIST, _list(_STRUCT, list(_schema(texts, kinds)))),
        (3, _I64, rows),
        (4, _LIST, _list(_STRUCT, [group])),
        (5, _LIST, _list(_STRUCT, pairs)),
        (6, _BYTES, CREATED_BY),
    )


def _schema(texts: Sequence[str], kinds: Sequence[Kind]) -> Iterator[bytes]:
    yield _struct((4, _BYTES, b"schema"), (5, _I32, len(texts) + len(kinds)))
    for name in texts:
        yield _text_element(name)
    for kind in kinds:
        logical = _struct((3, _STRUCT, _struct()))  # LIST
        own = kind.name.encode()
        yield _struct((3, _I32, 1), (4, _BYTES, own), (5, _I32, 1), (6, _I32, 3), (10, _STRUCT, logical))
        yield _struct((3, _I32, _REPEATED), (4, _BYTES, b"list"), (5, _I32, 1))
        yield _struct((3, _I32, 1), (4, _BYTES, b"element"), (5, _I32, len(kind.fields)))
        for field, number in kind.fields:
            if number:
                yield _struct((1, _I32, _INT64), (3, _I32, 1), (4, _BYTES, field.encode()))
            else:
                yield _text_element(field)


def _text_element(name: str) -> bytes:
    logical = _struct((1, _STRUCT, _struct()))  # STRING
    return _struct(
        (1, _I32, _BINARY), (3, _I32, 1), (4, _BYTES, name.encode()), (6, _I32, 0), (10, _STRUCT, logical)
    )


# ---------------------------------------------------------------- read


def read_metadata(data: bytes) -> tuple[int, dict[str, str]] | None:
    """The number of rows and the metadata, from the end of a file; None where it was not written here."""
    footer = _parsed(data)
    return None if footer is None else (footer[3], _metadata(footer))


def read(data: bytes, texts: Sequence[str], kinds: Sequence[Kind]) -> Read | None:
    """The columns of a file; None where it was not written here. Raises Damaged."""
    footer = _parsed(data)
    if footer is None:
        return None
    try:
        chunks = iter([_page(data, chunk[3]) for chunk in footer[4][0][1]])
        rows = footer[3]
        if rows > len(data):
            raise Damaged("it is too short")
        columns = tuple(_read_texts(_skip_run(next(chunks)), rows) for _ in texts)
        found = [_read_group(kind, [next(chunks) for _ in kind.fields], rows) for kind in kinds]
        if next(chunks, None) is not None:
            raise Damaged("it has other columns")
    except (struct.error, IndexError, KeyError, TypeError, ValueError, StopIteration) as error:
        raise Damaged(str(error) or type(error).__name__) from error
    records, counts = tuple(records for records, _ in found), tuple(counts for _, counts in found)
    return Read(rows, _metadata(footer), columns, records, counts)


def footer_size(tail: bytes) -> int:
    """How many bytes at the end of a file hold its footer, from its last eight; 0 where it is no Parquet."""
    return unpack_from("<I", tail)[0] + 8 if len(tail) == 8 and tail[4:] == _MAGIC else 0


def _parsed(data: bytes) -> dict[int, Any] | None:
    """The footer by field id, if it is ours. Raises Damaged."""
    size = footer_size(data[-8:])
    if not size or CREATED_BY not in data[-8 - len(CREATED_BY) - 1 : -8]:
        return None
    try:
        return _Reader(data, len(data) - size).record()
    except (IndexError, ValueError) as error:
        raise Damaged("its footer cannot be read") from error


def _metadata(footer: dict[int, Any]) -> dict[str, str]:
    try:
        return {pair[1].decode(): pair[2].decode() for pair in footer[5]}
    except (KeyError, ValueError, AttributeError) as error:
        raise Damaged("its metadata cannot be read") from error


def _page(data: bytes, chunk: dict[int, Any]) -> tuple[bytes, int]:
    reader = _Reader(data, chunk[9])
    size = reader.record()[3]
    page = data[reader.at : reader.at + size]
    if len(page) != size or chunk[5] > len(data):
        raise Damaged("a page is cut off")
    return page, chunk[5]


def _skip_run(page: tuple[bytes, int]) -> bytes:
    """The values of a column of which every row has one."""
    data, _ = page
    return data[4 + unpack_from("<I", data)[0] :]


def _read_runs(data: bytes, places: int) -> tuple[list[tuple[int, int]], bytes]:
    """Levels as (level, how many), and what follows them."""
    end = 4 + unpack_from("<I", data)[0]
    reader, found = _Reader(data, 4), []
    while reader.at < end:
        length = reader.varint() >> 1
        found.append((data[reader.at], length))
        reader.at += 1
    if sum(length for _, length in found) != places:
        raise Damaged("a column has another length")
    return found, data[end:]


def _read_group(
    kind: Kind, pages: Sequence[tuple[bytes, int]], rows: int
) -> tuple[list[Sequence[Value]], list[int] | None]:
    columns: list[Sequence[Value]] = []
    counts: list[int] | None = None
    for (_, numeric), (page, places) in zip(kind.fields, pages, strict=True):
        repeats, rest = _read_runs(page, places)
        levels, values = _read_runs(rest, places)
        if not columns and (levels != [(_PRESENT, rows)] or repeats != [(0, rows)]):
            counts = _counts(repeats, levels)
        present = sum(length for level, length in levels if level == _PRESENT)
        found: Sequence[Value] = _read_numbers(values, present) if numeric else _read_texts(values, present)
        if any(level == _NULL for level, _ in levels):
            found = list(_with_nulls(levels, found))
        if len(found) != (rows if counts is None else sum(counts)):
            raise Damaged("a column has another length")
        columns.append(found)
    if counts is not None and len(counts) != rows:
        raise Damaged("a column has another length")
    return columns, counts


def _counts(repeats: Sequence[tuple[int, int]], levels: Sequence[tuple[int, int]]) -> list[int]:
    """How many records each row has."""
    present = chain.from_iterable([level != _EMPTY] * length for level, length in levels)
    counts: list[int] = []
    for level, length in repeats:
        for _ in range(length):
            if level:
                counts[-1] += next(present)
            else:
                counts.append(int(next(present)))
    return counts


def _with_nulls(levels: Sequence[tuple[int, int]], values: Sequence[Value]) -> Iterator[Value]:
    rest = iter(values)
    for level, length in levels:
        if level != _EMPTY:
            for _ in range(length):
                yield next(rest) if level == _PRESENT else None


def _read_texts(data: bytes, count: int) -> list[str]:
    if not count:
        return []
    length = unpack_from("<I", data)[0]
    stride = length + 4
    if len(data) == stride * count and all(data[at::stride] == data[at : at + 1] * count for at in range(4)):
        whole = data.decode("latin-1")
        if whole.isascii():
            return [whole[at : at + length] for at in range(4, len(whole) + 1, stride)]
    found, at = [], 0
    for _ in range(count):
        start = at + 4
        at = start + unpack_from("<I", data, at)[0]
        found.append(data[start:at].decode())
    if at != len(data):
        raise Damaged("a column has another length")
    return found


def _read_numbers(data: bytes, count: int) -> list[int]:
    numbers = array("q", data)
    if len(numbers) != count:
        raise Damaged("a column has another length")
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tolist()


class _Reader:
    """Reads Thrift's compact form: structs as dicts by field id, what is unknown included."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def record(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        last = 0
        while head := self.data[self.at]:
            self.at += 1
            last += head >> 4
            fields[last] = self.value(head & 15)
        self.at += 1
        return fields

    def value(self, kind: int) -> Any:
        if kind in (_I32, _I64):
            return self.varint() >> 1
        if kind == _BYTES:
            size = self.varint()
            self.at += size
            return self.data[self.at - size : self.at]
        if kind == _STRUCT:
            return self.record()
        if kind != _LIST:
            raise Damaged(f"type {kind}")
        head = self.data[self.at]
        self.at += 1
        size = head >> 4 if head < 0xF0 else self.varint()
        return [self.value(head & 15) for _ in range(size)]
