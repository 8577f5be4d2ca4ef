from __future__ import annotations

import pytest

from trunkline.globs import Pattern
from trunkline.globs.matches import matches, within

FILES = sorted(["a.csv", "a-b.csv", "a/1.csv", "a/2.csv", "a/x/3.csv", "b/x/4.csv", "train/5.csv", "z"])


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("/", [("", True)]),
        (
            "/*",
            [("a-b.csv", False), ("a.csv", False), ("a", True), ("b", True), ("train", True), ("z", False)],
        ),
        ("/*.csv", [("a-b.csv", False), ("a.csv", False)]),
        (
            "/*/*",
            [("a/1.csv", False), ("a/2.csv", False), ("a/x", True), ("b/x", True), ("train/5.csv", False)],
        ),
        ("/*/*/*", [("a/x/3.csv", False), ("b/x/4.csv", False)]),
        ("/a/*", [("a/1.csv", False), ("a/2.csv", False), ("a/x", True)]),
        ("/train", [("train", True)]),
        ("/z", [("z", False)]),
        ("/a", [("a", True)]),
        ("/nothing", []),
        ("/nothing/*", []),
        ("/a/**", [("a/1.csv", False), ("a/2.csv", False), ("a/x", True), ("a/x/3.csv", False)]),
        ("/**/x", [("a/x", True), ("b/x", True)]),
        ("/{a,b/x}", [("a", True), ("b/x", True)]),
    ],
)
def test_matches(glob: str, expected: list[tuple[str, bool]]) -> None:
    found = list(matches(Pattern(glob), FILES))
    assert [(path, directory) for path, _, directory in found] == expected


def test_captures_come_with_the_match() -> None:
    assert list(matches(Pattern("/(*)/(*).csv"), FILES)) == [
        ("a/1.csv", ("a", "1"), False),
        ("a/2.csv", ("a", "2"), False),
        ("train/5.csv", ("train", "5"), False),
    ]


def test_an_empty_dataset_has_no_match() -> None:
    assert list(matches(Pattern("/"), [])) == []
    assert list(matches(Pattern("/**"), [])) == []


def test_a_single_file_is_matched_by_the_whole_only() -> None:
    assert list(matches(Pattern("/"), [""])) == [("", (), False)]
    assert list(matches(Pattern("/*"), ["a"])) == [("a", (), False)]


def test_within_finds_a_directory_among_similar_names() -> None:
    files = ["a", "a-b/1", "a.b/1", "a/1", "a/2", "a0/1", "ab/1"]
    assert files[slice(*within(files, "a"))] == ["a/1", "a/2"]
    assert files[slice(*within(files, "b"))] == []


class _Counting(list[str]):
    """A listing that counts how many of its paths are looked at."""

    looked = 0

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        type(self).looked += 1
        return super().__getitem__(index)


def test_the_files_of_a_directory_are_skipped_not_walked() -> None:
    files = _Counting(sorted(f"{directory}/{number:05d}" for directory in "abc" for number in range(10_000)))
    assert [path for path, _, _ in matches(Pattern("/*"), files)] == ["a", "b", "c"]
    assert _Counting.looked < 100
