r"""Run ids: UUID version 7 (RFC 9562), so that their order as text is the order in time.

    019aacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e
    \___________/ | \_/ \________________/
    milliseconds  |  random; the first two bits of the fourth group are the variant
    since 1970    version

Within a process each id is greater than the one before, also within one millisecond and when the
clock steps back: the 74 random bits are then counted on by a random step.
"""

from __future__ import annotations

import os
import threading
import time

from trunkline.errors import UsageError

# Where the records of runs lie, below the project's home: one folder each, named by its id.
FOLDER = ".trunkline/runs"

_RANDOM_BITS = 74
_STEP_BITS = 32

_lock = threading.Lock()
_last = (0, 0)


def uuid7() -> str:
    """A new id, greater than every id that this process made before."""
    global _last
    now = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    with _lock:
        _last = _after(_last, now, noise)
        return _text(*_last)


def _after(last: tuple[int, int], now: int, noise: int) -> tuple[int, int]:
    """The next (milliseconds, random bits), given the last one, the clock, and 80 random bits."""
    moment, tail = last
    if now > moment:
        return now, noise >> (80 - _RANDOM_BITS)
    tail += 1 + (noise >> (80 - _STEP_BITS))
    if tail >> _RANDOM_BITS:
        return moment + 1, noise >> (80 - _RANDOM_BITS)
    return moment, tail


def _text(moment: int, tail: int) -> str:
    high, low = tail >> 62, tail & ((1 << 62) - 1)
    value = (moment << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | low
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def is_id(text: str) -> bool:
    """Whether `text` is an id as `uuid7` writes it."""
    parts = text.split("-")
    return (
        [len(part) for part in parts] == [8, 4, 4, 4, 12]
        and not set(text) - set("0123456789abcdef-")
        and parts[2][0] == "7"
        and parts[3][0] in "89ab"
    )


def run_time(run_id: str) -> float:
    """When the id was made, in seconds since 1970. Raises UsageError where it is no id."""
    if not is_id(run_id):
        raise UsageError(f"{run_id!r} is not the id of a run", hint="type `trunkline runs` to see the ids")
    return int(run_id[:8] + run_id[9:13], 16) / 1000
