"""The objects of a cache one by one: which there are, away with some, and what they hold.

    stored     every object, with its size and when it last changed or was linked
    remove     some of them, in the order given
    Search     whether any of many files is, or holds, one of some contents; says how much was read

Whoever removes decides what; here nothing is decided.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from trunkline.points import Point, reached

_FAN = re.compile(r"[0-9a-f]{2}").fullmatch
_REST = re.compile(r"[0-9a-f]{30}(\.dir)?").fullmatch
_BLOCK = 1 << 20
_HEAD = 4096  # so much of a content is looked for first
SHORT = 16  # bytes: what is shorter is in anything, by chance


class Stored(NamedTuple):
    """An object; `changed` in seconds since 1970: written, renamed or linked."""

    oid: str
    path: str
    size: int
    changed: float


def stored(objects: str) -> Iterator[Stored]:
    """The objects in the directory `<cache>/files/md5`."""
    with suppress(FileNotFoundError):
        for fan in sorted(filter(_FAN, os.listdir(objects))):
            with suppress(FileNotFoundError), os.scandir(os.path.join(objects, fan)) as entries:
                for entry in entries:
                    if _REST(entry.name):
                        stat = entry.stat(follow_symlinks=False)
                        yield Stored(
                            fan + entry.name, entry.path, stat.st_size, max(stat.st_ctime, stat.st_mtime)
                        )


def remove(paths: Iterable[str]) -> int:
    """Unlink these; how many were there."""
    done = 0
    for path in paths:
        with suppress(FileNotFoundError):
            os.unlink(path)
            done += 1
            reached(Point.OBJECT_REMOVED)
    return done


# ---------------------------------------------------------------- what they hold


class Search:
    """Looks into files for contents: `md5s` of whole files, `contents` also as a part of another.

    `read` and `size` count what was looked into, `found` names what holds one, and which.
    """

    def __init__(self, md5s: Iterable[str], contents: Mapping[str, bytes]) -> None:
        self._md5s = set(md5s)
        self._contents = {md5: data for md5, data in contents.items() if len(data) >= SHORT}
        self.read = 0
        self.size = 0
        self.found: dict[str, str] = {}

    def file(self, path: str, name: str) -> None:
        """Look into a file."""
        with suppress(FileNotFoundError), open(path, "rb") as stream:
            self.blocks(name, lambda: iter(lambda: stream.read(_BLOCK), b""), lambda: _read(path))

    def data(self, name: str, data: bytes) -> None:
        """Look into these."""
        self.blocks(name, lambda: iter([data]), lambda: data)

    def blocks(self, name: str, blocks: Callable[[], Iterator[bytes]], whole: Callable[[], bytes]) -> None:
        """Look into what comes block by block; `whole` is asked where the beginning of a content was seen."""
        hasher, tail = hashlib.md5(usedforsecurity=False), b""
        heads = {md5: data[:_HEAD] for md5, data in self._contents.items()}
        keep = max(map(len, heads.values()), default=1) - 1
        suspects: set[str] = set()
        for block in blocks():
            hasher.update(block)
            self.size += len(block)
            seen = tail + block
            suspects |= {md5 for md5, head in heads.items() if head in seen}
            tail = seen[-keep:] if keep else b""
        self.read += 1
        if hasher.hexdigest() in self._md5s:
            self.found[name] = hasher.hexdigest()
        elif suspects:
            data = whole()
            held = (md5 for md5 in sorted(suspects) if self._contents[md5] in data)
            if md5 := next(held, ""):
                self.found[name] = md5


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()
