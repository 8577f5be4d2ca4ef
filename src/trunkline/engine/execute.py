"""Applies a plan, stage by stage: gather -> decide -> run -> record -> commit.

One loop feeds one pool. A stage begins when everything upstream of it is settled; it is planned
again at that moment, so that an upstream result equal to the last one stops the wave. Several
stages may be under way; their datums share the pool.

What is kept when: a datum's outputs are in the cache before its result is recorded, results are
recorded as datums finish, and a stage is published (see `publish`) only when all of its datums have
succeeded or were recovered. Whatever ends the process in between costs at most the datums that were
running.

What goes wrong stays where it went wrong: a stage that cannot begin, whose datums fail, that takes longer
than its `job_timeout` or that cannot be published takes along what is downstream; everything else still
runs. A stage that another process is at work on is the exception: from then on nothing new begins, so
that of two runs at the same time one goes through and the other ends what it had begun.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace

from trunkline.engine.planner import Planner
from trunkline.engine.publish import Publisher
from trunkline.engine.under import Under
from trunkline.engine.verdict import out_of_time, verdict
from trunkline.engine.works import RunPaths, Works, unset_secrets
from trunkline.errors import LockedError, TrunklineError
from trunkline.model import (
    Datum,
    Decision,
    FailedDatum,
    Failure,
    Outcome,
    Reason,
    ReasonKind,
    Recovered,
    Result,
    Stage,
    StagePlan,
    StageReport,
    Work,
)
from trunkline.plan.narrow import Failed, is_left, is_waiting, only
from trunkline.ports import Ledger, Listener, Pool, Store

_RECORD_EVERY = 256  # results; and what took longer than a blink is recorded at once
_BLINK = 0.5  # seconds
_HOPELESS = frozenset({"BadFunction", "CommandNotFound"})  # failures that no other try can mend


class Engine:
    """Runs stages. `publish` False leaves dvc.lock to whoever called us (`dvc repro`).

    `secrets` are the names of all environment variables that the project declares to be some.
    """

    def __init__(
        self,
        planner: Planner,
        store: Store,
        ledger: Ledger,
        pool: Pool,
        listener: Listener,
        *,
        root: str,
        run: RunPaths,
        publish: bool = True,
        secrets: Collection[str] = (),
    ) -> None:
        self._planner = planner
        self._store = store
        self._ledger = ledger
        self._pool = pool
        self._listener = listener
        self._run = run
        self._publish = publish
        self._works = Works(planner, store, root, run, frozenset(secrets))
        self._publisher = Publisher(planner, store, lock=publish)
        self._order: tuple[str, ...] = ()
        self._failed: Failed | None = None
        self._under: dict[str, Under] = {}
        self._reports: dict[str, StageReport] = {}
        self._errors: dict[str, TrunklineError] = {}

    def run(
        self,
        stages: Sequence[Stage],
        *,
        force: bool = False,
        pending: bool = False,
        failed: Failed | None = None,
        order: Sequence[str] = (),
        environment: Mapping[str, str] = os.environ,
    ) -> tuple[StageReport, ...]:
        """Bring `stages` (upstream first) up to date; `order` is dvc.yaml's.

        `pending`: datums that were recovered, and stages with `reprocess_spec: every_job`, are reason
        enough to run. `failed`: of what has changed, only these datums are run. Raises StageFailed, or the
        error itself where stages failed by one alone; UsageError where a secret that may be needed is not
        in the environment. An error, or an interruption, keeps every result that is already there.
        """
        self._order, self._failed = tuple(order), failed
        self._check_secrets(stages, environment, force=force, pending=pending)
        left = {stage.ref: stage for stage in stages}
        try:
            while left or self._under:
                self._start_ready(left, force, pending)
                if self._under:
                    self._take()
        except BaseException:
            self._abandon()
            raise
        reports = tuple(self._reports[stage.ref] for stage in stages)
        error = verdict(reports, self._errors)
        if error is not None:
            raise error
        return reports

    def _check_secrets(
        self, stages: Sequence[Stage], environment: Mapping[str, str], *, force: bool, pending: bool
    ) -> None:
        """Raise UsageError for a stage that may run and has not got its secrets; nothing has run by then."""
        if all(unset_secrets(stage, environment) is None for stage in stages):
            return
        moving: set[str] = set()
        for stage in stages:
            upstream = {leaf.dataset.name for leaf in stage.leaves if leaf.propagation}
            if upstream & moving or not self._planner.stage(stage, force=force, pending=pending).up_to_date:
                moving.add(stage.ref)
                if (error := unset_secrets(stage, environment)) is not None:
                    raise error

    # ------------------------------------------------------------ start

    def _start_ready(self, left: dict[str, Stage], force: bool, pending: bool) -> None:
        """Start every stage whose upstream is settled, until none is left or one is under way."""
        progress = True
        while progress:
            progress = False
            for ref, stage in list(left.items()):
                upstream = {leaf.dataset.name for leaf in stage.leaves} - {ref}
                if upstream & left.keys() or upstream & self._under.keys():
                    continue
                del left[ref]
                progress = True
                needed = {leaf.dataset.name for leaf in stage.leaves if leaf.propagation}
                lost = tuple(filter(None, map(self._lost, sorted(upstream & needed))))
                if lost or self._locked_out():
                    self._settle(StageReport(ref, "skipped", Decision.WAIT, lost))
                else:
                    self._try_start(stage, force, pending)

    def _lost(self, name: str) -> Reason | None:
        """That a stage has not got as far as what is downstream of it needs."""
        report = self._reports.get(name)
        if report is None or report.state not in ("failed", "skipped", "waiting"):
            return None
        if is_left(report.reasons):  # what failed below it is tried with the data that are there
            return None
        waits = report.state == "waiting" or is_waiting(report.reasons)
        return Reason(ReasonKind.UPSTREAM, name, "", "waiting" if waits else "")

    def _locked_out(self) -> bool:
        return any(isinstance(error, LockedError) for error in self._errors.values())

    def _try_start(self, stage: Stage, force: bool, pending: bool) -> None:
        """Start a stage; what keeps it from starting is its own failure."""
        started = time.time()
        try:
            plan = self._narrowed(self._planner.stage(stage, force=force, pending=pending))
            self._start(stage, plan, started)
        except TrunklineError as error:
            self._errors[stage.ref] = error
            report = StageReport(stage.ref, "failed", Decision.WAIT, started=started, error=error.message)
            self._settle(replace(report, ended=time.time()))

    def _narrowed(self, plan: StagePlan) -> StagePlan:
        """What is left of a plan where only failed datums are run; below what was published, all of it."""
        upstream = (self._reports.get(leaf.dataset.name) for leaf in plan.stage.leaves)
        if self._failed is None or any(report and report.state == "done" for report in upstream):
            return plan
        return only(plan, self._failed.get(plan.stage.ref, {}))

    def _start(self, stage: Stage, plan: StagePlan, started: float) -> None:
        if plan.up_to_date:
            total = plan.total or 0
            self._settle(
                StageReport(
                    stage.ref, "up_to_date", plan.decision, total=total, started=started, ended=started
                )
            )
            return
        if plan.decision is Decision.WAIT:
            self._settle(StageReport(stage.ref, "skipped", plan.decision, plan.reasons))
            return
        locks = ExitStack()
        try:
            if self._publish:
                read, write = _paths(plan)
                locks.enter_context(self._store.holding(f"trunkline run {stage.ref}", read, write))
            under = self._open(plan, locks, started)
            under.snapshots = self._works.inputs(stage, _to_run(plan)) if under.waiting else {}
            self._listener.started(plan)
        except BaseException:
            locks.close()
            raise
        self._under[stage.ref] = under
        if under.waiting:
            self._submit(under)
        else:
            self._close(under)

    def _open(self, plan: StagePlan, locks: ExitStack, started: float) -> Under:
        current = [item for item in plan.datums if item.decision is not Decision.DROP]
        waiting = {item.datum.id for item in current if item.decision is Decision.RUN}
        return Under(
            plan=plan,
            transform=self._planner.transform(plan.stage),
            locks=locks,
            started=started,
            datums={item.datum.id: item.datum for item in current},
            keys={item.datum.id: item.key for item in current},
            results={item.datum.id: item.result for item in current if item.result is not None},
            waiting=waiting,
            scratch=self._store.scratch() if waiting else "",
        )

    def _submit(self, under: Under) -> None:
        """Queue what must run. All datums of a stage share a scratch directory: one a datum is slow."""
        stage = under.stage
        expected = self._ledger.seconds(stage.ref)
        if stage.job_timeout is not None:
            under.deadline = time.monotonic() + stage.job_timeout
        for work in self._works.of(stage, _to_run(under.plan), under.snapshots, under.scratch):
            self._pool.submit(work, expected)

    def work(self, stage: Stage, datum: Datum) -> Work:
        """One datum as a value to execute, its inputs seen to be there. Raises MissingData, UsageError."""
        error = unset_secrets(stage, os.environ)
        if error is not None:
            raise error
        snapshots = self._works.inputs(stage, [datum])
        return next(self._works.of(stage, [datum], snapshots, self._store.scratch()))

    # ------------------------------------------------------------ collect

    def _take(self) -> None:
        """Take in a datum that is done, and end the stages whose time is over."""
        deadlines = [under.deadline for under in self._under.values() if under.deadline is not None]
        if not deadlines:
            outcome = self._pool.next()
        else:
            outcome = self._pool.next(max(0.0, min(deadlines) - time.monotonic()))
        if outcome is not None:
            self._collect(outcome)
        if deadlines:
            now = time.monotonic()
            for under in list(self._under.values()):
                if under.deadline is not None and under.deadline <= now:
                    self._end(under)

    def _end(self, under: Under) -> None:
        """The time of a stage is over: what is done is kept, what runs is ended."""
        under.over = True
        for outcome in self._pool.cancel(under.stage.ref):
            self._collect(outcome)
        if under.stage.ref in self._under:
            self._close(under)

    def _collect(self, outcome: Outcome) -> None:
        under = self._under[outcome.stage]
        datum = under.datums[outcome.datum]
        failure = outcome.failure or self._adopt(outcome)
        if outcome.scratch != under.scratch:  # it has one of its own
            shutil.rmtree(outcome.scratch, ignore_errors=True)
        if failure is None:
            self._keep(under, datum, outcome)
        elif self._try_again(under, datum, outcome, failure):
            return
        else:
            outcome = self._give_up(under, datum, outcome, failure)
        under.waiting.discard(datum.id)
        self._listener.outcome(under.stage, datum, outcome)
        if not under.waiting:
            self._close(under)

    def _keep(self, under: Under, datum: Datum, outcome: Outcome) -> None:
        """A datum succeeded, and its outputs are in the cache."""
        result = Result(under.keys[datum.id], outcome.files, self._run.id, outcome.seconds)
        under.results[datum.id] = result
        under.fresh.append(result)
        if len(under.fresh) >= _RECORD_EVERY or time.monotonic() - under.recorded > _BLINK:
            self._record(under)

    def _try_again(self, under: Under, datum: Datum, outcome: Outcome, failure: Failure) -> bool:
        """Queue a datum that failed once more, where its stage allows it more tries."""
        stage = under.stage
        tried = under.tried[datum.id] = under.tried.get(datum.id, 0) + 1
        if under.over or tried >= stage.datum_tries or failure.damaged or failure.kind in _HOPELESS:
            return False
        self._listener.retried(stage, datum, replace(outcome, failure=failure, recovered=False), tried)
        for work in self._works.of(stage, [datum], under.snapshots, under.scratch):
            self._pool.submit(work)
        return True

    def _give_up(self, under: Under, datum: Datum, outcome: Outcome, failure: Failure) -> Outcome:
        """A datum failed for good, and is recovered or not; the outcome that says so."""
        stage = under.stage
        self._store.quarantine(failure.damaged)
        recovered = outcome.recovered and not failure.damaged
        failed = FailedDatum(datum, failure, self._run.log(stage, datum.id))
        if recovered:
            reason = f"{failure.kind}: {failure.message}"
            under.recovered.append(failed)
            under.given_up.append(Recovered(under.keys[datum.id], self._run.id, reason))
        else:
            under.failures.append(failed)
        return replace(outcome, failure=failure, recovered=recovered)

    def _adopt(self, outcome: Outcome) -> Failure | None:
        """Bring a datum's outputs into the cache; why that could not be."""
        try:
            if outcome.files:
                self._store.adopt(os.path.join(outcome.scratch, "pfs", "out"), outcome.files)
        except TrunklineError as error:
            where = f" ({error.where})" if error.where else ""
            return Failure("OutputLost", f"its output could not be kept: {error.message}{where}")
        return None

    def _record(self, under: Under) -> None:
        self._ledger.record(under.stage.ref, under.fresh)
        if under.given_up:
            self._ledger.recover(under.stage.ref, under.given_up)
        under.fresh, under.given_up = [], []
        under.recorded = time.monotonic()

    def _close(self, under: Under) -> None:
        """All datums are done, or time is over: publish, or say why not."""
        stage = under.stage
        self._record(under)
        try:
            if under.waiting:
                raise out_of_time(stage, under.report("failed").run, len(under.waiting))
            left = under.plan.count(Decision.WAIT)
            entry = None if under.failures or left else self._publisher.publish(under, self._order)
        except TrunklineError as error:
            self._errors[stage.ref] = error
            self._settle(under.report("failed", error=error.message))
        else:
            state = "failed" if under.failures else "waiting" if left else "done"
            self._settle(under.report(state, entry=entry))
        finally:
            shutil.rmtree(under.scratch, ignore_errors=True)
            under.locks.close()
            del self._under[stage.ref]

    def _settle(self, report: StageReport) -> None:
        self._reports[report.stage] = report
        self._listener.finished(report)

    def _abandon(self) -> None:
        """Keep what is done; end what is running. What ends the run is told, not what comes after it."""
        self._pool.close(now=True)
        for under in self._under.values():
            with under.locks, suppress(TrunklineError):
                self._record(under)
                self._settle(under.report("interrupted"))
        self._under = {}


def _to_run(plan: StagePlan) -> list[Datum]:
    return [item.datum for item in plan.datums if item.decision is Decision.RUN]


def _paths(plan: StagePlan) -> tuple[list[str], list[str]]:
    stage = plan.stage
    read = sorted({leaf.dataset.path for leaf in stage.leaves})
    return read, [stage.path, stage.manifest_path]
