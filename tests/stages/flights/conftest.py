"""Real days of the demonstration's data, taken through the stages once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demo.data import files_by_day
from stages.flights.clean import clean
from stages.flights.ingest import ingest_csv
from stages.flights.split import split

DAYS = ("2013-01-01", "2013-02-12", "2013-06-30", "2013-10-15", "2013-12-02", "2013-12-31")
KEY = ("carrier", "flight", "origin", "time_hour")

Day = Callable[[str], tuple[pa.Table, pa.Table]]


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`flights_raw/<day>.csv` and `weather_raw/<day>.csv` of a few days."""
    directory = tmp_path_factory.mktemp("raw")
    for name in ("flights_raw", "weather_raw"):
        (directory / name).mkdir()
        for day in DAYS:
            (directory / name / f"{day}.csv").write_bytes(files_by_day(name)[day])
    return directory


@pytest.fixture(scope="session")
def day(raw: Path) -> Day:
    """The typed flights and weather of one day."""
    return lambda name: (
        ingest_csv(raw / "flights_raw" / f"{name}.csv"),
        ingest_csv(raw / "weather_raw" / f"{name}.csv"),
    )


@pytest.fixture(scope="session")
def sides(day: Day, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train`, `test`, `recent` and `counts` of the days, as the stages before training write them."""
    directory = tmp_path_factory.mktemp("sides")
    for name in DAYS:
        cleaned = clean(*day(name))
        parts = split(cleaned["rows"], test_fraction=0.2, key=KEY, holdout_from="2013-12-02")
        for part, table in (parts | {"counts": cleaned["counts"]}).items():
            (directory / part).mkdir(exist_ok=True)
            pq.write_table(table, directory / part / f"{name}.parquet")
    return directory
