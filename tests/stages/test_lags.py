from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.lags import lags, timed

START = datetime(2011, 1, 1)


def hourly(count: int, missing: tuple[int, ...] = ()) -> pd.DataFrame:
    """One row an hour from the start on, some missing, with numbers that repeat nowhere."""
    hours = [hour for hour in range(count) if hour not in missing]
    times = [START + timedelta(hours=hour) for hour in hours]
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {"time": times, "bikers": random.permutation(10_000)[: len(hours)], "temp": random.random(len(hours))}
    )


def test_a_lag_is_the_value_of_that_time_whatever_is_missing_between() -> None:
    rows = hourly(400, missing=(30, 31, 200, 301))
    found = lags(rows, time="time", hours={"bikers": [24, 168], "temp": [24]}, horizon=24)
    known = {row.time: row for row in rows.itertuples()}
    expected = []
    for row in rows.itertuples():
        day, week = (known.get(row.time - timedelta(hours=back)) for back in (24, 168))  # type: ignore[operator]
        if day is not None and week is not None:
            expected.append((row.time, row.bikers, day.bikers, week.bikers, day.temp))
    columns = ["time", "bikers", "bikers_24h", "bikers_168h", "temp_24h"]
    assert list(found["rows"][columns].itertuples(index=False, name=None)) == expected
    assert found["counts.json"] == {
        "read": 396,
        "kept": len(expected),
        "without_lag": 396 - len(expected),
    }
    assert 0 < len(expected) < 396 - 168


def test_nothing_of_the_future_is_used() -> None:
    rows = hourly(300)
    later = rows.copy()
    now = START + timedelta(hours=260)
    later.loc[later["time"] > now - timedelta(hours=24), ["bikers", "temp"]] = -1
    made = [
        lags(each, time="time", hours={"bikers": [24, 48], "temp": [24]}, horizon=24)
        for each in (rows, later)
    ]
    past = [each["rows"][each["rows"]["time"] <= now].filter(like="h") for each in made]
    assert [*past[0]] == ["bikers_24h", "bikers_48h", "temp_24h"]
    pd.testing.assert_frame_equal(past[0], past[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"horizon": 25},
            "a lag of 24 hours is not known 25 hours before the hour ends; type lags from 25 on, or a smaller",
        ),
        ({"hours": {"bikers": [0]}}, "a lag of 0 hours is not known 1 hours before"),
        ({"hours": {"cars": [24]}}, "the rows have no column cars; they have time, bikers, temp"),
    ],
)
def test_what_has_no_lag_is_told(changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"time": "time", "hours": {"bikers": [24]}} | changes
    with pytest.raises(ValueError, match=message):
        lags(hourly(50), **given)


def test_a_time_that_stands_twice_is_told() -> None:
    rows = pd.concat([hourly(50), hourly(1)], ignore_index=True)
    with pytest.raises(ValueError, match="time has 2011-01-01 00:00:00 twice"):
        lags(rows, time="time", hours={"bikers": [24]})


def test_day_and_hour_make_a_time_and_rows_come_in_its_order() -> None:
    rows = pd.DataFrame({"day": [365, 1, 1, 60], "hr": [23, 5, 4, 0], "bikers": [4, 2, 1, 3], "casual": 0})
    found = timed(rows, start="2011-01-01", day="day", hour="hr", drop=["casual"])
    assert [*found] == ["day", "hr", "bikers", "time"]
    assert found["bikers"].tolist() == [1, 2, 3, 4]
    assert found["time"].tolist() == [
        pd.Timestamp(text)
        for text in ("2011-01-01 04:00", "2011-01-01 05:00", "2011-03-01 00:00", "2011-12-31 23:00")
    ]
    with pytest.raises(ValueError, match="no column registered"):
        timed(rows, start="2011-01-01", day="day", hour="hr", drop=["registered"])
