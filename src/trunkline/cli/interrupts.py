"""Ends a run in an orderly way, whichever way it is asked to end: Ctrl-C, SIGTERM, a closed terminal.

Each raises KeyboardInterrupt in the main thread: results are kept, processes ended, locks released.
What comes right after the first request is part of it (`timeout` signals a process and then its group)
and must not disturb the clearing up.

The system gives a signal to any thread of a process, and Python acts on it in the main one, as soon as that
is back from what it waits for: a datum that sleeps for an hour, say. So it is woken (`wake_main_thread`).
What Python calls for itself, like the end of an import's lock, can raise nothing: an interrupt that falls
there would be ignored, so it comes once more.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from types import FrameType

_SAME = 2.0  # seconds in which a second request belongs to the first
_LOOK = 0.2  # seconds between two looks at the process that we end with
_WAKE = signal.SIGURG  # nobody uses it, and by itself it does nothing


class _Interrupter:
    """A signal handler."""

    def __init__(self) -> None:
        self._last = -_SAME
        self._number = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        now = time.monotonic()
        if now - self._last >= _SAME:
            self._last = now
            raise KeyboardInterrupt

    def see_ignored(self) -> None:
        """From here on an interrupt that Python ignores, since nobody could catch it, comes again."""
        others = sys.unraisablehook

        def hook(ignored: sys.UnraisableHookArgs) -> None:
            if issubclass(ignored.exc_type, KeyboardInterrupt):
                self._last = -_SAME
                timer = threading.Timer(_LOOK / 4, os.kill, (os.getpid(), self._number))
                timer.daemon = True
                timer.start()  # not at once: this, too, is called by Python itself
            else:
                others(ignored)

        sys.unraisablehook = hook


def end_orderly() -> None:
    """From here on these signals interrupt; one that is ignored (`nohup`) stays so."""
    handler = _Interrupter()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
    handler.see_ignored()
    wake_main_thread()


def wake_main_thread() -> None:
    """From here on a signal that another thread was given ends what the main one is waiting for."""
    main = threading.get_ident()
    if main != threading.main_thread().ident or signal.getsignal(_WAKE) is not signal.SIG_DFL:
        return  # it is so already, or the signal is somebody's after all
    signal.signal(_WAKE, lambda *_: None)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def watch() -> None:
        while numbers := os.read(reading, 64):
            for _ in set(numbers) - {_WAKE}:
                for _ in range(5):  # it may have been on its way into the waiting
                    signal.pthread_kill(main, _WAKE)
                    time.sleep(_LOOK / 4)

    threading.Thread(target=watch, name="signals", daemon=True).start()


def end_with(process: int) -> None:
    """Be told to end when `process`, the `dvc` somewhere above us, is gone: a shell may stand between.

    Otherwise a `dvc repro` that is killed would leave its stage at work, without its locks.
    """

    def watch() -> None:
        while _lives(process):
            time.sleep(_LOOK)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="owner", daemon=True).start()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether it is dead and only not yet collected, where /proc can tell."""
    try:
        with open(f"/proc/{process}/stat", "rb") as stream:
            return stream.read().rpartition(b")")[2].split()[0] == b"Z"
    except (OSError, IndexError):
        return False
