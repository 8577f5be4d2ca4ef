"""Which contents are named: by the workspaces, by git's branches and tags, by every commit.

    dvc.lock, *.dvc        in the working trees, in the trees of commits, in all of history
    named(text)            the content hashes in any such text, a listing's or a record's too

A text is not parsed: whatever in it looks like a content hash counts as named. So what a newer format or
a hand-written stage names is kept as well, and a wrong guess keeps too much, never too little. Refs of
ours (`refs/trunkline/`) are no branches: what they name is asked of the records.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import NamedTuple

from trunkline.store.gitcall import Place, attempt, call, environment, text

OURS = "refs/trunkline/"
_HASH = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?:\.dir)?(?![0-9a-f])")
_PATHS = (":(top,glob)**/*.dvc", ":(top,glob)**/dvc.lock")
_EXPERIMENTS = ".dvc/tmp/exps"  # where `dvc exp run --temp` works


class Workspace(NamedTuple):
    """A working tree of the project, and the commit that is checked out there ("": none yet)."""

    root: str
    commit: str


def named(data: bytes) -> set[str]:
    """Everything in a text that looks like a content hash of DVC's."""
    return {found.decode() for found in _HASH.findall(data)}


def workspaces(home: str) -> list[Workspace]:
    """The project's working trees: its own, git's worktrees of it, those of DVC's experiments."""
    prefix = Place.of(home).prefix
    found, path, commit = [], "", ""
    for line in text(call(home, "worktree", "list", "--porcelain")).split("\n"):
        key, _, value = line.partition(" ")
        path, commit = (value, "") if key == "worktree" else (path, value if key == "HEAD" else commit)
        if not line and path:
            found.append(
                Workspace(os.path.join(path, prefix).rstrip("/"), commit if commit.strip("0") else "")
            )
            path = ""
    with suppress(FileNotFoundError):
        folder = os.path.join(home, _EXPERIMENTS)
        found += [Workspace(os.path.join(folder, name), "") for name in sorted(os.listdir(folder))]
    return [each for each in found if os.path.isdir(os.path.join(each.root, ".dvc"))]


def in_workspace(root: str) -> Iterator[tuple[str, bytes]]:
    """(path, text) of all in a working tree that names data, also of what git does not know yet."""
    code, out, _ = attempt(
        root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_PATHS
    )
    for path in dict.fromkeys([] if code else text(out).split("\0")):
        try:
            with open(os.path.join(root, path), "rb") as stream:
                data = stream.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            continue
        yield path, data


def tips(root: str) -> list[str]:
    """Every ref but ours."""
    refs = text(call(root, "for-each-ref", "--format=%(refname)")).split()
    return [ref for ref in refs if not ref.startswith(OURS)]


def at(root: str, revisions: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """(path from the top, text) of all that these name data with; one that is no commit has none."""
    blobs: dict[str, str] = {}
    for revision in dict.fromkeys(revisions):
        code, out, _ = attempt(root, "ls-tree", "-r", "-z", "--full-tree", revision)
        for line in filter(None, [] if code else text(out).split("\0")):
            facts, path = line.split("\t", 1)
            if _names_data(path):
                blobs[facts.split(" ")[2]] = path
    return _contents(root, blobs)


def everywhere(root: str) -> Iterator[tuple[str, bytes]]:
    """The same, of every commit that a ref leads to."""
    out = call(
        root, "-c", "core.quotePath=false", "log", f"--exclude={OURS}*", "--all", "--full-history", "-m", "--root",
        "--raw", "--no-abbrev", "--no-renames", "--no-show-signature", "--format=", "--", *_PATHS,
    )  # fmt: skip
    lines = (line.partition("\t") for line in text(out).splitlines())
    changes = ((facts.split(" "), path) for facts, _, path in lines if facts.startswith(":"))
    return _contents(root, {facts[3]: path for facts, path in changes if facts[3].strip("0")})


def objects(root: str) -> Iterator[tuple[str, bytes]]:
    """(name, content) of every object of git's, also of those that nothing leads to."""
    command = ("git", "cat-file", "--batch", "--batch-all-objects", "--unordered", "--buffer")
    with subprocess.Popen(command, cwd=root, env=environment(), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while line := process.stdout.readline():
            name, _, size = line.decode().rsplit(" ", 2)
            yield name, process.stdout.read(int(size) + 1)[:-1]


def _names_data(path: str) -> bool:
    return path.endswith(".dvc") or path.rpartition("/")[2] == "dvc.lock"


def _contents(root: str, blobs: dict[str, str]) -> Iterator[tuple[str, bytes]]:
    if not blobs:
        return
    out = call(root, "cat-file", "--batch", data="".join(f"{blob}\n" for blob in blobs).encode())
    at_ = 0
    for path in blobs.values():
        end = out.index(b"\n", at_)
        words = out[at_:end].split(b" ")
        at_ = end + 1
        if len(words) == 3:  # else it is missing, as in a shallow clone
            size = int(words[2])
            if words[1] == b"blob":
                yield path, out[at_ : at_ + size]
            at_ += size + 1
