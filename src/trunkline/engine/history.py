"""What earlier runs left of a stage: its manifests, read from the cache by content.

A manifest's facts (transform, writer, number of datums) are remembered by its hash, so that a
stage with nothing to do never opens Parquet.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

from trunkline.engine.planner import ManifestFacts
from trunkline.errors import StoreError
from trunkline.model import LockItem, ManifestRow
from trunkline.ports import Facts, Ledger, Store


class ManifestReader(Protocol):
    """Reads the files of one manifest."""

    def facts(self, paths: Sequence[str]) -> ManifestFacts:
        """From the footers alone."""

    def rows(self, paths: Sequence[str]) -> tuple[ManifestRow, ...]:
        """Every datum."""


class Manifests:
    """The planner's History over a store and a ledger."""

    def __init__(self, store: Store, ledger: Ledger, facts: Facts, reader: ManifestReader) -> None:
        self._store = store
        self._ledger = ledger
        self._facts = facts
        self._reader = reader

    def facts(self, manifest: LockItem) -> ManifestFacts | None:
        """The manifest's facts; None where it is neither known nor in the cache."""
        known = self._facts.get("manifest", manifest.md5)
        if known is not None:
            return ManifestFacts(*json.loads(known))
        paths = self._paths(manifest)
        if paths is None:
            return None
        facts = self._reader.facts(paths)
        self._facts.put("manifest", manifest.md5, json.dumps(facts))
        return facts

    def rows(self, manifest: LockItem) -> tuple[ManifestRow, ...] | None:
        """The manifest's rows; None where it is not in the cache, or damaged there."""
        paths = self._paths(manifest)
        return None if paths is None else self._reader.rows(paths)

    def learn(self, manifest: LockItem) -> None:
        """Make the results that the manifest records known to the ledger, once per manifest."""
        if self._ledger.knows(manifest.md5):
            return
        rows = self.rows(manifest)
        if rows is not None:
            self._ledger.learn(manifest.md5, rows)

    def _paths(self, manifest: LockItem) -> list[str] | None:
        try:
            files = self._store.listing(manifest.md5)
        except StoreError:
            return None
        if self._store.evicted(files):
            return None
        return [self._store.object_path(file.md5) for file in files]
