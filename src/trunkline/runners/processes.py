"""Many processes: datums run beside each other, and a crash costs one of them.

The pool starts a template (see `template`), which forks workers. Each worker has a stream of its own,
on which it gets datums and answers with outcomes, in order. While datums are short a worker is given
a few in advance, so that it need not wait for us; the first without an answer is the one it holds. When
a worker dies, that datum fails, the rest goes to others, and a new worker takes its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, NamedTuple

from trunkline.errors import TrunklineError
from trunkline.model import Failure, Function, Outcome, Work
from trunkline.runners import reaper, wire
from trunkline.runners.command import signal_name
from trunkline.runners.logs import move_spool
from trunkline.runners.outputs import own_scratch
from trunkline.runners.views import remove_tree

_AHEAD = 0.02  # seconds of work that a worker is given in advance
_MOST = 64  # datums
_SMALL = 2_000  # bytes; only messages up to this size are sent in advance, so that sending never blocks
_TEMPLATES = 3  # that may end by themselves before we give up
_START = """
import json, sys
setup = json.loads(sys.argv[1])
sys.path[:] = setup["path"]
from trunkline.runners.template import main
main(setup)
"""


def command_line(setup: Mapping[str, Any]) -> list[str]:
    """What starts a template."""
    warnings = [f"-W{option}" for option in sys.warnoptions]
    return [sys.executable, *warnings, "-c", _START, json.dumps(setup)]


class _Held(NamedTuple):
    work: Work
    sent: int  # nanoseconds since the epoch


class _Remote:
    """The pool's side of one worker."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.stream, self.theirs = wire.pair()
        self.inbox = wire.Inbox(self.stream)
        self.spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self.held: deque[_Held] = deque()
        self.open = True
        self.pid = 0  # once there is a process; also its session's id

    def send(self, work: Work, message: bytes) -> bool:
        try:
            self.stream.sendall(message)
        except OSError:
            self.open = False
            return False
        self.held.append(_Held(work, time.time_ns()))
        return True

    def close(self) -> None:
        self.stream.close()
        self.spool.close()


