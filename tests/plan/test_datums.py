from __future__ import annotations

import pytest

from tests.plan.values import leaf, single_file, snapshot, stage
from trunkline.digest import digest, md5_bytes, tree_oid
from trunkline.errors import MissingData, StageFailed
from trunkline.model import Cross, Datum, Input, Item, Join, Snapshot
from trunkline.plan.datums import datums

DAYS = snapshot(["2013-01-01.csv", "2013-01-02.csv"])


def formed(declared: Input | None, **snapshots: Snapshot) -> tuple[Datum, ...]:
    return datums(stage(declared), snapshots)


def names(declared: Input | None, **snapshots: Snapshot) -> list[str]:
    return [datum.name for datum in formed(declared, **snapshots)]


def test_a_file_is_a_datum() -> None:
    first, second = formed(leaf("raw", "/*", name="x"), raw=DAYS)
    md5 = md5_bytes(b"2013-01-01.csv")
    assert first.items == (Item("x", "raw", "2013-01-01.csv", md5, 14, None),)
    assert (first.name, first.join_on) == ("2013-01-01", "")
    assert first.id == digest("datum", [["x", "raw", "2013-01-01.csv"]])
    assert first.id != second.id


def test_the_id_does_not_depend_on_contents() -> None:
    [before] = formed(leaf("raw", "/*"), raw=snapshot({"a": "1"}))
    [after] = formed(leaf("raw", "/*"), raw=snapshot({"a": "2"}))
    assert before.id == after.id
    assert before.items != after.items


def test_a_directory_is_a_datum_with_the_hash_of_its_own_listing() -> None:
    raw = snapshot({"d/a.csv": "1", "d/e/b.csv": "22", "z.csv": "3"})
    directory, file = formed(leaf("raw", "/*"), raw=raw)
    oid = tree_oid([("a.csv", md5_bytes(b"1")), ("e/b.csv", md5_bytes(b"22"))])
    assert directory.items == (Item("raw", "raw", "d", oid, 3, 2),)
    assert [directory.name, file.name] == ["d", "z"]


def test_the_whole_dataset_is_one_datum_named_as_the_stage() -> None:
    [datum] = formed(leaf("raw"), raw=DAYS)
    assert datum.items == (Item("raw", "raw", "", DAYS.version.oid, 28, 2),)
    assert datum.name == "s"


def test_an_empty_dataset_has_no_datum() -> None:
    assert formed(leaf("raw"), raw=snapshot([])) == ()
    assert formed(leaf("raw", "/**"), raw=snapshot([])) == ()


def test_a_dataset_that_is_one_file() -> None:
    [datum] = formed(leaf("raw"), raw=single_file("x"))
    assert datum.items == (Item("raw", "raw", "", md5_bytes(b"x"), 1, None),)


def test_a_stage_without_input_has_one_datum() -> None:
    assert formed(None) == (Datum(digest("datum", []), "s", ()),)


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("/train", ["s"]),
        ("/model.onnx", ["s"]),
        ("/train/*", ["a", "b.tar", ".hidden", "d"]),
        ("/*/*.csv", ["train/a"]),
        ("/**/x.csv", ["train/d/x"]),
        ("/(train)", ["train"]),
        ("/*.onnx", ["model"]),
        ("/train/{..odd,.hidden}", ["..odd", ".hidden"]),
        ("/none", []),
    ],
)
def test_names_are_relative_to_the_literal_prefix(glob: str, expected: list[str]) -> None:
    files = ["train/a.csv", "train/b.tar.gz", "train/.hidden", "train/d/x.csv", "model.onnx"]
    if "odd" in glob:
        files.append("train/..odd")
    assert sorted(names(leaf("raw", glob), raw=snapshot(files))) == sorted(expected)


def test_a_cross_is_named_after_its_inputs_with_several_datums() -> None:
    one, two = snapshot(["m"]), snapshot(["a.csv", "b.csv"])
    inputs = (leaf("model"), leaf("x", "/*"), leaf("y", "/*"))
    assert names(Cross(inputs), model=one, x=two, y=two) == ["a~a", "a~b", "b~a", "b~b"]
    assert names(Cross(inputs), model=one, x=two, y=one) == ["a", "b"]
    assert names(Cross(inputs), model=one, x=one, y=one) == ["s"]


