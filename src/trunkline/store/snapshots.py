"""The code of a run as a git commit, without touching anything of the user's.

    refs/trunkline/runs/2026-11/019aacb5-…    one commit a run
        tree      the tracked files as the working tree has them, and the code that nobody has added yet
        parent    HEAD, so that a push sends what is new and no more

HEAD, the branches, the index and the working tree stay as they are: everything is done in a copy of the
index, in which git looks at every file (the bits that tell it not to are cleared). Files that look like
secrets, hold one, or are large are left out and named; they are then in the tree as HEAD has them. Nested
repositories are kept by their commit. Hooks do not run.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from trunkline.store.gitcall import Place, attempt, call, text

RUNS = "refs/trunkline/runs"
LARGE = 5_000_000  # bytes of a file that is edited or new
_QUIET = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "trunkline"), ("EMAIL", "trunkline@localhost"))
}
_SECRET_NAME = re.compile(
    r"(^|/)(\.env(\..*)?|\.netrc|\.pgpass|\.pypirc|id_(rsa|dsa|ecdsa|ed25519)|config\.local"
    r"|.*\.(pem|key|p12|pfx|jks|keystore)|.*(secret|credential|password)s?[^/]*\.(ya?ml|json|toml|ini|txt|cfg))$",
    re.IGNORECASE,
)
_SECRET_TEXT = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b"
    rb"|\bxox[abprs]-[A-Za-z0-9-]{10,}|://[^/\s:@'\"]+:[^/\s:@'\"]{3,}@"
)


class LeftOut(NamedTuple):
    """A file that a snapshot does not have as it was: why not."""

    path: str
    reason: str


class Snapshot(NamedTuple):
    """A tree of git, the commit that it stands on, and the files that it does not show as they were."""

    tree: str
    parent: str | None
    left_out: tuple[LeftOut, ...] = ()


def take(root: str, code: Collection[str], secrets: Sequence[str] = ()) -> Snapshot:
    """The repository as it is now. `code`: files of the project that count also where untracked.

    `secrets` are values that no file may hold. Raises ProjectError.
    """
    place = Place.of(root)
    code_, out, _ = attempt(root, "rev-parse", "--verify", "--quiet", "HEAD")
    parent = None if code_ else text(out).strip()
    with _index(place) as index:
        _look_at_all(place, index)
        changed = _names(place, index, "diff-files", "--name-only", "-z", "--ignore-submodules=dirty")
        untracked = _untracked(place, index, code)
        chosen, left_out = _sorted_out(place, [*changed, *untracked], secrets)
        _add(place, index, chosen)
        tree = text(call(place.top, *_QUIET, "write-tree", extra=index)).strip()
    return Snapshot(tree, parent, tuple(left_out))


def name_of(run_id: str) -> str:
    """The name of a run's record: the month that its id tells, and the id."""
    return f"{time.strftime('%Y-%m', time.gmtime(_time_of(run_id)))}/{run_id}"


def _time_of(run_id: str) -> float:
    """The seconds since 1970 that are in the id: the same run is the same commit wherever it is made."""
    return int(run_id[:8] + run_id[9:13], 16) / 1000


def keep(root: str, run_id: str, snapshot: Snapshot, files: Mapping[str, bytes], message: str) -> str:
    """Commit a snapshot, with these files of the project beside it, as the record of a run; the commit.

    A record that is there already is replaced. Raises ProjectError.
    """
    place = Place.of(root)
    ref = f"{RUNS}/{name_of(run_id)}"
    parent = [f"from {snapshot.parent}".encode()] if snapshot.parent else []
    lines = [
        f"commit {ref}\nmark :1".encode(),
        f"committer trunkline <trunkline@localhost> {int(_time_of(run_id))} +0000".encode(),
        _data(message.encode("utf-8", "surrogateescape")),
        *parent,
        f'M 040000 {snapshot.tree} ""'.encode(),
    ]
    for path, content in files.items():
        name = place.full(path).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines += [f'M 100644 inline "{name}"'.encode("utf-8", "surrogateescape"), _data(content)]
    lines += [b"get-mark :1", b"done", b""]
    return text(
        call(root, *_QUIET, "fast-import", "--quiet", "--force", "--done", data=b"\n".join(lines))
    ).strip()


def _data(content: bytes) -> bytes:
    return b"data %d\n%s" % (len(content), content)


def kept(root: str) -> dict[str, str]:
    """The commits of all records by run, oldest first."""
    out = call(root, "for-each-ref", "--format=%(objectname) %(refname)", "--sort=refname", RUNS)
    pairs = [line.split(" ", 1) for line in text(out).splitlines()]
    return {ref.rpartition("/")[2]: commit for commit, ref in pairs}


def commit_of(root: str, run_id: str) -> str | None:
    """The commit of a run's record; None where there is none."""
    code, out, _ = attempt(root, "rev-parse", "--verify", "--quiet", f"{RUNS}/{name_of(run_id)}^{{commit}}")
    return None if code else text(out).strip()


