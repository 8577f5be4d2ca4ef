"""The code of a run as a commit of git that nobody sees but who asks for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import Tree
from trunkline.store import snapshots

RUN = "019aacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e"


@pytest.fixture
def edited(tree: Tree) -> Tree:
    """A repository with every kind of edit in it."""
    for name in ("clean", "edited", "gone", "assumed", "skipped"):
        tree.write(f"{name}.py", f"{name} = 1\n")
    tree.commit("Start")
    tree.git("update-index", "--assume-unchanged", "assumed.py")
    tree.git("update-index", "--skip-worktree", "skipped.py")
    for name in ("edited", "assumed", "skipped"):
        tree.write(f"{name}.py", f"{name} = 2\n")
    (tree.root / "gone.py").unlink()
    tree.write("staged.py", "staged = 1\n")
    tree.git("add", "staged.py")
    tree.write("stages/new.py", "new = 1\n")
    tree.write("notes.txt", "nobody's business\n")
    return tree


def everything(tree: Tree) -> tuple[object, ...]:
    """What a snapshot must not touch."""
    return (
        tree.git("status", "--porcelain=v2", "--branch").out,
        tree.git("ls-files", "-v", "--stage").out,
        tree.git("branch", "-a", "-v").out,
        (tree.root / ".git/index").read_bytes(),
        sorted(os.listdir(tree.root / ".git")),
        {path: path.stat().st_mtime_ns for path in tree.root.glob("*.py")},
    )


def files_of(tree: Tree, rev: str) -> dict[str, str]:
    names = tree.git("ls-tree", "-r", "--name-only", rev).out.split()
    return {name: tree.git("show", f"{rev}:{name}").out for name in names if not name.startswith(".")}


def test_a_snapshot_is_the_tree_as_it_is_and_touches_nothing(edited: Tree) -> None:
    before = everything(edited)
    snapshot = snapshots.take(str(edited.root), ["stages/new.py"])
    assert files_of(edited, snapshot.tree) == {
        "assumed.py": "assumed = 2\n",
        "clean.py": "clean = 1\n",
        "edited.py": "edited = 2\n",
        "skipped.py": "skipped = 2\n",
        "staged.py": "staged = 1\n",
        "stages/new.py": "new = 1\n",
    }
    assert snapshot.parent == edited.git("rev-parse", "HEAD").out.strip()
    assert snapshot.left_out == ()
    commit = snapshots.keep(str(edited.root), RUN, snapshot, {".trunkline/run.json": b"{}\n"}, "A run\n")
    assert everything(edited) == before
    assert edited.git("show", f"{commit}:.trunkline/run.json").out == "{}\n"
    assert edited.git("log", "-1", "--format=%an %ae %cn %s %P", commit).out.split() == [
        *("trunkline", "trunkline@localhost", "trunkline", "A", "run"),
        snapshot.parent,
    ]
    assert snapshots.kept(str(edited.root)) == {RUN: commit}
    snapshots.forget(str(edited.root), RUN)
    assert snapshots.kept(str(edited.root)) == {}


def test_what_is_not_checked_out_is_kept_as_it_is(edited: Tree) -> None:
    (edited.root / "skipped.py").unlink()
    assert files_of(edited, snapshots.take(str(edited.root), []).tree)["skipped.py"] == "skipped = 1\n"


def test_a_project_below_the_top_and_a_repository_without_a_commit(tmp_path: Path) -> None:
    top = Tree(tmp_path)
    top.git("init", "-q")
    top.write("below/stages/a.py", "a = 1\n")
    root = str(tmp_path / "below")
    snapshot = snapshots.take(root, ["stages/a.py"])
    assert snapshot.parent is None
    commit = snapshots.keep(root, RUN, snapshot, {"dvc.lock": b"x\n"}, "A run\n")
    assert top.git("ls-tree", "-r", "--name-only", commit).out.split() == [
        "below/dvc.lock",
        "below/stages/a.py",
    ]


def test_neither_identity_nor_hooks_nor_signatures_are_the_users(edited: Tree) -> None:
    edited.git("config", "commit.gpgsign", "true")
    hook = edited.write(".git/hooks/reference-transaction", "#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    snapshot = snapshots.take(str(edited.root), [])
    snapshots.keep(str(edited.root), RUN, snapshot, {}, "A run\n")
    assert RUN in snapshots.kept(str(edited.root))


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("stages/.env", "A=1", "its name is that of a secret"),
        ("deploy.pem", "x", "its name is that of a secret"),
        ("config/secrets.yaml", "x", "its name is that of a secret"),
        ("stages/key.py", "K = '-----BEGIN RSA PRIVATE KEY-----'", "it holds what looks like a secret"),
        ("stages/db.py", "url = 'postgres://me:hunter2@db/x'", "it holds what looks like a secret"),
        ("stages/declared.py", "print('tr0ub4dor')", "it holds the value of a secret"),
        ("stages/big.py", "#" * (snapshots.LARGE + 1), "it has more than 5 MB"),
    ],
)
def test_secrets_and_large_files_are_left_out_and_named(
    tree: Tree, path: str, text: str, reason: str
) -> None:
    tree.write(path, text)
    snapshot = snapshots.take(str(tree.root), [path], secrets=["tr0ub4dor"])
    assert snapshot.left_out == ((path, reason),)
    assert path not in tree.git("ls-tree", "-r", "--name-only", snapshot.tree).out.split()


def test_a_tracked_file_that_now_holds_a_secret_stays_as_it_was(edited: Tree) -> None:
    edited.write("edited.py", "edited = 'tr0ub4dor'\n")
    snapshot = snapshots.take(str(edited.root), [], secrets=["tr0ub4dor"])
    assert [each.path for each in snapshot.left_out] == ["edited.py"]
    assert files_of(edited, snapshot.tree)["edited.py"] == "edited = 1\n"


def test_a_conflict_and_a_nested_repository(edited: Tree) -> None:
    edited.commit("Edits")
    edited.git("checkout", "-q", "-b", "other", "HEAD~1")
    edited.write("clean.py", "theirs\n")
    edited.commit("Theirs")
    edited.git("checkout", "-q", "main")
    edited.write("clean.py", "ours\n")
    edited.commit("Ours")
    assert edited.git("merge", "other", check=False).code == 1
    nested = Tree(edited.root / "nested")
    nested.root.mkdir()
    nested.git("init", "-q")
    nested.commit("Inside")
    edited.git("add", "nested")
    snapshot = snapshots.take(str(edited.root), [])
    assert "<<<<<<<" in edited.git("show", f"{snapshot.tree}:clean.py").out
    listed = edited.git("ls-tree", snapshot.tree, "nested").out.split()
    assert listed[:3] == ["160000", "commit", nested.git("rev-parse", "HEAD").out.strip()]
