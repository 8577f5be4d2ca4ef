"""Which files are put, under which names. What becomes of them is tested through `put` and `rm`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trunkline.errors import UsageError
from trunkline.model import Version
from trunkline.sources import Change, files_named


def make(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)


def test_a_file_has_its_own_name_and_a_directory_gives_what_it_holds(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "d/b.csv", "d/e/c.csv", "d/.git/config", "d/e/.dvc/x")
    given = [str(tmp_path / "a.csv"), str(tmp_path / "d")]
    assert list(files_named(given)) == ["a.csv", "b.csv", "e/c.csv"]
    assert files_named(given)["e/c.csv"] == str(tmp_path / "d/e/c.csv")
    assert list(files_named(given, "year/2013/")) == [
        "year/2013/a.csv",
        "year/2013/b.csv",
        "year/2013/e/c.csv",
    ]


def test_one_file_named_twice_is_one_file(tmp_path: Path) -> None:
    make(tmp_path, "d/a.csv")
    assert list(files_named([str(tmp_path / "d/a.csv"), str(tmp_path / "d")])) == ["a.csv"]


def test_two_files_of_one_name_name_both(tmp_path: Path) -> None:
    make(tmp_path, "a.csv", "d/a.csv")
    with pytest.raises(UsageError, match=r"two of the files would be a\.csv: .*/a\.csv and .*/d/a\.csv"):
        files_named([str(tmp_path / "a.csv"), str(tmp_path / "d")])


def test_a_link_to_a_file_counts_and_one_to_a_directory_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "real/a.csv")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/b.csv").symlink_to(tmp_path / "real/a.csv")
    assert list(files_named([str(tmp_path / "d")])) == ["b.csv"]
    assert list(files_named([str(tmp_path / "d/b.csv")])) == ["b.csv"]
    (tmp_path / "d/link").symlink_to(tmp_path / "real")
    with pytest.raises(UsageError, match="is a link to a directory"):
        files_named([str(tmp_path / "d")])


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    name = os.path.join(os.fsencode(tmp_path), b"\xff.csv")
    try:
        with open(name, "w") as stream:
            stream.write("1")
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    with pytest.raises(UsageError, match="is not UTF-8"):
        files_named([os.fsdecode(name)])


def test_a_change_is_one_where_the_content_differs() -> None:
    one, other = Version("1.dir", 1, 1), Version("2.dir", 1, 1)
    assert Change("raw", None, one, None).changed
    assert Change("raw", one, other, None).changed
    assert not Change("raw", one, one, None).changed
