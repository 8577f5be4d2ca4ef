"""What is there now: the versions and contents of datasets, each looked at once.

A stage reads a dataset, or a part of it: `split/train` is the directory `train` of the dataset
`split`. The version of a part is derived from the whole's listing and remembered by content hash,
so that a dataset is walked once, however many stages read parts of it.
"""

from __future__ import annotations

import json

from trunkline import listing
from trunkline.model import Dataset, File, Snapshot, Version
from trunkline.ports import Facts, Store


class Gather:
    """The datasets of one planning or run. `settle` says what a stage left, or would leave."""

    def __init__(self, store: Store, facts: Facts) -> None:
        self._store = store
        self._facts = facts
        self._versions: dict[str, Version | None] = {}
        self._snapshots: dict[str, Snapshot | None] = {}

    def version(self, path: str) -> Version | None:
        """The version of the workspace's `path`, or what `settle` said of it; None where missing."""
        if path not in self._versions:
            self._versions[path] = self._store.version(path)
        return self._versions[path]

    def part(self, dataset: Dataset, prefix: str) -> Version | None:
        """The version of the part of a dataset at `prefix` ("" for all of it)."""
        whole = self.version(dataset.path)
        if whole is None or not prefix:
            return whole
        key = f"{whole.oid}:{prefix}"
        known = self._facts.get("part", key)
        if known is not None:
            return Version(*json.loads(known)) if known != "null" else None
        snapshot = self.snapshot(dataset)
        if snapshot is None:
            return None
        part = listing.part(snapshot.files, prefix)
        if snapshot.version.oid == whole.oid:  # else somebody changed it between the two looks
            self._facts.put("part", key, json.dumps(part))
        return part

    def snapshot(self, dataset: Dataset) -> Snapshot | None:
        """A dataset's version with its files."""
        path = dataset.path
        if path not in self._snapshots:
            self._snapshots[path] = self._store.snapshot(path, fresh=False)
        return self._snapshots[path]

    def settle(self, path: str, version: Version | None, files: tuple[File, ...] | None = None) -> None:
        """From here on `path` is `version`; without `files` they are read when asked for."""
        self._versions[path] = version
        self._snapshots.pop(path, None)
        if version is not None and files is not None:
            self._snapshots[path] = Snapshot(version, files)
