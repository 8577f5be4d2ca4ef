"""The versions of a dataset, as git's history of its pointer, or of dvc.lock, names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import NamedTuple

from trunkline.errors import TrunklineError
from trunkline.model import Commit, Version
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
