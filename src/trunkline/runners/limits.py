"""What a datum may take: how its time and its memory are watched, its processors kept to.

    Shared           a page that the template shares with its workers: what the datum at hand may take
    Slot             a worker's line of it
    Meter            the memory of processes with all that they started, and whether it is too much
    keep_to(cpus)    this process, its threads and what it starts on these processors

Time and memory are watched from outside, so that no code can keep them from being looked at: of a
function by the template, which is its worker's parent and has nothing else to do; of a command by the
worker that waits for it.

Memory is what the processes have really taken (anonymous and shared pages that are resident, pages that
several processes share counted in parts), looked at every 50 ms: it holds for root and for any user, and
neither counts nor forbids address space that is merely reserved, as numpy's, Arrow's and OpenBLAS's is.
An address space limit (RLIMIT_AS) would; control groups would be exact, but are seldom ours to write.
What takes memory faster than it is looked at goes beyond the limit for a moment.

Processors are kept to by affinity, which threads and child processes inherit (Linux; elsewhere only the
number of datums beside each other follows from `cpu`), and libraries are told by their variables.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import re
import struct
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from trunkline.model import Resources
from trunkline.runners import reaper

LOOK = 0.05  # seconds between looks at the memory
_LOOK_BY_PS = 0.5
_STALE = 1.0  # seconds after which shared pages are counted again
_SLOT = struct.Struct("<dQQ")
_SLOTS = 1024
_ANON = re.compile(rb"^Rss(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)
_SHARE = re.compile(rb"^Pss_(?:Anon|Shmem):\s+(\d+) kB", re.MULTILINE)
_SHARE_OLD = re.compile(rb"^Pss:\s+(\d+) kB", re.MULTILINE)
THREADS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS",
)  # fmt: skip


class Limit(NamedTuple):
    """What the datum at hand may take: until when (`time.monotonic`, 0: no limit), bytes (0: no limit).

    `begun` counts the datums that the worker has begun, this one included.
    """

    deadline: float
    memory: int
    begun: int


class Shared:
    """Lines of limits, one a worker; made before the workers are forked."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, _SLOT.size * _SLOTS)
        self._free = list(range(_SLOTS - 1, -1, -1))

    def take(self) -> int:
        """A line that is nobody's."""
        number = self._free.pop()
        self.write(number, Limit(0.0, 0, 0))
        return number

    def give_back(self, number: int) -> None:
        """Its worker has ended."""
        self._free.append(number)

    def read(self, number: int) -> Limit:
        """What stands in a line."""
        return Limit(*_SLOT.unpack_from(self._page, number * _SLOT.size))

    def write(self, number: int, limit: Limit) -> None:
        """Put it into a line."""
        _SLOT.pack_into(self._page, number * _SLOT.size, *limit)


class Slot:
    """In a worker: says what the datum at hand may take. `wake` is a pipe on which the template listens."""

    def __init__(self, shared: Shared, number: int, wake: int) -> None:
        self._shared = shared
        self._number = number
        self._wake = wake
        self._begun = 0
        self._set = False

    def count(self) -> None:
        """A datum begins."""
        self._begun += 1

    def begin(self, timeout: float | None, resources: Resources | None) -> None:
        """Its function begins."""
        memory = (resources.memory if resources is not None else None) or 0
        if timeout is None and not memory:
            return
        deadline = time.monotonic() + timeout if timeout is not None else 0.0
        self._shared.write(self._number, Limit(deadline, memory, self._begun))
        self._set = True
        with contextlib.suppress(BlockingIOError):  # then the template is about to look
            os.write(self._wake, b"\0")

    def end(self) -> None:
        """It is over."""
        if self._set:
            self._shared.write(self._number, Limit(0.0, 0, self._begun))
            self._set = False


class Meter:
    """Measures processes with all that they started. Counting shared pages is dear: it is done if need be."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, int]] = {}  # pid -> (count again at, or at that many bytes)

    def too_much(self, pid: int, limit: int) -> int:
        """The bytes that a process and its descendants have taken, where that is above the limit; else 0."""
        pids = reaper.family(pid)
        most = _resident(pids)
        if most <= limit:
            return 0
        when, enough = self._known.get(pid, (0.0, 0))
        now = time.monotonic()
        if now < when and most < enough:
            return 0
        taken = _shared_in_parts(pids) if reaper.LINUX else most
        if taken > limit:
            return taken
        self._known[pid] = (now + _STALE, most + limit - taken)
        return 0

    def forget(self, pid: int) -> None:
        """The process has ended."""
        self._known.pop(pid, None)


def look() -> float:
    """Seconds between two looks at the memory."""
    return LOOK if reaper.LINUX else _LOOK_BY_PS


def _resident(pids: Sequence[int]) -> int:
    """Bytes in memory, pages that are shared counted for each."""
    if not reaper.LINUX:
        listed = ",".join(map(str, pids))
        command = ["ps", "-o", "rss=", "-p", listed]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
        return 1024 * sum(map(int, found))
    return 1024 * sum(sum(map(int, _ANON.findall(_read(f"/proc/{pid}/status")))) for pid in pids)


def _shared_in_parts(pids: Iterable[int]) -> int:
    total = 0
    for pid in pids:
        text = _read(f"/proc/{pid}/smaps_rollup")
        total += sum(map(int, _SHARE.findall(text) or _SHARE_OLD.findall(text)))
    return 1024 * total


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:  # it has ended
        return b""


# ---------------------------------------------------------------- processors


def available() -> tuple[int, ...]:
    """The processors that this process may use, by number; on macOS by counting."""
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def keep_to(cpus: Iterable[int]) -> None:
    """Keep this process with its threads, and what it starts from now on, to these processors."""
    wanted = set(cpus)
    if not hasattr(os, "sched_setaffinity") or os.sched_getaffinity(0) == wanted:
        return
    with contextlib.suppress(OSError):
        for thread in os.listdir("/proc/self/task"):
            with contextlib.suppress(OSError):
                os.sched_setaffinity(int(thread), wanted)


def threads(resources: Resources | None, given: Mapping[str, str]) -> dict[str, str]:
    """What tells libraries how many threads to start, where neither the user nor the stage says so."""
    if resources is None or resources.cpu is None:
        return {}
    number = str(max(1, math.floor(resources.cpu)))
    return {name: number for name in THREADS if name not in given}


# ---------------------------------------------------------------- words


def said_time(seconds: float) -> str:
    """90.0 as `1m30s`."""
    if seconds < 60 or seconds != int(seconds):
        return f"{seconds:g}s"
    hours, rest = divmod(int(seconds), 3600)
    minutes, rest = divmod(rest, 60)
    return "".join(f"{value}{unit}" for value, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if value)


def said_bytes(size: int) -> str:
    """67108864 as `64 MiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024  # type: ignore[assignment]
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:.0f} {unit}"


def too_slow(timeout: float) -> str:
    """Why a datum failed that took too long."""
    return f"it took longer than its datum_timeout of {said_time(timeout)}, and was ended"


def too_large(taken: int, limit: int) -> str:
    """Why a datum failed that took too much memory."""
    return (
        f"it took {said_bytes(taken)} of memory, more than the {said_bytes(limit)} that "
        "`resources: {memory: …}` allows it, and was ended"
    )
