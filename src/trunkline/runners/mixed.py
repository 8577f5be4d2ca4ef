"""Several pools as one: each datum goes where its pipeline's datums are computed.

    MixedPool(where, make)      where(work) names a pool, make(name) makes it when it is first needed

This process takes part in the work of a pool of this machine, and not in that of another. So what came
back from elsewhere is taken first, then a datum is computed here, and only where there is none left here
do we wait.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar, runtime_checkable

from trunkline.model import Outcome, Work
from trunkline.ports import Pool

_TURN = 0.1  # seconds that one pool is waited for before the next one is asked

Name = TypeVar("Name")


@runtime_checkable
class Elsewhere(Pool, Protocol):
    """A pool whose datums are computed without us."""

    def ready(self, timeout: float = 0) -> bool:
        """Wait up to `timeout` seconds, say whether an outcome is there."""


class MixedPool(Generic[Name]):
    """Executes each datum in the pool that its pipeline names; implements ports.Pool."""

    def __init__(self, where: Callable[[Work], Name], make: Callable[[Name], Pool]) -> None:
        self._where = where
        self._make = make
        self._pools: dict[Name, Pool] = {}
        self._outstanding: Counter[Name] = Counter()
        self._of_stage: Counter[tuple[Name, str]] = Counter()
        self._closed = False

    def submit(self, work: Work, expected: float | None = None) -> None:
        """Queue one datum."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        name = self._where(work)
        if name not in self._pools:
            self._pools[name] = self._make(name)
        self._pools[name].submit(work, expected)
        self._outstanding[name] += 1
        self._of_stage[name, work.stage] += 1

    def next(self, timeout: float | None = None) -> Outcome | None:
        """Block until one datum is done, or about `timeout` seconds: None where none is by then."""
        names = [name for name, count in self._outstanding.items() if count]
        if not names:
            raise LookupError("no datum is outstanding")
        chosen = names if len(names) == 1 else self._first(names, timeout)
        for name in chosen:
            outcome = self._pools[name].next(timeout)
            if outcome is not None:
                self._outstanding[name] -= 1
                self._of_stage[name, outcome.stage] -= 1
            return outcome
        return None

    def cancel(self, stage: str) -> list[Outcome]:
        """Forget what is queued of a stage, end what runs of it; what was done by then."""
        done = []
        for name, pool in self._pools.items():
            if count := self._of_stage.pop((name, stage), 0):
                self._outstanding[name] -= count
                done += pool.cancel(stage)
        return done

    def close(self, *, now: bool = False) -> None:
        """End every process of the pools; with `now`, without waiting for running datums."""
        self._closed = True
        for pool in self._pools.values():
            pool.close(now=now)

    def _first(self, names: list[Name], timeout: float | None) -> list[Name]:
        """The pool to take from: one with something ready, one that computes here, the next to be ready."""
        until = None if timeout is None else time.monotonic() + timeout
        away = {name: pool for name in names if isinstance(pool := self._pools[name], Elsewhere)}
        here = [name for name in names if name not in away]
        while True:
            for name, pool in away.items():
                if pool.ready(0 if here else _TURN):
                    return [name]
            if here:
                return here[:1]
            if until is not None and time.monotonic() >= until:
                return []
