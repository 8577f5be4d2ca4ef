"""The records of runs at origin: which it has, which may go there, and what else carries them.

Refs are always named one by one, never forced. What a server refuses is told, with its own words.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from trunkline.store.branches import REMOTE, has_remote
from trunkline.store.gitcall import attempt, call, text
from trunkline.store.snapshots import RUNS, name_of

__all__ = ["bundle", "fetch", "fetch_bundle", "forget", "has_remote", "push", "records", "unsent"]

_BATCH = 400  # refs of one call: its command line has an end
_PLAIN = ("-c", f"core.hooksPath={os.devnull}")  # `dvc install` has one that pushes the workspace's data
_ASK_NOBODY = {"SSH_ASKPASS_REQUIRE": "never", "GIT_ASKPASS": os.environ.get("GIT_ASKPASS", "true")}


def records(root: str) -> dict[str, str]:
    """The commits of the records that origin has, by run. Raises ProjectError."""
    out = call(root, *_PLAIN, "ls-remote", "--refs", REMOTE, f"{RUNS}/*", extra=_ASK_NOBODY)
    pairs = [line.split("\t", 1) for line in text(out).splitlines()]
    return {ref.rpartition("/")[2]: commit for commit, ref in pairs}


def unsent(root: str, records: Mapping[str, str]) -> dict[str, str]:
    """Those of the records (commits by run) that stand on a commit which origin has not got."""
    if not records:
        return {}
    tips = text(call(root, *_PLAIN, "ls-remote", "--heads", "--tags", REMOTE, extra=_ASK_NOBODY)).splitlines()
    there = [line.split("\t")[0] for line in tips]
    known = set(text(call(root, "rev-list", "--no-walk", "--ignore-missing", "--stdin",
                          data="\n".join(there).encode())).split())  # fmt: skip
    parents = _parents(root, records.values())
    asked = "\n".join([*parents.values(), *(f"^{commit}" for commit in known)])
    absent = set(text(call(root, "rev-list", "--stdin", data=asked.encode())).split()) if parents else set()
    return {run: commit for run, commit in records.items() if parents.get(commit) in absent}


def _parents(root: str, commits: Collection[str]) -> dict[str, str]:
    """The parent of each commit that has one."""
    out = text(call(root, "rev-list", "--no-walk=unsorted", "--parents", "--stdin",
                    data="\n".join(commits).encode()))  # fmt: skip
    words = [line.split() for line in out.splitlines()]
    return {line[0]: line[1] for line in words if len(line) > 1}


def push(root: str, records: Mapping[str, str]) -> str:
    """Send these records; "" where origin took them, else why not."""
    for some in _batches(sorted(records)):
        refs = [f"{records[run]}:{RUNS}/{name_of(run)}" for run in some]
        code, _, stderr = attempt(
            root, *_PLAIN, "push", "--quiet", "--no-verify", "--atomic", REMOTE, *refs, extra=_ASK_NOBODY
        )
        if code:
            return _reason(stderr)
    return ""


def fetch(root: str) -> None:
    """Bring the records of origin, and what its branches are. One that is here already stays. Raises ProjectError."""
    branches = f"+refs/heads/*:refs/remotes/{REMOTE}/*"
    code, out, _ = attempt(root, "for-each-ref", "--format=%(refname)", RUNS)
    mine = {ref.rpartition("/")[2] for ref in text(out).split()} if not code else set()
    new = [f"{RUNS}/{name_of(run)}:{RUNS}/{name_of(run)}" for run in records(root) if run not in mine]
    for some in [[branches], *_batches(new)]:
        call(root, *_PLAIN, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", REMOTE, *some,
             extra=_ASK_NOBODY)  # fmt: skip


def forget(root: str, runs: Collection[str]) -> None:
    """Delete the records of these runs at origin, by name; those that it has. Raises ProjectError."""
    there = records(root)
    for some in _batches(sorted(run for run in runs if run in there)):
        refs = [f":{RUNS}/{name_of(run)}" for run in some]
        call(root, *_PLAIN, "push", "--quiet", "--no-verify", REMOTE, *refs, extra=_ASK_NOBODY)


def bundle(root: str, path: str, records: Mapping[str, str]) -> None:
    """Write these records into a file, without what origin's branches have. Raises ProjectError."""
    refs = [f"{RUNS}/{name_of(run)}" for run in sorted(records)]
    call(root, "bundle", "create", "--quiet", path, *refs, "--not", f"--remotes={REMOTE}")


def fetch_bundle(root: str, path: str) -> None:
    """Bring the records of such a file. Raises ProjectError, where what they stand on is not here."""
    call(root, *_PLAIN, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", path, f"{RUNS}/*:{RUNS}/*")


def _batches(items: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def _reason(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("hint:")]
    told = [line for line in lines if line.startswith(("!", "fatal:", "error:", "remote:"))] or lines
    return "; ".join(told[:2]) or "it did not say why"
