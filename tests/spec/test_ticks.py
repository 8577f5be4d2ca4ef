"""When clocks tick: the words of `spec`, and catching up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trunkline.model import Cron, Interval, Ticks
from trunkline.spec.ticks import MOST, TooManyError, due, fault, moment_of, name_of, when

NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)


def ago(**how: float) -> str:
    return (NOW - timedelta(**how)).isoformat()


@pytest.mark.parametrize(
    ("spec", "meant"),
    [
        ("0 3 * * *", Cron("0 3 * * *")),
        ("@hourly", Cron("0 * * * *")),
        ("@daily", Cron("0 0 * * *")),
        ("@midnight", Cron("0 0 * * *")),
        ("@weekly", Cron("0 0 * * 0")),
        ("@monthly", Cron("0 0 1 * *")),
        ("@yearly", Cron("0 0 1 1 *")),
        ("@annually", Cron("0 0 1 1 *")),
        ("@every 10s", Interval(10, "2020-01-01T00:00:00+00:00")),
        ("@every 1h30m", Interval(5400, "2020-01-01T00:00:00+00:00")),
        ("@never", None),
    ],
)
def test_what_a_spec_means(spec: str, meant: Cron | Interval | None) -> None:
    assert fault(spec) == ""
    assert when(Ticks(spec)) == meant


@pytest.mark.parametrize(
    "spec", ["", "* * * * * *", "@reboot", "@every", "@every 0s", "@every x", "60 * * * *"]
)
def test_what_is_no_spec(spec: str) -> None:
    assert fault(spec) != ""


@pytest.mark.parametrize("spec", ["@every 1h", "30 * * * *"])
def test_a_start_in_the_past_catches_up_tick_by_tick(spec: str) -> None:
    start = (NOW - timedelta(hours=10)).replace(minute=30, second=0).isoformat()
    found = due(Ticks(spec, start), [], NOW)
    assert found == tuple(f"2026-03-01T{hour:02}:30:00Z" for hour in range(3, 13))


def test_only_what_is_behind_the_last_tick_is_due() -> None:
    present = ["2026-02-27T00:00:00Z", "notes.txt", "2026-02-26T00:00:00Z"]
    assert due(Ticks("@daily", ago(days=300)), present, NOW) == (
        "2026-02-28T00:00:00Z",
        "2026-03-01T00:00:00Z",
    )
    assert due(Ticks("@daily", ago(days=1)), present, NOW) == ("2026-03-01T00:00:00Z",)
    assert due(Ticks("@daily"), ["2026-03-01T00:00:00Z"], NOW) == ()


def test_without_a_start_the_first_run_ticks_once() -> None:
    assert due(Ticks("@daily"), [], NOW) == ("2026-03-01T00:00:00Z",)
    assert due(Ticks("@every 1h"), [], NOW) == ("2026-03-01T12:00:00Z",)
    assert due(Ticks("0 0 29 2 *"), [], NOW) == ("2024-02-29T00:00:00Z",)
    assert due(Ticks("0 0 30 2 *"), [], NOW) == ()


def test_overwriting_needs_the_newest_tick_alone() -> None:
    every_second = Ticks("@every 1s", "2020-01-01T00:00:00+00:00", overwrite=True)
    assert due(every_second, [], NOW) == (name_of(NOW),)
    assert due(every_second, [name_of(NOW)], NOW) == ()


def test_a_start_to_come_and_never() -> None:
    assert due(Ticks("@every 1s", ago(days=-1)), [], NOW) == ()
    assert due(Ticks("@daily", ago(days=-1), overwrite=True), [], NOW) == ()
    assert due(Ticks("@never", ago(days=1)), [], NOW) == ()


def test_an_absurd_number_is_refused() -> None:
    start = (NOW - timedelta(seconds=MOST)).isoformat()
    assert len(due(Ticks("@every 1s", start), [], NOW)) == MOST
    for spec in ("@every 1s", "* * * * *"):
        with pytest.raises(TooManyError, match="more than 100,000 ticks are due since 2020-01-01T00:00:00Z"):
            due(Ticks(spec, "2020-01-01T00:00:00+00:00"), [], NOW)


def test_names() -> None:
    assert name_of(datetime(2026, 1, 31, 4, tzinfo=UTC)) == "2026-01-31T04:00:00Z"
    assert moment_of("2026-01-31T04:00:00Z") == datetime(2026, 1, 31, 4, tzinfo=UTC)
    assert [moment_of(name) for name in ("a.csv", "2026-01-31", "2026-01-31T04:00:00")] == [None] * 3
