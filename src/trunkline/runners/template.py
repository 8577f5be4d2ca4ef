"""The process from which workers are made, and which ends everything they started.

It imports the stages' modules once and forks a worker for each request; a fork costs milliseconds
where importing pandas costs half a second. It is small, single-threaded and has no work of its own, so
it always notices what happens: it tells the pool of every worker that ends, kills what that worker left
running, and when the pool is gone (closed, or its process killed) kills all there is and ends itself.

It also watches what datums take: a worker says on a page of shared memory until when its datum may run
and how much memory that may take, and is ended when it is too much.

On Linux it is the reaper of all its descendants, so that nothing escapes by starting a session of its
own, and workers die with it. Elsewhere libraries do not survive a fork: there workers import by
themselves, and what a worker started is found by its session.

Neither the pool's terminal nor its signals reach these processes: ctrl-C is the pool's matter.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import io
import os
import select
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

from trunkline.points import Point, reached
from trunkline.runners import limits, reaper, wire
from trunkline.runners.logs import Descriptors
from trunkline.runners.remote import command_line
from trunkline.runners.worker import Executor

_SET_PDEATHSIG = 1
_SACRIFICE = "500"  # workers are what the kernel ends first when memory runs out, not the run itself
_LOOK = 1.0  # seconds between looks whether the pool's process is still our parent


def main(setup: Mapping[str, Any]) -> None:
    """Serve the pool whose end of the control socket is `setup["control"]`."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, _ignore)
    control = socket.socket(fileno=setup["control"])
    control.set_inheritable(False)
    reaper.adopt_orphans()
    _silence()
    executor = Executor()
    if reaper.LINUX and setup["modules"]:
        os.chdir(setup["root"])
        executor.preload(setup["root"], ("trunkline.runners.convert", *setup["modules"]))
        if threading.active_count() > 1:  # a thread does not survive the fork, the locks it holds do
            _restart(setup)
    gc.freeze()
    _Template(control, executor, setup["parent"]).serve()


class _Worker(NamedTuple):
    """A living worker: the pool's number, its line of the shared page."""

    number: int
    line: int


class _Template:
    """Forks workers, watches, ends, reaps and reports them."""

    def __init__(self, control: socket.socket, executor: Executor, parent: int) -> None:
        self._control = control
        self._executor = executor
        self._parent = parent
        self._workers: dict[int, _Worker] = {}  # by pid
        self._verdicts: dict[int, wire.Report] = {}  # of those that were ended for what they took
        self._shared = limits.Shared()
        self._meter = limits.Meter()
        self._wake, self._poke = os.pipe()
        os.set_blocking(self._poke, False)
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.signal(signal.SIGTERM, _leave)
        signal.set_wakeup_fd(self._poke, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until the pool is gone."""
        try:
            while os.getppid() == self._parent:
                asked = self._control.fileno()
                readable, _, _ = select.select([asked, self._wake], [], [], self._patience())
                if self._wake in readable:
                    self._reap()
                if asked in readable:
                    request = wire.receive_request(self._control)
                    if request is None:
                        return
                    number, descriptors = request
                    if descriptors:
                        self._fork(number, *descriptors)
                    else:
                        self._end(number)
                self._watch()
        finally:
            reaper.end_descendants()
            os._exit(0)

    def _fork(self, number: int, stream: int, spool: int) -> None:
        line = self._shared.take()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # numpy's idle threads do no harm
            pid = os.fork()
        if not pid:
            signal.set_wakeup_fd(-1)
            self._control.close()
            os.close(self._wake)
            _work(self._executor, stream, spool, limits.Slot(self._shared, line, self._poke))
        os.close(stream)
        os.close(spool)
        reached(Point.WORKER_FORKED)
        self._workers[pid] = _Worker(number, line)
        self._tell(wire.Report(wire.STARTED, number, pid, 0))

    def _reap(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = ended
                if pid in self._workers:
                    reaper.end_strays(pid, set(self._workers))
                    number, line = self._workers.pop(pid)
                    self._shared.give_back(line)
                    self._meter.forget(pid)
                    report = self._verdicts.pop(pid, wire.Report(wire.ENDED, number, pid, 0))
                    self._tell(report._replace(status=status))

    # ------------------------------------------------------------ watching

    def _patience(self) -> float:
        """Seconds until the next look at what datums take."""
        seconds = [_LOOK]
        for worker in self._workers.values():
            deadline, memory, _ = self._shared.read(worker.line)
            if deadline:
                seconds.append(max(0.0, deadline - time.monotonic()))
            if memory:
                seconds.append(limits.look())
        return min(seconds)

    def _watch(self) -> None:
        """End the workers whose datums have taken too much."""
        for pid, (number, line) in self._workers.items():
            limit = self._shared.read(line)
            if pid in self._verdicts:
                continue
            verdict = None
            if limit.deadline and time.monotonic() >= limit.deadline:
                verdict = wire.Report(wire.TIMED_OUT, number, pid, 0, limit.begun)
            elif limit.memory and (taken := self._meter.too_much(pid, limit.memory)):
                verdict = wire.Report(wire.OUT_OF_MEMORY, number, pid, 0, limit.begun, taken)
            if verdict is not None and self._shared.read(line) == limit:  # the datum has not ended meanwhile
                self._verdicts[pid] = verdict
                self._kill(pid)

    def _end(self, number: int) -> None:
        """End a worker because it was asked for."""
        for pid, worker in self._workers.items():
            if worker.number == number:
                self._kill(pid)

    def _kill(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # what it started ends when it is reaped
            os.kill(pid, signal.SIGKILL)

    def _tell(self, message: wire.Report) -> None:
        with contextlib.suppress(OSError):  # the pool is gone, which the next look finds
            wire.report(self._control, message)


# ---------------------------------------------------------------- a worker


def _work(executor: Executor, stream: int, spool: int, slot: limits.Slot) -> None:
    """What a forked worker does until its stream ends. Does not return."""
    code = 1
    try:
        template = os.getppid()
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if reaper.LINUX:
            reaper.prctl(_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != template:
                return
            with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
                score.write(_SACRIFICE)
        reaper.adopt_orphans()
        _reseed()
        for output in (sys.stdout, sys.stderr):
            if isinstance(output, io.TextIOWrapper):
                output.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
        capture = Descriptors(spool)
        faulthandler.enable()
        executor.serve_with(capture, slot)
        _serve(executor, socket.socket(fileno=stream))
        code = 0
    except BaseException:  # ours: what the user's code raises is an outcome
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        executor.close()
        os._exit(code)


def _serve(executor: Executor, connection: socket.socket) -> None:
    """Execute datums until the stream ends, or one has left processes running."""
    inbox = wire.Inbox(connection)
    everywhere = limits.available()
    while (task := inbox.wait()) is not None:
        limits.keep_to(task.cpus or everywhere)
        for work in task.works:
            reached(Point.WORKER_GIVEN)
            outcome = executor.execute(work, task.secrets)
            reached(Point.WORKER_WROTE)
            connection.sendall(wire.packed(outcome))
            reached(Point.WORKER_ANSWERED)
            if executor.littered:
                connection.sendall(wire.packed(wire.RETIRED))
                return


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
