"""Checks a recurrence rule of iCalendar (RFC 5545), and writes it in the form that is stored.

    FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9          DTSTART:20200101T000000
                                              RRULE:FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9

One rule; before it DTSTART, after it RDATE (also then) and EXDATE (not then), each on a line of its
own where they are needed. Times are local to the schedule's `timezone`, so they carry no zone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from math import gcd

from trunkline.spec.names import did_you_mean, listed

EXAMPLE = 'a rule such as "FREQ=WEEKLY;BYDAY=MO,WE;BYHOUR=9"'
START = "20200101T000000"  # Prefect's own, which it would otherwise put in by itself

_FREQUENCIES = ("HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_LINES = ("DTSTART", "RRULE", "RDATE", "EXDATE")
_MOMENT = re.compile(r"[0-9]{8}(T[0-9]{6})?", re.ASCII).fullmatch
_NO_MOMENT = "'{}' is no moment such as 20240131T093000"
_WEEKDAY = re.compile(rf"([+-]?[1-9][0-9]?)?({'|'.join(_DAYS)})").fullmatch
_NUMBER = re.compile(r"[+-]?[0-9]{1,4}", re.ASCII).fullmatch

_Check = Callable[[str], str]


def normal(text: str) -> str:
    """The form that is stored of a rule without fault."""
    found = {"DTSTART": START, **dict(_lines(text))}
    return "\n".join(f"{name}:{found[name]}" for name in _LINES if name in found)


def fault(text: str) -> str:
    """What is wrong with a rule, "" where nothing is."""
    lines = _lines(text)
    names = [name for name, _ in lines]
    for name, value in lines:
        if name.partition(";")[0] in _LINES and ";" in name:
            return f"'{name}' says more than {name.partition(';')[0]}; a zone is said by timezone"
        if name not in _LINES:
            return f"'{name}' is not known in a rule; {did_you_mean(name, _LINES, f'known are {listed(_LINES)}')}"
        if names.count(name) > 1:
            return f"{name} is here twice"
        if found := _rule_fault(value) if name == "RRULE" else _moments_fault(name, value):
            return found
    if "RRULE" not in names:
        return "there is no RRULE, the line that says how often"
    if "DTSTART" not in names and "COUNT" in _parts(dict(lines)["RRULE"]):
        return "COUNT counts from a beginning, and there is no DTSTART"
    return _hours_fault(_parts(dict(lines)["RRULE"]), dict(lines).get("DTSTART", START))


def _lines(text: str) -> list[tuple[str, str]]:
    """Name and value of every line; the name may be left out where there is but the rule."""
    lines = [line.strip().upper() for line in text.splitlines() if line.strip()]
    pairs = [line.partition(":") for line in lines]
    return [(name, value) if colon else ("RRULE", name) for name, colon, value in pairs]


def _parts(rule: str) -> dict[str, str]:
    return {name: value for name, _, value in (part.partition("=") for part in rule.split(";") if part)}


def _rule_fault(rule: str) -> str:
    parts = [part.partition("=")[::2] for part in rule.split(";") if part]
    names = [name for name, _ in parts]
    for name, value in parts:
        if name not in _CHECKS:
            advice = did_you_mean(name, _CHECKS, f"known are {listed(_CHECKS)}")
            return f"'{name}' is not known in a rule; {advice}"
        if names.count(name) > 1:
            return f"{name} is here twice"
        if found := _CHECKS[name](value):
            return f"{name} {found}"
    if "FREQ" not in names:
        return "the rule has no FREQ, which says how often"
    return _together(dict(parts))


def _together(parts: Mapping[str, str]) -> str:
    """What is wrong with parts that are right by themselves."""
    frequency = parts["FREQ"]
    numbered = any(day[:-2] for day in parts.get("BYDAY", "").split(","))
    if numbered and (frequency not in ("MONTHLY", "YEARLY") or "BYWEEKNO" in parts):
        return "a BYDAY with a number goes with FREQ=MONTHLY or FREQ=YEARLY"
    if "BYWEEKNO" in parts and frequency != "YEARLY":
        return "BYWEEKNO goes with FREQ=YEARLY"
    if "COUNT" in parts and "UNTIL" in parts:
        return "COUNT and UNTIL both say when it ends"
    if "BYSETPOS" in parts and not any(name.startswith("BY") and name != "BYSETPOS" for name in parts):
        return "BYSETPOS picks from what other BY… parts give, and there is none"
    return ""


def _hours_fault(parts: Mapping[str, str], start: str) -> str:
    """Whether a rule that counts hours meets any of the hours that it asks for."""
    if parts["FREQ"] != "HOURLY" or "BYHOUR" not in parts:
        return ""
    step, first = gcd(int(parts.get("INTERVAL", "1")), 24), datetime.fromisoformat(start).hour
    if any((int(hour) - first) % step == 0 for hour in parts["BYHOUR"].split(",")):
        return ""
    return f"the hours {parts['BYHOUR']} never come with INTERVAL={parts['INTERVAL']} from {start}"


def _moments_fault(name: str, value: str) -> str:
    moments = [value] if name == "DTSTART" else value.split(",")
    for moment in moments:
        if found := _moment(moment):
            return f"{name} {found}"
    return ""


def _moment(value: str) -> str:
    if value.endswith("Z") and _MOMENT(value[:-1]):
        return f"'{value}' has a Z; times are in the schedule's timezone"
    try:
        return "" if _MOMENT(value) and datetime.fromisoformat(value) else _NO_MOMENT.format(value)
    except ValueError:
        return _NO_MOMENT.format(value)


def _frequency(value: str) -> str:
    if value in ("SECONDLY", "MINUTELY"):  # Prefect would count each of them since the beginning
        return f"'{value}' is too often for a rule; write an interval, or a cron"
    advice = did_you_mean(value, _FREQUENCIES, f"known are {listed(_FREQUENCIES)}")
    return "" if value in _FREQUENCIES else f"'{value}' is not known; {advice}"


def _weekday(value: str) -> str:
    return "" if value in _DAYS else f"'{value}' is none of {listed(_DAYS)}"


def _weekdays(value: str) -> str:
    for day in value.split(","):
        if not _WEEKDAY(day):
            return f"'{day}' is none of {listed(_DAYS)}, nor one with a number before it"
    return ""


def _number(low: int, high: int) -> _Check:
    """A check of a number."""
    return lambda value: _number_fault(value, low, high)


def _numbers(low: int, high: int, *, backwards: bool = False) -> _Check:
    """A check of a list of numbers; `backwards`: also counted from the end, below zero."""

    def check(value: str) -> str:
        faults = (_number_fault(each, low, high, backwards=backwards) for each in value.split(","))
        return next(filter(None, faults), "")

    return check


def _number_fault(value: str, low: int, high: int, *, backwards: bool = False) -> str:
    number = int(value) if _NUMBER(value) else None
    if number is not None and (low <= number <= high or (backwards and low <= -number <= high)):
        return ""
    return f"'{value}' is not between {low} and {high}{', nor that with a minus' if backwards else ''}"


_CHECKS: Mapping[str, _Check] = {
    "FREQ": _frequency,
    "INTERVAL": _number(1, 9999),
    "COUNT": _number(1, 9999),
    "UNTIL": _moment,
    "WKST": _weekday,
    "BYMONTH": _numbers(1, 12),
    "BYWEEKNO": _numbers(1, 53, backwards=True),
    "BYYEARDAY": _numbers(1, 366, backwards=True),
    "BYMONTHDAY": _numbers(1, 31, backwards=True),
    "BYDAY": _weekdays,
    "BYHOUR": _numbers(0, 23),
    "BYMINUTE": _numbers(0, 59),
    "BYSECOND": _numbers(0, 59),
    "BYSETPOS": _numbers(1, 366, backwards=True),
}
