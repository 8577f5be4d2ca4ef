"""Who executes the datums: this process, worker processes, or first the one and then the others.

    InlinePool      one by one in this process; a crash of the user's code ends it
    ProcessPool     beside each other in worker processes; a crash costs one datum
    AdaptivePool    inline while there is little to do, processes when there is more

Worker processes cost about as long to start as the stage's imports take. So a stage stays inline until
what it has taken and what is queued of it come to more than a second, and more than one datum of it is
queued; once processes are there, a stage of several datums is not tried inline first. Stages that wait
beside each other go to processes unless they are known to be short, because inline one would hold up
the other. What has to be kept apart always does: commands, which there end with us, with all that they
start, however we end; a stage whose datums may be ended before their time; one with secrets; one that
leaves processes running; and one that has ended the process that computed it when it last ran.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from trunkline.model import Command, Outcome, Work
from trunkline.runners.processes import ProcessPool, available_cpus
from trunkline.runners.worker import Executor

ENOUGH = 1.0  # seconds of inline work that are worth starting processes for
_SURE = 3  # datums after which a stage's mean is believed


class InlinePool:
    """Executes datums in this process, one at a time; implements ports.Pool."""

    def __init__(self) -> None:
        self._queue: deque[Work] = deque()
        self._executor = Executor()
        self._closed = False

    def submit(self, work: Work, expected: float | None = None) -> None:
        """Queue one datum."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        self._queue.append(work)

    def next(self, timeout: float | None = None) -> Outcome:
        """Execute one datum, however long that takes."""
        if not self._queue:
            raise LookupError("no datum is outstanding")
        return self._executor.execute(self._queue.popleft())

    def cancel(self, stage: str) -> list[Outcome]:
        """Forget what is queued of a stage."""
        self._queue = deque(work for work in self._queue if work.stage != stage)
        return []

    def close(self, *, now: bool = False) -> None:
        """Forget what is queued."""
        self._closed = True
        self._queue.clear()
        self._executor.close()


def apart(work: Work) -> bool:
    """Whether a datum needs a process that is not ours."""
    limited = work.timeout is not None or work.job_timeout is not None or work.resources is not None
    return isinstance(work.run, Command) or limited or bool(work.secrets)


class Load(NamedTuple):
    """What a stage has queued, and what is known of it. Seconds; `each` None where not known.

    `apart`: it needs processes. `parallelism` is declared, or None.
    """

    stage: str
    queued: int
    each: float | None
    spent: float
    apart: bool
    parallelism: int | None = None

    @property
    def total(self) -> float | None:
        """The likely seconds of what is queued."""
        return None if self.each is None else self.each * self.queued


def outgrown(loads: Iterable[Load], *, warm: bool, busy: bool, enough: float = ENOUGH) -> set[str]:
    """The stages that go to processes. `warm`: there are processes; `busy`: they are at work."""
    waiting = [load for load in loads if load.queued]
    heavy = [load for load in waiting if load.total is None or load.total > enough]
    beside = busy or len(heavy) > 1
    away = set()
    for load in waiting:
        outgrew = load.spent + (load.total or 0.0) > enough or (warm and load in heavy)
        if load.apart or (beside and load in heavy) or (load.queued > 1 and outgrew):
            away.add(load.stage)
    return away


class _Stage:
    """One stage's datums in this pool."""

    def __init__(self, work: Work) -> None:
        self.name = work.stage
        self.apart = apart(work)
        self.parallelism = work.parallelism
        self.queue: deque[Work] = deque()
        self.expected: float | None = None
        self.measured: list[float] = []
        self.spent = 0.0
        self.away = False  # in processes, for good

    def load(self) -> Load:
        return Load(self.name, len(self.queue), self._each(), self.spent, self.apart, self.parallelism)

    def took(self, seconds: float) -> None:
        self.spent += seconds
        self.measured.append(seconds)

    def _each(self) -> float | None:
        """The first datum is left out of the mean: it warms caches for the others."""
        if len(self.measured) >= _SURE:
            return (self.spent - self.measured[0]) / (len(self.measured) - 1)
        return self.expected


class AdaptivePool:
    """Inline first, processes when it is worth it; implements ports.Pool."""

    def __init__(
        self,
        workers: int | None = None,
        *,
        modules: Iterable[str] = (),
        enough: float = ENOUGH,
        unsafe: Callable[[str], bool] = lambda stage: False,
    ) -> None:
        """`unsafe` says of a stage whether it may end the process that computes it."""
        self._unsafe = unsafe
        self._workers = workers or available_cpus()
        self._enough = enough
        self._executor = Executor()
        self._processes = ProcessPool(self._workers, modules=modules)
        self._stages: dict[str, _Stage] = {}
        self._closed = False

    def submit(self, work: Work, expected: float | None = None) -> None:
        """Queue one datum."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        stage = self._stages.get(work.stage)
        if stage is None:
            stage = self._stages[work.stage] = _Stage(work)
            stage.apart = stage.apart or self._unsafe(work.stage)
        if expected is not None:
            stage.expected = expected
        if stage.away:
            self._processes.submit(work, stage.expected)
        else:
            stage.queue.append(work)

    def next(self, timeout: float | None = None) -> Outcome | None:
        """Block until one datum is done, or about `timeout` seconds, and as long as a datum takes inline."""
        self._send_away()
        if self._processes.outstanding and self._processes.ready():
            return self._processes.next()
        for stage in self._stages.values():
            if stage.queue:
                return self._execute(stage)
        return self._processes.next(timeout)

    def cancel(self, stage: str) -> list[Outcome]:
        """Forget what is queued of a stage, end what runs of it; what was done by then."""
        if stage in self._stages:
            self._stages[stage].queue.clear()
        return self._processes.cancel(stage)

    def close(self, *, now: bool = False) -> None:
        """End every process; with `now`, without waiting for running datums."""
        self._closed = True
        self._stages.clear()
        self._executor.close()
        self._processes.close(now=now)

    def _execute(self, stage: _Stage) -> Outcome:
        outcome = self._executor.execute(stage.queue.popleft())
        stage.took(outcome.seconds)
        stage.apart, self._executor.littered = stage.apart or self._executor.littered, False
        return outcome

    def _send_away(self) -> None:
        loads = [stage.load() for stage in self._stages.values() if stage.queue]
        busy = self._processes.outstanding > 0
        for name in outgrown(loads, warm=self._processes.warm, busy=busy, enough=self._enough):
            stage = self._stages[name]
            if self._workers > 1 or stage.apart or busy or (stage.parallelism or 1) > 1:
                self._move(stage)

    def _move(self, stage: _Stage) -> None:
        stage.away = True
        each = stage.load().each
        while stage.queue:
            self._processes.submit(stage.queue.popleft(), each)
