from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from stages.ingest import ingest_csv, ingest_json, ingest_parquet, ingest_query
from stages.ingest_images import ingest_images

TYPES = {"age": "int32", "seen": "timestamp[ms, tz=UTC]"}
WANTED = {"age": [41, None], "city": ["Oslo", None], "seen": [datetime(2013, 1, 1, 10, tzinfo=UTC)] * 2}


def as_csv(file: Path) -> None:
    file.write_text("age,city,seen\n41,Oslo,2013-01-01T10:00:00Z\nNA,,2013-01-01T10:00:00Z\n")


def test_a_csv_has_the_declared_types_and_nulls(tmp_path: Path) -> None:
    as_csv(tmp_path / "a.csv")
    table = ingest_csv(tmp_path / "a.csv", types=TYPES)
    assert table.to_pydict() == WANTED
    assert table.schema.types == [pa.int32(), pa.string(), pa.timestamp("ms", "UTC")]
    (tmp_path / "b.csv").write_text("age;city\n?;NA\n")
    table = ingest_csv(tmp_path / "b.csv", types={"age": "int32"}, nulls=["?"], delimiter=";")
    assert table.to_pydict() == {"age": [None], "city": ["NA"]}


@pytest.mark.parametrize("lines", [True, False])
def test_json_as_a_list_or_by_the_line(tmp_path: Path, lines: bool) -> None:
    rows = [{"age": 41, "city": "Oslo"}, {"age": "NA", "more": 1.5}]
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
    (tmp_path / "a.json").write_text(text)
    table = ingest_json(tmp_path / "a.json", types={"age": "int32"})
    assert table.to_pydict() == {"age": [41, None], "city": ["Oslo", None], "more": [None, 1.5]}
    assert table.schema.types == [pa.int32(), pa.string(), pa.float64()]


def test_parquet_gets_the_declared_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"age": [41, None], "city": ["Oslo", None]}), tmp_path / "a.parquet")
    table = ingest_parquet(tmp_path / "a.parquet", types={"age": "float64"})
    assert table.to_pydict() == {"age": [41.0, None], "city": ["Oslo", None]}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    file = tmp_path / "shop.db"
    with closing(sqlite3.connect(file)) as opened, opened:
        opened.execute("create table sales (day text, city text, price real)")
        lines = [("2013-01-02", "Oslo", 3.5), ("2013-01-01", "Rome", None), ("2013-01-03", "Oslo", 4.5)]
        opened.executemany("insert into sales values (?, ?, ?)", lines)
    return file


def test_a_query_is_a_table(database: Path) -> None:
    query = "select city, count(*) as days, avg(price) as price from sales group by city order by city"
    table = ingest_query(database, query=query, types={"days": "int32"})
    assert table.to_pydict() == {"city": ["Oslo", "Rome"], "days": [2, 1], "price": [4.0, None]}
    assert table.schema.field("days").type == pa.int32()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("select * from sale", r"shop\.db does not answer the query: no such table: sale"),
        ("delete from sales", "readonly database"),
        ("select day, day from sales", "names a column twice: day, day; write AS"),
    ],
)
def test_a_query_reads_only_and_says_what_is_wrong(database: Path, query: str, message: str) -> None:
    before = database.read_bytes()
    with pytest.raises(ValueError, match=message):
        ingest_query(database, query=query)
    assert database.read_bytes() == before


def test_images_are_rows_labelled_by_their_folder(tmp_path: Path) -> None:
    for name, size in (("3/b.png", (6, 4)), ("10/z.jpg", (5, 5)), ("top.png", (2, 3))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", size, (200, 10, 10)).save(tmp_path / name)
    (tmp_path / "ORIGIN.md").write_text("from somewhere")
    table = ingest_images(tmp_path)
    assert table["path"].to_pylist() == ["10/z.jpg", "3/b.png", "top.png"]
    assert table["label"].to_pylist() == ["10", "3", ""]
    assert table.select(["width", "height"]).to_pylist()[1] == {"width": 6, "height": 4}
    assert table["image"][1].as_py() == (tmp_path / "3" / "b.png").read_bytes()
    for data in ingest_images(tmp_path, size=2)["image"].to_pylist():
        with Image.open(BytesIO(data)) as image:
            assert (image.size, image.mode) == ((2, 2), "RGB")
    assert ingest_images(tmp_path / "top.png")["path"].to_pylist() == ["top.png"]


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (ingest_csv, "a\nx\n", r"bad\.csv cannot be read as CSV"),
        (ingest_json, "[1]", "something else than objects"),
        (ingest_json, "{", r"bad\.json cannot be read as JSON"),
        (ingest_json, '[{"a": 1}, {"a": "x"}]', "column a of bad.json"),
        (ingest_parquet, "a", r"bad\.parquet cannot be read as Parquet"),
    ],
)
def test_a_file_that_is_no_such_table_is_named(
    tmp_path: Path, read: Callable[..., Any], content: str, message: str
) -> None:
    file = tmp_path / f"bad.{read.__name__.removeprefix('ingest_')}"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        read(file, types={"a": "int32"})


def test_a_type_that_nobody_knows_is_named(tmp_path: Path) -> None:
    as_csv(tmp_path / "a.csv")
    with pytest.raises(ValueError, match="the type of age is 'integer'; one of bool"):
        ingest_csv(tmp_path / "a.csv", types={"age": "integer"})


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no image below"):
        ingest_images(tmp_path)
    (tmp_path / "a.png").write_text("no")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        ingest_images(tmp_path)
