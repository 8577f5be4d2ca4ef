from __future__ import annotations

import pytest

from tests.plan.values import leaf, single_file, snapshot, stage
from trunkline.digest import digest, md5_bytes, tree_oid
from trunkline.errors import MissingData, StageFailed
from trunkline.model import Cross, Datum, Group, Input, Item, Join, Snapshot, Union
from trunkline.plan.datums import datums, gathered

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


def paths(declared: Input | None, **snapshots: Snapshot) -> list[list[str]]:
    """The files of each datum, as input:path."""
    return [[f"{item.input}:{item.path}" for item in datum.items] for datum in formed(declared, **snapshots)]


# ---------------------------------------------------------------- outer joins


def outer(*outers: str) -> Join:
    """A join of x, y and z, some of them outer; a file's key is its first letter."""
    return Join(tuple(leaf(name, "/(?)*", join_on="$1", outer=name in outers) for name in "xyz"))


X, Y, Z = snapshot(["a", "b", "c1", "c2"]), snapshot(["a", "b", "d"]), snapshot(["a", "e"])


@pytest.mark.parametrize(
    ("outers", "expected"),
    [
        ("", ["xa ya za"]),
        ("x", ["xa ya za", "xb", "xc1", "xc2"]),
        ("xy", ["xa ya za", "xb yb", "xc1", "xc2", "yd"]),
        ("yz", ["xa ya za", "yb", "yd", "ze"]),
        ("xyz", ["xa ya za", "xb yb", "xc1", "xc2", "yd", "ze"]),
    ],
)
def test_an_outer_join_keeps_what_has_no_partner(outers: str, expected: list[str]) -> None:
    """Of what has a partner but not all of them, only that which is outer too: as Pachyderm has it."""
    found = paths(outer(*outers), x=X, y=Y, z=Z)
    assert [" ".join(item.replace(":", "") for item in items) for items in found] == expected


def test_a_datum_of_an_outer_join_is_named_by_its_key() -> None:
    found = formed(outer("x"), x=X, y=Y, z=Z)
    assert [(datum.name, datum.join_on) for datum in found] == [(key, key) for key in "abcc"]


def test_an_outer_join_inside_others_keeps_what_it_kept() -> None:
    pair = Join((leaf("x", "/(*)", join_on="$1", outer=True), leaf("y", "/(*)", join_on="$1")))
    assert paths(Cross((pair, leaf("m"))), x=snapshot(["a", "b"]), y=snapshot(["a"]), m=snapshot(["1"])) == [
        ["x:a", "y:a", "m:"],
        ["x:b", "m:"],
    ]
    third = leaf("z", "/(*)", join_on="$1")
    assert paths(Join((pair, third)), x=snapshot(["a", "b"]), y=snapshot(["a"]), z=snapshot(["b"])) == [
        ["x:a", "y:a"],  # x asks for it to be kept, in every join around it
        ["x:b", "z:b"],
    ]


# ---------------------------------------------------------------- unions


def test_a_union_is_one_after_the_other() -> None:
    declared = Union((leaf("y", "/*.csv"), leaf("x", "/*.csv")))
    found = formed(declared, x=DAYS, y=snapshot(["b.csv"]))
    assert [datum.name for datum in found] == ["b", "2013-01-01", "2013-01-02"]
    assert [len(datum.items) for datum in found] == [1, 1, 1]
    assert found[1:] == formed(leaf("x", "/*.csv"), x=DAYS)


def test_what_two_branches_of_a_union_give_is_one_datum() -> None:
    declared = Union((leaf("x", "/*1.csv"), leaf("x", "/*.csv")))
    assert names(declared, x=DAYS) == ["2013-01-01", "2013-01-02"]


def test_branches_of_a_union_may_share_a_name() -> None:
    """Pachyderm's union alias: the code sees one directory."""
    declared = Union((leaf("x", "/*", name="in"), leaf("y", "/*", name="in")))
    assert paths(declared, x=snapshot(["a"]), y=snapshot(["a"])) == [["in:a"], ["in:a"]]
    assert len({datum.id for datum in formed(declared, x=snapshot(["a"]), y=snapshot(["a"]))}) == 2


def test_a_union_in_a_cross_and_in_a_join() -> None:
    both = Union((leaf("x", "/(*)", join_on="$1"), leaf("y", "/(*)", join_on="$1")))
    there = {"x": snapshot(["a"]), "y": snapshot(["a", "b"]), "z": snapshot(["a", "b"])}
    assert paths(Cross((both, leaf("z"))), **there) == [["x:a", "z:"], ["y:a", "z:"], ["y:b", "z:"]]
    joined = Join((both, leaf("z", "/(*)", join_on="$1")))
    assert paths(joined, **there) == [["x:a", "z:a"], ["y:a", "z:a"], ["y:b", "z:b"]]


# ---------------------------------------------------------------- groups


def test_a_group_is_one_datum_for_each_key_whoever_has_it() -> None:
    declared = Group((leaf("x", "/(*)-*", group_by="$1"), leaf("y", "/(*)", group_by="$1")))
    there = {"x": snapshot(["a-2", "a-1", "b-1"]), "y": snapshot(["a", "c"])}
    found = formed(declared, **there)
    assert paths(declared, **there) == [["x:a-1", "x:a-2", "y:a"], ["x:b-1"], ["y:c"]]
    assert [(datum.name, datum.group_by, datum.join_on) for datum in found] == [(k, k, "") for k in "abc"]
    assert found[0].id == digest("datum", [["x", "x", "a-1"], ["x", "x", "a-2"], ["y", "y", "a"]])


