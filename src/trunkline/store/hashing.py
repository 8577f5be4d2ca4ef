"""Hashes files so that the hash can be trusted for the stat that is returned with it.

A stat tells two contents of a file apart only if its mtime moved between them, and clocks of file
systems are coarse (4 ms on ext4). So a file younger than 20 ms is waited for, once, before it is
read, and a stat that differs after reading means: read again.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence

from trunkline.errors import StoreError
from trunkline.store.files import copy_content, remove_quietly
from trunkline.store.memo import Stat
from trunkline.store.scan import INODE

SETTLED = 20_000_000  # nanoseconds
LARGE = 1 << 20  # bytes: above it threads pay, below it they cost
_TRIES = 5


def stat_of(found: os.stat_result) -> Stat:
    """The part of a stat that stands for a content."""
    return (found.st_ino & INODE, found.st_size, found.st_mtime_ns)


def settle(mtime: int) -> None:
    """Wait until a change from now on is sure to show in an mtime later than this one."""
    age = time.time_ns() - mtime
    if -SETTLED < age < SETTLED:
        time.sleep((SETTLED - age) / 1e9)


def hash_file(path: str) -> tuple[Stat, str]:
    """The stat and md5 of a file's content. Raises StoreError where it is being written to."""
    for _ in range(_TRIES):
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            before = stat_of(os.fstat(handle))
            settle(before[2])
            md5 = _hash_open(handle, before[1])
            if stat_of(os.fstat(handle)) == before:
                return before, md5
        finally:
            os.close(handle)
    raise _busy(path)


def _hash_open(handle: int, size: int) -> str:
    if size < LARGE:
        data = os.read(handle, size + 1)
        if len(data) == size:
            return hashlib.md5(data, usedforsecurity=False).hexdigest()
        os.lseek(handle, 0, os.SEEK_SET)
    hasher = hashlib.md5(usedforsecurity=False)
    while block := os.read(handle, LARGE):
        hasher.update(block)
    return hasher.hexdigest()


def copy_hashed(path: str, target: str) -> tuple[Stat, str]:
    """Copy a file to the new file `target`, reading it once; the stat and md5 of what was copied."""
    for _ in range(_TRIES):
        before = stat_of(os.stat(path))
        settle(before[2])
        hasher = hashlib.md5(usedforsecurity=False)
        copy_content(path, target, hasher.update, 0o444)
        if stat_of(os.stat(path)) == before:
            return before, hasher.hexdigest()
        remove_quietly(target)
    raise _busy(path)


def hash_files(paths: Sequence[str], sizes: Sequence[int]) -> Iterator[tuple[Stat, str]]:
    """`hash_file` of every path, in order: small files one by one, large ones on threads."""
    large = [index for index, size in enumerate(sizes) if size > LARGE]
    if len(large) < 2:
        yield from map(hash_file, paths)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(os.cpu_count() or 1, len(large), 8)) as pool:
        futures = {index: pool.submit(hash_file, paths[index]) for index in large}
        for index, path in enumerate(paths):
            yield futures.pop(index).result() if index in futures else hash_file(path)


def _busy(path: str) -> StoreError:
    return StoreError(
        "this file is being written to while it is hashed",
        where=path,
        hint="wait until the other program is done, and repeat",
    )
