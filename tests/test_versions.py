"""Versions out of git's history: each once for as long as it stood, with the commit that brought it."""

from __future__ import annotations

from tests.support import Tree
from trunkline import versions


def pointer(number: int) -> str:
    return (
        f"outs:\n- md5: {number:032x}.dir\n  size: {number}\n  nfiles: {number}\n  hash: md5\n  path: raw\n"
    )


def found(tree: Tree) -> list[tuple[int, str]]:
    return [
        (past.version.size, past.commit.subject) for past in versions.of_source(str(tree.root), "data/raw")
    ]


def test_a_version_stands_from_its_first_commit_until_another_or_none(tree: Tree) -> None:
    for number, text in enumerate(
        [
            pointer(1),
            pointer(2),
            pointer(2) + "desc: two\n",
            "<<<<<<< ours\n",
            pointer(2),
            None,
            pointer(1),
            "outs:\n- path: raw\n  hash: md5\n",
        ]
    ):
        if text is None:
            (tree.root / "data/raw.dvc").unlink()
        else:
            tree.write("data/raw.dvc", text)
        tree.commit(f"{number}")
    assert found(tree) == [(1, "6"), (2, "4"), (2, "1"), (1, "0")]


def test_more_commits_than_are_asked_of_git_at_once(tree: Tree) -> None:
    stream = []
    for number in range(40):
        text = pointer(number)
        stream.append(
            f"commit refs/heads/main\ncommitter A <a@b> {1_700_000_000 + number} +0000\n"
            f"data 2\n{number:02}\n"
            + ("from refs/heads/main^0\n" if number == 0 else "")
            + f"M 100644 inline data/raw.dvc\ndata {len(text)}\n{text}\n"
        )
    tree.write("stream", "".join(stream))
    tree.command("sh", "-c", "git fast-import --quiet < stream")
    assert found(tree) == [(number, f"{number:02}") for number in reversed(range(40))]


def test_before_the_first_commit_there_is_none(tree: Tree) -> None:
    tree.git("update-ref", "-d", "HEAD")
    assert found(tree) == []


def test_the_versions_of_an_output_are_those_of_dvc_lock(tree: Tree) -> None:
    for number in (1, 2, 2):
        outs = (
            f"    outs:\n    - path: data/p/s\n      hash: md5\n      md5: {number:032x}.dir\n      size: 1\n"
        )
        tree.write("dvc.lock", f"schema: '2.0'\nstages:\n  p-s:\n    cmd: {number}\n{outs}      nfiles: 1\n")
        tree.commit(f"{number}")
    past = list(versions.of_output(str(tree.root), "data/p/s", "p-s"))
    assert [row.commit.subject for row in past] == ["2", "1"]
    assert list(versions.of_output(str(tree.root), "data/p/other", "p-other")) == []
