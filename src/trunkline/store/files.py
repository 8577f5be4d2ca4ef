"""Small acts on files that the rest of the store is built from: write whole, copy, make durable.

Nothing here knows DVC. A file is written under a temporary name and renamed, so that a reader, or
a kill at any moment, sees the old content or the new one, never a part.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Callable

from trunkline.points import Point, reached

_BLOCK = 1 << 20


def replace_bytes(
    path: str,
    data: bytes,
    *,
    mode: int | None = None,
    durable: bool = False,
    aside: Point = Point.FILE_ASIDE,
) -> None:
    """Make `path` hold `data`. `mode` is for a new file; an old one's mode is kept without it."""
    parent = os.path.dirname(path)
    if mode is None:
        mode = _mode_of(path)
    temporary = os.path.join(parent, f".{os.path.basename(path)}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            write_all(handle, data)
            if mode is not None:
                os.fchmod(handle, mode)
            if durable:
                os.fsync(handle)
        finally:
            os.close(handle)
        reached(aside)
        os.replace(temporary, path)
        reached(Point.FILE_REPLACED)
    except BaseException:
        remove_quietly(temporary)
        raise
    if durable:
        sync_directory(parent)


def _mode_of(path: str) -> int | None:
    try:
        return os.stat(path).st_mode & 0o7777
    except FileNotFoundError:
        return None


def write_all(handle: int, data: bytes) -> None:
    """Write all of `data`: one call of `os.write` may take a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def copy_content(
    source: str, target: str, seen: Callable[[bytes], object] | None = None, mode: int = 0o666
) -> None:
    """Write a new file `target` with the content of `source`; `seen` is given every block."""
    reader = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        writer = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            while block := os.read(reader, _BLOCK):
                if seen is not None:
                    seen(block)
                write_all(writer, block)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def move(source: str, target: str) -> None:
    """Rename a file, across file systems too; `target` appears whole or not at all."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        temporary = f"{target}.{os.getpid()}.{os.urandom(4).hex()}"
        try:
            copy_content(source, temporary)
            os.replace(temporary, target)
        finally:
            remove_quietly(temporary)
        os.unlink(source)


def remove_quietly(path: str) -> None:
    """Remove a file that may not be there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def sync_file(path: str) -> None:
    """Return when the file's content is on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


sync_directory = sync_file


def sync_filesystem(path: str) -> None:
    """Return when everything written so far to the file system of `path` is on the disk.

    One call for a whole stage: a call of fsync per file costs nearly twice as much as the work.
    """
    if sys.platform == "linux":
        import ctypes

        syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
        if syncfs is not None:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if syncfs(handle) == 0:
                    return
            finally:
                os.close(handle)
    os.sync()
