"""Decides what must be done, from what is there and what happened. Changes nothing.

For each stage, from coarse to fine. The entry that dvc.lock *would* hold for the world as it is
is compared with the entry that it holds: where they agree, the stage is up to date and none of
its datums is looked at. Otherwise its datums are formed and each is decided by its key.

A stage whose results are all known has a known output before anything runs, so planning goes on
below it; a stage that must run leaves `wait` below it.
"""

from __future__ import annotations

from collections.abc import Sequence

from trunkline import listing
from trunkline.engine.code import Code
from trunkline.engine.gather import Gather
from trunkline.engine.manifests import ManifestFacts, Manifests
from trunkline.errors import MissingData
from trunkline.globs import Pattern
from trunkline.model import (
    DatasetKind,
    Datum,
    DatumPlan,
    Decision,
    Leaf,
    LockEntry,
    LockItem,
    ManifestRow,
    Plan,
    Reason,
    ReasonKind,
    Snapshot,
    Stage,
    StagePlan,
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

    def plan(self, stages: Sequence[Stage], force: bool = False) -> Plan:
        """Every stage's decision, in the order given (upstream first)."""
        plans: dict[str, StagePlan] = {}
        for stage in stages:
            unknown = [
                name
                for name in graph.upstream(stage)
                if name in plans and plans[name].decision in (Decision.RUN, Decision.WAIT)
            ]
            if unknown:
                plans[stage.ref] = decide.wait(stage, unknown)
            else:
                plans[stage.ref] = self.stage(stage, force=force)
                self._predict(plans[stage.ref])
        return Plan(tuple(plans.values()))

    def stage(self, stage: Stage, force: bool = False) -> StagePlan:
        """One stage's decision. Its inputs must be known. Raises MissingData."""
        entry = self.expected(stage)
        locked = self._store.lock_entry(stage.dvc_name)
        code = self._code.files(stage)
        reasons = decide.compare(entry, locked, frozenset(code))
        facts = self._manifest_facts(stage, locked)
        if facts is not None and facts.writer != self._writer:
            reasons = (*reasons, Reason(ReasonKind.WRITER_CHANGED, "", facts.writer, self._writer))
        if force:
            reasons = (*reasons, Reason(ReasonKind.FORCED))
        if not reasons:
            return decide.up_to_date(stage, facts.total if facts else None)
        return self._datums(stage, reasons, locked, force)

    def expected(self, stage: Stage) -> LockEntry:
        """The stage's entry in dvc.lock as the world is now, with the outputs of the workspace."""
        deps = {path: self._code_item(path) for path in self._code.files(stage)}
        for leaf in stage.leaves:
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
        """How outputs came to be accepted that code and inputs as they are did not make; "" where they did."""
        locked = self._store.lock_entry(stage.dvc_name)
        facts = self._manifest_facts(stage, locked)
        if facts is None:
            return ""
        if facts.transform != self.transform(stage):
            return "accepted by dvc commit: other code or parameters made these outputs"
        rows, output = self._recall(stage, locked), _item(locked, stage.path)
        if not rows or output is None:
            return ""
        if {row.key for row in rows} != set(self._keyed(stage)[1]):
            return "accepted by dvc commit: other inputs made these outputs"
        files = decide.merge((row.datum.name, row.files) for row in rows)
        if listing.version(files).oid != output.md5:
            return "accepted by dvc commit: these outputs were edited after they had been made"
        return ""

    def published(self, manifest: str, transform: str, total: int) -> None:
        """This manifest was written, of results that are recorded: planning need not look into it."""
        self._ledger.learn(manifest, ())
        self._manifests.remember(manifest, ManifestFacts(transform, self._writer, total))

    def transform(self, stage: Stage) -> str:
        """The digest of what the stage does to a datum."""
        from trunkline.plan.keys import transform_digest

        return transform_digest(stage, self._code.digest(stage), self._writer)

    def examine(self, stage: Stage, plan: StagePlan) -> tuple[DatumPlan, ...]:
        """The datums of a stage with this plan, also where it is up to date and the plan has none."""
        if not plan.up_to_date:
            return plan.datums
        datums, keys = self._keyed(stage)
        self._recall(stage, self._store.lock_entry(stage.dvc_name))
        known = self._ledger.results(keys)
        return tuple(
            DatumPlan(datum, key, Decision.REUSE, (), known.get(key))
            for datum, key in zip(datums, keys, strict=True)
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

    def _datums(
        self, stage: Stage, reasons: tuple[Reason, ...], locked: LockEntry | None, force: bool
    ) -> StagePlan:
        datums, keys = self._keyed(stage)
        previous = self._recall(stage, locked)
        known = {} if force else self._ledger.results(keys)
        evicted = self._store.evicted(file for result in known.values() for file in result.files)
        plans = decide.decide_datums(datums, keys, known, evicted, {row.datum.id: row for row in previous})
        version = None
        if not any(plan.decision is Decision.RUN for plan in plans):
            version = listing.version(decide.outputs(plans, stage.ref))
        return decide.conclude(stage, reasons, plans, version, locked)

    def _keyed(self, stage: Stage) -> tuple[tuple[Datum, ...], list[str]]:
        from trunkline.plan.keys import datum_keys

        datums = self.datums(stage)
        return datums, datum_keys(datums, self.transform(stage))

    def _predict(self, plan: StagePlan) -> None:
        """Let what is downstream see the output that this stage will have."""
        if plan.up_to_date:
            return
        if plan.decision in (Decision.RUN, Decision.WAIT):
            self.gather.settle(plan.stage.path, None)
        else:
            files = decide.outputs(plan.datums, plan.stage.ref)
            self.gather.settle(plan.stage.path, listing.version(files), files)

    def _manifest_facts(self, stage: Stage, locked: LockEntry | None) -> ManifestFacts | None:
        manifest = _item(locked, stage.manifest_path)
        return None if manifest is None else self._manifests.facts(manifest.md5)

    def _recall(self, stage: Stage, locked: LockEntry | None) -> tuple[ManifestRow, ...]:
        """The rows of the locked manifest, made known to the ledger; none where it cannot be had."""
        manifest = _item(locked, stage.manifest_path)
        rows = None if manifest is None else self._manifests.rows(manifest.md5)
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
