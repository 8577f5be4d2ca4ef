"""The versions of a dataset or a model, as git's history of its pointer, or of dvc.lock, names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

from trunkline.errors import TrunklineError
from trunkline.model import Commit, File, Stage, Version
from trunkline.store import git, lockfile, pointers

LOCK = "dvc.lock"
Reader = Callable[[str], Version | None]


class Past(NamedTuple):
    """A version, and the commit that introduced it."""

    version: Version
    commit: Commit


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
    files = ((past, _file(past, path, listing)) for past in of_output(root, stage.path, stage.dvc_name))
    for md5, group in groupby(files, key=lambda entry: entry[1].md5 if entry[1] else None):
        *_, (past, file) = group
        if md5 is not None and file is not None:
            yield Past(Version(md5, file.size, None), past.commit)


def _file(past: Past, path: str, listing: Callable[[str], tuple[File, ...]]) -> File | None:
    try:
        return next((file for file in listing(past.version.oid) if file.path == path), None)
    except TrunklineError:
        return None


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
