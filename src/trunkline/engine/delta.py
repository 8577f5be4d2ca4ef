"""Plans a stage by what changed: of 100,000 datums, one of whose files is another, one is looked at.

    dvc.lock    data/raw  md5 1f….dir          the dataset as it was when the stage was published
    now         data/raw  md5 9a….dir          -> changed: b.csv; new: c.csv; gone: x.csv
    manifest    the shards of the datums of b.csv and x.csv, read for their keys and outputs
    ->          run b, run c, drop x; all others are kept as the manifest has them, and not listed

It is for stages of one input, of whose files each is a datum, where nothing but the data changed since the
stage was published here (`dvc commit` changes dvc.lock too), the outputs are in place and every object of
them is in the cache. Everything else, and whatever looks odd, is
planned as a whole: `plan` then answers None. What it answers is what planning as a whole would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from trunkline.engine import unchanged
from trunkline.engine.gather import Gather
from trunkline.engine.manifests import ManifestFacts, Manifests
from trunkline.globs import Pattern
from trunkline.model import (
    Datum,
    DatumPlan,
    Decision,
    File,
    Item,
    Kept,
    Leaf,
    LockEntry,
    ManifestRow,
    Reason,
    ReasonKind,
    Result,
    Snapshot,
    Stage,
    StagePlan,
    Version,
)
from trunkline.plan import decide
from trunkline.ports import Ledger, Store

_DATA_ONLY = frozenset({ReasonKind.DATASET_CHANGED, ReasonKind.UPSTREAM_CHANGED, ReasonKind.CODE_CHANGED})
_MOST = 4  # where more than a fourth of the files differ, planning as a whole is as quick


class _Touched(NamedTuple):
    """The datums of files that are new or changed, and those of files that are gone."""

    now: tuple[Datum, ...]
    gone: tuple[Datum, ...]


class Delta:
    """Plans stages by what changed since they were published."""

    def __init__(self, store: Store, ledger: Ledger, manifests: Manifests, gather: Gather) -> None:
        self._store = store
        self._ledger = ledger
        self._manifests = manifests
        self._gather = gather

    def published(self, stage: Stage, entry: LockEntry) -> None:
        """The stage was published with this entry of dvc.lock."""
        if isinstance(stage.input, Leaf):
            manifest = next(item.md5 for item in entry.outs if item.path == stage.manifest_path)
            self._manifests.learn_versions(manifest, _versions(stage, entry))

    def plan(
        self,
        stage: Stage,
        reasons: tuple[Reason, ...],
        locked: LockEntry | None,
        transform: str,
        facts: ManifestFacts | None,
    ) -> StagePlan | None:
        """The stage's plan; None where it has to be planned as a whole."""
        leaf = stage.input
        if locked is None or facts is None or facts.transform != transform or not isinstance(leaf, Leaf):
            return None
        outs = {item.path: item.md5 for item in locked.outs}
        manifest = outs.get(stage.manifest_path)
        if any(reason.kind not in _DATA_ONLY for reason in reasons) or manifest is None:
            return None
        pattern = Pattern(leaf.glob)
        if pattern.literal_prefix or pattern.depth is None or not pattern.has_wildcards:
            return None
        touched = self._touched(stage, leaf, pattern, locked)
        if touched is None or not self._ledger.knows(manifest) or self._ledger.recovered(stage.ref):
            return None
        if self._manifests.versions(manifest) != _versions(stage, locked):
            return None  # what dvc.lock says now was accepted, and the manifest does not tell of it
        rows = self._manifests.some(manifest, {datum.id for datum in (*touched.now, *touched.gone)})
        if rows is None or not self._adds_up(leaf, pattern, touched, rows, facts.total):
            return None
        if not self._store.intact(stage.path):
            return None
        return self._decided(stage, reasons, locked, facts, touched, rows)

    def _touched(self, stage: Stage, leaf: Leaf, pattern: Pattern, locked: LockEntry) -> _Touched | None:
        """The datums of files that are others than they were."""
        from trunkline.plan.datums import datums

        path = leaf.dataset.path
        since = next((dep.md5 for dep in locked.deps if dep.path == path), "")
        now = self._gather.version(path)
        changes = self._store.changes(path, since) if since.endswith(".dir") and now is not None else None
        if changes is None or now != changes.version:
            return None  # what upstream will leave is not there yet, for instance
        changed = [file.path for file in changes.files]
        if len(changed) + len(changes.gone) > (changes.version.nfiles or 0) // _MOST + 1:
            return None
        if any(path.count("/") >= (pattern.depth or 0) for path in (*changed, *changes.gone)):
            return None  # a datum may be a directory
        name = leaf.dataset.name
        gone = tuple(File(path, "", 0) for path in changes.gone)
        return _Touched(
            datums(stage, {name: Snapshot(changes.version, changes.files)}),
            datums(stage, {name: Snapshot(changes.version, gone)}),
        )

    def _adds_up(
        self, leaf: Leaf, pattern: Pattern, touched: _Touched, rows: Mapping[str, ManifestRow], total: int
    ) -> bool:
        """Whether the manifest has all datums but those that are new: no directory, none was left out."""
        if not all(datum.id in rows for datum in touched.gone):
            return False
        added = sum(datum.id not in rows for datum in touched.now)
        depth, match = (pattern.depth or 0) - 1, None if pattern.bare else pattern.match
        count = 0
        for name in self._store.names(leaf.dataset.path) or ():
            below = name.count("/")
            if below > depth:
                return False  # a datum may be a directory
            count += below == depth and (match is None or match(name) is not None)
        return count == total + added - len(touched.gone)

    def _decided(
        self,
        stage: Stage,
        reasons: tuple[Reason, ...],
        locked: LockEntry,
        facts: ManifestFacts,
        touched: _Touched,
        rows: Mapping[str, ManifestRow],
    ) -> StagePlan | None:
        from trunkline.plan.keys import datum_keys

        transform = facts.transform
        keys = datum_keys(touched.now, transform, stage.leaves)
        sample = next(iter(rows.values()), None)
        if sample is not None and datum_keys([sample.datum], transform, stage.leaves) != [sample.key]:
            return None  # a manifest that was accepted by `dvc commit` after all
        listed = {datum.id for datum in (*touched.now, *touched.gone)}
        before = {id_: row for id_, row in rows.items() if id_ in listed}
        known = {row.key: unchanged.result(row) for row in before.values()}
        known = {**self._ledger.results([key for key in keys if key not in known]), **known}
        plans = self._plans(stage, touched, keys, known, before)
        kept = Kept(
            facts.total - len(before),
            facts.accepted - sum(row.made != "" for row in before.values()),
            next(item.md5 for item in locked.outs if item.path == stage.manifest_path),
            frozenset(listed),
            frozenset(file.path for row in before.values() for file in row.files),
        )
        version: Version | None = None
        if not any(plan.decision is Decision.RUN for plan in plans):
            version = self._store.patched(stage.path, kept.gone, decide.outputs(plans, stage.ref)).version
        found = decide.conclude(stage, reasons, plans, version, locked)
        return StagePlan(stage, found.decision, reasons, plans, (found.total or 0) + kept.datums, kept)

    def _plans(
        self,
        stage: Stage,
        touched: _Touched,
        keys: Sequence[str],
        known: Mapping[str, Result],
        before: Mapping[str, ManifestRow],
    ) -> tuple[DatumPlan, ...]:
        files = [file for key in keys if key in known for file in known[key].files]
        evicted = self._store.evicted(files, near=stage.path)
        references = {leaf.name for leaf in stage.leaves if leaf.reference}
        plans = decide.decide_datums(touched.now, keys, known, evicted, before, references)
        return tuple(_as_added(plan, before) for plan in plans)


def _versions(stage: Stage, entry: LockEntry) -> dict[str, str]:
    """The content hashes of the stage's inputs and outputs."""
    paths = {stage.path, *(leaf.dataset.path for leaf in stage.leaves)}
    return {item.path: item.md5 for item in (*entry.deps, *entry.outs) if item.path in paths}


def _as_added(plan: DatumPlan, before: Mapping[str, ManifestRow]) -> DatumPlan:
    """A datum that the stage has not had: its files were added, for the stage itself ran before."""
    if plan.decision is not Decision.RUN or plan.datum.id in before:
        return plan
    if any(reason.kind is not ReasonKind.NEVER_RAN for reason in plan.reasons):
        return plan
    return plan._replace(reasons=tuple(map(_added, plan.datum.items)))


def _added(item: Item) -> Reason:
    return Reason(ReasonKind.FILE_ADDED, f"{item.dataset}/{item.path}", "", item.oid)
