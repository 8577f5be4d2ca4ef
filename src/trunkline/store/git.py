"""Git, as far as trunkline needs it: what is committed, by whom, what is edited; and commits.

Thin calls of the `git` command (`gitcall`); what changes a repository is in `commit`. Import late:
this brings in `subprocess`. Paths are relative to the project's root.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from trunkline.digest import md5_bytes
from trunkline.errors import UsageError
from trunkline.model import Commit, GitState
from trunkline.store.commit import (
    commit_files,
    commit_paths,
    ready_to_commit,
    ready_to_stage,
    stage,
    stage_files,
)
from trunkline.store.gitcall import Place, attempt, call, text

__all__ = [
    "author",
    "blobs",
    "changes",
    "commit_files",
    "commit_paths",
    "head",
    "history",
    "is_edited",
    "log_of",
    "ready_to_commit",
    "ready_to_stage",
    "resolve",
    "show",
    "show_many",
    "stage",
    "stage_files",
    "state",
    "tips",
]


_BATCH = 32  # versions of a file asked for in one call
# What people and DVC have by name. Not --all: runs are commits of ours too, thousands of them.
_KINDS = ("refs/heads", "refs/remotes", "refs/tags", "refs/exps")
_EVERYWHERE = ("--exclude=refs/trunkline/*", "--all")


def head(root: str) -> str | None:
    """The commit that is checked out; None before the first one."""
    code, out, _ = attempt(root, "rev-parse", "--verify", "--quiet", "HEAD")
    return None if code else text(out).strip()


def author(root: str) -> str:
    """The name under which git would commit here; "" where it knows none."""
    code, out, _ = attempt(root, "var", "GIT_AUTHOR_IDENT")
    return "" if code else text(out).partition(" <")[0].strip()


def resolve(root: str, rev: str) -> str:
    """The commit that `rev` names. Raises UsageError."""
    code, out, _ = attempt(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
    if code:
        raise UsageError(f"git knows no commit {rev!r}", hint="`git log --oneline --all` lists the commits")
    return text(out).strip()


def state(root: str, paths: Sequence[str] = ()) -> GitState:
    """What is checked out, and which files among `paths` (or below them; none: all) are edited.

    Untracked files count, ignored ones do not. Files outside the root are left out.
    """
    place = Place.of(root)
    out = call(
        root, "--literal-pathspecs", "status", "--porcelain=v2", "--branch", "-z",
        "--untracked-files=all", "--no-renames", "--", *(paths or ["."]),
        extra={"GIT_OPTIONAL_LOCKS": "0"},
    )  # fmt: skip
    commit: str | None = None
    branch: str | None = None
    dirty = set()
    for line in text(out).split("\0"):
        kind, _, rest = line.partition(" ")
        match kind:
            case "#":
                name, _, value = rest.partition(" ")
                if name == "branch.oid" and value != "(initial)":
                    commit = value
                if name == "branch.head" and value != "(detached)":
                    branch = value
            case "1" | "u" | "?":
                fields = {"1": 7, "u": 9, "?": 0}[kind]
                dirty.add(rest.split(" ", fields)[fields].removeprefix(place.prefix))
    return GitState(commit, branch, tuple(sorted(dirty)))


def is_edited(root: str, path: str) -> bool:
    """Whether the file differs from the last commit, in the index or in the working tree."""
    return bool(state(root, [path]).dirty_files)


def show(root: str, rev: str, path: str) -> bytes | None:
    """The content of a file in a commit; None where it is not there."""
    return show_many(root, [(rev, path)])[0]


def show_many(root: str, wanted: Iterable[tuple[str, str]]) -> list[bytes | None]:
    """The contents of many (rev, path) in one call of git; None for what is not there."""
    place = Place.of(root)
    names = [f"{rev}:{place.full(path)}" for rev, path in wanted]
    if any("\n" in name for name in names):
        raise UsageError("a path with a line break cannot be asked of git's history")
    return _contents(root, names)


def _contents(root: str, names: Sequence[str]) -> list[bytes | None]:
    encoded = "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape")
    out = call(root, "cat-file", "--batch", data=encoded)
    found: list[bytes | None] = []
    at = 0
    for _ in names:
        end = out.index(b"\n", at)
        words = out[at:end].rsplit(b" ", 2)
        at = end + 1
        if words[-1] in (b"missing", b"ambiguous"):
            found.append(None)
            continue
        size = int(words[2])
        found.append(out[at : at + size] if words[1] == b"blob" else None)
        at += size + 1
    return found


def log_of(root: str, path: str, limit: int | None = None, *, everywhere: bool = False) -> list[Commit]:
    """The commits that changed `path`, newest first; with `everywhere`, those of every ref.

    [] before the first commit.
    """
    scope = [*_EVERYWHERE, "--full-history", "--date-order"] if everywhere else []
    count = [] if limit is None else [f"--max-count={limit}"]
    if not everywhere and head(root) is None:
        return []
    out = call(
        root, "--literal-pathspecs", "log", "-z", "--no-show-signature", "--no-notes", "--encoding=UTF-8",
        "--format=%H%n%ct%n%an%n%s", *count, *scope, "--", path,
    )  # fmt: skip
    return [_commit(record) for record in text(out).split("\0") if record]


def history(root: str, path: str, *, everywhere: bool = False) -> Iterator[tuple[Commit, bytes | None]]:
    """The commits of `log_of`, each with what the file was then; None where it was not there.

    Read in batches, as far as it is asked for.
    """
    commits = log_of(root, path, everywhere=everywhere)
    for start in range(0, len(commits), _BATCH):
        some = commits[start : start + _BATCH]
        yield from zip(some, show_many(root, [(entry.commit, path) for entry in some]), strict=True)


def tips(root: str) -> str:
    """A text that changes whenever a branch, a tag, an experiment or HEAD does."""
    wanted = [f"--glob={kind}" for kind in _KINDS]
    code, out, _ = attempt(root, "rev-parse", *wanted, "HEAD")
    return md5_bytes(call(root, "rev-parse", *wanted) if code else out)


def changes(root: str, *patterns: str) -> Iterator[tuple[Commit, str, str]]:
    """(commit, path, blob) of every change of the files that match, newest first; on any branch.

    `blob` is git's name of the content, "" where the file was deleted. A merge tells its changes
    against each parent.
    """
    prefix = Place.of(root).prefix
    scope = [f"--glob={kind}" for kind in _KINDS] + (["HEAD"] if head(root) else [])
    out = call(
        root, "-c", "log.showRoot=true", "log", "-z", "-m", "--raw", "--no-renames", "--no-abbrev",
        "--no-show-signature", "--no-notes", "--encoding=UTF-8", "--full-history", "--date-order",
        "--format=%x01%H%n%ct%n%an%n%s", *scope, "--", *patterns,
    )  # fmt: skip
    commit: Commit | None = None
    fields = iter(text(out).split("\0"))
    for field in fields:
        if field.startswith("\x01"):
            commit = _commit(field[1:])
        elif (raw := field.lstrip("\n")).startswith(":") and commit is not None:
            new = raw.split(" ")[3]
            yield commit, next(fields).removeprefix(prefix), "" if not new.strip("0") else new


def blobs(root: str, names: Sequence[str]) -> list[bytes | None]:
    """The contents of blobs in one call of git; None for what is not there."""
    return _contents(root, names) if names else []


def _commit(record: str) -> Commit:
    commit, seconds, author, subject = record.split("\n", 3)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(seconds)))
    return Commit(commit, moment, author, subject.strip())
