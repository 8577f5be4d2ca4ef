"""DVC's read-write lock on paths of the workspace: who reads and who writes what, now.

    .dvc/tmp/rwlock    {"write": {"/p/data/a": {"pid": 812, "cmd": "dvc repro"}},
                        "read":  {"/p/data/b": [{"pid": 812, "cmd": "dvc repro"}]}}

A path that overlaps one that another process writes can be neither read nor written; one that
another reads cannot be written. A conflict is an error at once, never a wait, as in DVC: so a
`dvc repro` and a `trunkline run` of the same stage refuse each other, and of different stages run
side by side. An owner that is dead has lost its locks. An owner is (pid, command): two stages of
one process lock each other out if their commands differ.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import RLock
from typing import Any

from trunkline.errors import LockedError, StoreError
from trunkline.points import Point, reached
from trunkline.store.files import replace_bytes
from trunkline.store.locks import is_alive

_Info = dict[str, Any]


class RWLock:
    """The read-write lock of one project."""

    def __init__(self, root: str, guard: Callable[[str], AbstractContextManager[None]]) -> None:
        self._root = os.path.realpath(root)  # as DVC sees it, whose working directory has no links
        self._path = os.path.join(root, ".dvc", "tmp", "rwlock")
        self._guard = guard
        self._held: Counter[tuple[str, str, str]] = Counter()  # (mode, path, command)
        self._lock = RLock()

    @contextmanager
    def holding(self, command: str, read: Sequence[str], write: Sequence[str]) -> Iterator[None]:
        """Hold these paths (relative to the root) for `command`. Raises LockedError."""
        info: _Info = {"pid": os.getpid(), "cmd": command}
        reads, writes = self._full(read), self._full(write)
        with self._editing() as held:
            _reap(held)
            _check(held["write"], [*reads, *writes], info, self._root, "written")
            _check(held["read"], writes, info, self._root, "read")
            self._take(held, info, reads, writes)
        try:
            reached(Point.PATHS_LOCKED)
            yield
        finally:
            with self._editing() as held:
                self._release(held, info, reads, writes)
            reached(Point.PATHS_UNLOCKED)

    def owner(self, path: str) -> tuple[int, str] | None:
        """The living process that writes `path`, or something in or above it: its pid and command."""
        full = self._full([path])[0]
        with self._lock, self._guard(self._path + ".lock"):  # DVC writes the file in place
            held = self._load()["write"]
        for other, info in held.items():
            if _overlap(full, other) and is_alive(info["pid"]):
                return info["pid"], info["cmd"]
        return None

    def _take(self, held: dict[str, Any], info: _Info, reads: list[str], writes: list[str]) -> None:
        for path in reads:
            self._held["read", path, info["cmd"]] += 1
            readers = held["read"].setdefault(path, [])
            if info not in readers:
                readers.append(info)
        for path in writes:
            self._held["write", path, info["cmd"]] += 1
            held["write"][path] = info

    def _release(self, held: dict[str, Any], info: _Info, reads: list[str], writes: list[str]) -> None:
        for path in writes:
            if self._is_last("write", path, info) and held["write"].get(path) == info:
                del held["write"][path]
        for path in reads:
            readers = held["read"].get(path, [])
            if self._is_last("read", path, info) and info in readers:
                readers.remove(info)
            if not readers:
                held["read"].pop(path, None)

    def _is_last(self, mode: str, path: str, info: _Info) -> bool:
        key = (mode, path, info["cmd"])
        self._held[key] -= 1
        if self._held[key] > 0:
            return False
        del self._held[key]
        return True

    def _full(self, paths: Sequence[str]) -> list[str]:
        unique = dict.fromkeys(os.path.normpath(os.path.join(self._root, path)) for path in paths)
        return list(unique)

    @contextmanager
    def _editing(self) -> Iterator[dict[str, Any]]:
        try:
            with self._lock, self._guard(self._path + ".lock"):
                held = self._load()
                yield held
                kept = {mode: paths for mode, paths in held.items() if paths}
                replace_bytes(self._path, json.dumps(kept).encode())
        except OSError as error:
            raise StoreError(
                f"DVC's lock on paths cannot be written: {error.strerror}",
                where=self._path,
                hint="see that there is space left, and that you may write there",
            ) from error

    def _load(self) -> dict[str, Any]:
        try:
            with open(self._path, encoding="utf-8") as stream:
                text = stream.read()
            held = json.loads(text)
            write = {path: _owner(info) for path, info in held.get("write", {}).items()}
            read = {path: list(map(_owner, infos)) for path, infos in held.get("read", {}).items()}
            return {"write": write, "read": read}
        except FileNotFoundError:
            return {"write": {}, "read": {}}
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise LockedError(
                "DVC's lock on paths cannot be read",
                where=self._path,
                hint="remove that file if no dvc or trunkline command is running",
            ) from error


def _owner(info: Any) -> _Info:
    return {"pid": int(info["pid"]), "cmd": str(info["cmd"])}


def _reap(held: dict[str, Any]) -> None:
    """Drop the locks of the dead, also where they are in nobody's way."""
    owners = [*held["write"].values(), *(owner for readers in held["read"].values() for owner in readers)]
    dead = {pid for pid in {owner["pid"] for owner in owners} if not is_alive(pid)}
    if dead:
        held["write"] = {path: owner for path, owner in held["write"].items() if owner["pid"] not in dead}
        read = {path: [o for o in readers if o["pid"] not in dead] for path, readers in held["read"].items()}
        held["read"] = {path: readers for path, readers in read.items() if readers}


def _check(held: dict[str, Any], paths: list[str], info: _Info, root: str, verb: str) -> None:
    """Raise LockedError where another owner holds what overlaps."""
    for other, entry in held.items():
        mine = next((path for path in paths if _overlap(path, other)), None)
        for owner in entry if isinstance(entry, list) else [entry]:
            if mine is not None and owner != info:
                raise LockedError(
                    f"{os.path.relpath(mine, root)} is being {verb} by process {owner['pid']}: {owner['cmd']}",
                    where=os.path.relpath(other, root),
                    hint="wait until it is done, or end it, and repeat",
                )


def _overlap(one: str, other: str) -> bool:
    return one == other or one.startswith(other + os.sep) or other.startswith(one + os.sep)
