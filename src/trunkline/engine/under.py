"""A stage that is under way: what it was planned as, what came of it so far, and what to say of it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from trunkline.model import (
    Datum,
    Decision,
    FailedDatum,
    LockEntry,
    Recovered,
    Result,
    Snapshot,
    Stage,
    StagePlan,
    StageReport,
)


@dataclass(eq=False, repr=False)
class Under:
    """A stage that is under way. By datum id: `datums`, `keys`, `results`, `waiting`, `tried`.

    `fresh` and `given_up` are not recorded yet. `deadline` is of the clock `time.monotonic`; `over`: it
    has passed, and nothing is tried any more.
    """

    plan: StagePlan
    transform: str
    locks: ExitStack
    started: float
    datums: dict[str, Datum]
    keys: dict[str, str]
    results: dict[str, Result]
    waiting: set[str]
    scratch: str = ""
    deadline: float | None = None
    over: bool = False
    fresh: list[Result] = field(default_factory=list)
    given_up: list[Recovered] = field(default_factory=list)
    recorded: float = field(default_factory=time.monotonic)
    failures: list[FailedDatum] = field(default_factory=list)
    recovered: list[FailedDatum] = field(default_factory=list)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)

    @property
    def stage(self) -> Stage:
        """The stage itself."""
        return self.plan.stage

    def report(self, state: str, *, entry: LockEntry | None = None, error: str = "") -> StageReport:
        """What became of it."""
        plan = self.plan
        undone = len(self.waiting) + len(self.failures) + len(self.recovered)
        return StageReport(
            stage=plan.stage.ref,
            state=state,
            decision=plan.decision,
            reasons=plan.reasons,
            run=plan.count(Decision.RUN) - undone,
            reuse=plan.count(Decision.REUSE),
            drop=plan.count(Decision.DROP),
            wait=len(self.waiting) + plan.count(Decision.WAIT),
            total=len(self.datums) + (plan.kept.datums if plan.kept is not None else 0),
            started=self.started,
            ended=time.time(),
            transform=self.transform,
            entry=entry,
            failures=self._in_order(self.failures),
            recovered=self._in_order(self.recovered),
            error=error,
        )

    def _in_order(self, some: list[FailedDatum]) -> tuple[FailedDatum, ...]:
        places = {datum: place for place, datum in enumerate(self.datums)} if some else {}
        return tuple(sorted(some, key=lambda failed: places[failed.datum.id]))
