"""The branch that results go to: its commits and their parents, who may move it, what origin gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ENVIRONMENT, Tree
from trunkline.errors import ProjectError, UsageError
from trunkline.store import branches
from trunkline.store.branches import ResultBranch

NAME = "trunkline/letters"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repo(tree: Tree) -> Tree:
    tree.write("notes.txt", "one\n")
    tree.commit()
    return tree


@pytest.fixture
def origin(repo: Tree, tmp_path: Path) -> Path:
    """A bare repository that `repo` has as its origin."""
    path = tmp_path / "origin.git"
    repo.git("init", "-q", "--bare", str(path))
    repo.git("remote", "add", "origin", str(path))
    repo.git("push", "-q", "-u", "origin", "main")
    return path


def results(repo: Tree) -> ResultBranch:
    return ResultBranch(str(repo.root), NAME)


def tip(repo: Tree, rev: str) -> str:
    return repo.git("rev-parse", rev).out.strip()


def advance(repo: Tree, text: str, **more: bytes | None) -> str:
    return results(repo).advance(
        tip(repo, "main"), {"dvc.lock": text.encode(), **more}, f"Make {text}\n\nBody"
    )


def follow(repo: Tree, text: str) -> str:
    repo.write("notes.txt", text)
    repo.commit(f"Note {text}")
    return tip(repo, "main")


def parents(repo: Tree, commit: str) -> list[str]:
    return repo.git("rev-parse", f"{commit}^@").out.split()


# ---------------------------------------------------------------- commits


def test_a_commit_is_the_tracked_tree_with_the_results(repo: Tree) -> None:
    repo.write("notes.txt", "edited\n")
    repo.git("add", "notes.txt")
    before = repo.git("status", "--porcelain").out
    commit = advance(repo, "lock 1", **{"data/.gitignore": b"/a\n", "notes.txt": None})
    assert tip(repo, NAME) == commit
    assert parents(repo, commit) == [tip(repo, "main")]
    changed = repo.git("diff", "--name-status", "main", NAME).out
    assert changed == "A\tdata/.gitignore\nA\tdvc.lock\nD\tnotes.txt\n"
    assert repo.git("log", "-1", "--format=%B|%an", NAME).out == "Make lock 1\n\nBody\n|A Tester\n"
    assert repo.git("reflog", "-1", "--format=%gs", NAME).out == "commit: Make lock 1\n"
    assert repo.git("status", "--porcelain").out == before
    repo.git("fsck", "--strict")


def test_parents_are_what_is_no_ancestor_of_another(repo: Tree) -> None:
    first = advance(repo, "1")
    second = advance(repo, "2")
    assert parents(repo, second) == [first], "main is an ancestor of it already"
    moved = follow(repo, "two\n")
    third = advance(repo, "3")
    assert parents(repo, third) == [second, moved]
    assert repo.git("show", f"{third}:notes.txt").out == "two\n"
    assert not results(repo).is_merged_into(moved)
    repo.git("merge", "-q", "--no-ff", "-m", "Merge", NAME)
    merged = tip(repo, "main")
    assert results(repo).is_merged_into(merged)
    assert parents(repo, advance(repo, "4")) == [merged]


def test_what_somebody_else_committed_to_it_stays_in_its_history(repo: Tree) -> None:
    advance(repo, "1")
    repo.git("checkout", "-q", NAME)
    repo.write("theirs.txt", "by hand")
    repo.commit("By hand")
    repo.git("checkout", "-q", "main")
    by_hand = tip(repo, NAME)
    commit = advance(repo, "2")
    assert parents(repo, commit) == [by_hand]
    assert "theirs.txt" not in repo.git("ls-tree", "--name-only", commit).out


_COMMITTER = """
import sys
from trunkline.store.branches import ResultBranch

root, base, text = sys.argv[1:]
for number in range(3):
    data = f"{text} {number}".encode()
    print(ResultBranch(root, "trunkline/letters").advance(base, {"dvc.lock": data}, text))
