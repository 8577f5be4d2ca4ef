"""A datum's input files as paths, and whether it wrote to them.

    <directory>/pfs/<name>/<path in the dataset>

Functions get read-only hard links to the cache's objects: nothing is copied. Where a mode does not
protect (as root), to commands, whose programs often write in place, and where a link is not to be had,
they get copies, by reflink if the file system can. Copies have one constant mtime, so that archives
made of them do not differ from run to run, and so that a write to them shows.

The files of an input with `empty_files` have their names and no content; `contents` says what a link to
one of them stands for.

Every file is stat-ed before and after the datum. A write through a hard link reaches the cache's
object: the datum fails, and the object is named as damaged. Removing or moving a view harms nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
import shutil
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trunkline.model import WorkFile, WorkInput
from trunkline.runners.failures import Fault, shown, written_to

_MTIME = 1_000_000_000 * 10**9  # of copies, in nanoseconds: September 2001
_GRAIN = 20_000_000  # nanoseconds in which two writes may leave one mtime
_NO_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS}


class Stamp(NamedTuple):
    """What a write changes. Not ctime: links to the same object come and go beside us."""

    inode: int
    size: int
    mtime: int


class Guard(NamedTuple):
    """A file that a datum may not write to, as it was before. `view` is "" where it got no path.

    `empty`: the view has no content.
    """

    name: str
    object: str
    before: Stamp
    view: str = ""
    seen: Stamp | None = None
    empty: bool = False


class Views:
    """The views of one datum after another, below one directory.

    Directories stay from datum to datum: making and removing them costs more than the links in them.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._made: set[str] = set()

    def lay(self, given: WorkInput, *, copies: bool) -> list[Guard]:
        """Lay out the files of one input. Raises Fault."""
        base = os.path.join(self.directory, "pfs", given.name)
        if given.directory:
            self._make(os.path.join(base, _safe(given, given.path)))
        return [self._lay_file(base, given, file, copies) for file in given.files]

    def clear(self, names: Iterable[str], guards: Iterable[Guard]) -> None:
        """Remove the views of these inputs, and whatever the datum left beside them."""
        for entry in guards:
            if entry.view:
                with contextlib.suppress(OSError):
                    os.unlink(entry.view)
        for name in names:
            base = os.path.join(self.directory, "pfs", name)
            if base not in self._made or os.listdir(base):
                remove_tree(base)
                self._made = {path for path in self._made if path != base and not path.startswith(f"{base}/")}

    def _lay_file(self, base: str, given: WorkInput, file: WorkFile, copies: bool) -> Guard:
        status = None if given.empty else _stat(given, file)
        inner = _safe(given, file.path) or posixpath.basename(given.dataset)
        view = os.path.join(base, inner)
        self._make(os.path.dirname(view))
        if status is None:
            _touch(view)
        elif copies or status.st_mode & 0o222 or not _link(given.object(file), view):
            copy_file(given.object(file), view)
        else:
            _settle(status.st_mtime_ns)
        seen = os.stat(view)
        before = _stamp(status or seen)
        name = shown(given.dataset, file.path)
        return Guard(name, given.object(file), before, view, _stamp(seen), given.empty)

    def _make(self, directory: str) -> None:
        if directory not in self._made:
            os.makedirs(directory, exist_ok=True)
            self._made.add(directory)


def guard(given: WorkInput) -> list[Guard]:
    """Guards for files that are handed over as the cache's objects, without a view."""
    return [
        Guard(shown(given.dataset, f.path), given.object(f), _stamp(_stat(given, f))) for f in given.files
    ]


def location(given: WorkInput, path: str) -> str:
    """Where a view stands below `pfs`: a dataset that is a single file has its own name there."""
    inner = path or ("" if given.directory else posixpath.basename(given.dataset))
    return posixpath.join(given.name, inner) if inner else given.name


def check(guards: Iterable[Guard], error: BaseException | None) -> None:
    """Raise a Fault if one of the files was written to; `error` is what ended the datum."""
    names, damaged = [], []
    for entry in guards:
        hurt = not entry.empty and _changed(entry.object, entry.before, replaced=False)
        if hurt:
            damaged.append(entry.object)
        if hurt or (entry.seen is not None and _changed(entry.view, entry.seen, replaced=True)):
            names.append(entry.name)
    if names:
        raise Fault("InputModified", written_to(names, error), damaged=damaged) from error


def _link(source: str, target: str) -> bool:
    try:
        os.link(source, target)
    except OSError as error:
        # Linux says "no such file" where another run replaces the object by an equal one at this moment.
        replaced = error.errno == errno.ENOENT and os.path.exists(source)
        if error.errno not in _NO_LINK and not replaced:
            raise
        return False
    return True


def contents(guards: Iterable[Guard]) -> Mapping[str, str]:
    """The object behind each view without content, by the view's path."""
    return {os.path.realpath(entry.view): entry.object for entry in guards if entry.empty}


def _touch(target: str) -> None:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444))
    os.utime(target, ns=(_MTIME, _MTIME))


def copy_file(source: str, target: str) -> None:
    """Copy to a file that is not there, sharing the blocks where the file system can."""
    old = os.open(source, os.O_RDONLY)
    try:
        new = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        try:
            _copy_blocks(old, new)
            os.utime(new, ns=(_MTIME, _MTIME))
        finally:
            os.close(new)
    finally:
        os.close(old)


def _copy_blocks(old: int, new: int) -> None:
    with contextlib.suppress(AttributeError, OSError):  # Linux only; reflinks by itself
        while os.copy_file_range(old, new, 1 << 30):
            pass
    while data := os.read(old, 1 << 20):  # what is left: nothing, or everything
        view = memoryview(data)
        while view:
            view = view[os.write(new, view) :]


def _settle(mtime: int) -> None:
    """Wait until a write to a file of this mtime would leave another mtime."""
    age = time.time_ns() - mtime
    if 0 <= age < _GRAIN:
        time.sleep((_GRAIN - age) / 1e9)


def _stat(given: WorkInput, file: WorkFile) -> os.stat_result:
    try:
        return os.stat(given.object(file))
    except FileNotFoundError as error:
        name = shown(given.dataset, file.path)
        raise Fault("MissingData", f"{name} is not in the cache any more") from error


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_ino, status.st_size, status.st_mtime_ns)


def _changed(path: str, before: Stamp, *, replaced: bool) -> bool:
    """Whether the file was written to; `replaced` says whether another file in its place counts too.

    It does for a view, which is the datum's alone, and not for an object, which the cache may renew.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        now = _stamp(os.lstat(path))
        return now != before if now.inode == before.inode else replaced
    return False


def remove_tree(path: str) -> None:
    """Remove a directory with all that is in it, also where a datum took away its own permissions."""
    shutil.rmtree(path, ignore_errors=True)
    if not os.path.lexists(path):
        return
    for directory, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            os.chmod(directory, 0o700)
    shutil.rmtree(path, ignore_errors=True)


def _safe(given: WorkInput, path: str) -> str:
    if path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise Fault("BadInput", f"the dataset {given.dataset} has a file {path!r}, which leaves the dataset")
    return path
