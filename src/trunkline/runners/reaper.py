"""Ends processes together with everything that they started.

What a worker starts is found in two ways: by descent, for which on Linux the template is the reaper of
all orphans below it, so that whatever left its parent and its session is still its descendant; and by
the worker's session, which must do where orphans fall to init. Killing goes in rounds, until nobody is
left who could have started somebody in between.

What a datum starts ends with it: a `Brood` is what came since it was made. A worker is the reaper of its
own orphans and finds all of it. Elsewhere other threads start processes too, which may not be touched:
there a brood is what this thread started and left in our session. Where there is no child at all, which
one system call tells, nothing else is asked.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

LINUX = sys.platform == "linux"
_ROUNDS = 200
_PAUSE = 0.005  # seconds between rounds


class Process(NamedTuple):
    """A living process."""

    pid: int
    parent: int
    session: int


_SET_CHILD_SUBREAPER = 36
_adopting = False


def adopt_orphans() -> None:
    """Make this process, on Linux, the parent of every orphan among its descendants."""
    global _adopting
    if LINUX:
        prctl(_SET_CHILD_SUBREAPER, 1)
        _adopting = True


def prctl(option: int, value: int) -> None:
    """Linux only."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


class Brood:
    """The processes that are started from now on, and what they start in turn."""

    def __init__(self) -> None:
        self._before = _children() if _has_children() else set()

    def end(self, *, reap: bool = False) -> bool:
        """Kill them; whether any of them was still running. `reap`: nobody else will wait for them."""
        if not _has_children():
            return False
        found = False

        def victims(table: list[Process]) -> set[int]:
            nonlocal found
            living = self._new() & {process.pid for process in table}
            found = found or bool(living)
            return living | _below(living, table)

        if self._new():
            _kill_while(victims)
        for pid in self._new() if reap else ():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        return found

    def _new(self) -> set[int]:
        return _children() - self._before


def _has_children() -> bool:
    """Whether this process has any, dead ones included that nobody has waited for."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except (ChildProcessError, AttributeError):  # macOS has no waitid before Python 3.13
        return False
    return True


def _children() -> set[int]:
    """All children of this process where orphans fall to it, else those of this thread, in our session."""
    if _adopting:
        return children(os.getpid())
    thread = threading.get_native_id()
    try:
        found = _read_pids(f"/proc/self/task/{thread}/children") if LINUX else children(os.getpid())
    except OSError:
        return set()
    return {pid for pid in found if _session(pid) == os.getsid(0)}


def children(pid: int) -> set[int]:
    """The children of a process, dead ones included on Linux."""
    if not LINUX:
        return {process.pid for process in processes() if process.parent == pid}
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            found |= _read_pids(f"/proc/{pid}/task/{thread}/children")
    return found


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for each in found:
        found += children(each).difference(found)
    return found


def _read_pids(path: str) -> set[int]:
    with open(path, "rb") as stream:
        return set(map(int, stream.read().split()))


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def end_descendants() -> None:
    """Kill every descendant of this process, and the sessions that they began."""
    sessions: set[int] = set()

    def victims(table: list[Process]) -> set[int]:
        found = _below({os.getpid()}, table) | _in_sessions(sessions, table)
        sessions.update(found)
        return found - {os.getpid()}

    _kill_while(victims)


def end_strays(ended: int, workers: set[int]) -> None:
    """Kill what the worker `ended` left running; this process's other `workers` live on."""

    def victims(table: list[Process]) -> set[int]:
        orphans = {p.pid for p in table if p.parent == os.getpid() and p.pid not in workers}
        orphans |= _in_sessions({ended}, table)
        return orphans | _below(orphans, table)

    _kill_while(victims)


def end_sessions(sessions: Iterable[int]) -> None:
    """Kill every process of these sessions."""
    wanted = set(sessions)
    _kill_while(lambda table: _in_sessions(wanted, table))


def _kill_while(victims: Callable[[list[Process]], set[int]]) -> None:
    for _ in range(_ROUNDS):
        found = victims(processes())
        if not found:
            return
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)


def _below(roots: set[int], table: list[Process]) -> set[int]:
    children: dict[int, list[int]] = {}
    for process in table:
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    queue = list(roots)
    while queue:
        below = [pid for pid in children.get(queue.pop(), ()) if pid not in found]
        found.update(below)
        queue += below
    return found


def _in_sessions(sessions: set[int], table: list[Process]) -> set[int]:
    return {process.pid for process in table if process.session in sessions}


def processes() -> list[Process]:
    """Every living process that can be seen."""
    return _by_proc() if LINUX else _by_ps()


def _by_proc() -> list[Process]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as stream:
                state, parent, _, session = stream.read().rpartition(b")")[2].split()[:4]
                if state not in (b"Z", b"X"):
                    found.append(Process(int(name), int(parent), int(session)))
    return found


def _by_ps() -> list[Process]:
    listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False)
    found = []
    for line in listing.stdout.splitlines():
        pid, parent = map(int, line.split())
        with contextlib.suppress(OSError):
            found.append(Process(pid, parent, os.getsid(pid)))
    return found
