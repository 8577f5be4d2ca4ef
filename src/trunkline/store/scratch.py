"""Working space on the cache's file system, and its removal when its owner is dead.

    <cache>/trunkline/scratch/<boot id, 8 digits>-<pid>-<start time>/<n>

The name tells a person whose it is. Whether the owner lives is told by a lock that it holds on the
directory (flock, released by the kernel at its death, seen across containers and namespaces): a
pid alone would make a second container's living scratch look dead.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from itertools import count
from threading import Lock

from trunkline.points import Point, reached


class Scratch:
    """Unused paths for one process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._mine = ""
        self._handle = -1
        self._numbers = count(1)
        self._lock = Lock()

    def path(self) -> str:
        """A path that does not exist, in a directory that does."""
        with self._lock:
            if not self._mine:
                self.clean()
                self._claim()
            return os.path.join(self._mine, str(next(self._numbers)))

    def close(self) -> None:
        """Give up the space, with what is left in it."""
        with self._lock:
            if self._mine:
                _remove_tree(self._mine)
                os.close(self._handle)
                self._mine, self._handle = "", -1

    def _claim(self) -> None:
        name = f"{_boot_id()}-{os.getpid()}-{_start_time()}"
        for attempt in count():
            path = os.path.join(self._folder, f"{name}.{attempt}" if attempt else name)
            os.makedirs(path, exist_ok=True)
            handle = _locked(path)
            if handle is not None:
                self._mine, self._handle = path, handle
                reached(Point.SCRATCH_CLAIMED)
                return

    def clean(self) -> None:
        """Remove what dead processes left."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return
        for name in names:
            path = os.path.join(self._folder, name)
            handle = _locked(path)
            if handle is not None:
                _remove_tree(path)
                os.close(handle)


def _locked(path: str) -> int | None:
    """A handle that holds the directory's lock; None where another holds it or it is gone."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), os.stat(path)):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _remove_tree(path: str) -> None:
    import shutil

    with contextlib.suppress(OSError):
        shutil.rmtree(path)


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id") as stream:
            return stream.read(8)
    except OSError:
        return "0"


def _start_time() -> str:
    try:
        with open("/proc/self/stat") as stream:
            return stream.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "0"
