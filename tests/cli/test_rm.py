"""`rm`: files out of a dataset, one commit of the pointer."""

from __future__ import annotations

import os

from tests.cli.conftest import Cli
from tests.support import Tree

POINTER = "data/letters_raw.dvc"


def test_files_and_directories_go_in_one_commit(letters: Tree, cli: Cli) -> None:
    letters.write("data/letters_raw/sub/deep/x.txt", "x")
    letters.dvc("add", "-q", "data/letters_raw")
    letters.commit("A directory")
    done = cli("rm", "letters_raw", "a.txt", "sub/deep/x.txt", "sub", "a.txt")
    assert sorted(os.listdir(letters.root / "data/letters_raw")) == ["b.txt", "c.txt"]
    assert letters.git("show", "--format=", "--name-only", "HEAD").out.split() == [POINTER]
    subject = letters.git("show", "--format=%s", "-s").out.strip()
    assert subject == "letters_raw: remove a.txt, sub/deep/x.txt, sub and 1 more"
    assert "2 files (was" in done.out
    assert "up to date" in letters.dvc("status", POINTER).out
    assert letters.git("status", "--porcelain").out == ""


def test_what_is_removed_can_be_had_again(letters: Tree, cli: Cli) -> None:
    """Also where the workspace held its only copy."""
    for path in (letters.root / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and path.suffix != ".dir":
            path.unlink()
    cli("rm", "letters_raw", "a.txt")
    letters.git("checkout", "-q", "HEAD~1", "--", POINTER)
    letters.dvc("checkout", POINTER)
    assert letters.read("data/letters_raw/a.txt") == "alpha"


def test_the_last_file_leaves_an_empty_dataset(letters: Tree, cli: Cli) -> None:
    data = cli("rm", "letters_raw", "a.txt", "b.txt", "c.txt", "--json").data
    assert data["files"] == 0
    assert os.listdir(letters.root / "data/letters_raw") == []


def test_refused_with_nothing_changed(letters: Tree, cli: Cli) -> None:
    before, head = letters.contents("data"), letters.git("rev-parse", "HEAD").out
    for arguments, message in (
        (("nothing", "a.txt"), "there is no source dataset 'nothing'"),
        (("letter_raw", "a.txt"), "did you mean letters_raw?"),
        (("letters_raw", "a.txt", "x.txt"), "x.txt is not in the dataset letters_raw"),
        (("letters_raw", "data/letters_raw/a.txt"), "did you mean a.txt?"),
        (("letters_raw", "../letters/upper/a.txt"), "leaves the dataset"),
        (("letters_raw", "."), "leaves the dataset"),
    ):
        assert message in cli("rm", *arguments, code=2).err
        assert letters.contents("data") == before
    letters.write("data/letters_raw/b.txt", "edited by hand")
    assert "has changes that no version holds" in cli("rm", "letters_raw", "a.txt", code=3).err
    assert (letters.root / "data/letters_raw/a.txt").exists()
    assert letters.git("rev-parse", "HEAD").out == head