def tree_of(root: str, commit: str) -> str:
    """The tree of a commit. Raises ProjectError."""
    return text(call(root, "rev-parse", "--verify", f"{commit}^{{tree}}")).strip()


def fetch(root: str, other: str, run_id: str) -> None:
    """Bring the record of a run from another repository on this disk into that of `root`. Raises ProjectError."""
    ref = f"{RUNS}/{name_of(run_id)}"
    call(root, *_QUIET, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", other, f"+{ref}:{ref}")


def experiments(root: str, limit: int) -> list[str]:
    """The commits of DVC's experiments, newest first."""
    out = call(
        root,
        "for-each-ref",
        "--format=%(objectname)",
        "--sort=-committerdate",
        f"--count={limit}",
        "refs/exps",
    )
    return text(out).split()


def forget(root: str, run_id: str) -> None:
    """Drop a record. Git removes its objects with its next collection."""
    call(root, *_QUIET, "update-ref", "-d", f"{RUNS}/{name_of(run_id)}")


# ---------------------------------------------------------------- the copy of the index


@contextmanager
def _index(place: Place, *, empty: bool = False) -> Iterator[dict[str, str]]:
    """The variables that lead git to a copy of the index; it is beside the original, and goes with the end."""
    handle, path = tempfile.mkstemp(prefix="trunkline-index-", dir=place.directory)
    os.close(handle)
    os.unlink(path)
    try:
        with suppress(FileNotFoundError):  # a repository without an index has nothing added yet
            if not empty:
                shutil.copyfile(os.path.join(place.directory, "index"), path)
        yield {"GIT_INDEX_FILE": path, "GIT_OPTIONAL_LOCKS": "0"}
    finally:
        for name in (path, f"{path}.lock"):
            with suppress(FileNotFoundError):
                os.unlink(name)


def _look_at_all(place: Place, index: dict[str, str]) -> None:
    """Clear the bits that keep git from looking at a file; what is not checked out stays as it is."""
    listed = call(place.top, *_QUIET, "ls-files", "-v", "-z", extra=index).split(b"\0")
    marked = [(line[:1], line[2:]) for line in listed if line and line[:1] != b"H"]
    assumed = [path for letter, path in marked if letter.islower()]
    skipped = [path for letter, path in marked if letter in b"Ss" and os.path.lexists(_at(place, path))]
    for option, paths in (("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)):
        if paths:
            data = b"".join(path + b"\0" for path in paths)
            call(place.top, *_QUIET, "update-index", option, "-z", "--stdin", data=data, extra=index)


def _names(place: Place, index: dict[str, str], *arguments: str) -> list[bytes]:
    found = call(place.top, *_QUIET, *arguments, extra=index).split(b"\0")
    return list(dict.fromkeys(path for path in found if path))


def _untracked(place: Place, index: dict[str, str], code: Collection[str]) -> list[bytes]:
    """Files of the code that git does not know, ignored ones too: they took part in the run."""
    if not code:
        return []
    paths = sorted(place.full(path) for path in code)
    return _names(place, index, "--literal-pathspecs", "ls-files", "--others", "-z", "--", *paths)


def _sorted_out(
    place: Place, paths: Sequence[bytes], secrets: Sequence[str]
) -> tuple[list[bytes], list[LeftOut]]:
    values = [value.encode("utf-8", "surrogateescape") for value in secrets if len(value) >= 4]
    chosen, left_out = [], []
    for path in paths:
        reason = _withheld(_at(place, path), path, values)
        if reason:
            left_out.append(LeftOut(text(path).removeprefix(place.prefix), reason))
        else:
            chosen.append(path)
    return chosen, left_out


def _withheld(full: bytes, path: bytes, values: Sequence[bytes]) -> str:
    """Why a file must not be kept, "" where it may."""
    if _SECRET_NAME.search(text(path)):
        return "its name is that of a secret"
    if os.path.islink(full) or not os.path.isfile(full):
        return ""  # a link is kept as its target's name, a file that is gone as gone
    if os.path.getsize(full) > LARGE:
        return f"it has more than {LARGE // 1_000_000} MB"
    with open(full, "rb") as stream:
        content = stream.read()
    if any(value in content for value in values):
        return "it holds the value of a secret"
    return "it holds what looks like a secret" if _SECRET_TEXT.search(content) else ""


def _add(place: Place, index: dict[str, str], paths: Sequence[bytes]) -> None:
    if paths:
        data = b"".join(path + b"\0" for path in paths)
        arguments = ("update-index", "--add", "--remove", "-z", "--stdin")
        call(place.top, *_QUIET, *arguments, data=data, extra=index)


def _at(place: Place, path: bytes) -> bytes:
    return os.path.join(os.fsencode(place.top), path)


def _blob(place: Place, data: bytes) -> str:
    return text(call(place.top, "hash-object", "-w", "--stdin", data=data)).strip()
