"""`put`: files in, one commit of the pointer out, everything else as it was."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.support import Done, Tree

NewFiles = Callable[..., list[str]]
POINTER = "data/letters_raw.dvc"


def refused(done: Done, message: str, tree: Tree, before: dict[str, bytes], head: str) -> None:
    """The message, and nothing changed."""
    assert message in done.err
    assert tree.contents("data") == before
    assert tree.git("rev-parse", "HEAD").out == head


def state(tree: Tree) -> tuple[dict[str, bytes], str]:
    return tree.contents("data"), tree.git("rev-parse", "HEAD").out


def committed(tree: Tree) -> list[str]:
    """The files that the last commit changed."""
    return tree.git("show", "--format=", "--name-only", "HEAD").out.split()


def test_a_file_into_a_dataset_is_one_commit_of_the_pointer(
    letters: Tree, cli: Cli, new_files: NewFiles
) -> None:
    done = cli("put", "letters_raw", *new_files(d="delta"))
    assert letters.read("data/letters_raw/d.txt") == "delta"
    assert committed(letters) == [POINTER]
    assert letters.git("show", "--format=%s", "-s").out.strip() == "letters_raw: put d.txt"
    assert letters.git("status", "--porcelain").out == ""
    assert "4 files (was" in done.out
    assert letters.git("rev-parse", "HEAD").out[:8] in done.out
    assert "letters_raw" not in letters.dvc("status", POINTER).out


def test_json_names_both_versions_and_the_commit(letters: Tree, cli: Cli, new_files: NewFiles) -> None:
    before = pointed(letters, POINTER)
    data = cli("put", "letters_raw", *new_files(d="delta"), "--json").data
    assert data == {
        "dataset": "letters_raw",
        "version": pointed(letters, POINTER),
        "files": 4,
        "previous": before,
        "changed": True,
        "commit": letters.git("rev-parse", "HEAD").out.strip(),
    }


def pointed(tree: Tree, pointer: str) -> str:
    return next(line.split()[-1] for line in tree.read(pointer).splitlines() if "md5:" in line)


def test_a_new_dataset_with_directories_is_ignored_by_git_and_known_to_dvc(
    letters: Tree, cli: Cli, tmp_path: Path
) -> None:
    folder = tmp_path / "books"
    (folder / "part/one").mkdir(parents=True)
    (folder / "part/one/a.txt").write_text("a")
    (folder / "b.txt").write_text("b")
    cli("put", "books", str(folder))
    assert letters.read("data/books/part/one/a.txt") == "a"
    assert letters.read("data/books/b.txt") == "b"
    assert committed(letters) == ["data/.gitignore", "data/books.dvc"]
    assert "/books\n" in letters.read("data/.gitignore")
    letters.dvc("checkout", "data/books.dvc")
    assert "up to date" in letters.dvc("status", "data/books.dvc").out


def test_a_dataset_that_a_pipeline_reads_already_can_be_created(
    letters: Tree, cli: Cli, new_files: NewFiles
) -> None:
    text = letters.read("pipelines/letters.yaml")
    letters.write("pipelines/letters.yaml", text.replace("letters_raw/*.txt", "first_words/*"))
    letters.commit("Read something else")
    cli("check", code=2)
    cli("put", "first_words", *new_files(a="a"))
    cli("check")


def test_to_puts_below_a_directory_and_a_file_is_replaced(
    letters: Tree, cli: Cli, new_files: NewFiles
) -> None:
    cli("put", "letters_raw", *new_files(a="other"))
    assert letters.read("data/letters_raw/a.txt") == "other"
    cli("put", "letters_raw", *new_files(a="deep"), "--to", "more/")
    assert letters.read("data/letters_raw/more/a.txt") == "deep"
    assert letters.read("data/letters_raw/a.txt") == "other"


def test_the_version_before_stays_in_the_cache(letters: Tree, cli: Cli, new_files: NewFiles) -> None:
    """Also where the workspace held its only copy."""
    before = letters.contents("data/letters_raw")
    for path in (letters.root / ".dvc/cache/files/md5").rglob("*"):
        if path.is_file() and path.suffix != ".dir":
            path.unlink()
    cli("put", "letters_raw", *new_files(a="other"))
    letters.git("checkout", "-q", "HEAD~1", "--", POINTER)
    (letters.root / "data/letters_raw/a.txt").unlink()
    letters.dvc("checkout", "--force", POINTER)
    assert letters.contents("data/letters_raw") == before


def test_the_same_content_is_no_new_version(letters: Tree, cli: Cli, new_files: NewFiles) -> None:
    before = state(letters)
    done = cli("put", "letters_raw", *new_files(a="alpha"))
    assert "is unchanged" in done.out
    assert state(letters) == before
    data = cli("put", "letters_raw", *new_files(a="alpha"), "--json").data
    assert (data["changed"], data["commit"], data["version"]) == (False, None, data["previous"])


def test_the_message_is_the_users(letters: Tree, cli: Cli, new_files: NewFiles) -> None:
    cli("put", "letters_raw", *new_files(d="delta"), "-m", "What Ada sent")
    assert letters.git("show", "--format=%s", "-s").out.strip() == "What Ada sent"


def test_what_else_is_staged_and_edited_stays_so(letters: Tree, cli: Cli, new_files: NewFiles) -> None:
    letters.write("stages/helper.py", letters.read("stages/helper.py") + "# staged\n")
    letters.git("add", "stages/helper.py")
    letters.write("stages/letters.py", letters.read("stages/letters.py") + "# edited\n")
    letters.write("notes.txt", "untracked")
    cli("put", "letters_raw", *new_files(d="delta"))
    assert committed(letters) == [POINTER]
    assert letters.git("status", "--porcelain").out.splitlines() == [
        "M  stages/helper.py",
        " M stages/letters.py",
        "?? notes.txt",
    ]


def test_an_edited_gitignore_is_no_matter_of_a_dataset_that_is_there(
    letters: Tree, cli: Cli, new_files: NewFiles
) -> None:
    letters.write("data/.gitignore", letters.read("data/.gitignore") + "/mine\n")
    cli("put", "letters_raw", *new_files(d="delta"))
    assert committed(letters) == [POINTER]
    done = cli("put", "books", *new_files(d="delta"), code=2)
    assert "data/.gitignore is edited and not committed" in done.err
    assert not (letters.root / "data/books").exists()


def test_no_commit_stages_as_often_as_one_likes(letters: Tree, cli: Cli, new_files: NewFiles) -> None:
    head = letters.git("rev-parse", "HEAD").out
    done = cli("put", "one", *new_files(a="a"), "--no-commit")
    assert "staged in git, not committed" in done.out
    cli("put", "two", *new_files(a="a"), "--no-commit")
    data = cli("put", "one", *new_files(b="b"), "--no-commit", "--json").data
    assert (data["files"], data["commit"]) == (2, None)
    assert letters.git("rev-parse", "HEAD").out == head
    staged = letters.git("diff", "--cached", "--name-only").out.split()
    assert staged == ["data/.gitignore", "data/one.dvc", "data/two.dvc"]
    assert letters.git("diff", "--name-only").out == ""


def test_hooks_are_run_where_asked_for(letters: Tree, cli: Cli, new_files: NewFiles) -> None:
    hook = letters.write(".git/hooks/pre-commit", "#!/bin/sh\necho no such day >&2\nexit 1\n")
    hook.chmod(0o755)
    done = cli("put", "letters_raw", *new_files(d="delta"), "--hooks", code=2)
    assert "no such day" in done.err
    assert f"git add {POINTER}" in done.err, "it says what has happened already"
    letters.git("checkout", POINTER)
    letters.dvc("checkout", "--force", POINTER)
    cli("put", "letters_raw", *new_files(d="delta"))


# ---------------------------------------------------------------- refused


def _unversioned(tree: Tree) -> None:
    tree.write("data/letters_raw/extra.txt", "put here by hand")


def _detached(tree: Tree) -> None:
    tree.git("checkout", "-q", "--detach")


def _merging(tree: Tree) -> None:
    tree.write(".git/MERGE_HEAD", tree.git("rev-parse", "HEAD").out)


def _staged(tree: Tree) -> None:
    tree.write(POINTER, tree.read(POINTER) + "desc: words\n")
    tree.git("add", POINTER)


def _edited(tree: Tree) -> None:
    tree.write(POINTER, tree.read(POINTER) + "desc: words\n")


def _conflict(tree: Tree) -> None:
    tree.write(POINTER, "<<<<<<< HEAD\n" + tree.read(POINTER))


def _missing(tree: Tree) -> None:
    for path in (tree.root / "data/letters_raw").iterdir():
        path.unlink()
    (tree.root / "data/letters_raw").rmdir()


def _imported(tree: Tree) -> None:
    text = tree.read(POINTER)
    tree.write(POINTER, f"deps:\n- path: /elsewhere\n  md5: {'0' * 32}\n  size: 1\n  hash: md5\n{text}")
    tree.commit("As `dvc import-url` leaves it")


def _locked(tree: Tree) -> None:
    path = os.path.realpath(tree.root / "data/letters_raw")
    held = {"read": {path: [{"pid": os.getppid(), "cmd": "dvc repro"}]}}
    tree.write(".dvc/tmp/rwlock", json.dumps(held))


@pytest.mark.parametrize(
    ("spoil", "code", "message"),
    [
        (_unversioned, 3, "data/letters_raw has changes that no version holds"),
        (_detached, 2, "HEAD is detached"),
        (_merging, 2, "a merge is under way"),
        (_staged, 2, f"{POINTER} is staged and not committed"),
        (_edited, 2, f"{POINTER} is edited and not committed"),
        (_conflict, 2, "is edited and not committed"),
        (_missing, 3, "the dataset letters_raw is not in the workspace"),
        (_imported, 3, "was imported"),
        (_locked, 3, "is being read by process"),
    ],
)
def test_refused_with_nothing_changed(
    letters: Tree, cli: Cli, new_files: NewFiles, spoil: Any, code: int, message: str
) -> None:
    files = new_files(d="delta")
    spoil(letters)
    before, head = state(letters)
    refused(cli("put", "letters_raw", *files, code=code), message, letters, before, head)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["letters"], "data/letters belongs to the pipeline letters"),
        (["by_hand"], "data/by_hand belongs to a stage of dvc.yaml, which writes data/by_hand/out"),
        (["Letters-2"], "'Letters-2' cannot name a dataset"),
        (["data/letters_raw/"], "did you mean letters_raw?"),
        (["letters_raw", "--to", ".."], "leaves the dataset"),
        (["letters_raw", "--to", "/tmp"], "leaves the dataset"),
        (["letters_raw", "--to", "a.txt"], "a.txt is a file"),
    ],
)
def test_a_place_that_cannot_be_is_a_usage_error(
    letters: Tree, cli: Cli, new_files: NewFiles, arguments: list[str], message: str
) -> None:
    files = new_files(d="delta")
    by_hand = "stages:\n  by-hand:\n    cmd: mkdir out\n    outs:\n    - data/by_hand/out\n"
    letters.write("dvc.yaml", letters.read("dvc.yaml").replace("stages:\n", by_hand))
    before, head = state(letters)
    refused(cli("put", arguments[0], *files, *arguments[1:], code=2), message, letters, before, head)


def test_files_that_cannot_be_put(letters: Tree, cli: Cli, tmp_path: Path) -> None:
    before, head = state(letters)
    folder = tmp_path / "new"
    (folder / "empty").mkdir(parents=True)
    (folder / "x").mkdir()
    (folder / "x/a.txt").write_text("1")
    (folder / "a.txt").write_text("2")
    (folder / ".dvcignore").write_text("*")
    (letters.root / "data/letters_raw/sub").mkdir()
    letters.write("data/letters_raw/sub/a.txt", "a")
    letters.dvc("add", "-q", "data/letters_raw")
    letters.commit("A directory")
    before, head = state(letters)

    def put(*files: str) -> Done:
        return cli("put", "letters_raw", *(str(folder / file) for file in files), code=2)

    refused(put("nope.txt"), "there is no file", letters, before, head)
    refused(put("empty"), "there is no file in", letters, before, head)
    refused(put("a.txt", "x/a.txt"), "two of the files would be a.txt", letters, before, head)
    (folder / "sub").write_text("a file")
    refused(put("sub"), "sub is a directory of data/letters_raw", letters, before, head)
    (folder / "link").symlink_to(folder / "x")
    os.unlink(folder / ".dvcignore")
    refused(cli("put", "letters_raw", str(folder), code=2), "is a link to a directory", letters, before, head)


def test_what_dvc_leaves_out_is_refused_by_name_and_passed_over_in_a_directory(
    letters: Tree, cli: Cli, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git/config").write_text("")
    (folder / "a.log").write_text("")
    (folder / "d.txt").write_text("delta")
    letters.write(".dvcignore", "*.log\n")
    letters.commit("Ignore logs")
    before, head = state(letters)
    done = cli("put", "letters_raw", str(folder), code=2)
    refused(done, "a.log cannot be in a dataset: DVC leaves it out", letters, before, head)
    (folder / "a.log").unlink()
    cli("put", "letters_raw", str(folder))
    assert sorted(os.listdir(letters.root / "data/letters_raw")) == ["a.txt", "b.txt", "c.txt", "d.txt"]


def test_before_the_first_commit(tree: Tree, here: Any, cli: Cli, new_files: NewFiles) -> None:
    here(tree)
    tree.git("update-ref", "-d", "HEAD")
    cli("put", "letters_raw", *new_files(a="alpha"))
    assert sorted(committed(tree)) == ["data/.gitignore", POINTER]
