"""How a file of the cache comes into the workspace: reflink, else hard link, else copy.

A reflink shares the blocks until one side is written to: the best of all, where the file system
has it (btrfs, XFS, APFS). A hard link shares the file: as cheap, and read-only (mode 0444), so
that an edit in place is refused instead of damaging the cache. What a file system refuses once is
not tried again. Empty files are never linked: a dataset may hold more of them than a file may have
links. At the limit of links (65,000 on ext4) a file is copied.

Another run may put the same object into the cache meanwhile, which replaces it by an equal one. Linux then says
of the one that was to be linked that there is none.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sys
from collections.abc import Callable

from trunkline.store.files import copy_content, remove_quietly

_FICLONE = 0x40049409
_REFUSED = {
    errno.EXDEV, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ETXTBSY,
}  # fmt: skip


def reflink(source: str, target: str) -> None:
    """Make the new file `target` share the blocks of `source`. Raises OSError where impossible."""
    if sys.platform == "darwin":
        _clonefile(source, target)
        return
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            fcntl.ioctl(writer, _FICLONE, reader)
        except OSError:
            remove_quietly(target)
            raise
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _clonefile(source: str, target: str) -> None:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    if library.clonefile(os.fsencode(source), os.fsencode(target), 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), source)
    os.chmod(target, 0o644)


def copy(source: str, target: str) -> None:
    """Write the new file `target` with the content of `source`."""
    copy_content(source, target)


def copy_object(source: str, target: str) -> None:
    """Write the new file `target`, an object of the cache, with the content of `source`."""
    copy_content(source, target, mode=0o444)


Method = Callable[[str, str], None]
TO_WORKSPACE: tuple[Method, ...] = (reflink, os.link, copy)
TO_CACHE: tuple[Method, ...] = (reflink, copy_object)


class Linker:
    """Makes files of one file system from those of another, by the first method that works."""

    def __init__(self, methods: tuple[Method, ...]) -> None:
        self._methods = list(methods)

    def __call__(self, source: str, target: str, *, empty: bool = False) -> None:
        """Make the new file `target` have the content of `source`. Raises OSError."""
        if empty:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
            return
        while True:
            method = self._methods[0]
            try:
                method(source, target)
                return
            except OSError as error:
                if error.errno == errno.EMLINK or (error.errno == errno.ENOENT and os.path.exists(source)):
                    copy(source, target)
                    return
                if error.errno not in _REFUSED or len(self._methods) == 1:
                    raise
            del self._methods[0]
