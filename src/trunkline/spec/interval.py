"""How long, and from when: the `interval` and the `anchor` of a schedule.

    10m, 600s, 600          600 seconds
    2020-01-01T09:30:00     2020-01-01T09:30:00+00:00: in UTC unless it says otherwise

Pure: a moment is read, none is asked for.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Any

EXAMPLE = "a number of seconds, or a number with s, m, h, d or w, such as 10m or 1d"
ANCHOR_EXAMPLE = 'a date and a time, such as "2020-01-01T09:30:00"'
# Without an anchor Prefect would take the moment of deploying, another one each time.
ANCHOR = "2020-01-01T00:00:00+00:00"

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TEXT = re.compile(r"([0-9]{1,10})([smhdw])", re.ASCII).fullmatch
_LONGEST = 3653 * _UNITS["d"]


def seconds(written: Any) -> int | None:
    """The seconds of an interval as it is written, None where it is none."""
    if isinstance(written, str):
        match = _TEXT(written)
        return int(match[1]) * _UNITS[match[2]] if match is not None else None
    return written if isinstance(written, int) and not isinstance(written, bool) else None


def fault(written: Any) -> str:
    """What is wrong with an interval, "" where nothing is."""
    found = seconds(written)
    if found is None:
        return f"'{written}' is no interval"
    if found < 1:
        return f"the interval '{written}' is not longer than nothing"
    return f"the interval '{written}' is longer than ten years" if found > _LONGEST else ""


def moment(written: str | date) -> str | None:
    """A moment in UTC as ISO 8601 has it, None where it is none."""
    try:
        found = datetime.fromisoformat(written) if isinstance(written, str) else written
        if not isinstance(found, datetime):
            found = datetime.combine(found, time())
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None
