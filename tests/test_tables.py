"""Equal tables give equal bytes."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trunkline import tables, writer
from trunkline.digest import md5_file
from trunkline.errors import CorruptData, TrunklineError

TABLE = pa.table({"n": [1, 2, 3, None], "s": ["x", "y", "x", None]})


def written(table: Any, path: Path) -> bytes:
    tables.write_table(table, str(path))
    return path.read_bytes()


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)]), id="in chunks"),
        pytest.param(pa.concat_tables([TABLE, TABLE]).combine_chunks().slice(4), id="a slice"),
        pytest.param(TABLE.set_column(1, "s", TABLE["s"].dictionary_encode()), id="with a dictionary"),
        pytest.param(
            TABLE.set_column(1, "s", pa.DictionaryArray.from_arrays([2, 0, 2, None], ["y", "z", "x"])),
            id="with another dictionary",
        ),
        pytest.param(TABLE.replace_schema_metadata({"made": "yesterday"}), id="with metadata"),
        pytest.param(
            pa.table(
                TABLE.columns,
                schema=pa.schema([TABLE.field(0).with_metadata({"PARQUET:field_id": "7"}), TABLE.field(1)]),
            ),
            id="with a column's metadata",
        ),
    ],
)
def test_what_is_no_value_leaves_no_trace(same: pa.Table, tmp_path: Path) -> None:
    assert written(same, tmp_path / "a") == written(TABLE, tmp_path / "b")


def test_dictionaries_and_metadata_inside_of_nested_columns_leave_no_trace(tmp_path: Path) -> None:
    plain = pa.array([[{"k": "a"}], None, [{"k": "b"}, {"k": "a"}]])
    field = pa.field("k", pa.dictionary(pa.int8(), pa.string()), metadata={"PARQUET:field_id": "7"})
    coded = plain.cast(pa.list_(pa.struct([field])))

    assert written(pa.table({"c": coded}), tmp_path / "a") == written(pa.table({"c": plain}), tmp_path / "b")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.none() | st.integers(-9, 9), st.none() | st.text(max_size=3)), max_size=30),
    cuts=st.lists(st.integers(0, 30), max_size=3),
)
def test_any_cut_of_a_table_gives_the_same_bytes(
    rows: list[tuple[int | None, str | None]], cuts: list[int], tmp_path: Path
) -> None:
    whole = pa.table(
        {"n": pa.array([r[0] for r in rows], pa.int64()), "s": pa.array([r[1] for r in rows], pa.string())}
    )
    edges = sorted({0, len(rows), *(cut for cut in cuts if cut < len(rows))})
    pieces = [whole.slice(start, end - start) for start, end in pairwise(edges)]
    coded = pa.concat_tables([p.set_column(1, "s", p["s"].dictionary_encode()) for p in pieces] or [whole])

    assert written(coded, tmp_path / "a") == written(whole, tmp_path / "b")
    assert tables.read_table(str(tmp_path / "a")).equals(whole)


def test_a_frame_and_its_table_agree_on_values_and_the_frame_leaves_no_pandas_metadata(
    tmp_path: Path,
) -> None:
    frame = pd.DataFrame({"n": [1, 2], "s": pd.Categorical(["b", "a"], categories=["b", "a"])})
    other = pd.DataFrame({"n": [1, 2], "s": pd.Categorical(["b", "a"], categories=["a", "b"])})
    other.attrs["made"] = "yesterday"

    assert written(frame, tmp_path / "a") == written(other, tmp_path / "b")
    metadata = pq.read_schema(tmp_path / "a").metadata or {}
    assert b"pandas" not in metadata


def test_row_numbers_are_dropped(tmp_path: Path) -> None:
    frame = pd.DataFrame({"n": [1, 2, 3]})
    filtered = frame[frame["n"] > 1]

    assert written(filtered, tmp_path / "a") == written(filtered.reset_index(drop=True), tmp_path / "b")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            pd.DataFrame({"n": [1], "m": [2]}).set_index("n"),
            "the frame's index ('n') would be lost: an index is not written to Parquet",
        ),
        (
            pd.DataFrame({"n": [1, 2]}, index=["a", "b"]),
            "the frame's index (labels) would be lost: an index is not written to Parquet",
        ),
        (pd.DataFrame({1: [1]}), "the column name 1 is not text"),
        (pd.DataFrame([[1, 2]], columns=["n", "n"]), "two columns have the name 'n'"),
        (
            pd.DataFrame({"n": [1, "x"]}),
            "the frame has no form in Parquet: Could not convert 'x' with type str: tried to convert to int64; "
            "Conversion failed for column n with type object",
        ),
        (
            pd.DataFrame({"n": [10**30]}),
            "the frame has no form in Parquet: Python int too large to convert to C long",
        ),
    ],
)
def test_a_frame_that_cannot_be_written_says_why_and_what_to_do(
    frame: pd.DataFrame, message: str, tmp_path: Path
) -> None:
    with pytest.raises(TrunklineError) as caught:
        tables.write_table(frame, str(tmp_path / "a"))
    assert caught.value.message == message
    assert caught.value.hint


def test_the_hash_of_what_was_written_is_returned_for_small_and_for_large(tmp_path: Path) -> None:
    large = pa.table({"n": pa.array(range(5_000_000), pa.int64())})
    for number, table in enumerate((TABLE, TABLE.schema.empty_table(), large)):
        path = str(tmp_path / str(number))
        assert tables.write_table(table, path) == (md5_file(path), (tmp_path / str(number)).stat().st_size)
        assert tables.read_table(path).equals(table)


def test_a_large_table_has_row_groups_that_can_be_read_one_by_one(tmp_path: Path) -> None:
    tables.write_table(pa.table({"n": pa.array(range(300_000), pa.int64())}), str(tmp_path / "a"))

    assert pq.ParquetFile(tmp_path / "a").metadata.num_row_groups == 3


def test_what_is_not_parquet_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("n,s\n1,x\n")

    with pytest.raises(CorruptData, match="this is not a Parquet file: Parquet magic bytes") as caught:
        tables.read_table(str(tmp_path / "a"))
    assert caught.value.where == str(tmp_path / "a")


def test_a_missing_file_stays_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        tables.read_table(str(tmp_path / "a"))


@pytest.mark.skipif(pa.__version__ != "26.0.1", reason="the bytes are those of one pyarrow")
def test_golden_bytes(tmp_path: Path) -> None:
    assert tables.write_table(TABLE, str(tmp_path / "a")) == ("ead28d3208733500aaf487af4d65f200", 741)


def test_the_writers_tag_is_that_of_the_pyarrow_that_is_imported() -> None:
    assert writer.writer_tag() == writer.tag(pa.__version__) == tables.WRITER


def test_the_writers_tag_imports_nothing_heavy() -> None:
    code = (
        "import sys; from trunkline.writer import writer_tag; tag = writer_tag();"
        "print(tag, sorted({'pyarrow', 'importlib.metadata', 'email'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == f"{writer.tag(pa.__version__)} []\n"
