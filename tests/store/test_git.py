"""Git, the real one: what is read, and commits that touch nothing but what they name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import Tree
from trunkline.errors import ProjectError, UsageError
from trunkline.store import git

POINTER = "data/raw.dvc"


def run(root: Path, *arguments: str, fail: bool = False) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    assert fail or not done.returncode, done.stderr
    return done.stdout.rstrip("\n")


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def commit_all(root: Path, message: str = "a change") -> str:
    run(root, "add", "-A")
    run(root, "commit", "-qm", message)
    return run(root, "rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for name in ("EMAIL", "GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def unborn(tmp_path: Path) -> Path:
    root = tmp_path / "repo"
    root.mkdir()
    run(root, "init", "-q", "-b", "main")
    run(root, "config", "user.name", "Ada")
    run(root, "config", "user.email", "ada@example.com")
    return root


@pytest.fixture
def repo(unborn: Path) -> Path:
    write(unborn, POINTER, "md5: one\n")
    write(unborn, "stages/clean.py", "x = 1\n")
    commit_all(unborn, "First")
    return unborn


# ---------------------------------------------------------------- what is read


def test_before_the_first_commit(unborn: Path) -> None:
    write(unborn, "a.txt", "a")
    assert git.head(str(unborn)) is None
    assert git.state(str(unborn)) == (None, "main", ("a.txt",), "")
    assert git.log_of(str(unborn), "a.txt") == []
    assert git.log_of(str(unborn), "a.txt", everywhere=True) == []
    assert git.show(str(unborn), "HEAD", "a.txt") is None


def test_no_repository(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="not inside a git repository") as caught:
        git.head(str(tmp_path))
    assert caught.value.hint == "type `git init`"


def test_no_git(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repo))
    with pytest.raises(ProjectError, match="trunkline needs git"):
        git.head(str(repo))


def test_head_and_resolve(repo: Path) -> None:
    commit = run(repo, "rev-parse", "HEAD")
    assert git.head(str(repo)) == commit
    assert git.resolve(str(repo), "main") == commit
    with pytest.raises(UsageError, match="no commit 'HEAD~5'"):
        git.resolve(str(repo), "HEAD~5")
    with pytest.raises(UsageError, match="no commit '--all'"):
        git.resolve(str(repo), "--all")


def test_state_names_edited_staged_and_untracked_files(repo: Path) -> None:
    write(repo, "stages/clean.py", "x = 2\n")
    write(repo, "stages/new [1].py", "")
    write(repo, "pipelines/p.yaml", "")
    run(repo, "add", "pipelines")
    write(repo, ".gitignore", "*.log\n")
    write(repo, "stages/a.log", "")
    commit = git.head(str(repo))
    everything = (".gitignore", "pipelines/p.yaml", "stages/clean.py", "stages/new [1].py")
    assert git.state(str(repo)) == (commit, "main", everything, "")
    assert git.state(str(repo), ["stages"]).dirty_files == ("stages/clean.py", "stages/new [1].py")
    assert git.state(str(repo), ["stages/new [1].py"]).dirty_files == ("stages/new [1].py",)
    assert git.state(str(repo), ["nowhere", POINTER]).dirty_files == ()
    assert git.is_edited(str(repo), "stages/clean.py")
    assert not git.is_edited(str(repo), POINTER)


def test_state_of_a_detached_head_and_a_conflict(repo: Path) -> None:
    conflict(repo)
    assert git.state(str(repo)).dirty_files == (POINTER,)
    run(repo, "merge", "--abort")
    run(repo, "checkout", "-q", "--detach")
    assert git.state(str(repo)) == (git.head(str(repo)), None, (), "")


def test_a_project_below_the_top_of_its_repository(repo: Path) -> None:
    root = repo / "sub" / "project"
    write(root, "dvc.lock", "one\n")
    commit_all(repo)
    write(root, "dvc.lock", "two\n")
    write(repo, "outside.txt", "")
    assert git.state(str(root)).dirty_files == ("dvc.lock",)
    assert git.show(str(root), "HEAD", "dvc.lock") == b"one\n"
    commit = git.commit_paths(str(root), ["dvc.lock"], "Second")
    assert git.show(str(root), commit, "dvc.lock") == b"two\n"
    assert [entry.subject for entry in git.log_of(str(root), "dvc.lock")] == ["Second", "a change"]


def test_show_many(repo: Path) -> None:
    first = git.head(str(repo)) or ""
    write(repo, POINTER, "md5: two\n")
    write(repo, "a b.txt", "missing")
    second = commit_all(repo)
    wanted = [
        (first, POINTER),
        (second, POINTER),
        (second, "a b.txt"),
        (first, "a b.txt"),
        (first, "data"),
        ("no", "x"),
    ]
    assert git.show_many(str(repo), wanted) == [b"md5: one\n", b"md5: two\n", b"missing", None, None, None]
    assert git.show_many(str(repo), []) == []


def test_log_of_a_file(repo: Path) -> None:
    write(repo, "other.txt", "")
    commit_all(repo, "Not this one")
    write(repo, POINTER, "md5: two\n")
    second = commit_all(repo, "Second: ü\n\nA body.")
    run(repo, "checkout", "-q", "-b", "side", "HEAD~1")
    write(repo, POINTER, "md5: three\n")
    third = commit_all(repo, "Third")
    run(repo, "checkout", "-q", "main")
    log = git.log_of(str(repo), POINTER)
    assert [entry.subject for entry in log] == ["Second: ü", "First"]
    assert log[0].commit == second
    assert log[0].author == "Ada"
    assert log[0].time[4] == "-"
    assert log[0].time.endswith("Z")
    assert git.log_of(str(repo), POINTER, 1) == log[:1]
    assert {entry.commit for entry in git.log_of(str(repo), POINTER, everywhere=True)} == {
        third,
        *(entry.commit for entry in log),
    }


def test_the_environment_of_a_hook_is_not_ours(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git.head(str(repo))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert git.head(str(repo)) == commit
    assert git.state(str(repo)).dirty_files == ()


# ---------------------------------------------------------------- commits


def test_a_commit_of_one_file_leaves_everything_else_as_it_is(repo: Path) -> None:
    write(repo, "stages/clean.py", "x = 2\n")
    run(repo, "add", "stages/clean.py")
    write(repo, "stages/clean.py", "x = 3\n")
    write(repo, "untracked.txt", "")
    before = run(repo, "rev-parse", "HEAD")
    write(repo, POINTER, "md5: two\n")
    commit = git.commit_files(str(repo), {POINTER: b"md5: two\n"}, "raw: put 2.csv\n\nbody")
    assert run(repo, "rev-parse", "HEAD", "HEAD~1") == f"{commit}\n{before}"
    assert run(repo, "diff", "--name-only", "HEAD~1", "HEAD") == POINTER
    assert run(repo, "status", "--porcelain") == "MM stages/clean.py\n?? untracked.txt"
    assert run(repo, "show", ":stages/clean.py") == "x = 2"
    assert run(repo, "log", "-1", "--format=%an <%ae>|%B") == "Ada <ada@example.com>|raw: put 2.csv\n\nbody"
    assert run(repo, "reflog", "-1", "--format=%gs") == "commit: raw: put 2.csv"
    run(repo, "fsck", "--strict")


def test_added_deleted_and_executable_files(repo: Path) -> None:
    (repo / POINTER).chmod(0o755)
    commit_all(repo)
    (repo / "stages/clean.py").unlink()
    write(repo, "data/.gitignore", "/raw\n")
    write(repo, POINTER, "md5: two\n")
    git.commit_paths(str(repo), ["stages/clean.py", "data/.gitignore", POINTER], "All three")
    assert run(repo, "show", "--raw", "--no-abbrev", "--format=").split("\n")[0].split()[:2] == [
        ":000000",
        "100644",
    ]
    assert run(repo, "ls-tree", "-r", "--format=%(objectmode) %(path)", "HEAD") == (
        f"100644 data/.gitignore\n100755 {POINTER}"
    )
    assert run(repo, "status", "--porcelain") == ""


def test_the_first_commit(unborn: Path) -> None:
    write(unborn, POINTER, "md5: one\n")
    write(unborn, "notes.txt", "")
    commit = git.commit_paths(str(unborn), [POINTER], "Put")
    assert run(unborn, "rev-list", "HEAD") == commit
    assert run(unborn, "ls-tree", "-r", "--name-only", "HEAD") == POINTER
    assert run(unborn, "status", "--porcelain") == "?? notes.txt"


def test_nothing_new_makes_no_commit(repo: Path) -> None:
    assert git.commit_paths(str(repo), [POINTER], "Again") == run(repo, "rev-parse", "HEAD")
    assert run(repo, "rev-list", "--count", "HEAD") == "1"


def test_the_working_tree_may_still_hold_the_old_content(repo: Path) -> None:
    git.commit_files(str(repo), {POINTER: b"md5: two\n"}, "Put")
    assert (repo / POINTER).read_text() == "md5: one\n"
    assert run(repo, "status", "--porcelain") == f" M {POINTER}"


def test_a_content_that_is_staged_already_is_committed(repo: Path) -> None:
    write(repo, POINTER, "md5: two\n")
    run(repo, "add", POINTER)
    git.commit_paths(str(repo), [POINTER], "Put")
    assert run(repo, "status", "--porcelain") == ""


def test_staged_only(repo: Path) -> None:
    write(repo, POINTER, "md5: two\n")
    write(repo, "data/.gitignore", "/raw\n")
    write(repo, "stages/clean.py", "x = 2\n")
    git.stage(str(repo), [POINTER, "data/.gitignore"])
    assert run(repo, "status", "--porcelain") == f"A  data/.gitignore\nM  {POINTER}\n M stages/clean.py"
    assert run(repo, "rev-list", "--count", "HEAD") == "1"


def test_line_ends_are_git_add_s(repo: Path) -> None:
    write(repo, ".gitattributes", "*.dvc text eol=crlf\n")
    commit_all(repo)
    (repo / POINTER).write_bytes(b"md5: two\r\n")
    git.commit_paths(str(repo), [POINTER], "Put")
    assert run(repo, "cat-file", "blob", f"HEAD:{POINTER}") == "md5: two"
    assert run(repo, "status", "--porcelain") == ""


def test_a_linked_work_tree(repo: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    run(repo, "worktree", "add", "-q", "-b", "side", str(tree))
    main = run(repo, "rev-parse", "main")
    write(tree, POINTER, "md5: two\n")
    commit = git.commit_paths(str(tree), [POINTER], "Put")
    assert git.state(str(tree)) == (commit, "side", (), "")
    assert git.state(str(repo)) == (main, "main", (), "")


# ---------------------------------------------------------------- refusals


def refused(root: Path, what: str) -> ProjectError:
    """`put` would be refused, before and while committing, and nothing is changed by that."""
    before = (
        run(root, "rev-parse", "--all"),
        run(root, "ls-files", "--stage"),
        run(root, "status", "--porcelain"),
    )
    with pytest.raises(ProjectError, match=what):
        git.ready_to_commit(str(root), [POINTER])
    with pytest.raises(ProjectError, match=what) as caught:
        git.commit_files(str(root), {POINTER: b"md5: two\n"}, "Put")
    after = (
        run(root, "rev-parse", "--all"),
        run(root, "ls-files", "--stage"),
        run(root, "status", "--porcelain"),
    )
    assert after == before
    return caught.value


def conflict(root: Path) -> None:
    run(root, "checkout", "-q", "-b", "other")
    write(root, POINTER, "md5: theirs\n")
    commit_all(root)
    run(root, "checkout", "-q", "main")
    write(root, POINTER, "md5: ours\n")
    commit_all(root)
    run(root, "merge", "other", fail=True)


def test_what_can_be_committed_is_not_refused(repo: Path) -> None:
    write(repo, "stages/clean.py", "x = 2\n")
    git.ready_to_commit(str(repo), [POINTER, "data/new.dvc", "data/.gitignore"])


def test_refused_in_a_merge(repo: Path) -> None:
    conflict(repo)
    assert "git merge --abort" in refused(repo, "a merge is under way").hint


def test_refused_in_a_rebase(repo: Path) -> None:
    conflict(repo)
    run(repo, "merge", "--abort")
    run(repo, "rebase", "other", fail=True)
    assert "git rebase --abort" in refused(repo, "a rebase is under way").hint


def test_refused_in_a_cherry_pick(repo: Path) -> None:
    conflict(repo)
    run(repo, "merge", "--abort")
    run(repo, "cherry-pick", "other", fail=True)
    assert "git cherry-pick --abort" in refused(repo, "a cherry-pick is under way").hint


def test_refused_in_a_bisect(repo: Path) -> None:
    write(repo, "a.txt", "")
    commit_all(repo)
    run(repo, "bisect", "start", "HEAD", "HEAD~1")
    assert "git bisect reset" in refused(repo, "a bisect is under way").hint


def test_refused_in_a_linked_work_tree_s_own_rebase_only(repo: Path, tmp_path: Path) -> None:
    conflict(repo)
    tree = tmp_path / "tree"
    run(repo, "worktree", "add", "-q", "-b", "side", str(tree), "other")
    git.ready_to_commit(str(tree), [POINTER])
    refused(repo, "a merge is under way")


def test_refused_on_a_detached_head(repo: Path) -> None:
    run(repo, "checkout", "-q", "--detach")
    assert "git switch -c" in refused(repo, "HEAD is detached").hint


def test_refused_without_an_identity(repo: Path) -> None:
    run(repo, "config", "--unset", "user.email")
    assert "git config --global user.email" in refused(repo, "git does not know who you are").hint


def test_refused_on_an_edited_file(repo: Path) -> None:
    write(repo, POINTER, "md5: mine\n")
    assert f"git commit -- {POINTER}" in refused(repo, f"{POINTER} is edited and not committed").hint


def test_refused_on_a_staged_file(repo: Path) -> None:
    write(repo, POINTER, "md5: mine\n")
    run(repo, "add", POINTER)
    write(repo, POINTER, "md5: one\n")
    refused(repo, f"{POINTER} is staged and not committed")


def test_refused_on_a_deleted_file(repo: Path) -> None:
    (repo / POINTER).unlink()
    refused(repo, f"{POINTER} is edited and not committed")


def test_refused_on_an_untracked_file(repo: Path) -> None:
    write(repo, "data/new.dvc", "md5: mine\n")
    with pytest.raises(ProjectError, match=r"data/new\.dvc is there and was never committed"):
        git.commit_files(str(repo), {"data/new.dvc": b"md5: two\n"}, "Put")


def test_refused_on_an_unresolved_conflict_without_a_merge(repo: Path) -> None:
    write(repo, POINTER, "md5: stashed\n")
    run(repo, "stash", "-q")
    write(repo, POINTER, "md5: two\n")
    commit_all(repo)
    run(repo, "stash", "apply", fail=True)
    refused(repo, f"{POINTER} is in conflict")


def test_an_index_that_stays_locked(repo: Path) -> None:
    (repo / ".git/index.lock").write_text("")
    with pytest.raises(ProjectError, match="index cannot be written"):
        git.commit_files(str(repo), {POINTER: b"md5: two\n"}, "Put")
    assert run(repo, "rev-list", "--count", "HEAD") == "1"


def test_a_branch_that_stays_locked_leaves_nothing_staged(repo: Path) -> None:
    lock = repo / ".git/refs/heads/main.lock"
    lock.write_text("")
    with pytest.raises(ProjectError, match="main could not be moved"):
        git.commit_files(str(repo), {POINTER: b"md5: two\n"}, "Put")
    lock.unlink()
    assert run(repo, "status", "--porcelain") == ""


# ---------------------------------------------------------------- hooks and signatures


def hook(root: Path, name: str, script: str) -> None:
    path = root / ".git/hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_hooks_run_when_asked(repo: Path) -> None:
    hook(repo, "pre-commit", "git diff --cached --name-only > seen.txt; exit 0")
    hook(repo, "commit-msg", 'echo "Checked: yes" >> "$1"')
    write(repo, POINTER, "md5: two\n")
    git.commit_paths(str(repo), [POINTER], "Put", hooks=True)
    assert (repo / "seen.txt").read_text() == f"{POINTER}\n"
    assert run(repo, "log", "-1", "--format=%B") == "Put\nChecked: yes"
    write(repo, POINTER, "md5: three\n")
    git.commit_paths(str(repo), [POINTER], "Put")
    assert run(repo, "log", "-1", "--format=%B") == "Put"


def test_a_hook_that_refuses(repo: Path) -> None:
    hook(repo, "pre-commit", "echo no such thing here; exit 1")
    write(repo, POINTER, "md5: two\n")
    with pytest.raises(ProjectError, match="pre-commit refused the commit:\nno such thing here"):
        git.commit_paths(str(repo), [POINTER], "Put", hooks=True)
    assert run(repo, "status", "--porcelain") == f" M {POINTER}"
    assert run(repo, "rev-list", "--count", "HEAD") == "1"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_commits_are_signed_where_git_says_so(repo: Path, tmp_path: Path) -> None:
    keys = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys)], check=True)
    for name, value in (("commit.gpgsign", "true"), ("gpg.format", "ssh"), ("user.signingkey", str(keys))):
        run(repo, "config", name, value)
    git.commit_files(str(repo), {POINTER: b"md5: two\n"}, "Put")
    assert "gpgsig -----BEGIN SSH SIGNATURE-----" in run(repo, "cat-file", "commit", "HEAD")


def test_a_signature_that_cannot_be_made(repo: Path) -> None:
    for name, value in (("commit.gpgsign", "true"), ("gpg.format", "ssh"), ("user.signingkey", "/nowhere")):
        run(repo, "config", name, value)
    with pytest.raises(ProjectError, match="could not make the commit") as caught:
        git.commit_files(str(repo), {POINTER: b"md5: two\n"}, "Put")
    assert "git commit -S" in caught.value.hint
    assert run(repo, "status", "--porcelain") == ""


# ---------------------------------------------------------------- several at once


def wait_for_git(root: Path) -> None:
    """Until the call of git that a killed process had under way has let go of the index."""
    deadline = time.monotonic() + 30
    while (root / ".git/index.lock").exists() and time.monotonic() < deadline:
        time.sleep(0.01)


_COMMITTER = """
import sys
from trunkline.errors import ProjectError
from trunkline.store import git

root, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
for number in range(count):
    data = f"{sys.argv[4]} {number}".encode()
    if count > 1:
        open(f"{root}/{name}", "wb").write(data)
    try:
        git.commit_files(root, {name: data}, f"{name} {number}")
        print("done")
    except ProjectError as error:
        print(error)
"""


def committer(root: Path, name: str, count: int, label: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _COMMITTER, str(root), name, str(count), label]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_commits_at_the_same_time_are_all_there(repo: Path) -> None:
    names = ["data/a.dvc", "data/b.dvc", "data/c.dvc"]
    processes = [committer(repo, name, 1, "version") for name in names]
    said = [process.communicate()[0].split("\n") for process in processes]
    assert said == [["done", ""]] * 3
    assert run(repo, "rev-list", "--count", "HEAD") == "4"
    assert {run(repo, "show", f"HEAD:{name}") for name in names} == {"version 0"}
    assert run(repo, "diff", "--cached", "--name-only") == ""


def test_of_two_commits_of_one_file_none_is_lost(repo: Path) -> None:
    processes = [committer(repo, POINTER, 1, label) for label in ("left", "right")]
    said = [process.communicate()[0].strip() for process in processes]
    done = said.count("done")
    assert done >= 1
    assert run(repo, "rev-list", "--count", "HEAD") == str(1 + done)
    for line in said:
        assert line == "done" or "another commit" in line or "not committed" in line
    assert run(repo, "diff", "--cached", "--name-only") == ""


def test_kill_9_leaves_at_most_the_file_staged(repo: Path) -> None:
    process = committer(repo, POINTER, 1_000, "version")
    assert process.stdout is not None
    done = [process.stdout.readline() for _ in range(3)]
    process.kill()
    process.communicate()
    assert done == ["done\n"] * 3
    wait_for_git(repo)
    assert int(run(repo, "rev-list", "--count", "HEAD")) >= 4
    assert run(repo, "diff", "--cached", "--name-only") in ("", POINTER)
    run(repo, "fsck", "--strict")


def test_the_author_is_whom_git_would_name(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(tree.root)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Ada <3")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "ada@example.org")
    assert git.author(root) == "Ada 3"
    monkeypatch.delenv("GIT_AUTHOR_NAME")
    tree.git("config", "user.name", "Grace")
    assert git.author(root) == "Grace"
