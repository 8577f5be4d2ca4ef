"""DVC's own lock files, taken as DVC takes them, so that the two keep out of each other's way.

    .dvc/tmp/lock          the repo lock: held around a change of dvc.lock or of a pointer
    .dvc/tmp/rwlock.lock   the guard of .dvc/tmp/rwlock

Normally an flock on the file, which then holds " <pid>". With `core.hardlink_lock` (for file
systems without flock) the lock file is a hard link of a claim file whose name it contains:
"<lock file>|<host>|<pid>|<random number>", with an mtime in the future until which it holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trunkline.errors import LockedError
from trunkline.points import Point, reached
from trunkline.store.files import remove_quietly

_YEAR = 365 * 24 * 3600.0
_PAUSES = (0.001, 0.005, 0.02, 0.05)

_Release = Callable[[], None]


@contextmanager
def file_lock(path: str, *, hardlink: bool = False, patience: float = 30.0) -> Iterator[None]:
    """Hold DVC's lock file at `path`, waiting up to `patience` seconds. Raises LockedError."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    attempt = _claim if hardlink else _flock
    deadline = time.monotonic() + patience
    tries = 0
    while (release := attempt(path)) is None:
        if time.monotonic() >= deadline:
            raise LockedError(
                f"the project is locked by {holder(path)}",
                where=path,
                hint="wait until it is done, or end it, and repeat",
            )
        time.sleep(_PAUSES[min(tries, len(_PAUSES) - 1)])
        tries += 1
    try:
        reached(Point.FILE_LOCKED)
        yield
    finally:
        release()


def holder(path: str) -> str:
    """Who holds the lock file, for people: the process and its command line, where known."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            text = stream.read().strip()
    except OSError:
        text = ""
    pid = text.split("|")[-2] if text.count("|") >= 3 else text
    if not pid.isdigit():
        return "another process"
    command = command_of(int(pid))
    return f"process {pid} ({command})" if command else f"process {pid}"


def command_of(pid: int) -> str:
    """The command line of a process, "" where it cannot be seen."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return stream.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Whether a process with this id exists, anyone's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _flock(path: str) -> _Release | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    text = b" %d\n" % os.getpid()
    with contextlib.suppress(OSError):  # a full disk: then nobody can say who holds it, and it is held
        os.pwrite(handle, text, 0)
        os.ftruncate(handle, len(text))
    return lambda: os.close(handle)


def _claim(path: str) -> _Release | None:
    name = f"{path}|{_host()}|{os.getpid()}|{int.from_bytes(os.urandom(6), 'big')}"
    claim = os.path.join(os.path.dirname(path), f"trunkline-{os.urandom(8).hex()}.lock")
    with open(claim, "w") as stream:
        stream.write(name)
    until = time.time() + _YEAR
    os.utime(claim, (until, until))
    try:
        os.link(claim, path)
    except FileExistsError:
        os.unlink(claim)
        _break_stale(path)
        return None

    def release() -> None:
        remove_quietly(path)
        remove_quietly(claim)

    return release


def _break_stale(path: str) -> None:
    """Remove a lock that has expired, or whose process, on this machine, is dead."""
    with contextlib.suppress(OSError, ValueError):
        claim = _claimed(path)
        _, host, pid, _ = claim.rsplit("|", 3)
        if os.stat(path).st_mtime >= time.time() and (host != _host() or is_alive(int(pid))):
            return
        aside = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
        os.rename(path, aside)
        if _claimed(aside) != claim:  # another has broken it before us, and taken it
            os.link(aside, path)
        os.unlink(aside)


def _claimed(path: str) -> str:
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def _host() -> str:
    """This machine, as the names of claims have it."""
    import socket

    return socket.gethostname()
