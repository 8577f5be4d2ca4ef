"""How long, and how much memory, as a stage declares it.

    600, 0.5, 600s, 10m, 1h30m, 1m30s, 1.5h, 500ms, 1d      seconds: numbers with ms, s, m, h, d, w
    1000000, 64M, 512Mi, 4GiB, 1.5G                         bytes: K, M, G, T by 1000, Ki, Mi, Gi, Ti by 1024

What Go reads as a duration, and Kubernetes as a quantity of memory, means the same here.
"""

from __future__ import annotations

import re
from typing import Any

DURATION_EXAMPLE = "a number of seconds, or numbers with ms, s, m, h or d, such as 90s or 1h30m"
MEMORY_EXAMPLE = "a number of bytes, or a number with K, M, G or Ki, Mi, Gi, such as 512Mi or 4G"

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_NUMBER = r"([0-9]{1,15}(?:\.[0-9]{1,9})?)"
_PART = re.compile(rf"{_NUMBER}(ms|[smhdw])", re.ASCII)
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|[smhdw]))+", re.ASCII).fullmatch
_MEMORY = re.compile(rf"{_NUMBER} ?(?:([kKMGTP])(i?)B?|B)?", re.ASCII).fullmatch
_POWERS = {"K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_LONGEST = 3653 * 86_400  # seconds: ten years
_SMALLEST = 1 << 20  # bytes
_LARGEST = 1 << 50


def duration(written: Any) -> float | None:
    """The seconds of a duration as it is written, None where it is none."""
    if isinstance(written, str):
        if _DURATION(written) is None:
            return None
        return float(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(written)))
    return float(written) if isinstance(written, int | float) and not isinstance(written, bool) else None


def duration_fault(written: Any) -> str:
    """What is wrong with a duration, "" where nothing is."""
    found = duration(written)
    if found is None or found != found:
        return f"'{written}' is no duration"
    if found <= 0:
        return f"the duration '{written}' is not longer than nothing"
    return f"the duration '{written}' is longer than ten years" if found > _LONGEST else ""


def memory(written: Any) -> int | None:
    """The bytes of an amount of memory as it is written, None where it is none."""
    if isinstance(written, str):
        match = _MEMORY(written)
        if match is None:
            return None
        number, prefix, binary = match.groups()
        return int(float(number) * (1024 if binary else 1000) ** _POWERS.get((prefix or "").upper(), 0))
    return written if isinstance(written, int) and not isinstance(written, bool) else None


def memory_fault(written: Any) -> str:
    """What is wrong with an amount of memory, "" where nothing is."""
    found = memory(written)
    if found is None:
        return f"'{written}' is no amount of memory"
    if found < _SMALLEST:
        return f"{found} bytes of memory are too few for any process"
    return f"the amount of memory '{written}' is more than there can be" if found > _LARGEST else ""
