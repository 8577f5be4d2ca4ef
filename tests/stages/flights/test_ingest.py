from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa
import pytest

from stages.flights.columns import INSTANT, TYPES
from stages.flights.ingest import ingest_csv


def test_every_column_of_both_files_has_its_declared_type(raw: Path) -> None:
    for name in ("flights_raw", "weather_raw"):
        schema = ingest_csv(raw / name / "2013-01-01.csv").schema
        assert {field.name: field.type for field in schema} == {n: TYPES[n] for n in schema.names}


def test_the_values_are_those_of_the_file(raw: Path) -> None:
    file = raw / "flights_raw" / "2013-02-12.csv"
    with file.open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    table = ingest_csv(file)
    for name in ("carrier", "tailnum", "arr_delay", "flight"):
        texts = ["NA" if value is None else str(value) for value in table[name].to_pylist()]
        assert texts == [line[name] for line in lines]
    instants = [value.strftime("%Y-%m-%dT%H:%M:%SZ") for value in table["time_hour"].to_pylist()]
    assert instants == [line["time_hour"] for line in lines]


def test_na_and_empty_fields_are_nulls(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("arr_delay,carrier\nNA,AA\n,NA\n-3,\n")
    table = ingest_csv(tmp_path / "a.csv")
    assert table.to_pydict() == {"arr_delay": [None, None, -3], "carrier": ["AA", None, None]}


def test_a_day_without_observations_has_the_same_schema(raw: Path) -> None:
    empty = ingest_csv(raw / "weather_raw" / "2013-12-31.csv")
    assert empty.num_rows == 0
    assert empty.schema == ingest_csv(raw / "weather_raw" / "2013-01-01.csv").schema


def test_columns_that_nobody_declared_are_inferred(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text(
        "price,city,nothing,time_hour\n1.5,Oslo,,2013-01-01T10:00:00Z\n2,,NA,\n"
    )
    schema = ingest_csv(tmp_path / "mine.csv").schema
    assert schema.types == [pa.float64(), pa.string(), pa.string(), INSTANT]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0,\0\n,,,,\n",
        b"year,month\n2013\n",
        b"year\ntwelve\n",
        b"a,a\n1,2\n",
    ],
    ids=["empty", "an image", "a short line", "a word for a number", "a column twice"],
)
def test_a_file_that_is_no_such_table_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.csv"):
        ingest_csv(tmp_path / "bad.csv")
