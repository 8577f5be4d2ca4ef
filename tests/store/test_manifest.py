"""The manifest: deterministic, sharded, read as it was written."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trunkline.errors import CorruptData, MissingData, StoreError
from trunkline.model import Datum, File, Item, ManifestRow
from trunkline.store.manifest import Facts, read_facts, read_manifest, read_shard, write_manifest
from trunkline.writer import writer_tag


def row(number: int, *, outputs: int = 1) -> ManifestRow:
    identity = hashlib.sha256(str(number).encode()).hexdigest()
    items = (
        Item("flights", "flights_raw", f"{number}.csv", identity[:32], number, None),
        Item("weather", "weather_raw", "all", f"{identity[:32]}.dir", 7, 3),
    )
    files = tuple(File(f"{part}/{number}.parquet", identity[32:], number) for part in range(outputs))
    return ManifestRow(Datum(identity, f"d{number}", items, "k"), identity[::-1], files)


def write(directory: Path, rows: list[ManifestRow], transform: str = "T") -> list[str]:
    directory.mkdir()
    return [str(directory / file.path) for file in write_manifest(str(directory), rows, transform)]


@pytest.mark.parametrize("outputs", [0, 1, 3])
def test_what_was_written_is_read(outputs: int, tmp_path: Path) -> None:
    rows = [row(number, outputs=outputs) for number in range(50)]

    manifest = read_manifest(write(tmp_path / "m", rows))

    assert manifest.rows == tuple(sorted(rows, key=lambda r: r.datum.id))
    assert (manifest.transform, manifest.writer) == ("T", writer_tag())


def test_a_datum_without_inputs_and_one_with_many_stand_side_by_side(tmp_path: Path) -> None:
    rows = [ManifestRow(Datum(f"{n:064x}", "n", row(1).datum.items * n), "k", ()) for n in range(4)]

    assert read_manifest(write(tmp_path / "m", rows)).rows == tuple(rows)


def test_no_datums_are_one_empty_file(tmp_path: Path) -> None:
    paths = write(tmp_path / "m", [])

    assert [Path(path).name for path in paths] == ["manifest.parquet"]
    assert read_manifest(paths).rows == ()
    assert read_facts(paths) == Facts("T", writer_tag(), 0)


@pytest.mark.parametrize(
    ("count", "files", "first", "last"),
    [
        (4_096, 1, "manifest.parquet", "manifest.parquet"),
        (4_097, 16, "0.parquet", "f.parquet"),
        (65_536, 16, "0.parquet", "f.parquet"),
        (65_537, 256, "00.parquet", "ff.parquet"),
    ],
)
def test_shards_by_the_number_of_datums(
    count: int, files: int, first: str, last: str, tmp_path: Path
) -> None:
    rows = [row(number) for number in range(count)]

    paths = write(tmp_path / "m", rows)

    names = [Path(path).name for path in paths]
    assert (len(names), names[0], names[-1]) == (files, first, last)
    assert names == sorted(names)
    assert read_facts(paths).rows == count
    if files > 1:
        width = len(first.partition(".")[0])
        for path in paths[:: files // 4]:
            read = read_manifest([path]).rows
            assert read
            assert {r.datum.id[:width] for r in read} == {Path(path).name.partition(".")[0]}


def test_one_changed_datum_changes_one_file(tmp_path: Path) -> None:
    rows = [row(number) for number in range(5_000)]
    before = write(tmp_path / "a", rows)
    rows[17] = rows[17]._replace(key="changed")
    after = write(tmp_path / "b", rows)

    differ = [a for a, b in zip(before, after, strict=True) if Path(a).read_bytes() != Path(b).read_bytes()]
    assert [Path(path).name for path in differ] == [f"{rows[17].datum.id[0]}.parquet"]


def test_the_order_of_rows_leaves_no_trace(tmp_path: Path) -> None:
    rows = [row(number) for number in range(100)]
    (a,), (b,) = write(tmp_path / "a", rows), write(tmp_path / "b", rows[::-1])

    assert Path(a).read_bytes() == Path(b).read_bytes()


@pytest.mark.skipif(pa.__version__ != "26.0.1", reason="the bytes name this pyarrow")
def test_golden_bytes(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()

    assert write_manifest(str(tmp_path / "m"), [row(1), row(2)], "T") == (
        File("manifest.parquet", "bf53bc1f7065507e592d16e321429e89", 2424),
    )


def test_columns_can_be_read_by_anyone(tmp_path: Path) -> None:
    (path,) = write(tmp_path / "m", [row(1)])

    shown = pq.read_table(path).to_pylist()[0]

    assert shown["inputs"][0] == {
        "name": "flights",
        "dataset": "flights_raw",
        "path": "1.csv",
        "md5": row(1).datum.items[0].oid,
        "size": 1,
        "nfiles": None,
    }
    assert shown["outputs"] == [row(1).files[0]._asdict()]


def test_every_shape_of_rows_is_read_alike_by_pyarrow_and_by_us(tmp_path: Path) -> None:
    texts = ["", "a", "ä€😀", "b" * 64, "c\nd"]
    rows = [
        ManifestRow(
            Datum(f"{n:064x}", texts[n % 5], row(n).datum.items * (n % 4), texts[-n % 5], texts[n % 3]),
            texts[n % 2],
            row(n, outputs=n % 3).files,
            "made" * (n % 2),
        )
        for n in range(200)
    ]
    (path,) = write(tmp_path / "m", rows)

    assert read_manifest([path]).rows == tuple(rows)
    shown = [
        (
            *(row[name] for name in ("datum_id", "name", "join_on", "group_by", "key", "made")),
            [tuple(item.values()) for item in row["inputs"]],
            [tuple(file.values()) for file in row["outputs"]],
        )
        for row in pq.read_table(path).to_pylist()
    ]
    assert shown == [
        (d.id, d.name, d.join_on, d.group_by, key, made, list(d.items), list(files))
        for d, key, files, made in rows
    ]


def test_a_file_that_would_be_the_same_is_not_written_again(tmp_path: Path) -> None:
    rows = [row(number) for number in range(5_000)]
    before = [read_shard(path, Path(path).name) for path in write(tmp_path / "a", rows)]
    rows[17] = rows[17]._replace(key="changed")
    (tmp_path / "b").mkdir()

    files = write_manifest(str(tmp_path / "b"), rows, "T", known=before)

    assert [path.name for path in (tmp_path / "b").iterdir()] == [f"{rows[17].datum.id[0]}.parquet"]
    assert [file.md5 for file in files if file.path != f"{rows[17].datum.id[0]}.parquet"] == [
        file.path for file in files if file.path != f"{rows[17].datum.id[0]}.parquet"
    ]
    (tmp_path / "c").mkdir()
    write_manifest(str(tmp_path / "c"), rows, "another", known=before)
    assert len(list((tmp_path / "c").iterdir())) == 16


def test_a_manifest_of_version_1_is_read(tmp_path: Path) -> None:
    table = pq.read_table(write(tmp_path / "m", [row(2), row(1)])[0])
    metadata = {"trunkline.manifest": "1", "trunkline.transform": "T", "trunkline.writer": "W"}
    path = str(tmp_path / "old.parquet")
    pq.write_table(table.drop_columns(["group_by", "made"]).replace_schema_metadata(metadata), path)

    assert read_manifest([path]).rows == tuple(sorted([row(1), row(2)], key=lambda r: r.datum.id))
    assert read_facts([path]) == Facts("T", "W", 2)


def test_a_damaged_file_is_told_with_its_path(tmp_path: Path) -> None:
    (path,) = write(tmp_path / "m", [row(1), row(2)])
    data = Path(path).read_bytes()
    for at in range(4, len(data) - 8 - 21, 7):  # not what says who wrote it
        Path(path).write_bytes(data[:at] + bytes(byte ^ 0xFF for byte in data[at : at + 7]) + data[at + 7 :])
        with suppress(StoreError):  # names and digests are only text
            read_manifest([path])
    Path(path).write_bytes(data[:4] + data[40:])
    with pytest.raises(CorruptData) as caught:
        read_manifest([path])
    assert caught.value.where == path


def rewritten(path: str, **metadata: str) -> list[str]:
    table = pq.read_table(path)
    kept = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    pq.write_table(table.replace_schema_metadata(kept | metadata), path)
    return [path]


def test_a_newer_manifest_says_to_upgrade(tmp_path: Path) -> None:
    paths = write(tmp_path / "m", [row(1)])
    rewritten(paths[0], **{"trunkline.manifest": "3"})

    for read in (read_manifest, read_facts):
        with pytest.raises(StoreError) as caught:
            read(paths)
        assert caught.value.message == (
            "this manifest was written by a newer trunkline (format 3, known here: 2)"
        )
        assert caught.value.hint == "upgrade trunkline: pip install --upgrade trunkline"


def test_files_of_two_manifests_are_not_one(tmp_path: Path) -> None:
    paths = write(tmp_path / "a", [row(1)], "A") + write(tmp_path / "b", [row(2)], "B")

    for read in (read_manifest, read_facts):
        with pytest.raises(CorruptData, match="2 manifests where there must be one"):
            read(paths)


def test_what_is_no_manifest_is_told_with_its_path(tmp_path: Path) -> None:
    text, table, columns = tmp_path / "text", tmp_path / "table", tmp_path / "columns"
    text.write_text("hello, this is no Parquet at all")
    pq.write_table(pa.table({"n": [1]}), table)
    pq.write_table(pa.table({"n": [1]}).replace_schema_metadata({"trunkline.manifest": "1"}), columns)

    for path in (text, table, columns):
        with pytest.raises(CorruptData) as caught:
            read_manifest([str(path)])
        assert caught.value.where == str(path)
    with pytest.raises(MissingData):
        read_facts([str(tmp_path / "nothing")])
