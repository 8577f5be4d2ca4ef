"""A file that is purged is nowhere any longer, and all that has a hole says so. Real git, DVC, remotes."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path

import pytest

from tests.support import PIPELINE, Tree
from trunkline.points import Point

SECRET = "A person of whom nothing may be left, "
MODEL = PIPELINE.replace(
    "    metrics: [metrics.json]\n", "    model: {name: letters_total, path: metrics.json}\n"
)


@pytest.fixture(scope="module")
def _known(_letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of a.txt hold the secret, both were run, committed and sent; a model has seen them.

    The first version, "alpha", was never run.
    """
    place = tmp_path_factory.mktemp("known")
    tree = Tree(_letters).copy(place / "project")
    tree.write("pipelines/letters.yaml", MODEL)
    tree.command("git", "init", "-q", "-b", "main", "--bare", str(place / "origin.git"))
    tree.git("remote", "add", "origin", "../origin.git")
    tree.dvc("remote", "add", "-q", "-d", "store", "../store")
    for text in ("once", "and once more"):
        tree.write("data/letters_raw/a.txt", SECRET + text)
        tree.trunkline("run")
        tree.commit(text)
    tree.git("push", "-q", "-u", "origin", "main")
    tree.trunkline("push")
    return place


@pytest.fixture
def known(_known: Path, tmp_path: Path) -> Tree:
    return Tree(Path(shutil.copytree(_known, tmp_path / "known", symlinks=True)) / "project")


def holding(tree: Tree, *folders: str) -> set[str]:
    """The files that hold the secret, or what the stage `upper` made of it."""
    found = set()
    for folder in folders:
        for path in (tree.root / folder).rglob("*"):
            if path.is_file() and SECRET.lower().encode() in path.read_bytes().lower():
                found.add(str(path.relative_to(tree.root)))
    return found


EVERYWHERE = (".dvc/cache", "data", ".trunkline", "../store")


def test_it_is_shown_first(known: Tree) -> None:
    before = known.contents(".dvc/cache", "data"), known.git("rev-parse", "HEAD").out
    shown = known.trunkline("purge", "letters_raw", "a.txt")
    assert "nothing is done without --yes" in shown.out
    told = known.trunkline("purge", "letters_raw", "a.txt", "--json").data
    assert (known.contents(".dvc/cache", "data"), known.git("rev-parse", "HEAD").out) == before
    assert len(told["contents"]) == 3
    assert {row["dataset"] + "/" + row["path"] for row in told["derived"]} == {
        "letters.upper/a.txt",
        "letters.count/a.json",
    }
    assert {row["path"] for row in told["models"]} == {"metrics.json"}
    assert len(told["models"]) == 2
    assert told["present"] == {"letters_raw": ["a.txt"]}
    assert "no version of letters_raw" in known.trunkline("purge", "letters_raw", "z.txt", check=False).err


def test_it_is_gone_from_everywhere_and_every_hole_is_named(known: Tree) -> None:
    assert len(holding(known, *EVERYWHERE)) >= 8
    run = known.trunkline("runs", "--json").data[0]["id"]
    asked = ("purge", "letters_raw", "a.txt", "--yes", "--remote", "--reason", "request 17", "--json")
    proof = known.trunkline(*asked).data["proof"]
    assert holding(known, *EVERYWHERE) == set()
    assert (proof["found"], proof["partly"], proof["whole"]) == ({}, 2, 7)
    assert proof["read"].keys() == {"cache", "workspace", "git", "remote"}
    assert all(proof["read"].values())
    assert known.git("status", "--porcelain").out == ""
    notes = [json.loads(line) for line in known.read("data/purged.jsonl").splitlines()]
    assert [note["path"] for note in notes if not note["source"]] == ["a.txt"] * 3

    said = "letters_raw/a.txt was purged on"
    assert known.trunkline("versions", "letters_raw").out.count("(purged of it: a.txt)") == 3
    lineage = known.trunkline("lineage", "data/letters/total/metrics.json")
    assert "cannot be reproduced" in lineage.out
    assert said in lineage.out
    nodes = known.trunkline("lineage", "data/letters/total/metrics.json", "--json").data["nodes"]
    assert any(node["attributes"].get("reproducible") is False for node in nodes)
    assert said in known.trunkline("datums", "letters.upper", "--run", run).out

    known.trunkline("run")
    assert known.trunkline("status").out == "everything is up to date\n"
    assert holding(known, *EVERYWHERE) == set()
    assert {ran for ran, _, _ in known.counts().values()} == {0, 1}, "the total alone is computed again"
    known.commit("Without it")
    known.git("checkout", "-q", "HEAD~3")
    old = known.dvc("checkout", check=False)
    assert old.code != 0
    assert "letters_raw" in old.out + old.err


