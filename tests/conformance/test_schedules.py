"""What the checker lets through, those who read it take too: Prefect, dateutil and git themselves."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.spec import cron, interval, rrule
from trunkline.spec.names import branch_fault


def _some(values: st.SearchStrategy[str], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=most).map(",".join)


# ---------------------------------------------------------------- cron

_NUMBERS = st.integers(0, 62).map(str)
_WORDS = st.sampled_from(["jan", "DEC", "sun", "Sat", "*", "x", "L", "?", "H"])
_ONE = _NUMBERS | _WORDS
_SPAN = st.builds("{}-{}".format, _ONE, _ONE) | _ONE
_FIELD = _some(st.builds("{}/{}".format, _SPAN, _NUMBERS) | _SPAN, 2)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.just("*") | _FIELD, min_size=4, max_size=6).map(" ".join))
def test_prefect_takes_every_cron_without_fault(text: str) -> None:
    from prefect.client.schemas.schedules import CronSchedule

    if not cron.fault(text):
        assert CronSchedule(cron=text).cron == text


# ---------------------------------------------------------------- intervals


@given(st.integers(-10, 10**12) | st.builds("{}{}".format, st.integers(0, 10**6), st.sampled_from("smhdwx")))
def test_an_interval_without_fault_is_one_of_timedelta(written: int | str) -> None:
    if not interval.fault(written):
        assert timedelta(seconds=interval.seconds(written) or 0) > timedelta(0)


# ---------------------------------------------------------------- rules of recurrence

_DAY = st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"])
_SIGNED = st.sampled_from(["", "", "1", "-1", "+2", "-5"])
_MOMENT = st.datetimes(datetime(2024, 1, 1), datetime(2026, 1, 1)).map(lambda at: f"{at:%Y%m%dT%H%M%S}")
_PARTS = {
    "INTERVAL": st.integers(0, 30).map(str),
    "COUNT": st.integers(0, 30).map(str),
    "UNTIL": _MOMENT,
    "WKST": _DAY,
    "BYMONTH": _some(st.integers(0, 13).map(str)),
    "BYWEEKNO": _some(st.integers(-54, 54).map(str)),
    "BYYEARDAY": _some(st.integers(-367, 367).map(str)),
    "BYMONTHDAY": _some(st.integers(-32, 32).map(str)),
    "BYDAY": _some(st.builds("{}{}".format, _SIGNED, _DAY)),
    "BYHOUR": _some(st.integers(0, 24).map(str)),
    "BYMINUTE": _some(st.integers(0, 60).map(str)),
    "BYSECOND": _some(st.integers(0, 60).map(str)),
    "BYSETPOS": _some(st.integers(-5, 5).map(str)),
}


@st.composite
def _rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["HOURLY", "DAILY", "WEEKLY", "MONTHLY", "YEARLY", "MINUTELY"]))
    names = draw(st.lists(st.sampled_from(sorted(_PARTS)), max_size=4, unique=True))
    rule = ";".join([f"FREQ={frequency}", *(f"{name}={draw(_PARTS[name])}" for name in names)])
    lines = [f"RRULE:{rule}" if draw(st.booleans()) else rule]
    if draw(st.booleans()):
        lines.insert(0, f"DTSTART:{draw(_MOMENT)}")
    for name in draw(st.lists(st.sampled_from(["RDATE", "EXDATE"]), max_size=2, unique=True)):
        lines.append(f"{name}:{draw(_some(_MOMENT))}")
    return "\n".join(lines)


@settings(max_examples=200, deadline=None)
@given(_rules())
def test_dateutil_and_prefect_take_every_rule_without_fault(text: str) -> None:
    from prefect.client.schemas.schedules import RRuleSchedule

    if rrule.fault(text):
        return
    normal = rrule.normal(text)
    assert rrule.normal(normal) == normal
    assert rrule.fault(normal) == ""
    assert RRuleSchedule(rrule=normal, timezone="Europe/Berlin").rrule == normal


# ---------------------------------------------------------------- branches

_TRICKY = st.sampled_from(
    [
        "/",
        ".",
        "..",
        "@",
        "{",
        "@{",
        "~",
        "^",
        ":",
        "?",
        "*",
        "[",
        "\\",
        " ",
        "\t",
        "\x7f",
        ".lock",
        "-",
        "HEAD",
    ]
)
_PIECES = st.lists(_TRICKY | st.text("abé0_", min_size=1, max_size=2), min_size=1, max_size=5).map("".join)


@pytest.mark.parametrize(
    "name", ["main", "trunkline/flights", "a.lock/b", "@", "HEAD", "-a", "a.", "é", "a@{b"]
)
def test_git_agrees_on_these_branches(name: str) -> None:
    assert (branch_fault(name) == "") == _git_takes(name)


@settings(max_examples=150, deadline=None)
@given(_PIECES)
def test_git_agrees_on_branches(name: str) -> None:
    assert (branch_fault(name) == "") == _git_takes(name)


def _git_takes(name: str) -> bool:
    """Whether it may be a branch, and `git switch` takes it for one."""
    command = ["git", "check-ref-format", f"refs/heads/{name}"]
    if name in ("@", "HEAD") or name.startswith(("-", "refs/")):
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    # croniter takes "0-0" of the week for all of it, and "*/1" for something that is said
    ends = st.tuples(number, number).filter(lambda two: two[0] < two[1])
    span = ends.map(lambda two: f"{two[0]}-{two[1]}")
    stepped = st.tuples(st.one_of(st.just("*"), span), st.integers(2, high)).map(
        lambda two: f"{two[0]}/{two[1]}"
    )
    item = st.one_of(number.map(str), span, stepped)
    return st.one_of(st.just("*"), st.lists(item, min_size=1, max_size=3).map(",".join))


expressions = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)).map(" ".join)


@given(expressions, st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)))
@settings(deadline=None, max_examples=200)
def test_a_clock_ticks_when_the_schedule_made_of_it_fires(expression: str, start: datetime) -> None:
    croniter = import_module("prefect._vendor.croniter").croniter  # reads the schedules of Prefect's server
    after = start.replace(microsecond=0, tzinfo=UTC)
    until = after + timedelta(days=40)
    assert cron.fault(expression) == ""
    found = list(cron.between(expression, after, until))
    if found:
        reader = croniter(expression, after)
        assert [reader.get_next(datetime) for _ in found[:50]] == found[:50]
        assert cron.last(expression, until) == found[-1]
