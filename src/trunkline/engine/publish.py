"""Publishes a stage whose datums are done: workspace, manifest, dvc.lock, in this order.

A datum that was recovered is not among what is published, and what it may have published before goes.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from contextlib import suppress

from trunkline.engine.planner import Planner
from trunkline.engine.under import Under
from trunkline.engine.verdict import check_declared
from trunkline.errors import TrunklineError
from trunkline.model import File, LockEntry, LockItem, ManifestRow
from trunkline.plan import decide
from trunkline.ports import Store


class Publisher:
    """Publishes stages. `lock` False leaves dvc.lock to whoever called us (`dvc repro`)."""

    def __init__(self, planner: Planner, store: Store, *, lock: bool) -> None:
        self._planner = planner
        self._store = store
        self._lock = lock

    def publish(self, under: Under, order: Sequence[str]) -> LockEntry:
        """Publish a stage; what goes wrong puts the last version back. `order` is dvc.yaml's."""
        stage, results = under.stage, under.results
        rows = tuple(
            ManifestRow(datum, under.keys[id_], results[id_].files, results[id_].made)
            for id_, datum in under.datums.items()
            if id_ in results
        )
        files = decide.merge(((row.datum.name, row.files) for row in rows), stage.ref)
        staying = self._staying(under, files)
        if not under.recovered:  # which may be the one that writes it
            check_declared(stage, {*staying, *(file.path for file in files)})
        try:
            return self._publish(under, rows, files, order)
        except BaseException:
            put_back(self._store, stage.dvc_name)
            raise

    def _staying(self, under: Under, files: Sequence[File]) -> Set[str]:
        """The paths of the outputs of datums that the plan does not list. Raises OutputCollision."""
        kept = under.plan.kept
        if kept is None:
            return set()
        names = (self._store.names(under.stage.path) or set()) - kept.gone
        if decide.overlap(names, [file.path for file in files if file.path not in kept.gone]):
            rows = [row for row in self._planner.rows(under.stage) if row.datum.id not in kept.listed]
            parts = [(row.datum.name, row.files) for row in rows]
            for id_, result in under.results.items():
                parts.append((under.datums[id_].name, result.files))
            decide.merge(parts, under.stage.ref)
        return names

    def _publish(
        self, under: Under, rows: tuple[ManifestRow, ...], files: tuple[File, ...], order: Sequence[str]
    ) -> LockEntry:
        stage, planner = under.stage, self._planner
        kept = under.plan.kept
        if kept is None:
            version = self._store.checkout(stage.path, files)
        else:
            version = self._store.patch(stage.path, kept.gone, files)
        manifest = planner.publish(stage, rows, under.transform, kept)
        planner.gather.settle(stage.path, version, None if kept is not None else files)
        planner.gather.settle(stage.manifest_path, manifest)
        entry = planner.expected(stage)
        outs = sorted((LockItem(stage.path, *version), LockItem(stage.manifest_path, *manifest)))
        entry = LockEntry(entry.cmd, entry.deps, entry.params, tuple(outs))
        planner.published(stage, entry)
        if self._lock:
            self._store.write_lock(stage.dvc_name, entry, order)
        return entry


def put_back(store: Store, dvc_name: str) -> None:
    """Make the workspace show the last locked version of a stage again, as far as the cache has it."""
    with suppress(TrunklineError):
        entry = store.lock_entry(dvc_name)
        for out in entry.outs if entry is not None else ():
            with suppress(TrunklineError):  # why it is put back is told; what is lost shows in the next plan
                store.checkout(out.path, store.listing(out.md5))
