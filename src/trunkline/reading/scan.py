"""Counts the rows of a file that meet conditions: `COLUMN=VALUE`, VALUE read as the column's type has it.

Parquet is asked with the condition: row groups whose statistics exclude it are not read, and of the others
only the columns that it names. Text formats are gone through. Each object is scanned once, by content.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow.fs import LocalFileSystem

from trunkline.errors import CorruptData, MissingData, UsageError
from trunkline.model import File
from trunkline.reading.formats import format_of, kind_of, texts
from trunkline.reading.objects import Objects


class Condition(NamedTuple):
    """That a column holds a value, which is text as it was typed."""

    column: str
    value: str


class Seen(StrEnum):
    """Whether a file could be asked."""

    READ = "read"
    NO_COLUMN = "no column"
    NO_TABLE = "no table"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


class Count(NamedTuple):
    """The rows of a file that match."""

    rows: int
    seen: Seen


def conditions(given: Sequence[str]) -> tuple[Condition, ...]:
    """`["carrier=UA,flight=1545"]` as conditions that must all hold. Raises UsageError."""
    found = []
    for part in (part for text in given for part in re.split(r",(?=[^,=]+=)", text)):
        column, equals, value = part.partition("=")
        if not equals or not column.strip():
            raise UsageError(
                f"{part!r} is no condition", hint="type COLUMN=VALUE; several are joined with a comma"
            )
        found.append(Condition(column.strip(), value))
    return tuple(found)


class Scanner:
    """Counts matching rows. With `fetch`, objects that the cache lacks come from the DVC remote."""

    def __init__(self, objects: Objects, wanted: Sequence[Condition], *, fetch: bool = False) -> None:
        self._objects = objects
        self._wanted = wanted
        self._fetch = fetch
        self._known: dict[tuple[str, str], Count] = {}

    def count(self, file: File) -> Count:
        """The rows of a file that meet all conditions. Raises StoreError."""
        kind = kind_of(file.path)
        if (file.md5, kind) not in self._known:
            self._known[file.md5, kind] = self._count(file, kind)
        return self._known[file.md5, kind]

    def _count(self, file: File, kind: str) -> Count:
        if not kind:
            return Count(0, Seen.NO_TABLE)
        if not self._fetch and not self._objects.at_hand(file.md5):
            return Count(0, Seen.ABSENT)
        try:
            path = self._objects.path(file.md5, file.path)
            rows = self._text(path, kind) if kind in ("csv", "tsv") else self._pushed(path, kind)
        except MissingData:
            return Count(0, Seen.ABSENT)
        except KeyError:
            return Count(0, Seen.NO_COLUMN)
        except (pa.ArrowException, CorruptData):  # an empty CSV, for instance: no reason not to look further
            return Count(0, Seen.UNREADABLE)
        return Count(rows, Seen.READ)

    def _pushed(self, path: str, kind: str) -> int:
        """By Arrow, which leaves out what cannot match. Raises KeyError for a column that is not there."""
        fragment = format_of(kind).make_fragment(path, filesystem=LocalFileSystem())
        schema = fragment.physical_schema
        expression = None
        for each in self._wanted:
            value = _typed(each.value, schema.field(each.column).type)
            if value is None:
                return 0
            one = pc.field(each.column) == value
            expression = one if expression is None else expression & one
        return int(fragment.count_rows(filter=expression))

    def _text(self, path: str, kind: str) -> int:
        """By going through all of it: equal as text, or as numbers. Raises KeyError likewise."""
        total = 0
        names = list(dict.fromkeys(each.column for each in self._wanted))
        for batch in texts(path, kind, names):
            mask = None
            for each in self._wanted:
                one = _equal_text(batch.column(each.column), each.value)
                mask = one if mask is None else pc.and_(mask, one)
            total += pc.sum(mask).as_py() or 0
        return total


def _typed(value: str, kind: pa.DataType) -> pa.Scalar | None:
    """The value as the column has it; None where it cannot be one."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    with suppress(pa.ArrowException, ValueError):
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return pa.scalar(value.encode(), kind)
        if pa.types.is_integer(kind) and re.fullmatch(r"[+-]?\d+\.0*", value):
            value = value.partition(".")[0]
        return pa.scalar(value, pa.string()).cast(kind)
    return None


def _equal_text(column: pa.Array, value: str) -> pa.Array:
    equal = pc.equal(column, value)
    number = _number(value)
    if number is None:
        return equal
    others = [each for each in pc.unique(column).to_pylist() if _number(each) == number]
    return pc.or_(equal, pc.is_in(column, pa.array(others, column.type))) if others else equal


def _number(text: str) -> float | None:
    with suppress(ValueError):
        return float(text)
    return None