class _Started:
    """A running template."""

    def __init__(self, root: str, modules: Sequence[str]) -> None:
        self.control, theirs = wire.pair()
        setup = {
            "path": [os.path.abspath(entry) for entry in sys.path],
            "control": theirs.fileno(),
            "parent": os.getpid(),
            "root": root,
            "modules": list(modules),
        }
        with theirs:
            self.process = subprocess.Popen(
                command_line(setup),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def end(self) -> str:
        """End it with all its descendants; what it said before it began to serve."""
        self.control.close()
        try:
            _, said = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, said = self.process.communicate()
        return said.decode("utf-8", "replace").strip()


class ProcessPool:
    """Executes datums in worker processes; implements ports.Pool."""

    def __init__(self, workers: int | None = None, *, modules: Iterable[str] = ()) -> None:
        self._size = workers or available_cpus()
        self._modules = list(dict.fromkeys(modules))
        self._queue: deque[Work] = deque()
        self._done: deque[Outcome] = deque()
        self._remotes: dict[int, _Remote] = {}
        self._template: _Started | None = None
        self._numbers = 0
        self._ended = 0  # templates that ended by themselves
        self._seconds: dict[str, float] = {}
        self._closed = False

    @property
    def outstanding(self) -> int:
        """Datums that were submitted and not yet handed back."""
        return len(self._queue) + len(self._done) + sum(len(r.held) for r in self._remotes.values())

    @property
    def warm(self) -> bool:
        """Whether there are worker processes."""
        return bool(self._remotes)

    def submit(self, work: Work, expected: float | None = None) -> None:
        """Queue one datum."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        if isinstance(work.run, Function) and not work.env and work.run.module not in self._modules:
            self._modules.append(work.run.module)  # with `env:` only in a worker, where that is set
        if expected is not None:
            self._seconds.setdefault(work.stage, expected)
        self._queue.append(work)

    def next(self) -> Outcome:
        """Block until one datum is done."""
        if not self.outstanding:
            raise LookupError("no datum is outstanding")
        while not self.ready(None):
            pass
        return self._done.popleft()

    def ready(self, timeout: float | None = 0) -> bool:
        """Keep the workers busy, wait up to `timeout` seconds, say whether an outcome is there."""
        if not self._done:
            self._feed()
            self._listen(timeout)
            self._feed()
        return bool(self._done)

    def close(self, *, now: bool = False) -> None:
        """End every process; with `now`, without waiting for running datums."""
        if self._closed:
            return
        self._closed = True
        self._queue.clear()
        for remote in self._remotes.values():
            remote.stream.shutdown(socket.SHUT_WR) if remote.open else None
        while not now and self._remotes and self._template:
            self._listen(None)
        if self._template:
            self._template.end()
            self._template = None
        for remote in self._remotes.values():
            remote.close()
        self._remotes.clear()

    # ------------------------------------------------------------ giving

    def _feed(self) -> None:
        """Give every worker what it can take; make workers while there is work for them."""
        while self._queue and not self._closed:
            remote = self._hungry()
            if remote is None:
                return
            work = self._queue.popleft()
            message = wire.packed(work)
            if remote.held and len(message) > _SMALL:
                self._queue.appendleft(work)
                return
            if not remote.send(work, message):
                self._queue.appendleft(work)

    def _hungry(self) -> _Remote | None:
        """The worker to give the next datum to: an idle one, a new one, one that works ahead."""
        living = [remote for remote in self._remotes.values() if remote.open]
        best = min(living, key=lambda remote: len(remote.held), default=None)
        if best is None or (best.held and len(self._remotes) < self._size):
            return self._make() if len(self._remotes) < self._size else None
        return best if len(best.held) < self._window(self._queue[0].stage) else None

    def _window(self, stage: str) -> int:
        """How many datums of `stage` a worker may hold."""
        seconds = self._seconds.get(stage)
        return 1 if seconds is None else max(1, min(_MOST, int(_AHEAD / max(seconds, 1e-6))))

    def _make(self) -> _Remote:
        if self._template is None:
            self._template = _Started(self._queue[0].root, () if self._ended else self._modules)
        self._numbers += 1
        remote = self._remotes[self._numbers] = _Remote(self._numbers)
        with contextlib.suppress(OSError), remote.theirs:  # a template that is gone is found when listening
            wire.ask_for_worker(self._template.control, remote.number, remote.theirs, remote.spool.fileno())
        return remote

    # ------------------------------------------------------------ taking

    def _listen(self, timeout: float | None) -> None:
        """Take in what there is, having waited for it up to `timeout` seconds (None: as long as it takes)."""
        if self._template is None:
            return
        poll = select.poll()
        streams = {remote.stream.fileno(): remote for remote in self._remotes.values() if remote.open}
        for descriptor in (self._template.control.fileno(), *streams):
            poll.register(descriptor, select.POLLIN)
        control = self._template.control.fileno()
        ready = {descriptor for descriptor, _ in poll.poll(None if timeout is None else int(timeout * 1000))}
        for descriptor in ready - {control}:
            self._receive(streams[descriptor])
        if control in ready:
            self._hear()

    def _receive(self, remote: _Remote) -> None:
        messages, remote.open = remote.inbox.poll()
        for outcome in messages:
            remote.held.popleft()
            known = self._seconds.get(outcome.stage, outcome.seconds)
            self._seconds[outcome.stage] = known + (outcome.seconds - known) / 4
            self._done.append(outcome)

    def _hear(self) -> None:
        assert self._template is not None
        reports = wire.receive_reports(self._template.control)
        if reports is None:
            self._lost_template()
            return
        for report in reports:
            remote = self._remotes.get(report.worker)
            if remote is not None and report.kind == wire.STARTED:
                remote.pid = report.pid
            elif remote is not None:
                self._bury(remote, report.status)

    def _bury(self, remote: _Remote, status: int | None) -> None:
        """A worker ended: what it held fails, what it had not begun goes back into the queue."""
        self._receive(remote)
        del self._remotes[remote.number]
        if remote.held and remote.pid:
            held = remote.held.popleft()
            move_spool(remote.spool.fileno(), held.work.log)
            self._done.append(_died(held, status))
        self._queue.extendleft(entry.work for entry in reversed(remote.held))
        remote.close()

    def _lost_template(self) -> None:
        assert self._template is not None
        said = self._template.end()
        self._template = None
        self._ended += 1
        reaper.end_sessions(remote.pid for remote in self._remotes.values() if remote.pid)
        for remote in list(self._remotes.values()):
            self._bury(remote, None)
        if self._ended >= _TEMPLATES and not self._closed:
            raise TrunklineError(
                f"worker processes cannot be kept running: {said or 'they end without a word'}",
                where=sys.executable,
                hint="the last lines tell why; with one worker, datums run in this process",
            )


def _died(held: _Held, status: int | None) -> Outcome:
    work = held.work
    remove_tree(own_scratch(work))
    failure = Failure("WorkerDied", f"its process {_ending(status)}", damaged=tuple(_touched(held)))
    seconds = (time.time_ns() - held.sent) / 1e9
    return Outcome(work.stage, work.datum, (), seconds, work.scratch, failure)


def _ending(status: int | None) -> str:
    if status is None:
        return "was lost"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hint = "; the usual cause is lack of memory" if number == signal.SIGKILL else ""
        return f"was killed by {signal_name(number)}{hint}"
    return f"ended with exit code {os.waitstatus_to_exitcode(status)}, in the middle of the datum"


def _touched(held: _Held) -> Iterable[str]:
    """Input objects that were written to since the datum was handed out."""
    for given in held.work.inputs:
        for file in given.files:
            path = given.object(file)
            with contextlib.suppress(OSError):
                if os.stat(path).st_mtime_ns > held.sent:
                    yield path


def available_cpus() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        return os.cpu_count() or 1