"""


def test_commits_at_the_same_time_are_all_there(repo: Tree) -> None:
    base = tip(repo, "main")
    command = [sys.executable, "-c", _COMMITTER, str(repo.root), base]
    processes = [
        subprocess.Popen([*command, text], env=repo.environment(), stdout=subprocess.PIPE, text=True)
        for text in ("a", "b", "c")
    ]
    made = {line for process in processes for line in process.communicate()[0].split()}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(made) == 9
    assert made == set(repo.git("rev-list", f"main..{NAME}").out.split())


def test_git_need_not_know_who_commits(repo: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT:
        if name.startswith(("GIT_AUTHOR", "GIT_COMMITTER")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(repo.root))
    commit = advance(repo, "1")
    assert repo.git("log", "-1", "--format=%an <%ae>", commit).out == "trunkline <trunkline@localhost>\n"


# ---------------------------------------------------------------- refusals


def test_a_branch_that_is_checked_out_is_refused(repo: Tree, tmp_path: Path) -> None:
    commit = advance(repo, "1")
    for where in (repo.root, tmp_path / "side"):
        if where == repo.root:
            repo.git("checkout", "-q", NAME)
        else:
            repo.git("checkout", "-q", "main")
            repo.git("worktree", "add", "-q", str(where), NAME)
        with pytest.raises(ProjectError, match=f"{NAME} is checked out") as raised:
            results(repo).advance(tip(repo, "main"), {"dvc.lock": b"2"}, "Make")
        assert raised.value.where == str(where)
        assert f"git -C {where} switch" in raised.value.hint
        assert tip(repo, NAME) == commit


def test_a_worktree_that_is_gone_holds_no_branch(repo: Tree, tmp_path: Path) -> None:
    first = advance(repo, "1")
    repo.git("worktree", "add", "-q", str(tmp_path / "side"), NAME)
    (tmp_path / "side").rename(tmp_path / "elsewhere")
    assert parents(repo, advance(repo, "2")) == [first]


def test_a_name_that_is_no_branch_s(repo: Tree) -> None:
    with pytest.raises(UsageError, match="cannot name a branch"):
        ResultBranch(str(repo.root), "a..b").check_free()


def test_a_branch_in_the_way_of_its_folder(repo: Tree) -> None:
    repo.git("branch", "trunkline")
    with pytest.raises(ProjectError, match=f"{NAME} cannot be moved") as raised:
        advance(repo, "1")
    assert "named like its folder" in raised.value.hint


def test_what_is_tracked(repo: Tree, origin: Path) -> None:
    root = str(repo.root)
    assert branches.checked_out(root) == "main"
    assert branches.tracked(root, "main") == tip(repo, "main")
    behind = tip(repo, "main")
    follow(repo, "two\n")
    assert branches.tracked(root, "main", fetched=True) == behind
    repo.git("push", "-q", "origin", "main:other")
    assert branches.tracked(root, "other") == tip(repo, "main"), "origin's, where there is none here"
    with pytest.raises(UsageError, match="no branch 'nowhere'"):
        branches.tracked(root, "nowhere")
    repo.git("checkout", "-q", "--detach")
    with pytest.raises(ProjectError, match="no branch is checked out"):
        branches.checked_out(root)


# ---------------------------------------------------------------- origin


def test_what_is_not_pushed_yet(repo: Tree, origin: Path) -> None:
    branch = results(repo)
    assert branch.unpushed() is None, "there is no branch yet"
    commit = advance(repo, "1")
    assert branch.unpushed() == commit
    branch.push(commit)
    assert branch.unpushed() is None
    assert tip(repo, f"origin/{NAME}") == commit
    assert repo.git("--git-dir", str(origin), "rev-parse", NAME).out.strip() == commit
    repo.git("push", "-q", "origin", "--delete", NAME)
    assert branch.unpushed() is None, "somebody has deleted it there, and it is not made again"
    later = advance(repo, "2")
    assert branch.unpushed() == later


def test_nothing_is_unpushed_without_origin(repo: Tree) -> None:
    advance(repo, "1")
    assert results(repo).unpushed() is None


def test_what_somebody_else_pushed_becomes_a_parent(repo: Tree, origin: Path, tmp_path: Path) -> None:
    branch = results(repo)
    branch.push(advance(repo, "1"))
    repo.git("clone", "-q", "-b", NAME, str(origin), str(tmp_path / "other"))
    other = Tree(tmp_path / "other")
    other.write("theirs.txt", "by hand")
    other.commit("By hand")
    other.git("push", "-q")
    second = advance(repo, "2")
    with pytest.raises(ProjectError, match="origin did not take"):
        branch.push(second)
    assert branch.unpushed() == second
    third = advance(repo, "3")
    assert parents(repo, third) == [second, tip(other, "HEAD")]
    branch.push(third)
    assert branch.unpushed() is None


def test_what_origin_has_and_nobody_here_is_gone_on_with(repo: Tree, origin: Path) -> None:
    first = advance(repo, "1")
    results(repo).push(first)
    repo.git("branch", "-q", "-D", NAME)
    assert results(repo).tip() == first
    assert parents(repo, advance(repo, "2")) == [first]


def test_no_hook_runs_when_it_is_pushed(repo: Tree, origin: Path) -> None:
    hook = repo.root / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    results(repo).push(advance(repo, "1"))


def test_an_origin_that_is_not_there(repo: Tree, origin: Path) -> None:
    commit = advance(repo, "1")
    origin.rename(origin.parent / "elsewhere")
    with pytest.raises(ProjectError, match="origin did not take"):
        results(repo).push(commit)
    with pytest.raises(ProjectError, match="origin cannot be fetched"):
        branches.fetch(str(repo.root))
    assert results(repo).unpushed() == commit


def test_a_clone_for_deployed_runs(repo: Tree, origin: Path, tmp_path: Path) -> None:
    path = tmp_path / "clones/project"
    (tmp_path / "clones/project.half").mkdir(parents=True)  # of one that was killed
    branches.clone(str(origin), str(path))
    clone = Tree(path)
    assert clone.git("symbolic-ref", "-q", "HEAD", check=False).code == 1
    assert [entry.name for entry in path.iterdir()] == [".git"]
    newest = follow(repo, "two\n")
    repo.git("push", "-q", "origin", "main")
    branches.fetch(str(path))
    assert branches.tracked(str(path), "main", fetched=True) == newest
    branches.clone(str(origin), str(path))
    with pytest.raises(ProjectError, match="cannot be cloned"):
        branches.clone(str(tmp_path / "nowhere"), str(tmp_path / "clones/other"))


def test_a_name_that_every_project_has_for_itself(repo: Tree, tmp_path: Path) -> None:
    first = repo.git("rev-list", "--max-parents=0", "HEAD").out[:8]
    assert branches.name_for(str(repo.root)) == f"project-{first}"
    (tmp_path / "my flights!").mkdir()
    elsewhere = Tree(tmp_path / "my flights!")
    elsewhere.git("init", "-q")
    assert branches.name_for(str(elsewhere.root)).startswith("my-flights-"), "it has no commit yet"
