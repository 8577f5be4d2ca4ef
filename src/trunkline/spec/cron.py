"""Checks the five fields of a cron expression, and says which moments they name.

┌ minute  ┌ hour  ┌ day of the month  ┌ month  ┌ day of the week
0         3       *                   *        mon-fri

Where both days leave something out, one of them is enough, as cron has it. Pure: the moments asked
for lie between two that are given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

EXAMPLE = 'five fields: minute, hour, day of the month, month, day of the week, such as "0 3 * * *"'


_TEN_YEARS = 3653  # days: what there is at all is there within them


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


def between(expression: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """Every moment of an expression behind `after`, up to `until`, in UTC; the expression has no fault."""
    times = _times(expression)
    for number in range((until.date() - after.date()).days + 1):
        for moment in times.on(after.date() + timedelta(number)):
            if after < moment <= until:
                yield moment


def last(expression: str, until: datetime) -> datetime | None:
    """The last moment of an expression up to `until`; None where there is none in ten years."""
    times = _times(expression)
    for number in range(min(_TEN_YEARS, (until.date() - date.min).days)):
        found = [moment for moment in times.on(until.date() - timedelta(number)) if moment <= until]
        if found:
            return found[-1]
    return None


class _Times(NamedTuple):
    """What each field of an expression allows; `either`: one of the two days is enough."""

    minutes: Sequence[int]
    hours: Sequence[int]
    days: Sequence[int]
    months: Sequence[int]
    weekdays: Sequence[int]
    either: bool

    def on(self, day: date) -> Iterator[datetime]:
        """The moments of one day."""
        fits = [day.day in self.days, day.isoweekday() % 7 in self.weekdays]
        if day.month in self.months and (any(fits) if self.either else all(fits)):
            for hour in self.hours:
                for minute in self.minutes:
                    yield datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


def _times(expression: str) -> _Times:
    allowed = [_allowed(text, field) for text, field in zip(expression.split(), _FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = allowed
    weekdays = sorted({day % 7 for day in weekdays})
    return _Times(minutes, hours, days, months, weekdays, len(days) < 31 and len(weekdays) < 7)


def _allowed(text: str, field: _Field) -> list[int]:
    found: set[int] = set()
    for item in text.split(","):
        span, slash, step = item.partition("/")
        low, dash, high = span.partition("-")
        if span == "*":
            first, end = field.low, field.high
        else:
            start = _number(low, field)
            stop = _number(high, field) if dash else field.high if slash else start
            assert start is not None
            assert stop is not None
            first, end = start, stop
        found.update(range(first, end + 1, int(step) if slash else 1))
    return sorted(found)


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
