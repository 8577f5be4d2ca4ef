from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.files import parquet_files, tables


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for place, (name, count) in enumerate({"b/2": 3, "b/1": 2, "a": 4, "empty": 0, "c": 1}.items()):
        file = tmp_path / f"{name}.parquet"
        file.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"n": pa.array([place] * count, pa.int64()), "m": [0] * count}), file)
    (tmp_path / "notes.txt").write_text("not a table")
    return tmp_path


def test_files_with_rows_in_one_order(directory: Path) -> None:
    names = [file.relative_to(directory).as_posix() for file in parquet_files(directory)]
    assert names == ["a.parquet", "b/1.parquet", "b/2.parquet", "c.parquet"]


@pytest.mark.parametrize(("rows", "sizes"), [(0, [4, 2, 3, 1]), (5, [6, 4]), (10, [10]), (99, [10])])
def test_tables_hold_at_least_so_many_rows(directory: Path, rows: int, sizes: list[int]) -> None:
    found = list(tables(parquet_files(directory), rows=rows))
    assert [table.num_rows for table in found] == sizes
    assert pa.concat_tables(found)["n"].to_pylist() == [2] * 4 + [1] * 2 + [0] * 3 + [4]


def test_only_the_columns_asked_for_are_read(directory: Path) -> None:
    assert [table.column_names for table in tables(parquet_files(directory), ("n",), 99)] == [["n"]]
    assert list(tables([])) == []
