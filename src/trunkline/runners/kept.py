"""Objects that a machine keeps by content, so that what many datums read is fetched once.

    <directory>/ab/cdef…            an object, mode 0444
    <directory>/incoming/           what is being fetched

What is in use is held; of the rest, what was not used for longest goes when there is more than `limit`
bytes. Several threads may ask for the same object: one fetches, the others wait for it.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import count
from threading import Lock

Fetch = Callable[[Sequence[tuple[str, str]]], None]
"""Puts the content of each (md5, path) at its path, or raises."""

_OLD = 1_000_000_000  # the mtime of all objects, in seconds: any write to one shows


class Kept:
    """The objects below `directory`."""

    def __init__(self, directory: str, limit: int) -> None:
        self.directory = directory
        self._limit = limit
        self._there: OrderedDict[str, int] = OrderedDict()  # md5 -> bytes, the least used first
        self._coming: dict[str, Future[None]] = {}
        self._held: Counter[str] = Counter()
        self._bytes = 0
        self._numbers = count()
        self._lock = Lock()

    @contextlib.contextmanager
    def holding(self, md5s: Iterable[str], fetch: Fetch) -> Iterator[None]:
        """See that these objects are there while the context is open. Raises what `fetch` raises."""
        wanted = list(dict.fromkeys(md5s))
        mine, others = self._claim(wanted)
        try:
            self._bring(mine, fetch)
            for future in others:
                future.result()
            yield
        finally:
            self._release(wanted)

    def drop(self, paths: Iterable[str]) -> None:
        """Remove damaged objects, by path."""
        for path in paths:
            md5 = os.path.basename(os.path.dirname(path)) + os.path.basename(path)
            with self._lock:
                self._forget(md5)

    def _claim(self, wanted: Sequence[str]) -> tuple[list[str], list[Future[None]]]:
        """What this thread must fetch, and what others are fetching already."""
        mine: list[str] = []
        others: list[Future[None]] = []
        with self._lock:
            self._held.update(wanted)
            for md5 in wanted:
                if md5 in self._there:
                    self._there.move_to_end(md5)
                elif md5 in self._coming:
                    others.append(self._coming[md5])
                else:
                    self._coming[md5] = Future()
                    mine.append(md5)
        return mine, others

    def _bring(self, mine: Sequence[str], fetch: Fetch) -> None:
        error: BaseException | None = None
        try:
            paths = [os.path.join(self.directory, "incoming", str(next(self._numbers))) for _ in mine]
            fetch(list(zip(mine, paths, strict=True)))
            sizes = [self._place(md5, path) for md5, path in zip(mine, paths, strict=True)]
        except BaseException as raised:
            error = raised
            raise
        finally:
            with self._lock:
                for place, md5 in enumerate(mine):
                    future = self._coming.pop(md5)
                    if error is None:
                        self._there[md5] = sizes[place]
                        self._bytes += sizes[place]
                        future.set_result(None)
                    else:
                        future.set_exception(error)

    def _place(self, md5: str, path: str) -> int:
        os.chmod(path, 0o444)
        os.utime(path, (_OLD, _OLD))
        target = self._path(md5)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.rename(path, target)
        return os.stat(target).st_size

    def _release(self, wanted: Sequence[str]) -> None:
        with self._lock:
            self._held.subtract(wanted)
            self._held = +self._held
            for md5 in list(self._there):
                if self._bytes <= self._limit:
                    return
                if not self._held[md5]:
                    self._forget(md5)

    def _forget(self, md5: str) -> None:
        self._bytes -= self._there.pop(md5, 0)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(md5))

    def _path(self, md5: str) -> str:
        return os.path.join(self.directory, md5[:2], md5[2:])