def test_captures_combine_to_the_key_of_a_group() -> None:
    declared = Group((leaf("x", "/(*)-(*)", group_by="$2$1"),))
    assert names(declared, x=snapshot(["a-b", "b-a", "ab-"])) == ["ab", "ba"]


def test_one_dataset_twice_in_a_group() -> None:
    declared = Group((leaf("x", "/(?)?", group_by="$1"), leaf("x", "/[a-z](?)", name="y", group_by="$1")))
    assert paths(declared, x=snapshot(["ab", "bc"])) == [["x:ab"], ["x:bc", "y:ab"], ["y:bc"]]


def test_a_group_around_a_join_holds_each_file_once() -> None:
    def pair(second: str) -> Group:
        one = leaf("x", "/(?)*", join_on="$1", group_by="$1")
        return Group((Join((one, leaf("y", "/(?)*", join_on="$1", group_by=second))),))

    there = {"x": snapshot(["a1", "a2", "b1", "c1"]), "y": snapshot(["a1", "b1", "d1"])}
    expected = [["x:a1", "y:a1", "x:a2"], ["x:b1", "y:b1"]]
    assert paths(pair("$1"), **there) == expected
    assert paths(pair(""), **there) == expected, "what has no key of its own goes with its partners"


def test_a_file_goes_by_the_key_of_its_own_input() -> None:
    declared = Group((Cross((leaf("x", "/(*)", group_by="$1"), leaf("y", "/(*)", group_by="$1"))),))
    assert paths(declared, x=snapshot(["a", "b"]), y=snapshot(["a"])) == [["x:a", "y:a"], ["x:b"]]


def test_a_union_of_groups_and_a_group_of_a_union() -> None:
    first, second = leaf("x", "/(?)?", group_by="$1"), leaf("x", "/[a-z](?)", group_by="$1")
    x = snapshot(["ab", "ac", "cc"])
    assert paths(Union((Group((first,)), Group((second,)))), x=x) == [
        ["x:ab", "x:ac"],
        ["x:cc"],
        ["x:ab"],
        ["x:ac", "x:cc"],
    ]
    other = leaf("x", "/[a-z](?)", name="y", group_by="$1")
    assert paths(Group((Union((first, other)),)), x=x) == [
        ["x:ab", "x:ac"],
        ["y:ab"],
        ["x:cc", "y:ac", "y:cc"],
    ]


def test_groups_in_a_cross_and_in_a_join() -> None:
    days = Group((leaf("x", "/(?)(?)", join_on="$1", group_by="$1"),))
    there = {"x": snapshot(["a1", "a2", "b1"]), "y": snapshot(["a"]), "m": snapshot(["1", "2"])}
    joined = Join((days, leaf("y", "/(*)", join_on="$1")))
    assert paths(joined, **there) == [["x:a1", "x:a2", "y:a"]]
    [datum] = formed(joined, **there)
    assert (datum.name, datum.join_on, datum.group_by) == ("a", "a", "a")
    crossed = formed(Cross((days, leaf("m", "/*"))), **there)
    assert [(datum.name, datum.group_by) for datum in crossed] == [
        ("a~1", "a"),
        ("a~2", "a"),
        ("b~1", "b"),
        ("b~2", "b"),
    ]


def test_which_inputs_are_gathered() -> None:
    grouped = Group((Join((leaf("x", "/(*)", "a"), leaf("x", "/(*)", "b"))), leaf("x", "/(*)", "c")))
    assert gathered(stage(Union((leaf("x", "/", "d"), Cross((grouped, leaf("x", "/", "e"))))))) == {*"abc"}


@pytest.mark.parametrize("one", [Cross, Union, Join, Group])
def test_one_member_is_enough(one: type[Cross | Union | Join | Group]) -> None:
    alone = one((leaf("x", "/(*).csv", join_on="$1", group_by="$1"),))
    assert paths(alone, x=DAYS) == [["x:2013-01-01.csv"], ["x:2013-01-02.csv"]]


@pytest.mark.parametrize("path", ["a../b", "a/b", "a/"])
def test_a_key_that_would_lead_out_of_the_outputs_is_refused(path: str) -> None:
    declared = Join((leaf("x", "/a(**)", join_on="$1"), leaf("y", "/a(**)", join_on="$1")))
    files = snapshot([path if not path.endswith("/") else "a/b"])
    with pytest.raises(StageFailed, match=r"the join key .* cannot be the name of a datum"):
        formed(declared, x=files, y=files)
    with pytest.raises(StageFailed, match=r"the group key .* cannot be the name of a datum"):
        formed(Group((leaf("x", "/a(**)", group_by="$1"),)), x=files)


def test_a_missing_dataset_is_named() -> None:
    with pytest.raises(MissingData) as caught:
        formed(leaf("raw", name="x"))
    assert caught.value.message == "the dataset raw, input `x` of stage p.s, is not there"
    assert caught.value.where == "data/raw"


def test_two_datums_of_one_identity_are_refused() -> None:
    raw = snapshot(["a"])
    with pytest.raises(StageFailed, match=r"two datums of stage p\.s have the same inputs: raw/a"):
        formed(leaf("raw", "/*"), raw=raw._replace(files=raw.files * 2))
