"""Checks the five fields of a cron expression.

┌ minute  ┌ hour  ┌ day of the month  ┌ month  ┌ day of the week
0         3       *                   *        mon-fri
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

EXAMPLE = 'five fields: minute, hour, day of the month, month, day of the week, such as "0 3 * * *"'


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    words: Mapping[str, int]


def _numbered(words: Sequence[str], first: int) -> dict[str, int]:
    return {word: number for number, word in enumerate(words, first)}


_MONTHS = _numbered(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
_DAYS = _numbered(["sun", "mon", "tue", "wed", "thu", "fri", "sat"], 0)
_FIELDS = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of the month", 1, 31, {}),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 7, _DAYS),
)


def fault(expression: str) -> str:
    """What is wrong with a cron expression, "" where nothing is."""
    fields = expression.split()
    if len(fields) != len(_FIELDS):
        return f"'{expression}' has {len(fields)} field{'s' if len(fields) != 1 else ''}, not five"
    for text, field in zip(fields, _FIELDS, strict=True):
        for item in text.split(","):
            found = _item_fault(item, field)
            if found:
                return found
    return ""


def _item_fault(item: str, field: _Field) -> str:
    span, slash, step = item.partition("/")
    if slash and not (_digits(step) and 1 <= int(step) <= field.high):
        return f"{field.name} '{item}' has a bad step"
    if span == "*":
        return ""
    low, dash, high = span.partition("-")
    ends = [_number(end, field) for end in ([low, high] if dash else [low])]
    if None in ends:
        return f"{field.name} '{item}' is not between {field.low} and {field.high}"
    first, last = ends[0], ends[-1]
    assert first is not None
    assert last is not None
    return f"{field.name} '{item}' runs backwards" if last < first else ""


def _number(text: str, field: _Field) -> int | None:
    number = int(text) if _digits(text) else field.words.get(text.lower())
    return number if number is not None and field.low <= number <= field.high else None


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4
