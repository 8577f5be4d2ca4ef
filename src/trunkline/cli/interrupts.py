"""Ends a run in an orderly way, whichever way it is asked to end: Ctrl-C, SIGTERM, a closed terminal.

Each raises KeyboardInterrupt in the main thread: results are kept, processes ended, locks released.
What comes right after the first request is part of it (`timeout` signals a process and then its group)
and must not disturb the clearing up.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType

_SAME = 2.0  # seconds in which a second request belongs to the first
_SET_PDEATHSIG = 1


class _Interrupter:
    """A signal handler."""

    def __init__(self) -> None:
        self._last = -_SAME

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last >= _SAME:
            self._last = now
            raise KeyboardInterrupt


def end_orderly() -> None:
    """From here on these signals interrupt; one that is ignored (`nohup`) stays so."""
    handler = _Interrupter()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def end_with(parent: int) -> None:
    """Be told to end when the process `parent`, which waits for us, is killed. On Linux only.

    Otherwise a `dvc repro` that is killed would leave its stage at work, without its locks.
    """
    if sys.platform != "linux" or os.getppid() != parent:
        return
    import ctypes

    ctypes.CDLL(None).prctl(_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:
        raise KeyboardInterrupt
