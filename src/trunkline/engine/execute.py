"""Applies a plan, stage by stage: gather -> decide -> run -> record -> commit.

One loop feeds one pool. A stage begins when everything upstream of it is settled; it is planned
again at that moment, so that an upstream result equal to the last one stops the wave. Several
stages may be under way; their datums share the pool.

What is kept when: a datum's outputs are in the cache before its result is recorded, results are
recorded as datums finish, and a stage is published (workspace, manifest, dvc.lock, in this order)
only when all of its datums have succeeded. Whatever ends the process in between costs at most the
datums that were running.

What goes wrong stays where it went wrong: a stage that cannot begin, whose datums fail or that cannot
be published takes along what is downstream; everything else still runs. A stage that another process is
at work on is the exception: from then on nothing new begins, so that of two runs at the same time one
goes through and the other ends what it had begun.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

from trunkline import listing
from trunkline.engine.planner import Planner
from trunkline.engine.verdict import check_declared, verdict
from trunkline.errors import LockedError, TrunklineError
from trunkline.model import (
    Datum,
    Decision,
    FailedDatum,
    Failure,
    File,
    Item,
    LockEntry,
    LockItem,
    ManifestRow,
    Outcome,
    Reason,
    ReasonKind,
    Result,
    Snapshot,
    Stage,
    StagePlan,
    StageReport,
    Work,
    WorkFile,
    WorkInput,
)
from trunkline.plan import decide
from trunkline.ports import Ledger, Listener, Pool, Store

_RECORD_EVERY = 256  # results; and what took longer than a blink is recorded at once
_BLINK = 0.5  # seconds


@dataclass
class _Under:
    """A stage that is under way."""

    plan: StagePlan
    transform: str
    locks: ExitStack
    started: float
    datums: dict[str, Datum]
    keys: dict[str, str]
    results: dict[str, Result]
    waiting: set[str]
    scratch: str = ""
    fresh: list[Result] = field(default_factory=list)
    recorded: float = field(default_factory=time.monotonic)
    failures: list[FailedDatum] = field(default_factory=list)
    snapshots: dict[str, Snapshot] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Where a run's record lies, and its id."""

    id: str
    directory: str

    def log(self, stage: Stage, datum_id: str) -> str:
        """Where a datum's output is kept."""
        return os.path.join(self.directory, "logs", stage.ref, f"{datum_id[:16]}.log")


