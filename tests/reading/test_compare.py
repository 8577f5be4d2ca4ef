"""Rows of two files, compared by hash: as a plain comparison of all rows would have it."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline.errors import CorruptData, UsageError
from trunkline.reading.compare import Column, Rows, columns, rows
from trunkline.reading.diff import diff

ROW = st.tuples(
    st.integers(0, 3),
    st.one_of(st.none(), st.sampled_from([0, 1, 2**62, -1])),
    st.one_of(st.none(), st.sampled_from(["", "a", "b"])),
    st.one_of(st.none(), st.sampled_from([0.0, 1.5])),
    st.one_of(st.none(), st.lists(st.integers(0, 1), max_size=1)),
)
TYPES = {"key": pa.int64(), "n": pa.int64(), "t": pa.string(), "x": pa.float64(), "l": pa.list_(pa.int64())}
Table = list[tuple[Any, ...]]


def written(path: Path, table: Table) -> str:
    arrays = [pa.array([row[at] for row in table], kind) for at, kind in enumerate(TYPES.values())]
    pq.write_table(pa.table(arrays, names=list(TYPES)), path, row_group_size=2)
    return str(path)


def expected(old: Table, new: Table, by_key: bool) -> Rows:
    one, two = Counter(map(repr, old)), Counter(map(repr, new))
    gone, come = list((one - two).elements()), list((two - one).elements())
    keys = [Counter(text[1] for text in side) for side in (gone, come)]
    changed = (keys[0] & keys[1]).total() if by_key else 0
    return Rows(len(come) - changed, len(gone) - changed, changed)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(old=st.lists(ROW, max_size=6), new=st.lists(ROW, max_size=6), by_key=st.booleans())
def test_as_all_rows_side_by_side(tmp_path: Path, old: Table, new: Table, by_key: bool) -> None:
    one, two = written(tmp_path / "1.parquet", old), written(tmp_path / "2.parquet", new)
    assert rows(one, two, "parquet", ["key"] if by_key else []) == expected(old, new, by_key)


def table(path: Path, **values: pa.Array) -> str:
    pq.write_table(pa.table(values), path)
    return str(path)


def test_other_columns_are_told_and_the_rows_compared_by_the_common_ones(tmp_path: Path) -> None:
    days = pa.array([date(2025, 1, 1), None])
    old = table(tmp_path / "1", a=pa.array([1, 2], pa.int32()), b=pa.array(["x", "y"]), day=days)
    new = table(tmp_path / "2", c=pa.array([0.5, 1.5]), a=pa.array([2, 1], pa.int64()), day=days.take([1, 0]))
    assert columns(old, new, "parquet") == [
        Column("a", "int32", "int64"), Column("b", "string", ""), Column("c", "", "double"),
    ]  # fmt: skip
    assert rows(old, new, "parquet") == Rows(0, 0)
    with pytest.raises(UsageError, match="the column 'b'"):
        rows(old, new, "parquet", ["b"])


def test_text_is_compared_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "1.csv").write_text('id,v\n1,1.0\n2,\n3,"a\nb"\n')
    (tmp_path / "2.csv").write_text('id,v\n3,"a\nb"\n1,1\n2,\n4,NA\n')
    old, new = str(tmp_path / "1.csv"), str(tmp_path / "2.csv")
    assert rows(old, new, "csv") == Rows(2, 1)
    assert rows(old, new, "csv", ["id"]) == Rows(1, 0, 1)


def test_what_is_no_table_says_so(tmp_path: Path) -> None:
    (tmp_path / "1.parquet").write_text("no")
    with pytest.raises(CorruptData, match="not what its name says"):
        rows(str(tmp_path / "1.parquet"), str(tmp_path / "1.parquet"), "parquet")


def test_a_file_that_cannot_be_read_is_told_and_not_in_the_way(tmp_path: Path) -> None:
    class Local:
        def path(self, md5: str, where: str = "") -> str:
            return str(tmp_path / md5)

    for name, text in {"none": "", "head": "id,v\n", "one": "id,v\n1,2\n"}.items():
        (tmp_path / name).write_text(text)
    objects: Any = Local()
    old = {"a.csv": "none", "b.csv": "head", "c.csv": "one", "d.txt": "one"}
    found = diff(old, {"a.csv": "one", "b.csv": "one", "d.txt": "none"}, objects)
    assert [(file.path, file.rows, file.note[:8]) for file in found.files] == [
        ("a.csv", None, "this fil"), ("b.csv", Rows(1, 0), ""), ("c.csv", Rows(0, 1), ""), ("d.txt", None, "no table"),
    ]  # fmt: skip
