"""When a `cron` input ticks, and what its ticks are called.

    0 3 * * *                    five fields, as cron has them, in UTC
    @hourly @daily @weekly @monthly @yearly        (@midnight, @annually)
    @every 90m, @every 1h30m     from `start` on; without one, from 2020-01-01 on
    @never                       only what is put into the dataset by hand

    2026-01-31T03:00:00Z         a tick: an empty file of that name

Every tick is due that lies behind `start`, behind the last tick that is there, and not in the future.
Without `start` and without a tick it is the last one alone: a pipeline ticks from its first run on.
Pure: what time it is comes in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from trunkline.model import Cron, Interval, Ticks
from trunkline.spec import cron, interval

EXAMPLE = (
    'five fields such as "0 3 * * *", or @hourly, @daily, @weekly, @monthly, @yearly, @every 10m, @never'
)
MOST = 100_000  # ticks at a time

_WORDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EVERY = re.compile(r"@every\s+(\S+)", re.ASCII).fullmatch
_DURATION = re.compile(r"(?:[0-9]{1,10}[wdhms])+", re.ASCII).fullmatch
_PART = re.compile(r"([0-9]+)([wdhms])")


class TooManyError(ValueError):
    """More ticks are due than anybody can mean."""


def fault(spec: str) -> str:
    """What is wrong with the `spec` of a cron input, "" where nothing is."""
    if spec in _WORDS or spec == "@never":
        return ""
    every = _EVERY(spec)
    if every is not None:
        seconds = _seconds(every[1])
        if seconds is None:
            return f"'{every[1]}' is no duration"
        return f"'{spec}' is too short or too long" if interval.fault(seconds) else ""
    if spec.startswith("@"):
        return f"'{spec}' is no time that comes again"
    return cron.fault(spec)


def when(ticks: Ticks) -> Cron | Interval | None:
    """The schedule on which it ticks; None where it never does."""
    if ticks.spec == "@never":
        return None
    every = _EVERY(ticks.spec)
    if every is None:
        return Cron(_WORDS.get(ticks.spec, " ".join(ticks.spec.split())))
    seconds = _seconds(every[1])
    assert seconds is not None
    return Interval(seconds, ticks.start or interval.ANCHOR)


def due(ticks: Ticks, present: Iterable[str], now: datetime) -> tuple[str, ...]:
    """The names of the ticks that are due, oldest first; with `overwrite` the newest alone.

    `present` are the names of the files that are there. Raises TooManyError.
    """
    schedule = when(ticks)
    start = datetime.fromisoformat(ticks.start) if ticks.start else None
    known = [moment for moment in (start, *map(moment_of, present)) if moment is not None]
    if schedule is None:
        return ()
    if not known or ticks.overwrite:
        newest = _newest(schedule, now)
        return () if newest is None or (known and newest <= max(known)) else (name_of(newest),)
    found = list(islice(_between(schedule, max(known), now), MOST + 1))
    if len(found) > MOST:
        raise TooManyError(f"more than {MOST:,} ticks are due since {name_of(max(known))}")
    return tuple(map(name_of, found))


def whole(moment: str) -> str:
    """A moment without fractions of a second, which no name of a tick has."""
    return datetime.fromisoformat(moment).replace(microsecond=0).isoformat() if moment else ""


def name_of(moment: datetime) -> str:
    """What the tick of a moment is called."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def moment_of(name: str) -> datetime | None:
    """The moment of the tick that is called so; None where it is the name of none."""
    try:
        moment = datetime.fromisoformat(name)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _seconds(duration: str) -> int | None:
    """The seconds of `1h30m`; None where it is no duration."""
    if not _DURATION(duration):
        return None
    units: Sequence[tuple[str, str]] = _PART.findall(duration)
    return sum(interval.seconds(number + unit) or 0 for number, unit in units)


def _between(schedule: Cron | Interval, after: datetime, until: datetime) -> Iterator[datetime]:
    if isinstance(schedule, Cron):
        yield from cron.between(schedule.expression, after, until)
        return
    anchor, step = datetime.fromisoformat(schedule.anchor), timedelta(seconds=schedule.seconds)
    moment = anchor + max((after - anchor) // step + 1, 1) * step
    while moment <= until:
        yield moment
        moment += step


def _newest(schedule: Cron | Interval, now: datetime) -> datetime | None:
    if isinstance(schedule, Cron):
        return cron.last(schedule.expression, now)
    anchor, step = datetime.fromisoformat(schedule.anchor), timedelta(seconds=schedule.seconds)
    count = (now - anchor) // step
    return anchor + count * step if count > 0 else None
