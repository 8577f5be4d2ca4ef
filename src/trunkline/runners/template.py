"""The process from which workers are made, and which ends everything they started.

It imports the stages' modules once and forks a worker for each request; a fork costs milliseconds
where importing pandas costs half a second. It is small, single-threaded and has no work of its own, so
it always notices what happens: it tells the pool of every worker that ends, kills what that worker left
running, and when the pool is gone (closed, or its process killed) kills all there is and ends itself.

On Linux it is the reaper of all its descendants, so that nothing escapes by starting a session of its
own, and workers die with it. Elsewhere libraries do not survive a fork: there workers import by
themselves, and what a worker started is found by its session.

Neither the pool's terminal nor its signals reach these processes: ctrl-C is the pool's matter.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import io
import os
import select
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Mapping
from typing import Any

from trunkline.runners import reaper, wire
from trunkline.runners.logs import Descriptors
from trunkline.runners.processes import command_line
from trunkline.runners.worker import Executor

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36
_LOOK = 1.0  # seconds between looks whether the pool's process is still our parent


def main(setup: Mapping[str, Any]) -> None:
    """Serve the pool whose end of the control socket is `setup["control"]`."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _ignore)
    control = socket.socket(fileno=setup["control"])
    control.set_inheritable(False)
    if reaper.LINUX:
        _prctl(_SET_CHILD_SUBREAPER, 1)
    _silence()
    executor = Executor()
    if reaper.LINUX and setup["modules"]:
        os.chdir(setup["root"])
        executor.preload(setup["root"], ("trunkline.runners.convert", *setup["modules"]))
        if threading.active_count() > 1:  # a thread does not survive the fork, the locks it holds do
            _restart(setup)
    gc.freeze()
    _Template(control, executor, setup["parent"]).serve()


class _Template:
    """Forks workers, reaps them, reports them."""

    def __init__(self, control: socket.socket, executor: Executor, parent: int) -> None:
        self._control = control
        self._executor = executor
        self._parent = parent
        self._workers: dict[int, int] = {}  # pid -> the pool's number
        self._wake, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.signal(signal.SIGTERM, _leave)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until the pool is gone."""
        try:
            while os.getppid() == self._parent:
                asked = self._control.fileno()
                readable, _, _ = select.select([asked, self._wake], [], [], _LOOK)
                if self._wake in readable:
                    self._reap()
                if asked in readable:
                    request = wire.receive_request(self._control)
                    if request is None:
                        return
                    self._fork(*request)
        finally:
            reaper.end_descendants()
            os._exit(0)

    def _fork(self, number: int, stream: int, spool: int) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # numpy's idle threads do no harm
            pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            self._control.close()
            os.close(self._wake)
            _work(self._executor, stream, spool)
        os.close(stream)
        os.close(spool)
        self._workers[pid] = number
        self._tell(wire.Report(wire.STARTED, number, pid, 0))

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if pid in self._workers:
                    reaper.end_strays(pid, set(self._workers))
                    self._tell(wire.Report(wire.ENDED, self._workers.pop(pid), pid, status))

    def _tell(self, message: wire.Report) -> None:
        with contextlib.suppress(OSError):  # the pool is gone, which the next look finds
            wire.report(self._control, message)


# ---------------------------------------------------------------- a worker


def _work(executor: Executor, stream: int, spool: int) -> None:
    """What a forked worker does until its stream ends. Does not return."""
    code = 1
    try:
        template = os.getppid()
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if reaper.LINUX:
            _prctl(_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != template:
                return
        _reseed()
        for output in (sys.stdout, sys.stderr):
            if isinstance(output, io.TextIOWrapper):
                output.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        capture = Descriptors(spool)
        faulthandler.enable()
        executor.capture_with(capture)
        connection = socket.socket(fileno=stream)
        inbox = wire.Inbox(connection)
        while (work := inbox.wait()) is not None:
            connection.sendall(wire.packed(executor.execute(work)))
        code = 0
    except BaseException:  # ours: what the user's code raises is an outcome
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        executor.close()
        os._exit(code)


def _reseed() -> None:
    """Give this process random numbers of its own; the module random sees to itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


# ---------------------------------------------------------------- this process


def _ignore(*_: object) -> None:
    """Not SIG_IGN, which programs that a worker starts would inherit."""


def _leave(*_: object) -> None:
    raise SystemExit


def _silence() -> None:
    """From here on nothing is read from or written to where we were started."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    os.close(null)


def _restart(setup: Mapping[str, Any]) -> None:
    """Begin anew, without preloading."""
    os.set_inheritable(setup["control"], True)
    argv = command_line({**setup, "modules": []})
    os.execv(argv[0], argv)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
