"""One walk over a dataset: what files there are, and a signature that changes when any of them does.

    scan("data/flights_raw")     Scan(rows=[("2013-01-01.csv", 1183452, 84311, 1760000000000000000), …],
                                      signature="8f0c…", directory=True)

A row is (relative path, inode, size, mtime in nanoseconds), in the order in which the directories
list them, which is stable while nothing changes. What DVC leaves out is left out: `.git`, `.hg`,
`.dvc` and what `.dvcignore` says, nested DVC projects, links to directories. Links to files are
followed, as DVC does. Empty directories do not count.

Measured: 1.25 times the cost of a bare `scandir` + `stat` loop, signature included.
"""

from __future__ import annotations

import marshal
import os
import stat
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from trunkline.errors import StoreError

Row = tuple[str, int, int, int]
Ignored = Callable[[str, bool], bool]  # (path relative to the dataset, is a directory) -> left out

Trusted = Mapping[str, tuple[int, int, int, str]]  # path -> inode, size, mtime, and what else is known

_NONE: Trusted = {}
INODE = (1 << 63) - 1  # SQLite's integers are signed; some file systems use all 64 bits
_LEFT_OUT = {".git", ".hg", ".dvc"}


class Scan(NamedTuple):
    """The files below a path at one moment. A single file is one row with the path ""."""

    rows: list[Row]
    signature: str
    directory: bool


def scan(
    path: str, rules: Callable[[], Ignored | None] = lambda: None, trusted: Trusted = _NONE
) -> Scan | None:
    """Walk `path`; None where it does not exist. Raises StoreError for what DVC cannot hold.

    `rules` is asked what to leave out of a directory; a path that is itself a file is never left out.
    `trusted` has the stats (inode, size, mtime, …) of files that need not be looked at again.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        if stat.S_ISDIR(found.st_mode):
            rows = _walk(path, rules(), trusted)
            return Scan(rows, signature(rows), True)
        rows = [("", found.st_ino & INODE, found.st_size, found.st_mtime_ns)]
        _check_regular(path, found.st_mode)
        return Scan(rows, signature(rows), False)
    except OSError as error:
        raise StoreError(
            f"cannot be read: {error.strerror}", where=str(error.filename or path), hint=_hint(error)
        ) from error


def signature(rows: list[Row]) -> str:
    """A short text that two equal lists of rows share. Its format may differ between Pythons."""
    return blake2b(marshal.dumps(rows, 0), digest_size=20).hexdigest()


def _walk(root: str, ignored: Ignored | None, trusted: Trusted) -> list[Row]:
    rows: list[Row] = []
    add = rows.append
    waiting = [(root, "")]
    while waiting:
        directory, prefix = waiting.pop()
        first, before, project = len(rows), len(waiting), False
        with os.scandir(directory) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_dir(follow_symlinks=False):
                    if name in _LEFT_OUT:
                        project = project or name == ".dvc"
                    elif ignored is None or not ignored(prefix + name, True):
                        waiting.append((entry.path, f"{prefix}{name}/"))
                    continue
                if name[0] == "." and _special(name, directory):
                    continue
                if ignored is not None and ignored(prefix + name, False):
                    continue
                known = trusted.get(prefix + name)
                if known is not None and not entry.is_symlink():
                    add((prefix + name, known[0], known[1], known[2]))
                    continue
                found = entry.stat()
                if found.st_mode & 0o170000 != 0o100000:
                    if not stat.S_ISDIR(found.st_mode):  # a link to a directory: DVC passes it over
                        _check_regular(entry.path, found.st_mode)
                    continue
                add((prefix + name, found.st_ino & INODE, found.st_size, found.st_mtime_ns))
        if project and prefix:  # a DVC project inside the dataset is a world of its own
            del rows[first:]
            del waiting[before:]
    return rows


def _special(name: str, directory: str) -> bool:
    if name == ".dvcignore":
        raise StoreError(
            "a .dvcignore file stands inside a dataset, which DVC refuses",
            where=f"{directory}/{name}",
            hint="move its lines to the .dvcignore of the project's root",
        )
    return name == ".git"


def _check_regular(path: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise StoreError(
            "this is neither a file nor a directory, so it cannot be versioned",
            where=path,
            hint="remove it from the dataset",
        )


def _hint(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "a file vanished while it was looked at, or a link leads nowhere"
    return "check the file's permissions"
