"""Input files as frames, tables and datasets; what is not what its suffix says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from tests.runners.conftest import Bench
from trunkline.model import WorkInput
from trunkline.runners import convert
from trunkline.runners.failures import Fault
from trunkline.tables import write_table


def parquet(tmp_path: Path, table: pa.Table) -> bytes:
    path = tmp_path / "written"
    write_table(table, str(path))
    return path.read_bytes()


def refused(given: WorkInput, *, reader: str = "table") -> str:
    with pytest.raises(Fault) as caught:
        getattr(convert, reader)(given)
    assert caught.value.failure.kind == "BadInput"
    return caught.value.failure.message


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.csv", "n,s\n1,x\n2,y\n"),
        ("a.CSV", "n,s\n1,x\n2,y\n"),
        ("a.jsonl", '{"n": 1, "s": "x"}\n{"n": 2, "s": "y"}\n'),
        ("a.json", '[{"n": 1, "s": "x"}, {"s": "y", "n": 2}]'),
    ],
)
def test_the_suffix_decides_how_a_file_is_read(path: str, content: str, bench: Bench) -> None:
    given = bench.one("raw", path, content)

    assert convert.table(given).to_pydict() == {"n": [1, 2], "s": ["x", "y"]}
    assert convert.frame(given).to_dict("list") == {"n": [1, 2], "s": ["x", "y"]}


def test_parquet_comes_back_as_it_was_and_without_pandas_metadata(bench: Bench, tmp_path: Path) -> None:
    pd.DataFrame({"n": [1, 2]}, index=pd.Index(["a", "b"], name="i")).to_parquet(tmp_path / "theirs")
    given = bench.one("raw", "a.parquet", (tmp_path / "theirs").read_bytes())

    assert convert.table(given).to_pydict() == {"n": [1, 2], "i": ["a", "b"]}
    assert list(convert.frame(given).columns) == ["n", "i"]
    assert convert.table(given).schema.metadata is None


def test_a_directory_is_the_concatenation_of_its_sorted_files(bench: Bench, tmp_path: Path) -> None:
    given = bench.many("raw", {f"{n}.parquet": parquet(tmp_path, pa.table({"n": [n, n]})) for n in (3, 1, 2)})

    assert convert.table(given).to_pydict() == {"n": [1, 1, 2, 2, 3, 3]}
    frame = convert.frame(given)
    assert list(frame["n"]) == [1, 1, 2, 2, 3, 3]
    assert list(frame.index) == list(range(6))
    assert convert.dataset(given).to_table().to_pydict() == {"n": [1, 1, 2, 2, 3, 3]}


def test_a_dataset_keeps_the_order_of_its_files_when_it_is_scanned_in_batches(
    bench: Bench, tmp_path: Path
) -> None:
    given = bench.many(
        "raw", {f"{n:02}.parquet": parquet(tmp_path, pa.table({"n": [n] * 3})) for n in range(20)}
    )

    seen = [value for batch in convert.dataset(given).to_batches() for value in batch["n"].to_pylist()]

    assert seen == sorted(seen)
    assert len(seen) == 60


@pytest.mark.parametrize("reader", ["table", "frame", "dataset"])
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"a.csv": "n,s\n1,x\n", "b.csv": "s,n\ny,2.5\n"}, {"n": [1, 2.5], "s": ["x", "y"]}),
        (
            {"a.jsonl": '{"n": 1, "s": null}\n', "b.jsonl": '{"n": 2, "s": "y"}\n'},
            {"n": [1, 2], "s": [None, "y"]},
        ),
    ],
)
def test_types_are_unified_where_no_value_changes(
    files: Mapping[str, str], expected: dict[str, list[object]], reader: str, bench: Bench
) -> None:
    got = getattr(convert, reader)(bench.many("raw", files))
    if reader == "frame":
        got = pa.Table.from_pandas(got, preserve_index=False)
    elif reader == "dataset":
        got = got.to_table()

    assert got.to_pydict() == expected


@pytest.mark.parametrize("reader", ["table", "frame", "dataset"])
def test_other_columns_are_an_error(reader: str, bench: Bench) -> None:
    given = bench.many("raw", {"a.csv": "n,s\n1,x\n", "b.csv": "n,t\n1,x\n"}, dataset="flights")

    assert refused(given, reader=reader) == "flights/b.csv has other columns than a.csv (missing: s; more: t)"


@pytest.mark.parametrize("reader", ["table", "dataset"])
def test_types_that_do_not_fit_are_an_error(reader: str, bench: Bench) -> None:
    given = bench.many("raw", {"a.jsonl": '{"n": 1}\n', "b.jsonl": '{"n": "one"}\n'}, dataset="flights")

    assert refused(given, reader=reader).startswith(
        "flights/b.jsonl has other types than the files before it: "
    )


@pytest.mark.parametrize(
    ("path", "content", "wanted"),
    [
        ("a.parquet", b"PAR1 but no more", "Parquet"),
        ("a.parquet", b"", "Parquet"),
        ("a.csv", "n\nä\n".encode("latin-1"), "CSV with a header line, in UTF-8"),
        ("a.csv", b"", "CSV with a header line, in UTF-8"),
        ("a.csv", b"n,s\n1,2\n1,2,3\n", "CSV with a header line, in UTF-8"),
        ("a.csv", b"n,s\n1,2,3\n4,5,6\n", "CSV with a header line, in UTF-8"),
        ("a.jsonl", b"[1, 2", "JSON, one object a line"),
        ("a.json", b"{", "JSON, a list of objects"),
        ("a.json", b'{"n": 1}', "JSON, a list of objects"),
    ],
)
def test_a_file_that_is_not_what_its_suffix_says_is_named(
    path: str, content: bytes, wanted: str, bench: Bench
) -> None:
    given = bench.one("raw", path, content, dataset="flights")

    for reader in ("table", "frame"):
        message = refused(given, reader=reader)
        assert message.startswith(f"flights/{path} is not what its suffix says ({wanted}): ")
        assert given.object(given.files[0]) not in message


def test_a_broken_file_is_found_when_a_dataset_is_made(bench: Bench, tmp_path: Path) -> None:
    good = parquet(tmp_path, pa.table({"n": [1]}))
    given = bench.many("raw", {"a.parquet": good, "b.parquet": good[:-9]}, dataset="flights")

    assert refused(given, reader="dataset").startswith(
        "flights/b.parquet is not what its suffix says (Parquet): "
    )


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"a.txt": "x"},
            "raw/a.txt is no table: known are .parquet, .csv, .jsonl, .json; "
            "annotate the parameter `x` with pathlib.Path to read it yourself",
        ),
        ({"a.csv": "n\n1\n", "b.jsonl": "{}\n"}, "raw mixes a.csv with b.jsonl: one suffix is needed"),
        ({}, "raw holds no files, so it has no columns"),
    ],
)
def test_what_is_no_table_says_so(files: Mapping[str, str], message: str, bench: Bench) -> None:
    assert refused(bench.many("x", files)) == message


def test_a_json_list_is_not_lazy(bench: Bench) -> None:
    given = bench.one("raw", "a.json", '[{"n": 1}]')

    assert refused(given, reader="dataset") == "raw/a.json: a lazy dataset reads .jsonl, not .json"


def test_an_object_that_left_the_cache_is_named(bench: Bench) -> None:
    given = bench.one("raw", "a.csv", "n\n1\n")
    Path(given.object(given.files[0])).unlink()

    for reader in (convert.table, convert.frame, convert.dataset):
        with pytest.raises(Fault) as caught:
            reader(given)
        assert caught.value.failure.kind == "MissingData"
        assert caught.value.failure.message == "raw/a.csv is not in the cache any more"
