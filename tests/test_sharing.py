"""Records, manifests and data go to others and come from them, through real git and a real DVC remote."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.s3 import S3, s3
from tests.support import Tree
from tests.test_archive import refs


@pytest.fixture(scope="module")
def _shared(_letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an origin and a DVC remote, two runs and one commit of each; all in one directory."""
    place = tmp_path_factory.mktemp("shared")
    tree = Tree(_letters).copy(place / "project")
    tree.command("git", "init", "-q", "-b", "main", "--bare", str(place / "origin.git"))
    tree.git("remote", "add", "origin", "../origin.git")
    tree.dvc("remote", "add", "-q", "-d", "store", "../store")
    for text in ("one", "two"):
        tree.write("data/letters_raw/a.txt", text)
        tree.trunkline("run")
        tree.commit(text)
    tree.git("push", "-q", "-u", "origin", "main")
    return place


@pytest.fixture
def shared(_shared: Path, tmp_path: Path) -> Tree:
    place = Path(shutil.copytree(_shared, tmp_path / "shared", symlinks=True))
    return Tree(place / "project")


def clone(tree: Tree, name: str = "clone") -> Tree:
    tree.command("git", "clone", "-q", str(tree.root.parent / "origin.git"), str(tree.root.parent / name))
    return Tree(tree.root.parent / name)


def test_a_fresh_clone_has_all_of_it_after_a_pull(shared: Tree) -> None:
    sent = shared.trunkline("push", "--json").data
    assert (sent["records"], sent["held"], sent["lacking"], sent["refused"]) == (2, 0, 0, "")
    assert shared.trunkline("push", "--json").data["records"] == 0, "nothing is new"
    other = clone(shared)
    came = other.trunkline("pull", "--all", "--json").data
    assert (came["records"], came["manifests"], came["checkout"]) == (2, 5, ""), (
        "two texts of one length have one total"
    )
    assert other.contents("data/letters") == shared.contents("data/letters")
    assert refs(other) == refs(shared)
    assert other.trunkline("runs", "--json").data == shared.trunkline("runs", "--json").data
    assert other.trunkline("status").out == "everything is up to date\n"
    other.write("data/letters_raw/a.txt", "one")
    other.trunkline("run")
    assert [ran for ran, _, _ in other.counts().values()] == [0, 0], "what was made elsewhere is reused"


def test_a_record_waits_for_its_commit(shared: Tree) -> None:
    shared.trunkline("push")
    shared.write("data/letters_raw/a.txt", "three")
    shared.commit("not pushed")
    shared.trunkline("run")
    held = shared.trunkline("push")
    assert "1 record left here: origin has not got the commit" in held.out
    assert shared.trunkline("push", "--with-history", "--json").data["records"] == 1
    theirs = shared.git("ls-remote", "origin", "refs/trunkline/*").out
    assert theirs.count("refs/trunkline/runs/") == 3
    shared.git("push", "-q")
    assert shared.trunkline("push", "--json").data["held"] == 0


def test_a_server_that_refuses_the_refs_gets_a_bundle_in_the_remote(shared: Tree) -> None:
    hook = shared.root.parent / "origin.git/hooks/update"
    hook.write_text(
        '#!/bin/sh\ncase "$1" in refs/heads/*) exit 0 ;; esac\necho "branches only" >&2\nexit 1\n'
    )
    hook.chmod(0o755)
    sent = shared.trunkline("push", "--json").data
    assert (sent["records"], sent["bundled"]) == (0, 2)
    assert "branches only" in sent["refused"] or "declined" in sent["refused"]
    assert shared.git("ls-remote", "origin", "refs/trunkline/*").out == ""
    (bundle,) = (shared.root.parent / "store/trunkline/records").iterdir()
    shared.trunkline("push")
    assert list(bundle.parent.iterdir()) == [bundle]
    other = clone(shared)
    assert other.trunkline("pull", "--json").data["records"] == 2
    assert refs(other) == refs(shared)
    assert other.trunkline("pull", "--json").data["records"] == 0


def test_an_s3_remote(shared: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in S3.items():
        monkeypatch.setenv(name, value)
    with s3() as bucket:
        shared.dvc("remote", "modify", "store", "url", "s3://data/x")
        shared.dvc("remote", "modify", "store", "endpointurl", bucket.url)
        shared.commit("S3")
        shared.git("push", "-q")
        (shared.root.parent / "origin.git/hooks/update").write_text(
            '#!/bin/sh\n[ "${1#refs/heads}" != "$1" ]\n'
        )
        (shared.root.parent / "origin.git/hooks/update").chmod(0o755)
        assert shared.trunkline("push", "--json").data["bundled"] == 2
        assert any(name.startswith("x/trunkline/records/") for name in bucket.names())
        other = clone(shared)
        assert other.trunkline("pull", "--json").data["records"] == 2
        assert other.contents("data/letters") == shared.contents("data/letters")
        stored = _objects(bucket.names())
        other.trunkline("runs", "forget", other.trunkline("runs", "--json").data[1]["id"])
        other.trunkline("gc", "--remote", "--yes", "--all-commits")
        done = other.trunkline("purge", "letters_raw", "a.txt", "--remote", "--yes", "--json").data
        gone = {row["md5"] for row in (*done["contents"], *done["derived"])} & stored
        left = _objects(bucket.names())
        assert left == stored - gone, "what is young stays for gc, and nothing else went"
        assert gone
        assert done["proof"]["read"]["remote"] == len(left)


def _objects(names: Iterable[str]) -> set[str]:
    """The content hashes of a bucket's objects."""
    return {"".join(name.split("/")[-2:]) for name in names if "/files/md5/" in name}


def test_without_anything_to_share_with(project: Tree) -> None:
    project.trunkline("run")
    assert project.trunkline("push", "--json").data["records"] == 0
    assert "there is no DVC remote" in project.trunkline("push", "-r", "nowhere", check=False).err