class Engine:
    """Runs stages. `publish` False leaves dvc.lock to whoever called us (`dvc repro`)."""

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
    ) -> None:
        self._planner = planner
        self._store = store
        self._ledger = ledger
        self._pool = pool
        self._listener = listener
        self._root = root
        self._run = run
        self._publish = publish
        self._order: tuple[str, ...] = ()
        self._under: dict[str, _Under] = {}
        self._reports: dict[str, StageReport] = {}
        self._errors: dict[str, TrunklineError] = {}

    def run(
        self, stages: Sequence[Stage], *, force: bool = False, order: Sequence[str] = ()
    ) -> tuple[StageReport, ...]:
        """Bring `stages` (upstream first) up to date; `order` is dvc.yaml's.

        Raises StageFailed, or the error itself where stages failed by one alone. An error, or an
        interruption, keeps every result that is already there.
        """
        self._order = tuple(order)
        pending = {stage.ref: stage for stage in stages}
        try:
            while pending or self._under:
                self._start_ready(pending, force)
                if self._under:
                    self._collect(self._pool.next())
        except BaseException:
            self._abandon()
            raise
        reports = tuple(self._reports[stage.ref] for stage in stages)
        error = verdict(reports, self._errors)
        if error is not None:
            raise error
        return reports

    # ------------------------------------------------------------ start

    def _start_ready(self, pending: dict[str, Stage], force: bool) -> None:
        """Start every stage whose upstream is settled, until none is left or one is under way."""
        progress = True
        while progress:
            progress = False
            for ref, stage in list(pending.items()):
                upstream = {leaf.dataset.name for leaf in stage.leaves} - {ref}
                if upstream & pending.keys() or upstream & self._under.keys():
                    continue
                del pending[ref]
                progress = True
                lost = tuple(
                    Reason(ReasonKind.UPSTREAM, name) for name in sorted(upstream) if self._lost(name)
                )
                if lost or self._locked_out():
                    self._settle(StageReport(ref, "skipped", Decision.WAIT, lost))
                else:
                    self._try_start(stage, force)

    def _lost(self, name: str) -> bool:
        report = self._reports.get(name)
        return report is not None and report.state in ("failed", "skipped")

    def _locked_out(self) -> bool:
        return any(isinstance(error, LockedError) for error in self._errors.values())

    def _try_start(self, stage: Stage, force: bool) -> None:
        """Start a stage; what keeps it from starting is its own failure."""
        started = time.time()
        try:
            self._start(stage, force)
        except TrunklineError as error:
            self._errors[stage.ref] = error
            report = StageReport(stage.ref, "failed", Decision.WAIT, started=started, error=error.message)
            self._settle(replace(report, ended=time.time()))

    def _start(self, stage: Stage, force: bool) -> None:
        started = time.time()
        plan = self._planner.stage(stage, force=force)
        if plan.up_to_date:
            self._settle(
                StageReport(
                    stage.ref,
                    "up_to_date",
                    plan.decision,
                    total=plan.total or 0,
                    started=started,
                    ended=started,
                )
            )
            return
        locks = ExitStack()
        try:
            if self._publish:
                read, write = _paths(plan)
                locks.enter_context(self._store.holding(f"trunkline run {stage.ref}", read, write))
            under = self._open(plan, locks, started)
            under.snapshots = self._inputs(stage, _to_run(plan)) if under.waiting else {}
            self._listener.started(plan)
        except BaseException:
            locks.close()
            raise
        self._under[stage.ref] = under
        if under.waiting:
            self._submit(under)
        else:
            self._close(under)

    def _open(self, plan: StagePlan, locks: ExitStack, started: float) -> _Under:
        current = [item for item in plan.datums if item.decision is not Decision.DROP]
        waiting = {item.datum.id for item in current if item.decision is Decision.RUN}
        return _Under(
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

    def _inputs(self, stage: Stage, datums: Sequence[Datum]) -> dict[str, Snapshot]:
        """The stage's inputs; what these datums read is seen to be in the cache. Raises MissingData."""
        snapshots = self._planner.snapshots(stage)
        places = {leaf.dataset.name: leaf.dataset.path for leaf in stage.leaves}
        read: dict[str, list[File]] = {}
        for item in {(each.dataset, each.path): each for datum in datums for each in datum.items}.values():
            files = read.setdefault(places[item.dataset], [])
            if item.nfiles is None:
                files.append(File(item.path, item.oid, item.size))
            else:
                files += listing.below(snapshots[item.dataset].files, item.path)
        self._store.ensure_inputs(list(read.items()))
        return snapshots

    def _submit(self, under: _Under) -> None:
        """Queue what must run. All datums of a stage share a scratch directory: one a datum is slow."""
        stage = under.plan.stage
        expected = self._ledger.seconds(stage.ref)
        for work in self._works(stage, _to_run(under.plan), under.snapshots, under.scratch):
            self._pool.submit(work, expected)

    def _try_again(self, under: _Under, datum: Datum, outcome: Outcome, failure: Failure) -> bool:
        """Queue a datum that failed once more, where its stage allows it more tries."""
        stage = under.plan.stage
        tried = under.tried[datum.id] = under.tried.get(datum.id, 0) + 1
        if tried >= stage.datum_tries or failure.damaged:
            return False
        self._listener.retried(stage, datum, outcome, tried)
        for work in self._works(stage, [datum], under.snapshots, under.scratch):
            self._pool.submit(work)
        return True

    def work(self, stage: Stage, datum: Datum) -> Work:
        """One datum as a value to execute, its inputs seen to be there. Raises MissingData."""
        return next(self._works(stage, [datum], self._inputs(stage, [datum]), self._store.scratch()))

    def _works(
        self, stage: Stage, datums: Sequence[Datum], snapshots: dict[str, Snapshot], scratch: str
    ) -> Iterator[Work]:
        for datum in datums:
            yield Work(
                stage=stage.ref,
                datum=datum.id,
                name=datum.name,
                join_on=datum.join_on,
                run=stage.run,
                inputs=tuple(self._work_input(item, snapshots[item.dataset]) for item in datum.items),
                params=stage.params,
                env=stage.env,
                root=self._root,
                scratch=scratch,
                log=self._run.log(stage, datum.id),
                run_id=self._run.id,
            )

    def _work_input(self, item: Item, snapshot: Snapshot) -> WorkInput:
        files: tuple[WorkFile, ...]
        if item.nfiles is None:
            files = (WorkFile(item.path, item.oid, item.size),)
        else:
            files = tuple(WorkFile(*file) for file in listing.below(snapshot.files, item.path))
        return WorkInput(
            item.input, item.dataset, item.path, item.oid, item.nfiles is not None, files, self._store.objects
        )

    # ------------------------------------------------------------ collect

    def _collect(self, outcome: Outcome) -> None:
        under = self._under[outcome.stage]
        datum = under.datums[outcome.datum]
        stage = under.plan.stage
        failure = outcome.failure or self._adopt(outcome)
        if outcome.scratch != under.scratch:  # it has one of its own
            shutil.rmtree(outcome.scratch, ignore_errors=True)
        if failure is not None and self._try_again(under, datum, outcome, failure):
            return
        if failure is None:
            result = Result(under.keys[datum.id], outcome.files, self._run.id, outcome.seconds)
            under.results[datum.id] = result
            under.fresh.append(result)
            if len(under.fresh) >= _RECORD_EVERY or time.monotonic() - under.recorded > _BLINK:
                self._record(under)
        else:
            self._store.quarantine(failure.damaged)
            under.failures.append(FailedDatum(datum, failure, self._run.log(stage, datum.id)))
        under.waiting.discard(datum.id)
        self._listener.outcome(stage, datum, outcome)
        if not under.waiting:
            self._close(under)

    def _adopt(self, outcome: Outcome) -> Failure | None:
        """Bring a datum's outputs into the cache; why that could not be."""
        try:
            if outcome.files:
                self._store.adopt(os.path.join(outcome.scratch, "pfs", "out"), outcome.files)
        except TrunklineError as error:
            where = f" ({error.where})" if error.where else ""
            return Failure("OutputLost", f"its output could not be kept: {error.message}{where}")
        return None

    def _record(self, under: _Under) -> None:
        self._ledger.record(under.plan.stage.ref, under.fresh)
        under.fresh = []
        under.recorded = time.monotonic()

    def _close(self, under: _Under) -> None:
        """All datums are done: publish, or say why not."""
        stage = under.plan.stage
        self._record(under)
        try:
            entry = None if under.failures else self._commit(under)
        except TrunklineError as error:
            self._errors[stage.ref] = error
            self._settle(self._report(under, "failed", error=error.message))
        else:
            state = "failed" if under.failures else "done"
            self._settle(self._report(under, state, entry=entry))
        finally:
            shutil.rmtree(under.scratch, ignore_errors=True)
            under.locks.close()
            del self._under[stage.ref]

    def _commit(self, under: _Under) -> LockEntry:
        stage = under.plan.stage
        rows = tuple(
            ManifestRow(datum, under.keys[key], under.results[key].files)
            for key, datum in under.datums.items()
        )
        files = decide.merge(((row.datum.name, row.files) for row in rows), stage.ref)
        check_declared(stage, {file.path for file in files})
        try:
            return self._publish_files(under, rows, files)
        except BaseException:
            put_back(self._store, stage.dvc_name)
            raise

    def _publish_files(
        self, under: _Under, rows: tuple[ManifestRow, ...], files: tuple[File, ...]
    ) -> LockEntry:
        stage = under.plan.stage
        version = self._store.checkout(stage.path, files)
        manifest = self._store.save_manifest(stage.manifest_path, rows, under.transform)
        self._planner.published(manifest.oid, under.transform, len(rows))
        self._planner.gather.settle(stage.path, version, files)
        self._planner.gather.settle(stage.manifest_path, manifest)
        entry = self._planner.expected(stage)
        outs = sorted((LockItem(stage.path, *version), LockItem(stage.manifest_path, *manifest)))
        entry = LockEntry(entry.cmd, entry.deps, entry.params, tuple(outs))
        if self._publish:
            self._store.write_lock(stage.dvc_name, entry, self._order)
        return entry

    def _report(
        self, under: _Under, state: str, *, entry: LockEntry | None = None, error: str = ""
    ) -> StageReport:
        plan = under.plan
        places = {datum: place for place, datum in enumerate(under.datums)}
        return StageReport(
            stage=plan.stage.ref,
            state=state,
            decision=plan.decision,
            reasons=plan.reasons,
            run=plan.count(Decision.RUN) - len(under.waiting) - len(under.failures),
            reuse=plan.count(Decision.REUSE),
            drop=plan.count(Decision.DROP),
            total=len(under.datums),
            started=under.started,
            ended=time.time(),
            transform=under.transform,
            entry=entry,
            failures=tuple(sorted(under.failures, key=lambda failed: places[failed.datum.id])),
            error=error,
        )

    def _settle(self, report: StageReport) -> None:
        self._reports[report.stage] = report
        self._listener.finished(report)

    def _abandon(self) -> None:
        """Keep what is done; end what is running. What ends the run is told, not what comes after it."""
        self._pool.close(now=True)
        for under in self._under.values():
            with under.locks, suppress(TrunklineError):
                self._record(under)
                self._settle(self._report(under, "interrupted"))
        self._under = {}


def _to_run(plan: StagePlan) -> list[Datum]:
    return [item.datum for item in plan.datums if item.decision is Decision.RUN]


def _paths(plan: StagePlan) -> tuple[list[str], list[str]]:
    stage = plan.stage
    read = sorted({leaf.dataset.path for leaf in stage.leaves})
    return read, [stage.path, stage.manifest_path]


def put_back(store: Store, dvc_name: str) -> None:
    """Make the workspace show the last locked version of a stage again, as far as the cache has it."""
    with suppress(TrunklineError):
        entry = store.lock_entry(dvc_name)
        for out in entry.outs if entry is not None else ():
            with suppress(TrunklineError):  # why it is put back is told; what is lost shows in the next plan
                store.checkout(out.path, store.listing(out.md5))
