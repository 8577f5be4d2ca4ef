"""What was known earlier, as columns beside what is to be predicted.

    time              bikers   bikers_24h  bikers_168h
    2011-01-08 09:00      95          111           36      <- of 01-07 09:00 and of 01-01 09:00

A lag is looked up by time, not by counting rows: where an hour is missing in the data, its lag is
missing too, and the row is left out. Every lag is at least `horizon` hours old. An hour's value is
known when the hour ends, so each row could have been written `horizon` hours before its own hour
ends; with 24, all rows of a day at the midnight that it begins with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd


def timed(rows: pd.DataFrame, *, start: str, day: str, hour: str, drop: Sequence[str] = ()) -> pd.DataFrame:
    """`rows` in the order of time, with a column `time` made of a day (1 is `start`) and an hour.

    `drop` names columns that the answer could be read off. Raises ValueError.
    """
    _demand(rows, [day, hour, *drop])
    hours = (rows[day].astype("int64") - 1) * 24 + rows[hour].astype("int64")
    times = pd.Timestamp(start) + pd.to_timedelta(hours, unit="h")
    timed = rows.drop(columns=list(drop)).assign(time=times.astype("datetime64[ms]"))
    return timed.sort_values("time", kind="stable", ignore_index=True)


def lags(
    rows: pd.DataFrame, *, time: str, hours: Mapping[str, Sequence[int]], horizon: int = 1
) -> dict[str, Any]:
    """`rows` with `<column>_<n>h`, the column's value `n` hours before, and how many lack one.

    `hours` has the lags of each column. Rows without one of them are left out. Raises ValueError.
    """
    _demand(rows, [time, *hours])
    if rows[time].duplicated().any():
        twice = rows[time][rows[time].duplicated()].iloc[0]
        raise ValueError(f"{time} has {twice} twice: a lag is looked up by time, so give each one row")
    shortest = min((each for wanted in hours.values() for each in wanted), default=horizon)
    if shortest < max(horizon, 1):
        raise ValueError(
            f"a lag of {shortest} hours is not known {horizon} hours before the hour ends; "
            f"type lags from {horizon} on, or a smaller horizon"
        )
    at = rows.set_index(time)
    found = {
        f"{column}_{each}h": at[column].reindex(rows[time] - pd.Timedelta(hours=each)).to_numpy()
        for column, wanted in hours.items()
        for each in wanted
    }
    whole = rows.assign(**found)
    complete = whole[list(found)].notna().all(axis=1).to_numpy()
    counts = {"read": len(rows), "kept": int(complete.sum()), "without_lag": int(np.sum(~complete))}
    return {"rows": whole[complete].reset_index(drop=True), "counts.json": counts}


def _demand(rows: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in rows]
    if missing:
        raise ValueError(
            f"the rows have no column {', '.join(missing)}; they have {', '.join(map(str, rows))}"
        )
