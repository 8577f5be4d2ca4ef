"""The worktree of a deployment: made, brought up to date, repaired, locked; the user's own tree unchanged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ENVIRONMENT, Tree
from trunkline.errors import LockedError, ProjectError, UsageError
from trunkline.store import worktree as module
from trunkline.store.worktree import Worktree

FOLDER = ".trunkline/worktrees"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def home(project: Tree) -> Tree:
    return project


def deployed(home: Tree) -> Worktree:
    return Worktree(str(home.root), "letters")


def tip(home: Tree, rev: str = "main") -> str:
    return home.git("rev-parse", rev).out.strip()


def brought(home: Tree, rev: str = "main") -> Tree:
    """The worktree, at a commit."""
    place = deployed(home)
    place.bring_to(tip(home, rev))
    assert place.is_sound()
    return Tree(Path(place.root))


def commit(home: Tree, path: str, text: str) -> str:
    home.write(path, text)
    home.git("add", "--", path)
    home.git("commit", "-qm", f"Change {path}", "--", path)
    return tip(home)


def everything(home: Tree) -> list[object]:
    """All that must not change in the user's own tree."""
    said = [
        home.git("symbolic-ref", "HEAD", check=False).out,
        home.git("rev-parse", "HEAD").out,
        home.git("status", "--porcelain=v2", "--untracked-files=all").out,
        home.git("ls-files", "--stage", "--debug").out,
        home.git("for-each-ref", "refs/heads").out,
    ]
    files = {
        str(path.relative_to(home.root)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in home.root.rglob("*")
        if path.is_file() and not {".git", ".trunkline"} & set(path.relative_to(home.root).parts)
    }
    return [*said, files]


# ---------------------------------------------------------------- made and brought up to date


def test_it_is_made_detached_and_a_dirty_home_stays_as_it_is(home: Tree) -> None:
    first = tip(home)
    home.write("stages/helper.py", "staged\n")
    home.git("add", "stages/helper.py")
    home.write("stages/helper.py", "staged, and edited again\n")
    home.write("notes.txt", "untracked")
    (home.root / "dvc.yaml").unlink()
    before = everything(home)
    tree = brought(home)
    assert everything(home) == before
    assert tree.git("symbolic-ref", "-q", "HEAD", check=False).code == 1
    assert tip(tree, "HEAD") == first
    assert tree.git("status", "--porcelain").out == ""
    assert (home.root / FOLDER / ".gitignore").read_text() == "*\n"
    assert home.git("worktree", "list").out.count("\n") == 2


def test_a_merge_under_way_in_the_home_goes_on(home: Tree) -> None:
    home.git("checkout", "-q", "-b", "side")
    commit(home, "notes.txt", "theirs\n")
    home.git("checkout", "-q", "main")
    commit(home, "notes.txt", "ours\n")
    home.git("merge", "side", check=False)
    before = everything(home)
    assert brought(home).read("notes.txt") == "ours\n"
    assert everything(home) == before
    assert (home.root / ".git/MERGE_HEAD").exists()


def test_it_follows_the_branch_and_keeps_what_git_ignores(home: Tree) -> None:
    tree = brought(home)
    tree.write("data/letters_raw/a.txt", "data")
    tree.write("data/letters/upper/a.txt", "made")  # ignored by a line that only this run wrote
    tree.write("data/letters/.gitignore", "/upper\n")
    tree.write("stages/helper.py", "edited\n")
    tree.write("report.html", "untracked")
    (tree.root / "dvc.yaml").unlink()
    newest = commit(home, "stages/helper.py", "newest\n")
    assert tip(brought(home), "HEAD") == newest
    assert tree.read("stages/helper.py") == "newest\n"
    assert tree.read("data/letters_raw/a.txt") == "data"
    assert not (tree.root / "report.html").exists()
    assert (tree.root / "dvc.yaml").exists()
    assert tree.git("status", "--porcelain").out == ""


def test_it_goes_back_where_the_branch_was_reset(home: Tree) -> None:
    first = tip(home)
    commit(home, "notes.txt", "a thought\n")
    tree = brought(home)
    assert tree.read("notes.txt") == "a thought\n"
    assert not (brought(home, first).root / "notes.txt").exists()


def test_a_branch_that_somebody_checked_out_in_it_does_not_move(home: Tree) -> None:
    tree = brought(home)
    first = tip(home)
    tree.git("switch", "-qc", "mine")
    newest = commit(home, "notes.txt", "a thought\n")
    assert tip(brought(home), "HEAD") == newest
    assert tip(home, "mine") == first


def test_no_hook_of_the_user_runs(home: Tree) -> None:
    hook = home.root / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {home.root}/hooked\n")
    hook.chmod(0o755)
    brought(home)
    commit(home, "notes.txt", "a thought\n")
    brought(home)
    assert not (home.root / "hooked").exists()


def test_all_of_a_sparse_home_is_there(home: Tree) -> None:
    home.git("status")  # a copied tree looks edited to it
    home.git("sparse-checkout", "set", "data")
    assert not (home.root / "stages/letters.py").exists()
    tree = brought(home)
    assert (tree.root / "stages/letters.py").exists()
    commit(home, "data/notes.txt", "a thought\n")
    assert (brought(home).root / "stages/letters.py").exists()
    assert not (home.root / "stages/letters.py").exists()


def test_a_home_without_a_working_tree_of_its_own(home: Tree) -> None:
    home.git("config", "core.bare", "true")
    tree = brought(home)
    assert tree.git("status", "--porcelain").out == ""
    assert tree.read(".dvc/config.local").count(str(home.root / ".dvc/cache")) == 1


def test_a_home_that_is_a_worktree_itself(home: Tree, tmp_path: Path) -> None:
    home.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = Tree(tmp_path / "side")
    before = everything(side)
    tree = brought(side, "side")
    assert everything(side) == before
    assert tree.root == side.root / FOLDER / "letters"


def test_a_project_below_the_top_of_its_repository(tmp_path: Path, home: Tree) -> None:
    top = Tree(tmp_path / "top")
    top.root.mkdir()
    top.git("init", "-q", "-b", "main")
    shutil.copytree(home.root, top.root / "a/b", ignore=shutil.ignore_patterns(".git"))
    top.commit()
    inner = Tree(top.root / "a/b")
    tree = brought(inner)
    assert tree.root == inner.root / FOLDER / "letters/a/b"
    tree.write("data/letters_raw/a.txt", "data")
    commit(inner, "notes.txt", "a thought\n")
    assert brought(inner).read("notes.txt") == "a thought\n"
    assert tree.read("data/letters_raw/a.txt") == "data"
    assert (tree.root / ".dvc/config.local").exists()


def test_what_is_no_name_of_a_pipeline_is_no_path(home: Tree) -> None:
    for name in ("../../elsewhere", "", "A", "a/b"):
        with pytest.raises(UsageError, match="no pipeline's name"):
            Worktree(str(home.root), name)


def test_it_can_be_taken_away(home: Tree) -> None:
    tree = brought(home)
    place = deployed(home)
    assert place.is_made()
    with (
        place.hold(print),
        pytest.raises(LockedError, match="a run of letters is at work: process"),
        deployed(home).hold(print, wait=False),
    ):
        pass
    place.remove()
    assert not place.is_made()
    assert not tree.root.exists()
    assert home.git("worktree", "list").out.count("\n") == 1
    brought(home)


# ---------------------------------------------------------------- repaired


def _admin(tree: Tree) -> Path:
    return Path(tree.git("rev-parse", "--absolute-git-dir").out.strip())


def _delete(home: Tree, tree: Tree) -> None:
    shutil.rmtree(tree.root)


def _delete_and_prune(home: Tree, tree: Tree) -> None:
    shutil.rmtree(tree.root)
    home.git("worktree", "prune")


def _delete_locked(home: Tree, tree: Tree) -> None:
    home.git("worktree", "lock", str(tree.root))
    shutil.rmtree(tree.root)


def _delete_link(home: Tree, tree: Tree) -> None:
    (tree.root / ".git").unlink()


def _delete_admin(home: Tree, tree: Tree) -> None:
    shutil.rmtree(_admin(tree))


def _damage_index(home: Tree, tree: Tree) -> None:
    (_admin(tree) / "index").write_bytes(b"DIRC not an index")


def _damage_head(home: Tree, tree: Tree) -> None:
    (_admin(tree) / "HEAD").write_text("nonsense\n")


def _half_made(home: Tree, tree: Tree) -> None:
    (_admin(tree) / "locked").write_text("initializing\n")
    (_admin(tree) / "index").unlink()
    (tree.root / "dvc.yaml").unlink()


def _a_file_instead(home: Tree, tree: Tree) -> None:
    shutil.rmtree(tree.root)
    tree.root.write_text("")


def _a_repository_instead(home: Tree, tree: Tree) -> None:
    shutil.rmtree(tree.root)
    tree.root.mkdir()
    tree.git("init", "-q")


DAMAGES = (
    _delete, _delete_and_prune, _delete_locked, _delete_link, _delete_admin, _damage_index, _damage_head,
    _half_made, _a_file_instead, _a_repository_instead,
)  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_it_is_repaired(home: Tree, damage: Callable[[Tree, Tree], None]) -> None:
    tree = brought(home)
    before = everything(home)
    damage(home, tree)
    brought(home)
    assert everything(home) == before
    assert tree.git("status", "--porcelain").out == ""
    assert tip(tree, "HEAD") == tip(home)
    assert home.git("worktree", "list").out.count("\n") == 2
    home.git("fsck", "--strict")


def test_the_lock_of_a_git_that_was_killed(home: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 0.2)
    tree = brought(home)
    tree.write("data/letters_raw/a.txt", "data")
    (_admin(tree) / "index.lock").write_text("")
    newest = commit(home, "notes.txt", "a thought\n")
    assert tip(brought(home), "HEAD") == newest
    assert tree.read("data/letters_raw/a.txt") == "data", "it was refreshed, not made anew"


def test_a_copy_of_the_project_has_a_worktree_of_its_own(home: Tree, tmp_path: Path) -> None:
    tree = brought(home)
    copy = home.copy(tmp_path / "copy")
    assert not deployed(copy).is_sound(), "it is still that of the project it was copied from"
    commit(copy, "notes.txt", "only in the copy\n")
    assert brought(copy).read("notes.txt") == "only in the copy\n"
    assert tip(tree, "HEAD") == tip(home)
    assert deployed(home).is_sound()


_MAKER = """
import shutil, sys
from trunkline.store.worktree import Worktree

place = Worktree(sys.argv[1], "letters")
print("begun", flush=True)
while True:
    shutil.rmtree(place.path, ignore_errors=True)
    place.bring_to(sys.argv[2])
    place.bring_to(sys.argv[3])
"""


@pytest.mark.parametrize("after", [0.03, 0.06, 0.1, 0.15])
def test_kill_9_in_the_middle(home: Tree, after: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", 1.0)
    first = tip(home)
    for number in range(200):
        home.write(f"notes/{number}.txt", str(number))
    home.commit()
    arguments = [sys.executable, "-c", _MAKER, str(home.root), first, tip(home)]
    process = subprocess.Popen(
        arguments, env=home.environment(), stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    tree = brought(home)
    assert tree.git("status", "--porcelain").out == ""
    assert tree.read("notes/199.txt") == "199"
    home.git("fsck", "--strict")


# ---------------------------------------------------------------- one run at a time

_HOLDER = """
import sys, time
from trunkline.store.worktree import Worktree

with Worktree(sys.argv[1], "letters").hold(print):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_run_waits_and_says_for_whom(home: Tree) -> None:
    command = [sys.executable, "-c", _HOLDER, str(home.root)]
    first = subprocess.Popen(command, env=home.environment(), stdout=subprocess.PIPE, text=True)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        first.kill()  # the kernel lets go of its lock

    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with Worktree(str(home.root), "others").hold(print):
            pass
        with deployed(home).hold(say):
            assert first.wait() < 0
    finally:
        first.kill()
        first.communicate()
    assert len(said) == 1
    assert said[0].startswith(f"another run of letters is at work: waiting for process {first.pid} (")


# ---------------------------------------------------------------- DVC's configuration


def test_dvc_in_it_has_the_home_s_cache_and_remotes(home: Tree) -> None:
    home.dvc("remote", "add", "-d", "near", "../store")
    home.dvc("remote", "add", "far", "s3://bucket/path")
    home.commit()
    home.dvc("cache", "dir", "--local", "../the cache")
    home.dvc("remote", "modify", "--local", "far", "secret_access_key", "a#b, c")
    home.dvc("remote", "add", "--local", "own", "../own")
    before = everything(home)
    tree = brought(home)
    beside = home.root.parent
    assert tree.dvc("cache", "dir").out.strip() == str(beside / "the cache")
    assert tree.dvc("remote", "list").out.split() == [
        "near", str(beside / "store"), "(default)", "far", "s3://bucket/path", "own", str(beside / "own"),
    ]  # fmt: skip
    value = tree.dvc("config", "remote.far.secret_access_key").out
    assert value == home.dvc("config", "remote.far.secret_access_key").out
    assert (tree.root / ".dvc/config.local").stat().st_mode & 0o077 == 0
    assert tree.git("status", "--porcelain").out == ""
    assert everything(home) == before


def test_a_commit_without_dvc_is_refused(home: Tree) -> None:
    home.git("checkout", "-q", "--orphan", "empty")
    home.git("rm", "-rqf", ".")
    commit(home, "notes.txt", "")
    with pytest.raises(ProjectError, match="no DVC project in this commit"):
        brought(home, "empty")
