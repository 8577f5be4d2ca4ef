"""Ends processes together with everything that they started.

What a worker starts is found in two ways: by descent, for which on Linux the template is the reaper of
all orphans below it, so that whatever left its parent and its session is still its descendant; and by
the worker's session, which must do where orphans fall to init. Killing goes in rounds, until nobody is
left who could have started somebody in between.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
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
