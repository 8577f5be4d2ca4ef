"""Many processes: datums run beside each other, and a crash costs one of them.

The pool starts a template (see `template`), which forks workers. Each worker has a stream of its own,
on which it gets datums and answers with outcomes, in order. While datums are short a worker is given
a few in advance, so that it need not wait for us; where the stage says how many, it is given so many at
once. The first without an answer is the one that it is at. When a worker dies, or is ended for what its
datum took, that datum fails, the rest goes to others, and a new worker takes its place. Where its stage
has an `err_cmd`, another worker runs that for it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from trunkline.errors import TrunklineError
from trunkline.model import Failure, Function, Outcome, Work
from trunkline.runners import limits, reaper, secrets, wire
from trunkline.runners.command import likely_cause, signal_name
from trunkline.runners.logs import move_spool
from trunkline.runners.outputs import own_scratch
from trunkline.runners.remote import Held, Remote, Template
from trunkline.runners.room import Queues, Room, processors
from trunkline.runners.views import remove_tree

_AHEAD = 0.02  # seconds of work that a worker is given in advance
_MOST = 64  # datums
_SMALL = 2_000  # bytes; only messages up to this size are sent in advance, so that sending never blocks
_TEMPLATES = 3  # that may end by themselves before we give up


class ProcessPool:
    """Executes datums in worker processes; implements ports.Pool.

    `pinned`: datums that declare processors are kept to some, which is wrong beside other pools.
    """

    def __init__(
        self, workers: int | None = None, *, modules: Iterable[str] = (), pinned: bool = True
    ) -> None:
        self._cpus = _rotated(limits.available()) if pinned else ()
        self._room = Room(workers or available_cpus())
        self._modules = list(dict.fromkeys(modules))
        self._queue = Queues()
        self._done: deque[Outcome] = deque()
        self._remotes: dict[int, Remote] = {}
        self._template: Template | None = None
        self._hidden: set[str] = set()  # names of secrets
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
        plain = not work.env and not work.secrets  # else only in a worker, where they are set
        if plain and isinstance(work.run, Function) and work.run.module not in self._modules:
            self._modules.append(work.run.module)
        if work.secrets or work.hidden:
            self._hidden.update(work.secrets, work.hidden)
        if expected is not None:
            self._seconds.setdefault(work.stage, expected)
        self._queue.append(work)

    def next(self, timeout: float | None = None) -> Outcome | None:
        """Block until one datum is done, or about `timeout` seconds: None where none is by then."""
        if not self.outstanding:
            raise LookupError("no datum is outstanding")
        until = None if timeout is None else time.monotonic() + timeout
        while not self.ready(None if until is None else max(0.0, until - time.monotonic())):
            if until is not None and time.monotonic() >= until:
                return None
        return self._done.popleft()

    def ready(self, timeout: float | None = 0) -> bool:
        """Keep the workers busy, wait up to `timeout` seconds, say whether an outcome is there."""
        if not self._done:
            self._feed()
            self._listen(timeout)
            self._feed()
        return bool(self._done)

    def cancel(self, stage: str) -> list[Outcome]:
        """Forget what is queued of a stage, end what runs of it; what was done by then."""
        self._queue.drop(stage)
        for remote in self._remotes.values():
            if remote.held and remote.held[0].work.stage == stage and self._template is not None:
                remote.given_up = True
                with contextlib.suppress(OSError):  # a template that is gone is found when listening
                    wire.ask_to_end(self._template.control, remote.number)
        while any(remote.given_up for remote in self._remotes.values()):
            self._listen(None)
        self._queue.drop(stage)
        done = [outcome for outcome in self._done if outcome.stage == stage]
        self._done = deque(outcome for outcome in self._done if outcome.stage != stage)
        return done

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
        while self._queue and not self._closed and self._give():
            pass

    def _give(self) -> bool:
        """Give a worker what comes next; whether there was one for it."""
        busy = [remote for remote in self._remotes.values() if remote.held]
        for work in self._queue.first():
            mine = [remote for remote in busy if remote.held[0].work.stage == work.stage]
            if work.parallelism is None or len(mine) < work.parallelism:
                if self._room.fits(work, [remote.held[0].work for remote in busy]):
                    return self._send(work, self._idle() or self._make(work))
                return self._ahead(work, mine)
            if self._ahead(work, mine):
                return True
        return False

    def _idle(self) -> Remote | None:
        return next((each for each in self._remotes.values() if each.open and not each.held), None)

    def _ahead(self, work: Work, mine: Sequence[Remote]) -> bool:
        """Give it to a worker that is at another datum of its stage, where they are short."""
        if work.datum_set is not None:
            return False
        best = min((each for each in mine if each.open), key=lambda each: len(each.held), default=None)
        if best is None or len(best.held) >= self._window(work.stage):
            return False
        return self._send(work, best)

    def _send(self, work: Work, remote: Remote) -> bool:
        """Send a datum, or the set that begins with it; whether to go on giving."""
        size = 1 if work.datum_set is None else self._queue.set_size(work, self._room.lanes(work))
        if not remote.held:
            taken = (each.cpus for each in self._remotes.values() if each.held)
            remote.cpus = processors(work, self._cpus, taken)
        works = self._queue.take(work.stage, size)
        message = wire.packed(wire.Task(works, secrets.values(work), remote.cpus))
        if remote.held and len(message) > _SMALL:
            self._queue.put_back(works)
            return False
        if not remote.send(works, message):
            self._queue.put_back(works)
            return False  # it is gone, with all others perhaps: who ends is heard first, else this never ends
        return True

    def _window(self, stage: str) -> int:
        """How many datums of `stage` a worker may hold."""
        seconds = self._seconds.get(stage)
        return 1 if seconds is None else max(1, min(_MOST, int(_AHEAD / max(seconds, 1e-6))))

    def _make(self, work: Work) -> Remote:
        if self._template is None:
            self._template = Template(work.root, () if self._ended else self._modules, self._hidden)
        self._numbers += 1
        remote = self._remotes[self._numbers] = Remote(self._numbers)
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

    def _receive(self, remote: Remote) -> None:
        messages, remote.open = remote.inbox.poll()
        for outcome in messages:
            if outcome == wire.RETIRED:
                remote.open = False
                self._requeue(remote)
                return
            remote.held.popleft()
            remote.answered += 1
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
                self._bury(remote, report)

    def _bury(self, remote: Remote, report: wire.Report | None) -> None:
        """A worker ended: what it was at fails, what it had not begun goes back into the queue."""
        self._receive(remote)
        del self._remotes[remote.number]
        if remote.given_up:
            remote.held.clear()
        elif remote.held and remote.pid and not (report and 0 < report.begun <= remote.answered):
            held = remote.held.popleft()
            move_spool(remote.spool.fileno(), held.work.log, secrets.mask(held.work))
            self._blame(held, _failure(held, report))
        self._requeue(remote)
        remote.close()

    def _blame(self, held: Held, failure: Failure) -> None:
        """A datum failed with its process, be it in `err_cmd`, which then did not end well."""
        work = held.work
        remove_tree(own_scratch(work))
        if work.err_cmd is not None and work.failed is None:
            self._queue.put_back([replace(work, failed=failure)])
            return
        seconds = (time.time_ns() - held.sent) / 1e9
        self._done.append(Outcome(work.stage, work.datum, (), seconds, work.scratch, work.failed or failure))

    def _requeue(self, remote: Remote) -> None:
        self._queue.put_back([held.work for held in remote.held])
        remote.held.clear()

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


def _failure(held: Held, report: wire.Report | None) -> Failure:
    """Why a datum failed whose process ended."""
    work, damaged = held.work, tuple(_touched(held))
    if report is not None and report.kind == wire.TIMED_OUT:
        return Failure("TimedOut", limits.too_slow(work.timeout or 0.0), damaged=damaged)
    if report is not None and report.kind == wire.OUT_OF_MEMORY:
        limit = work.resources.memory if work.resources is not None else None
        return Failure("OutOfMemory", limits.too_large(report.taken, limit or 0), damaged=damaged)
    return Failure("WorkerDied", _ending(report), damaged=damaged)


def _ending(report: wire.Report | None) -> str:
    if report is None:
        return "its process was lost"
    process, status = f"its process {report.pid}", report.status
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return f"{process} was killed by {signal_name(number)}{likely_cause(number)}"
    return f"{process} ended with exit code {os.waitstatus_to_exitcode(status)}, in the middle of the datum"


def _touched(held: Held) -> Iterable[str]:
    """Input objects that were written to since the datum was handed out."""
    for given in held.work.inputs:
        for file in given.files:
            path = given.object(file)
            with contextlib.suppress(OSError):
                if os.stat(path).st_mtime_ns > held.sent:
                    yield path


def _rotated(cpus: tuple[int, ...]) -> tuple[int, ...]:
    """The same processors in another order for each process: two runs should not choose the same ones."""
    start = os.getpid() % len(cpus)
    return cpus[start:] + cpus[:start]


def available_cpus() -> int:
    """How many processors this process may use."""
    return len(limits.available())
