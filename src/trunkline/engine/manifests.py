"""What earlier runs left of a stage: its manifests, read from the cache by content.

A manifest's facts (transform, writer, number of datums) are remembered by its hash, so that a
stage with nothing to do never opens Parquet.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from trunkline.errors import StoreError
from trunkline.model import Datum, ManifestRow
from trunkline.ports import Facts, Store


class ManifestFacts(NamedTuple):
    """What a manifest says of its stage as a whole.

    `packages` are the versions that counted as its code, `accepted` counts the datums whose outputs a
    person accepted, though other code had made them.
    """

    transform: str
    writer: str
    total: int
    packages: Mapping[str, str] = {}  # nobody changes it
    accepted: int = 0


class ManifestReader(Protocol):
    """Reads the files of one manifest."""

    def facts(self, paths: Sequence[str]) -> ManifestFacts:
        """From the footers alone."""

    def rows(self, paths: Sequence[str], like: Mapping[str, Datum]) -> tuple[ManifestRow, ...]:
        """Every datum; one that equals one of `like` (by id) is that one."""

    def holding(self, names: Sequence[str], ids: Collection[str]) -> list[str]:
        """The files, of those of a manifest, in which these datums are, or would be."""


class Manifests:
    """The manifests in the cache, each named by its content hash."""

    def __init__(self, store: Store, facts: Facts, reader: ManifestReader) -> None:
        self._store = store
        self._facts = facts
        self._reader = reader

    def facts(self, oid: str) -> ManifestFacts | None:
        """The manifest's facts; None where it is neither known nor in the cache."""
        known = self._facts.get("manifest", oid)
        if known is not None:
            return ManifestFacts(*json.loads(known))
        paths = self._paths(oid)
        if paths is None:
            return None
        facts = self._reader.facts(paths)
        self.remember(oid, facts)
        return facts

    def remember(self, oid: str, facts: ManifestFacts) -> None:
        """A manifest with these facts was written: nobody needs to open it for them."""
        self._facts.put("manifest", oid, json.dumps(facts))

    def versions(self, oid: str) -> dict[str, str]:
        """The content hashes (by path) of the inputs and outputs with which it was last written here."""
        known = self._facts.get("published", oid)
        return {} if known is None else dict(json.loads(known))

    def learn_versions(self, oid: str, versions: Mapping[str, str]) -> None:
        """The manifest was written with these versions of its stage's inputs and outputs."""
        self._facts.put("published", oid, json.dumps(versions))

    def rows(self, oid: str, like: Mapping[str, Datum] | None = None) -> tuple[ManifestRow, ...] | None:
        """The manifest's rows; None where it is not in the cache, or damaged there.

        A datum that equals one of `like` (by id) is that one.
        """
        paths = self._paths(oid)
        return None if paths is None else self._reader.rows(paths, like or {})

    def some(self, oid: str, ids: Collection[str]) -> dict[str, ManifestRow] | None:
        """The rows of these datums by id, and perhaps others; None where they cannot be had."""
        paths = self._paths(oid, ids)
        rows = () if not paths else self._reader.rows(paths, {})
        return None if paths is None else {row.datum.id: row for row in rows}

    def _paths(self, oid: str, ids: Collection[str] | None = None) -> list[str] | None:
        """Where the files of a manifest are, those of these datums; None where they cannot be had."""
        try:
            files = self._store.listing(oid)
        except StoreError:
            return None
        if ids is not None:
            names = self._reader.holding([file.path for file in files], ids)
            files = tuple(file for file in files if file.path in names)
        if self._store.evicted(files):
            return None
        return [self._store.object_path(file.md5) for file in files]
