"""Which process owns a run, so that it can be told whether that process still lives.

A pid alone is used again; (boot, pid, start time) is not. Linux says it in /proc, elsewhere `ps`
does. A process that nobody has waited for yet (a zombie) is gone. A process on another machine
cannot be seen from here: it has another boot id and counts as gone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Owner(NamedTuple):
    """A process: its pid, when it started (in the platform's own words), since which boot."""

    pid: int
    started: str
    boot: str

    def lives(self) -> bool:
        """Whether this very process is still there."""
        return owner_of(self.pid) == self


def owner_of(pid: int) -> Owner | None:
    """The process with this pid; None where there is none."""
    found = _from_proc(pid) if os.path.exists("/proc/self/stat") else _from_ps(pid)
    return None if found is None else Owner(pid, *found)


def _from_proc(pid: int) -> tuple[str, str] | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            # the name stands in parentheses and may hold some itself
            fields = stream.read().rpartition(")")[2].split()
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            boot = stream.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else (fields[19], boot)


def _from_ps(pid: int) -> tuple[str, str] | None:
    state, _, started = (
        _output(["ps", "-o", "state=", "-o", "lstart=", "-p", str(pid)]).strip().partition(" ")
    )
    if not started or state[0] in "ZX":
        return None
    boot = _output(["sysctl", "-n", "kern.boottime"]) if sys.platform == "darwin" else ""
    return " ".join(started.split()), boot.partition("}")[0].strip("{ ")


def _output(command: Sequence[str]) -> str:
    """Stdout of a command, "" where it fails. Without `subprocess`, which costs more than it does."""
    read, write = os.pipe()
    environment: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    try:
        actions = [
            (os.POSIX_SPAWN_DUP2, write, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        pid = os.posix_spawnp(command[0], list(command), dict(environment), file_actions=actions)
    except OSError:
        os.close(read)
        return ""
    finally:
        os.close(write)
    with os.fdopen(read, encoding="utf-8", errors="replace") as stream:
        text = stream.read()
    return text if os.waitpid(pid, 0)[1] == 0 else ""
