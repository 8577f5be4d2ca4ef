"""Listings: parts of a dataset are what they would be by themselves."""

from __future__ import annotations

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from trunkline import listing
from trunkline.digest import md5_bytes, tree_oid
from trunkline.model import File, Version

names = st.text(alphabet="ab./0-", min_size=1, max_size=7).filter(
    lambda name: str(PurePosixPath(name)) == name and not name.startswith(("/", ".."))
)


def files(*paths: str) -> listing.Listing:
    return tuple(File(path, md5_bytes(path.encode()), len(path)) for path in sorted(paths))


def test_the_version_of_files_is_dvcs_of_a_directory() -> None:
    some = files("a", "b/c")
    assert listing.version(some) == Version(tree_oid((f.path, f.md5) for f in some), 4, 2)
    assert listing.version(()).nfiles == 0


def test_a_part_is_a_file_or_a_directory() -> None:
    some = files("a", "b-", "b/c", "b/d/e", "b0", "bc")
    assert listing.part(some, "a") == Version(md5_bytes(b"a"), 1, None)
    inside = tuple(File(f.path[2:], f.md5, f.size) for f in some if f.path.startswith("b/"))
    assert listing.part(some, "b") == listing.version(inside)
    assert listing.part(some, "") == listing.version(some)
    assert listing.part(some, "c") is None
    assert listing.part(some, "b/") is None
    assert [f.path for f in listing.below(some, "b")] == ["b/c", "b/d/e"]
    assert listing.below(some, "") == some


@given(st.sets(names), names)
def test_below_is_every_file_whose_path_begins_with_the_directory(paths: set[str], directory: str) -> None:
    expected = [path for path in sorted(paths) if path.startswith(directory + "/")]
    assert [file.path for file in listing.below(files(*paths), directory)] == expected