def test_models_go_too_where_that_is_asked_for(known: Tree) -> None:
    model = (known.root / "data/letters/total/metrics.json").read_bytes()
    done = known.trunkline("purge", "letters_raw", "a.txt", "--yes", "--derived", "--json").data
    assert done["models"] == []
    assert model not in known.contents(".dvc/cache/files").values()
    assert not (known.root / "data/letters/total/metrics.json").exists()
    assert SECRET.encode() in b"".join(known.contents("../store").values()), "the remote was not asked for"


def test_what_still_holds_it_is_found(known: Tree) -> None:
    """In another dataset as a part of a file, in git, and in the log of a run."""
    known.write("data/other/all.txt", f"before, {SECRET}once, behind")
    known.dvc("add", "-q", "data/other")
    known.write("notes.md", f"{SECRET}once")
    known.commit("Copies")
    done = known.trunkline("purge", "letters_raw", "a.txt", "--yes", "--json", check=False)
    assert done.code == 1
    found = set(done.data["proof"]["found"])
    blob = known.git("rev-parse", "HEAD~1:notes.md").out.strip()
    assert f"git object {blob} blob" not in found
    assert any(name.startswith(f"git object {blob}") for name in found)
    assert "data/other/all.txt" in found
    assert any(name.startswith(".dvc/cache/files/md5/") for name in found)
    assert len(found) == 3


def test_another_clone_purges_by_what_git_tells_it(known: Tree) -> None:
    known.command("git", "clone", "-q", "../origin.git", "../clone")
    other = Tree(known.root.parent / "clone")
    other.trunkline("pull", "--all")
    assert holding(other, ".dvc/cache", "data")
    known.trunkline("purge", "letters_raw", "a.txt", "--yes", "--remote")
    known.trunkline("run")
    known.commit("Without it")
    known.git("push", "-q")
    known.trunkline("push")
    other.git("pull", "-q")
    other.trunkline("pull")
    assert holding(other, ".dvc/cache")
    assert "would be purged: 3 contents" in other.trunkline("purge").out
    assert other.trunkline("purge", "--yes", "--json").data["proof"]["found"] == {}
    assert holding(other, ".dvc/cache", "data") == set()
    other.trunkline("push")
    assert holding(known, *EVERYWHERE) == set()


def test_what_another_datum_makes_alike_stays(known: Tree) -> None:
    known.write("data/letters_raw/d.txt", SECRET.replace("A person", "Somebody") + "once")
    known.trunkline("run")
    known.commit("As long")
    told = known.trunkline("purge", "letters_raw", "a.txt", "--json").data
    alike = known.read("data/letters/count/d.json")
    known.trunkline("purge", "letters_raw", "a.txt", "--yes")
    assert known.read("data/letters/count/d.json") == alike
    assert [row["path"] for row in told["derived"]].count("a.json") == 1, "one of the two lengths is d's, too"
    known.trunkline("run")
    assert known.counts()["letters.count"][0] == 0


@pytest.mark.parametrize("point", [Point.PURGE_NOTED, Point.OBJECT_REMOVED])
def test_a_kill_in_the_middle_is_ended_by_a_second_call(known: Tree, point: Point) -> None:
    killed = known.trunkline(
        "purge", "letters_raw", "a.txt", "--yes", "--remote", check=False, TRUNKLINE_CRASH=f"{point}"
    )
    assert killed.code == -signal.SIGKILL
    assert holding(known, *EVERYWHERE)
    assert known.git("fsck", "--strict").code == 0
    assert known.trunkline("plan", check=False).code in (0, 1)
    assert known.trunkline("purge", "--yes", "--remote", "--json").data["proof"]["found"] == {}
    assert holding(known, *EVERYWHERE) == set()
    known.trunkline("run")
    assert known.trunkline("status").out == "everything is up to date\n"
    assert known.dvc("status", "-q").code == 0