def test_a_cross_keeps_the_order_of_its_inputs() -> None:
    [datum] = formed(Cross((leaf("y"), leaf("x"))), x=DAYS, y=DAYS)
    assert [item.input for item in datum.items] == ["y", "x"]
    assert datum.id == digest("datum", [["y", "y", ""], ["x", "x", ""]])


def test_a_cross_with_an_empty_side_has_no_datum() -> None:
    assert formed(Cross((leaf("x"), leaf("y", "/*.csv"))), x=DAYS, y=snapshot(["a.txt"])) == ()


def test_a_join_pairs_equal_keys_and_leaves_the_rest_out() -> None:
    declared = Join((leaf("x", "/(*).csv", join_on="$1"), leaf("y", "/day-(*)", join_on="$1")))
    found = formed(
        declared, x=snapshot(["2.csv", "1.csv", "3.csv"]), y=snapshot(["day-2/a", "day-1/b", "day-4/c"])
    )
    assert [(datum.name, datum.join_on) for datum in found] == [("1", "1"), ("2", "2")]
    assert [item.path for item in found[0].items] == ["1.csv", "day-1"]


def test_a_key_with_several_files_crosses_them() -> None:
    declared = Join((leaf("x", "/(*)-*", join_on="$1"), leaf("y", "/(*)", join_on="$1")))
    found = formed(declared, x=snapshot(["a-1", "a-2"]), y=snapshot(["a"]))
    assert [datum.name for datum in found] == ["a", "a"]
    assert [datum.items[0].path for datum in found] == ["a-1", "a-2"]


def test_captures_combine_to_a_key() -> None:
    declared = Join((leaf("x", "/(*)-(*)", join_on="$2$1"), leaf("y", "/(*)", join_on="$1")))
    assert names(declared, x=snapshot(["a-b", "b-a"]), y=snapshot(["ba"])) == ["ba"]


def test_a_join_inside_a_cross() -> None:
    pair = Join((leaf("x", "/(*)", join_on="$1"), leaf("y", "/(*)", join_on="$1")))
    found = formed(
        Cross((pair, leaf("m"))), x=snapshot(["a", "b"]), y=snapshot(["a", "b"]), m=snapshot(["m"])
    )
    assert [(datum.name, datum.join_on) for datum in found] == [("a", "a"), ("b", "b")]
    assert [len(datum.items) for datum in found] == [3, 3]


def test_a_cross_inside_a_join_has_the_key_of_its_keyed_input() -> None:
    pair = Cross((leaf("x", "/(*)", join_on="$1"), leaf("m", "/*")))
    found = formed(
        Join((pair, leaf("y", "/(*)", join_on="$1"))),
        x=snapshot(["a", "b"]), y=snapshot(["b"]), m=snapshot(["1", "2"]),
    )  # fmt: skip
    assert [[item.path for item in datum.items] for datum in found] == [["b", "1", "b"], ["b", "2", "b"]]


@pytest.mark.parametrize("path", ["a../b", "a/b", "a/"])
def test_a_key_that_would_lead_out_of_the_outputs_is_refused(path: str) -> None:
    declared = Join((leaf("x", "/a(**)", join_on="$1"), leaf("y", "/a(**)", join_on="$1")))
    files = snapshot([path if not path.endswith("/") else "a/b"])
    with pytest.raises(StageFailed, match="cannot be the name of a datum"):
        formed(declared, x=files, y=files)


def test_a_missing_dataset_is_named() -> None:
    with pytest.raises(MissingData) as caught:
        formed(leaf("raw", name="x"))
    assert caught.value.message == "the dataset raw, input `x` of stage p.s, is not there"
    assert caught.value.where == "data/raw"


def test_two_datums_of_one_identity_are_refused() -> None:
    raw = snapshot(["a"])
    with pytest.raises(StageFailed, match=r"two datums of stage p\.s have the same inputs: raw/a"):
        formed(leaf("raw", "/*"), raw=raw._replace(files=raw.files * 2))
