"""What a YAML scalar means: the YAML 1.2 core rules, in the dialect of DVC's reader.

    on, yes, 12:30   text        1e5, 1e-05   float       010      10
    0x1F             31          1_000        1000        0o10     8
    ~, null, empty   None        .inf         inf         2013-01-01   a date

PyYAML by itself follows YAML 1.1, where `on` is True and `1e-05` is text: DVC would then see
other parameters than we do, and call a stage changed that is not. The patterns are those of the
library that DVC reads with; `tests/conformance/test_yaml_readers.py` compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

PREFIX = "tag:yaml.org,2002:"
NULL = PREFIX + "null"
STR = PREFIX + "str"
SEQ = PREFIX + "seq"
MAP = PREFIX + "map"
MERGE = PREFIX + "merge"
DATE = PREFIX + "timestamp"

# The order decides: `1.5` is tried as a float before it is tried as an int.
_PATTERNS = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "float": r"""[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
        |[-+]?\.[0-9_]+(?:[eE][-+][0-9]+)?
        |[-+]?\.(?:inf|Inf|INF)
        |\.(?:nan|NaN|NAN)""",
    "int": r"[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?[0-9_]+|[-+]?0x[0-9a-fA-F_]+",
    "merge": r"<<",
    "null": r"~|null|Null|NULL|",
    "timestamp": r"""[0-9]{4}-[0-9]{2}-[0-9]{2}
        |[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?
        (?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?""",
    "value": r"=",
}
_IMPLICIT = re.compile("|".join(f"(?P<{tag}>{p})" for tag, p in _PATTERNS.items()), re.X).fullmatch
# Any other first character makes a scalar text: most scalars are decided by this look-up alone.
_FIRST = frozenset("-+.0123456789tTfFnN~<=")

_MOMENT = re.compile(
    r"""(?P<year>\d{4})-(?P<month>\d\d?)-(?P<day>\d\d?)
    (?:(?:[Tt]|[ \t]+)(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d*))?
    (?:[ \t]*(?P<zone>Z|(?P<sign>[-+])(?P<zone_hour>\d\d?)(?::(?P<zone_minute>\d\d))?))?)?""",
    re.X | re.A,
).fullmatch


def tag_of(text: str) -> str:
    """The tag of a plain, untagged scalar."""
    if text and text[0] not in _FIRST:
        return STR
    match = _IMPLICIT(text)
    return STR if match is None else f"{PREFIX}{match.lastgroup}"


def construct(tag: str, text: str) -> Any:
    """The value of a scalar. Raises ValueError where DVC's reader would fail."""
    if tag == STR:
        return text
    constructor = _CONSTRUCTORS.get(tag)
    if constructor is None:
        raise ValueError(f"{text!r} has no meaning as {tag.removeprefix(PREFIX)}")
    return constructor(text)


def _null(text: str) -> None:
    return None


def _bool(text: str) -> bool:
    lowered = text.lower()
    if lowered not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false")
    return lowered == "true"


def _int(text: str) -> int:
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.removeprefix("-") if sign < 0 else digits.removeprefix("+")
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2], 10)
    return sign * int(digits[2:] if base != 10 else digits, base)


def _float(text: str) -> float:
    digits = text.replace("_", "").lower()
    sign = -1.0 if digits.startswith("-") else 1.0
    digits = digits.removeprefix("-") if sign < 0 else digits.removeprefix("+")
    return sign * float(digits.removeprefix(".") if digits in (".inf", ".nan") else digits)


def _moment(text: str) -> date:
    match = _MOMENT(text)
    if match is None:
        raise ValueError(f"{text!r} is not a date")
    year, month, day = (int(match[part]) for part in ("year", "month", "day"))
    if match["hour"] is None:
        return date(year, month, day)
    hour, minute, second = (int(match[part]) for part in ("hour", "minute", "second"))
    fraction = match["fraction"] or ""
    micros = int(fraction[:6].ljust(6, "0")) + (fraction[6:7] > "4")
    whole = datetime(year, month, day, hour, minute, second, tzinfo=_zone(match))
    return whole + timedelta(microseconds=micros)


def _zone(match: re.Match[str]) -> timezone | None:
    if match["sign"]:
        delta = timedelta(hours=int(match["zone_hour"]), minutes=int(match["zone_minute"] or 0))
        return timezone(-delta if match["sign"] == "-" else delta)
    return UTC if match["zone"] else None


_CONSTRUCTORS: dict[str, Callable[[str], Any]] = {
    NULL: _null,
    PREFIX + "bool": _bool,
    PREFIX + "int": _int,
    PREFIX + "float": _float,
    DATE: _moment,
}
