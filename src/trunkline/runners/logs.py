"""Where a datum's stdout and stderr go: to the end of its log, which exists only if something was said.

Two ways, chosen by whoever owns the process:

    Streams        what Python code prints, by replacing sys.stdout and sys.stderr: in a process that
                   has an output of its own
    Descriptors    everything, C libraries and child processes too, by the descriptors 1 and 2: in a
                   worker process

Creating a file costs more than a small datum does. So while the datums of a stage are short, the
descriptors point to one nameless spool, and only what it then holds is copied to the log. Longer
datums write to their log directly, where it can be followed. The parent holds the spool as well:
what a process said before it died is not lost.

Values of secrets are masked on the way. A Python stage that has some writes to the spool whatever it takes.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from trunkline.model import Work
from trunkline.runners.secrets import NOTHING, Mask, mask

_SHORT = 0.05  # seconds; above it, somebody may want to follow the log


class Capture(Protocol):
    """Sends what a datum says to its log."""

    def __call__(self, work: Work) -> AbstractContextManager[None]:
        """Do so while the context is open."""

    def took(self, stage: str, seconds: float) -> None:
        """Note how long a datum of `stage` took."""


class LazyLog(io.TextIOBase):
    """A text stream that creates the file `path` with the first character.

    It outlives a datum, because loggers keep the stream that they met first. Between datums (`path`
    is "") it passes everything on to the process's own stderr.
    """

    def __init__(self) -> None:
        self.path = ""
        self.mask = NOTHING
        self._line = ""  # begun, where it has to be masked as a whole
        self._stream: io.TextIOWrapper | None = None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """What text becomes."""
        return "utf-8"

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, text: str) -> int:
        """Append `text`, at once where it ends a line."""
        if text and self.path:
            self._opened().write(self._masked(text) if self.mask else text)
        elif text and sys.__stderr__ is not None:
            sys.__stderr__.write(text)
        return len(text)

    def flush(self) -> None:
        """Write out what is buffered."""
        if self._stream is not None:
            self._stream.flush()

    def fileno(self) -> int:
        """The descriptor, for child processes."""
        return self._opened().fileno() if self.path else sys.__stderr__.fileno() if sys.__stderr__ else 2

    def release(self) -> None:
        """End the datum's log."""
        if self._line:
            self._opened().write(self.mask.text(self._line))
            self._line = ""
        self.path, self.mask = "", NOTHING
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _masked(self, text: str) -> str:
        """The lines that end in `text`, without values of secrets."""
        whole, end, self._line = (self._line + text).rpartition("\n")
        return self.mask.text(whole + end)

    def _opened(self) -> io.TextIOWrapper:
        if self._stream is None:
            descriptor = open_log(self.path)
            raw = io.BufferedWriter(io.FileIO(descriptor, "w"))
            self._stream = io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True)
        return self._stream


class Streams:
    """Sends what Python code prints to the datum's log."""

    def __init__(self) -> None:
        self._log = LazyLog()

    @contextlib.contextmanager
    def __call__(self, work: Work) -> Iterator[None]:
        """Do so while the context is open."""
        kept = sys.stdout, sys.stderr
        self._log.path, self._log.mask = work.log, mask(work)
        sys.stdout = sys.stderr = self._log
        try:
            yield
        finally:
            sys.stdout, sys.stderr = kept
            self._log.release()

    def took(self, stage: str, seconds: float) -> None:
        """Nothing follows from it here."""


class Descriptors:
    """Sends descriptors 1 and 2 of this process to `spool`, or to the log of the datum at hand."""

    def __init__(self, spool: int) -> None:
        self._spool = spool
        self._seconds: dict[str, float] = {}
        self._point(spool)

    @contextlib.contextmanager
    def __call__(self, work: Work) -> Iterator[None]:
        """Do so while the context is open."""
        hide = mask(work)
        direct = not hide and self._seconds.get(work.stage, 1.0) > _SHORT
        if direct:
            descriptor = open_log(work.log)
            self._point(descriptor)
            os.close(descriptor)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            if direct:
                self._point(self._spool)
                drop_empty(work.log)
            else:
                move_spool(self._spool, work.log, hide)

    def took(self, stage: str, seconds: float) -> None:
        """Note how long the last datum of `stage` took."""
        self._seconds[stage] = seconds

    @staticmethod
    def _point(descriptor: int) -> None:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)


def open_log(path: str) -> int:
    """A descriptor that appends to the log at `path`, which is created with its directory."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o666)


def drop_empty(path: str) -> None:
    """Remove a log in which nothing stands."""
    with contextlib.suppress(FileNotFoundError):
        if not os.stat(path).st_size:
            os.unlink(path)


def move_spool(spool: int, path: str, hide: Mask = NOTHING) -> None:
    """Append what the spool holds to the log at `path`, masked, and empty it."""
    size = os.fstat(spool).st_size
    if not size:
        return
    descriptor = open_log(path)
    with open(descriptor, "wb") as log:
        position, masked = 0, hide.stream()
        while data := os.pread(spool, 1 << 20, position):
            log.write(masked.feed(data) if hide else data)
            position += len(data)
        log.write(masked.rest())
    os.ftruncate(spool, 0)
    os.lseek(spool, 0, os.SEEK_SET)
