"""The versions of a dataset or a model, as git's history of its pointer, or of dvc.lock, names them.

What a run made and nobody committed stands between them, by time: git does not know it, its record does.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from trunkline.errors import TrunklineError
from trunkline.ledger.records import RunRecord
from trunkline.model import Commit, File, Stage, Version
from trunkline.store import git, lockfile, pointers

LOCK = "dvc.lock"
Reader = Callable[[str], Version | None]


class Past(NamedTuple):
    """A version, and the commit that introduced it."""

    version: Version
    commit: Commit

    @property
    def when(self) -> str:
        """When it was committed."""
        return self.commit.time


class Made(NamedTuple):
    """A version that no commit names: the first run that made it, and when that began."""

    version: Version
    run: str
    when: str


def of_source(root: str, path: str) -> Iterator[Past]:
    """The versions of a source dataset, newest first; read as far as they are asked for."""
    file = path + pointers.SUFFIX
    return _past(root, file, lambda text: pointers.parse(text, file))


def of_output(root: str, path: str, dvc_name: str) -> Iterator[Past]:
    """The versions of an output of a stage, newest first."""

    def locked(text: str) -> Version | None:
        entry = lockfile.parse(text).get(dvc_name)
        outs = entry.outs if entry is not None else ()
        return next((Version(out.md5, out.size, out.nfiles) for out in outs if out.path == path), None)

    return _past(root, LOCK, locked)


def of_model(
    root: str, stage: Stage, path: str, listing: Callable[[str], tuple[File, ...]]
) -> Iterator[Past]:
    """The versions of the file `path` of a stage's output, newest first, as far as `listing` can be had.

    Where several versions of the dataset hold the same file, the first that did is told.
    """
    rows = of_output(root, stage.path, stage.dvc_name)
    files = ((past, file_of(past.version, path, listing)) for past in rows)
    for md5, group in groupby(files, key=lambda entry: entry[1].oid if entry[1] else None):
        *_, (past, file) = group
        if md5 is not None and file is not None:
            yield Past(file, past.commit)


def with_runs(
    root: str,
    past: Iterable[Past],
    runs: Iterable[RunRecord],
    stage: Stage,
    model: Callable[[Version], Version | None] | None = None,
) -> Iterator[Past | Made]:
    """The same with what runs made of the stage's dataset and no commit names.

    `model` gives the file of it whose versions these are.
    """
    loose = _loose(root, runs, stage)
    if loose and model is not None:
        past = list(past)
        files = [(made, model(made.version)) for made in loose]
        known = {row.version.oid for row in past}
        found = {
            file.oid: made._replace(version=file)
            for made, file in files
            if file is not None and file.oid not in known
        }
        loose = list(found.values())
    # without the Z: "…:05" of a commit is before "…:05.120" of a run
    return heapq.merge(past, loose, key=lambda row: row.when.rstrip("Z"), reverse=True)


def _loose(root: str, runs: Iterable[RunRecord], stage: Stage) -> list[Made]:
    """The versions of a stage's dataset that runs made and git's history of dvc.lock does not name, newest first.

    Each with the first run that made it. The history is searched for their hashes, not parsed.
    """
    found: dict[str, Made] = {}
    for run in runs:
        record = run.stages.get(stage.ref)
        for out in record.entry.outs if record is not None and record.entry is not None else ():
            if out.path == stage.path:
                version = Version(out.md5, out.size, out.nfiles)
                found[out.md5] = Made(version, run.id, run.started)
    for _, data in git.history(root, LOCK) if found else ():
        for oid in [oid for oid in found if data is not None and oid.encode() in data]:
            del found[oid]
        if not found:
            break
    return sorted(found.values(), key=lambda made: made.when, reverse=True)


def file_of(version: Version, path: str, listing: Callable[[str], tuple[File, ...]]) -> Version | None:
    """The version of a file of a version; None where it is not there, or the listing not at hand."""
    try:
        found = next((file for file in listing(version.oid) if file.path == path), None)
    except TrunklineError:
        return None
    return None if found is None else Version(found.md5, found.size, None)


def _past(root: str, file: str, read: Reader) -> Iterator[Past]:
    """Each version with the oldest of the neighbouring commits that name it."""
    named = ((commit, _version(data, read)) for commit, data in git.history(root, file))
    for oid, group in groupby(named, key=lambda entry: entry[1].oid if entry[1] else None):
        *_, (commit, version) = group
        if oid is not None and version is not None:
            yield Past(version, commit)


def _version(data: bytes | None, read: Reader) -> Version | None:
    """The version that a file named; None also for what cannot be read: a conflict, an old format."""
    try:
        return None if data is None else read(data.decode("utf-8", "replace"))
    except (TrunklineError, ValueError):
        return None
