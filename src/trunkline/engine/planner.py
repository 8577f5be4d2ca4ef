"""Decides what must be done, from what is there and what happened. Changes nothing.

For each stage, from coarse to fine. The entry that dvc.lock *would* hold for the world as it is
is compared with the entry that it holds: where they agree, the stage is up to date and none of
its datums is looked at. Otherwise its datums are formed and each is decided by its key.

A stage whose results are all known has a known output before anything runs, so planning goes on
below it; a stage that must run leaves `wait` below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from trunkline import listing
from trunkline.engine import unchanged
from trunkline.engine.code import Code
from trunkline.engine.delta import Delta
from trunkline.engine.gather import Gather
from trunkline.engine.manifests import ManifestFacts, Manifests
from trunkline.errors import MissingData
from trunkline.globs import Pattern
from trunkline.model import (
    DatasetKind,
    Datum,
    DatumPlan,
    Decision,
    Kept,
    Leaf,
    LockEntry,
    LockItem,
    ManifestRow,
    Plan,
    Reason,
    ReasonKind,
    Reprocess,
    Snapshot,
    Stage,
    StagePlan,
    Version,
)
from trunkline.plan import decide, graph
from trunkline.ports import Ledger, Store


class Planner:
    """Plans one stage after another; `gather` holds what has been looked at."""

    def __init__(
        self, store: Store, ledger: Ledger, manifests: Manifests, code: Code, gather: Gather, writer: str
    ) -> None:
        self.gather = gather
        self._store = store
        self._ledger = ledger
        self._manifests = manifests
        self._code = code
        self._writer = writer
        self._delta = Delta(store, ledger, manifests, gather)

    def plan(self, stages: Sequence[Stage], force: bool = False, pending: bool = False) -> Plan:
        """Every stage's decision, in the order given (upstream first); one whose input is not there waits."""
        plans: dict[str, StagePlan] = {}
        for stage in stages:
            unknown = [
                name
                for name in graph.upstream(stage)
                if name in plans and plans[name].decision in (Decision.RUN, Decision.WAIT)
            ]
            try:
                if unknown and self._waits(stage, unknown, force, pending):
                    plans[stage.ref] = decide.wait(stage, unknown)
                    continue
                plans[stage.ref] = self.stage(stage, force=force, pending=pending)
            except MissingData as error:
                said = ": ".join(filter(None, (error.message, error.hint)))
                missing = Reason(ReasonKind.INPUT_MISSING, error.where, "", said)
                plans[stage.ref] = StagePlan(stage, Decision.WAIT, (missing,))
            self._predict(plans[stage.ref])
        return Plan(tuple(plans.values()))

    def stage(self, stage: Stage, force: bool = False, pending: bool = False) -> StagePlan:
        """One stage's decision. Its inputs must be known. Raises MissingData.

        `pending`: what else waits for a reason to run (see `_pending`) is one.
        """
        locked = self._store.lock_entry(stage.dvc_name)
        reasons = self._reasons(stage, locked, force, pending)
        if not reasons:
            facts = self._manifest_facts(stage, locked)
            return decide.up_to_date(stage, facts.total if facts else None)
        return self._datums(stage, reasons, locked, force)

    def _reasons(
        self, stage: Stage, locked: LockEntry | None, force: bool, pending: bool
    ) -> tuple[Reason, ...]:
        """Why a stage must be looked at; none: it is up to date."""
        code = self._code.files(stage)
        reasons = self._named(stage, decide.compare(self.expected(stage), locked, frozenset(code)))
        facts = self._manifest_facts(stage, locked)
        if facts is not None:
            reasons = (*reasons, *self._installed(stage, facts))
        if force:
            reasons = (*reasons, Reason(ReasonKind.FORCED))
        if pending:
            reasons = (*reasons, *self._pending(stage))
        return reasons

    def _waits(self, stage: Stage, unknown: Sequence[str], force: bool, pending: bool) -> bool:
        """Whether a stage waits for these: not where none of them starts it, and nothing else does."""
        if any(leaf.propagation and leaf.dataset.name in unknown for leaf in stage.leaves):
            return True
        return bool(self._reasons(stage, self._store.lock_entry(stage.dvc_name), force, pending))

    def expected(self, stage: Stage) -> LockEntry:
        """The stage's entry in dvc.lock as the world is now, with the outputs of the workspace."""
        deps = {path: self._code_item(path) for path in self._code.files(stage)}
        for leaf in stage.leaves:
            if leaf.propagation:
                item = self._input_item(stage, leaf)
                deps[item.path] = item
        outs = [self._output_item(path) for path in sorted((stage.path, stage.manifest_path))]
        return LockEntry(
            cmd=stage.command,
            deps=tuple(deps[path] for path in sorted(deps)),
            params={stage.pipeline_file: {f"stages.{stage.name}": stage.declaration}},
            outs=tuple(item for item in outs if item is not None),
        )

    def accepted(self, stage: Stage) -> str:
        """How `dvc commit` accepted what code and inputs as they are did not make; "" where it did not."""
        locked = self._store.lock_entry(stage.dvc_name)
        facts = self._manifest_facts(stage, locked)
        if facts is None:
            return ""
        if facts.transform != self.transform(stage):
            return "accepted by dvc commit: other code or parameters made these outputs"
        rows, output = self._recall(stage, locked), _item(locked, stage.path)
        if not rows or output is None:
            return ""
        made, wanted = {row.key for row in rows}, set(self.keyed(stage)[1])
        follows = all(leaf.propagation for leaf in stage.leaves)
        missing = wanted - made
        if missing:
            missing = missing.difference(self._ledger.recovered(stage.ref))
        if follows and (missing or not made <= wanted):
            return "accepted by dvc commit: other inputs made these outputs"
        files = decide.merge((row.datum.name, row.files) for row in rows)
        if listing.version(files).oid != output.md5:
            return "accepted by dvc commit: these outputs were edited after they had been made"
        return ""

    def publish(
        self, stage: Stage, rows: Sequence[ManifestRow], transform: str, kept: Kept | None = None
    ) -> Version:
        """Write the stage's manifest, of results that are recorded: planning need not look into it."""
        packages = self._code.packages(stage)
        manifest = self._store.save_manifest(stage.manifest_path, rows, transform, packages, kept)
        total, accepted = len(rows), sum(row.made != "" for row in rows)
        if kept is not None:
            total, accepted = total + kept.datums, accepted + kept.accepted
        self._ledger.learn(manifest.oid, ())
        facts = ManifestFacts(transform, self._writer, total, packages, accepted)
        self._manifests.remember(manifest.oid, facts)
        return manifest

    def published(self, stage: Stage, entry: LockEntry) -> None:
        """The stage was published with this entry of dvc.lock, and nothing in it was vouched for by a person."""
        self._delta.published(stage, entry)

    def transform(self, stage: Stage) -> str:
        """The digest of what the stage does to a datum."""
        from trunkline.plan.keys import transform_digest

        return transform_digest(stage, self._code.digest(stage), self._writer, self._code.packages(stage))

    def facts(self, stage: Stage) -> ManifestFacts | None:
        """What the manifest that dvc.lock names says as a whole; None where it cannot be had."""
        return self._manifest_facts(stage, self._store.lock_entry(stage.dvc_name))

    def rows(self, stage: Stage) -> tuple[ManifestRow, ...]:
        """The rows of the manifest that dvc.lock names; none where it cannot be had."""
        return self._recall(stage, self._store.lock_entry(stage.dvc_name))

    def keyed(self, stage: Stage, transform: str = "") -> tuple[tuple[Datum, ...], list[str]]:
        """The stage's datums with their keys, under its own transform or another."""
        from trunkline.plan.keys import datum_keys

        datums = self.datums(stage)
        return datums, datum_keys(datums, transform or self.transform(stage), stage.leaves)

    def examine(self, stage: Stage, plan: StagePlan) -> tuple[DatumPlan, ...]:
        """The datums of a stage with this plan, also where it is up to date and the plan has none."""
        if not plan.up_to_date:
            if plan.kept is not None:
                locked = self._store.lock_entry(stage.dvc_name)
                plan = self._whole(stage, plan.reasons, locked, again=False)
            return self._with_runs(plan.datums)
        datums, keys = self.keyed(stage)
        self._recall(stage, self._store.lock_entry(stage.dvc_name))
        known = self._ledger.results(keys)
        return tuple(
            DatumPlan(datum, key, Decision.REUSE, (), known.get(key))
            for datum, key in zip(datums, keys, strict=True)
        )

    def _with_runs(self, plans: Sequence[DatumPlan]) -> tuple[DatumPlan, ...]:
        """The same with what planning did not ask for: which runs made the results, in which time."""
        results = self._ledger.results([item.key for item in plans if item.result and not item.result.run])
        return tuple(
            item._replace(result=results[item.key])
            if item.key in results
            and item.result is not None
            and results[item.key].files == item.result.files
            else item
            for item in plans
        )

    def datums(self, stage: Stage) -> tuple[Datum, ...]:
        """The stage's datums, from its inputs as they are."""
        from trunkline.plan.datums import datums

        return datums(stage, self.snapshots(stage))

    def snapshots(self, stage: Stage) -> dict[str, Snapshot]:
        """The contents of the stage's input datasets, by dataset name."""
        found = {}
        for leaf in stage.leaves:
            snapshot = self.gather.snapshot(leaf.dataset)
            if snapshot is None:
                raise missing_input(stage, leaf)
            found[leaf.dataset.name] = snapshot
        return found

    def _named(self, stage: Stage, reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
        """The reasons with what is known beside the lock: which functions, which stage."""
        made = [leaf.dataset.path for leaf in stage.leaves if leaf.dataset.kind is DatasetKind.STAGE]
        named = []
        for reason in reasons:
            if reason.kind is ReasonKind.CODE_CHANGED:
                reason = reason._replace(parts=self._code.parts(stage, reason.subject, reason.old))
            elif reason.kind is ReasonKind.DATASET_CHANGED and any(
                f"{reason.subject}/".startswith(f"{path}/") for path in made if reason.old and reason.new
            ):
                reason = reason._replace(kind=ReasonKind.UPSTREAM_CHANGED)
            named.append(reason)
        return tuple(named)

    def _installed(self, stage: Stage, facts: ManifestFacts) -> Iterator[Reason]:
        """What is installed here and was another when the manifest was written: dvc.lock has no place for it."""
        if facts.writer != self._writer:
            yield Reason(ReasonKind.WRITER_CHANGED, "", facts.writer, self._writer)
        now = self._code.packages(stage)
        for name in sorted({*now, *facts.packages}):
            old, new = facts.packages.get(name, ""), now.get(name, "")
            if old != new:
                yield Reason(ReasonKind.PACKAGE_CHANGED, name, old, new)

    def _pending(self, stage: Stage) -> Iterator[Reason]:
        """That datums of a stage were recovered, or are to be run with every run."""
        if stage.reprocess is Reprocess.EVERY_JOB:
            yield Reason(ReasonKind.EVERY_JOB)
        recovered = self._ledger.recovered(stage.ref)
        count = sum(key in recovered for key in self.keyed(stage)[1]) if recovered else 0
        if count:
            yield Reason(ReasonKind.RECOVERED, new=str(count))

    def _datums(
        self, stage: Stage, reasons: tuple[Reason, ...], locked: LockEntry | None, force: bool
    ) -> StagePlan:

        transform, facts = self.transform(stage), self._manifest_facts(stage, locked)
        again = force or stage.reprocess is Reprocess.EVERY_JOB
        found = None if again else self._delta.plan(stage, reasons, locked, transform, facts)
        return self._whole(stage, reasons, locked, again) if found is None else found

    def _whole(
        self, stage: Stage, reasons: tuple[Reason, ...], locked: LockEntry | None, again: bool
    ) -> StagePlan:
        """The same, looking at every datum; `again`: none is reused."""
        from trunkline.plan.keys import datum_keys

        datums, transform = self.datums(stage), self.transform(stage)
        recalled = self._recall(stage, locked, {datum.id: datum for datum in datums})
        rows = {row.datum.id: row for row in recalled}
        facts = self._manifest_facts(stage, locked)
        last = facts is not None and facts.transform == transform and unchanged.may_be_kept(reasons)
        keys, known = unchanged.kept(
            datums, {} if again or not last else rows, lambda some: datum_keys(some, transform, stage.leaves)
        )
        if not again:
            known |= self._ledger.results([key for key in keys if key not in known])
        files = (file for result in known.values() for file in result.files)
        evicted = self._store.evicted(files, near=stage.path)
        reasons = (*reasons, *self._not_made(stage, reasons, locked))
        references = {leaf.name for leaf in stage.leaves if leaf.reference}
        plans = decide.decide_datums(datums, keys, known, evicted, rows, references)
        version = None
        if not any(plan.decision is Decision.RUN for plan in plans):
            version = listing.version(decide.outputs(plans, stage.ref))
        return decide.conclude(stage, reasons, plans, version, locked)

    def _not_made(
        self, stage: Stage, reasons: tuple[Reason, ...], locked: LockEntry | None
    ) -> Iterator[Reason]:
        """That `dvc commit` accepted what other code had made, where nothing else says why all of it runs."""
        facts = self._manifest_facts(stage, locked)
        told = any(map(decide.concerns_all, reasons))
        if not told and facts is not None and facts.transform != self.transform(stage):
            yield Reason(ReasonKind.NOT_MADE)

    def _predict(self, plan: StagePlan) -> None:
        """Let what is downstream see the output that this stage will have."""
        if plan.up_to_date:
            return
        if plan.decision in (Decision.RUN, Decision.WAIT):
            self.gather.settle(plan.stage.path, None)
        else:
            files = decide.outputs(plan.datums, plan.stage.ref)
            if plan.kept is not None:
                self.gather.settle(
                    plan.stage.path, *self._store.patched(plan.stage.path, plan.kept.gone, files)
                )
            else:
                self.gather.settle(plan.stage.path, listing.version(files), files)

    def _manifest_facts(self, stage: Stage, locked: LockEntry | None) -> ManifestFacts | None:
        manifest = _item(locked, stage.manifest_path)
        return None if manifest is None else self._manifests.facts(manifest.md5)

    def _recall(
        self, stage: Stage, locked: LockEntry | None, like: Mapping[str, Datum] | None = None
    ) -> tuple[ManifestRow, ...]:
        """The rows of the locked manifest, made known to the ledger; none where it cannot be had."""
        manifest = _item(locked, stage.manifest_path)
        rows = None if manifest is None else self._manifests.rows(manifest.md5, like)
        if manifest is None or rows is None:
            return ()
        if not self._ledger.knows(manifest.md5):
            self._ledger.learn(manifest.md5, rows)
        return rows

    def _code_item(self, path: str) -> LockItem:
        version = self.gather.version(path)
        if version is None:
            raise MissingData(f"the code file {path} does not exist", where=path)
        return LockItem(path, version.oid, version.size, isexec=self._store.is_executable(path))

    def _input_item(self, stage: Stage, leaf: Leaf) -> LockItem:
        prefix = Pattern(leaf.glob).literal_prefix
        version = self.gather.part(leaf.dataset, prefix)
        if version is None:
            raise missing_input(stage, leaf)
        path = f"{leaf.dataset.path}/{prefix}" if prefix else leaf.dataset.path
        return LockItem(path, version.oid, version.size, version.nfiles)

    def _output_item(self, path: str) -> LockItem | None:
        version = self.gather.version(path)
        return None if version is None else LockItem(path, *version)


def missing_input(stage: Stage, leaf: Leaf) -> MissingData:
    """The error of an input that is not there, with what to type for its kind of dataset."""
    dataset = leaf.dataset
    match dataset.kind:
        case DatasetKind.SOURCE:
            hint = (
                f"type `dvc pull {dataset.path}.dvc` (or `dvc checkout {dataset.path}.dvc`), "
                f"or `trunkline put {dataset.name} FILE…`"
            )
        case DatasetKind.STAGE:
            hint = f"type `trunkline run {dataset.name}`"
        case DatasetKind.FOREIGN:
            hint = "type `dvc repro`"
    part = "" if leaf.glob == "/" else f" (it reads {leaf.glob.lstrip('/')} of it)"
    return MissingData(
        f"the dataset {dataset.name}, input `{leaf.name}` of stage {stage.ref}, is not there{part}",
        where=dataset.path,
        hint=hint,
    )


def _item(entry: LockEntry | None, path: str) -> LockItem | None:
    return next((out for out in entry.outs if out.path == path), None) if entry else None
