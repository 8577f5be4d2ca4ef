"""Laws of datums: crosses, joins and identities, against plain loops."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plan.values import leaf, snapshot, stage
from trunkline.digest import digest, tree_oid
from trunkline.model import Cross, Join, Snapshot
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


def _inside(path: str, item: str) -> bool:
    return not item or path == item or path.startswith(item + "/")
