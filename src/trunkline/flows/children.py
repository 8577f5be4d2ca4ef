"""The keeper's processes: started so that they end with it, ended so that they end well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from trunkline.ledger.owner import Owner, owner_of

_BIG = 2_000_000  # bytes of a log above which it is put aside
_STEADY = 60.0  # seconds that a process must have lived for its end to be an accident
TRIES = 3  # quick deaths in a row, after which there is no sense in going on
_LOOK = 0.05  # seconds between two looks whether a process has ended


class Failed(Exception):
    """There is no sense in going on; says why."""


class Child:
    """A server or a worker, started again and again by the keeper."""

    def __init__(self, name: str, log: str, lifeline: int) -> None:
        self.name = name
        self.log = log
        self.since = 0.0  # when it was started, in seconds since the epoch
        self.ready = False  # whether it ever came so far as to do its work
        self.owner: Owner | None = None
        self._lifeline = lifeline
        self._process: subprocess.Popen[bytes] | None = None
        self._logged = 0  # bytes in the log before it was started
        self._quick = 0

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], folder: str, *fds: int) -> None:
        """Start it. Raises OSError."""
        if os.path.exists(self.log) and os.path.getsize(self.log) > _BIG:
            os.replace(self.log, f"{self.log}.old")
        with open(self.log, "ab") as log:
            self._logged = log.tell()
            self.since = time.time()
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "trunkline.flows.tether", str(self._lifeline), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**environment, "PYTHONUNBUFFERED": "1"},
                pass_fds=(self._lifeline, *fds),
                start_new_session=True,
            )
        self.owner = owner_of(self._process.pid)

    @property
    def started(self) -> bool:
        """Whether it has been started, and its end not yet been noted."""
        return self._process is not None

    def code(self) -> int | None:
        """The exit code, None while it lives."""
        return None if self._process is None else self._process.poll()

    def tell(self, number: int) -> None:
        """Send it a signal."""
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    def end(self, patience: float) -> None:
        """End it: by SIGTERM, and by SIGKILL where it has not ended after `patience` seconds."""
        if self._process is None:
            return
        if patience:
            self.tell(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience)
        self.tell(signal.SIGKILL)
        self._process.wait()
        self._process, self.owner = None, None

    def ended(self) -> int:
        """Note that it ended by itself; how many times in a row it did so soon after it was started."""
        self._process, self.owner = None, None
        self._quick = self._quick + 1 if time.time() - self.since < _STEADY else 1
        return self._quick

    def printed(self, lines: int = 15) -> str:
        """The last of what it printed since it was started."""
        return tail(self.log, lines, self._logged)


def end_stranger(owner: Owner, patience: float) -> None:
    """End a process that is not our child, and return when it is gone."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 10.0)):
        if seconds and owner.lives():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(owner.pid, number)
            gone([owner], seconds)


def gone(owners: Sequence[Owner], patience: float) -> list[Owner]:
    """Wait until none of these processes lives; those that still do after `patience` seconds."""
    deadline = time.monotonic() + patience
    while (left := [owner for owner in owners if owner.lives()]) and time.monotonic() < deadline:
        time.sleep(_LOOK)
    return left


def how(code: int) -> str:
    """How a process ended, in words."""
    return f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"


def tail(path: str, lines: int = 15, start: int = 0) -> str:
    """The last lines of a file, from byte `start` on; "" where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(start, stream.tell() - 20_000))
            text = stream.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-lines:])
