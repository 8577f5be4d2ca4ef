"""Laws of datums: crosses, unions, joins, groups and identities, against plain loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import NamedTuple

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.plan.values import leaf, snapshot, stage
from trunkline.digest import digest, tree_oid
from trunkline.model import Cross, Group, Input, Join, Leaf, Snapshot, Union
from trunkline.plan.datums import datums

contents = st.text("xy", max_size=2)
flat = st.dictionaries(st.text("ab.", min_size=1, max_size=3).filter(lambda name: name.strip(".")), contents)
letters = st.dictionaries(st.text("ab", min_size=1, max_size=3), contents)
deep = st.dictionaries(
    st.sampled_from(["a/1", "a/2", "a/b/1", "a-b/1", "a.c/1", "c", "d"]), st.text("xy", max_size=2)
)
GLOBS = ["/", "/*", "/a", "/a/*", "/**", "/*/*"]


@given(flat, flat, flat)
@settings(deadline=None)
def test_a_cross_is_the_cartesian_product(x: dict[str, str], y: dict[str, str], z: dict[str, str]) -> None:
    found = datums(
        stage(Cross((leaf("x", "/*"), Cross((leaf("y", "/*"), leaf("z", "/*")))))),
        {"x": snapshot(x), "y": snapshot(y), "z": snapshot(z)},
    )
    expected = list(product(sorted(x), sorted(y), sorted(z)))
    assert [tuple(item.path for item in datum.items) for datum in found] == expected


@given(letters, letters)
@settings(deadline=None)
def test_a_join_pairs_every_two_files_of_one_key(x: dict[str, str], y: dict[str, str]) -> None:
    """The key of a file is its first character."""
    found = datums(
        stage(Join((leaf("x", "/(?)*", join_on="$1"), leaf("y", "/(?)*", join_on="$1")))),
        {"x": snapshot(x), "y": snapshot(y)},
    )
    pairs = [tuple(item.path for item in datum.items) for datum in found]
    assert sorted(pairs) == [(a, b) for a in sorted(x) for b in sorted(y) if a[0] == b[0]]
    assert (
        [datum.name for datum in found]
        == [datum.join_on for datum in found]
        == sorted(a[0] for a, _ in pairs)
    )


@given(deep, st.sampled_from(GLOBS))
@settings(deadline=None)
def test_an_item_stands_for_all_of_its_content(files: dict[str, str], glob: str) -> None:
    """Id, hash, size and count are those that the listing gives when it is read file by file."""
    content = snapshot(files)
    for datum in datums(stage(leaf("x", glob)), {"x": content}):
        [item] = datum.items
        assert datum.id == digest("datum", [["x", "x", item.path]])
        inside = [file for file in content.files if _inside(file.path, item.path)]
        assert item.size == sum(file.size for file in inside)
        if item.nfiles is None:
            assert [file.md5 for file in inside] == [item.oid]
        else:
            skip = len(item.path) + 1 if item.path else 0
            assert item.nfiles == len(inside)
            assert item.oid == tree_oid((file.path[skip:], file.md5) for file in inside)


@given(deep, deep, st.sampled_from(GLOBS), st.sampled_from(GLOBS))
@settings(deadline=None)
def test_identities_are_unique_and_forming_is_deterministic(
    x: dict[str, str], y: dict[str, str], one: str, other: str
) -> None:
    declared = stage(Cross((leaf("x", one), leaf("y", other))))
    there: dict[str, Snapshot] = {"x": snapshot(x), "y": snapshot(y)}
    found = datums(declared, there)
    assert len({datum.id for datum in found}) == len(found)
    assert datums(declared, dict(reversed(there.items()))) == found


# ---------------------------------------------------------------- everything nested

SMALL = st.lists(st.sampled_from(["ab", "ac", "bb", "bc", "cc"]), unique=True, max_size=3)


def _leaves(number: list[int]) -> Leaf:
    """A leaf with a name of its own, its key the first character of a file; whether it is outer is drawn."""
    number[0] += 1
    return leaf("xyz"[number[0] % 3], "/(?)(?)", f"n{number[0]}", "$1", "$2")


@st.composite
def nested(draw: st.DrawFn, depth: int = 3) -> Input:
    """An input of leaves n1, n2, …, each with a join key and a group key."""
    return _drawn(draw, depth, [0])


def _drawn(draw: st.DrawFn, depth: int, number: list[int]) -> Input:
    kind = draw(st.sampled_from([None, Cross, Union, Join, Group])) if depth else None
    if kind is None:
        found = _leaves(number)
        return replace(found, outer_join=draw(st.booleans()))
    return kind(tuple(_drawn(draw, depth - 1, number) for _ in range(draw(st.integers(1, 2)))))


class Part(NamedTuple):
    """What the definitions in words give for a node: files (input, path), join key, group key of each file."""

    files: tuple[tuple[str, str], ...]
    key: str
    keys: tuple[str, ...]
    outer: bool


def meant(node: Input, there: dict[str, list[str]]) -> list[Part]:
    """The datums of an input, formed as the documentation says, without a thought for speed."""
    match node:
        case Leaf(name, dataset):
            return [
                Part(((name, path),), path[0], (path[1],), node.outer_join)
                for path in sorted(there[dataset.name])
            ]
        case Union(inputs):
            return [part for child in inputs for part in meant(child, there)]
        case Cross(inputs):
            return [_together(some) for some in product(*(meant(child, there) for child in inputs))]
        case Join(inputs):
            return _join([meant(child, there) for child in inputs])
        case Group(inputs):
            return _group([part for child in inputs for part in meant(child, there)])


def _together(parts: Sequence[Part], key: str | None = None) -> Part:
    return Part(
        tuple(file for part in parts for file in part.files),
        "".join(part.key for part in parts) if key is None else key,
        tuple(each for part in parts for each in part.keys),
        any(part.outer for part in parts),
    )


def _join(sides: list[list[Part]]) -> list[Part]:
    found = []
    for key in sorted({part.key for side in sides for part in side}):
        having = [[part for part in side if part.key == key] for side in sides]
        if not all(having):
            having = [kept for side in having if (kept := [part for part in side if part.outer])]
        found += [_together(some, key) for some in product(*having)] if having else []
    return found


def _group(parts: list[Part]) -> list[Part]:
    found = []
    for key in sorted({key for part in parts for key in part.keys}):
        having = [part for part in parts if key in part.keys]
        files = dict.fromkeys(
            file for part in having for file, own in zip(part.files, part.keys, strict=True) if own == key
        )
        joined = "".join(dict.fromkeys(part.key for part in having))
        outer = any(part.outer for part in having)
        found.append(Part(tuple(files), joined, (key,) * len(files), outer))
    return found


@given(nested(), SMALL, SMALL, SMALL)
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_nested_inputs_are_what_the_words_say(
    declared: Input, x: list[str], y: list[str], z: list[str]
) -> None:
    there = {"x": x, "y": y, "z": z}
    expected = [part.files for part in meant(declared, there)]
    assume(len(expected) < 2000)
    found = datums(stage(declared), {name: snapshot(paths) for name, paths in there.items()})
    assert [tuple((item.input, item.path) for item in datum.items) for datum in found] == list(
        dict.fromkeys(expected)
    )


def _inside(path: str, item: str) -> bool:
    return not item or path == item or path.startswith(item + "/")
