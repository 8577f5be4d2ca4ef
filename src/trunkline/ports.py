"""The few Protocols through which effects enter the engine.

The engine knows these and the plan, nothing else; `project.py` chooses the adapters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from typing import Protocol

from trunkline.model import (
    Changes,
    Datum,
    File,
    Kept,
    LockEntry,
    ManifestRow,
    Outcome,
    Recovered,
    Result,
    Snapshot,
    Stage,
    StagePlan,
    StageReport,
    Version,
    Work,
)


class Store(Protocol):
    """Data by content: the workspace, DVC's cache, DVC's pointers and lock."""

    @property
    def objects(self) -> str:
        """The absolute path of the directory in which the cache has its objects, as ab/cdef…."""

    def version(self, path: str) -> Version | None:
        """The content hash of `path` in the workspace, by stat where the memo knows it."""

    def snapshot(self, path: str, *, fresh: bool = True) -> Snapshot | None:
        """The same with its files; without `fresh` as this process saw it last, if it did."""

    def changes(self, path: str, since: str) -> Changes | None:
        """How `path`, as this process saw it last, differs from a version; None where that is not known."""

    def names(self, path: str) -> Set[str] | None:
        """The files of `path` as this process saw it last; None where it did not."""

    def intact(self, path: str) -> bool:
        """Whether every object of `path`, as this process saw it last, is in the cache and undamaged."""

    def listing(self, oid: str) -> tuple[File, ...]:
        """The files of a `.dir` object in the cache, sizes -1 where not known. Raises MissingData."""

    def object_path(self, md5: str) -> str:
        """The absolute path of an object in the cache, whether or not it exists."""

    def evicted(self, files: Iterable[File], near: str = "") -> set[str]:
        """The md5s among `files` whose objects are missing, or damaged (those are quarantined).

        `near`: the dataset in which most of them stand, if they were not evicted.
        """

    def scratch(self) -> str:
        """A new, unused path on the cache's file system."""

    def adopt(self, directory: str, files: Sequence[File]) -> None:
        """Rename hashed files from `directory` into the cache."""

    def save_source(self, path: str) -> Snapshot:
        """Bring a workspace dataset into the cache and refresh its pointer, as `dvc add` does."""

    def checkout(self, path: str, files: Sequence[File]) -> Version:
        """Make the workspace's `path` hold exactly `files`, linked from the cache; save its listing."""

    def patched(self, path: str, gone: Collection[str], files: Sequence[File]) -> Snapshot:
        """What `path`, as this process saw it last, would be without some files and with others."""

    def patch(self, path: str, gone: Collection[str], files: Sequence[File]) -> Version:
        """Make it so. As `checkout`, but what stays need not be told."""

    def ensure_inputs(self, datasets: Sequence[tuple[str, Sequence[File]]]) -> None:
        """See that the objects of these (workspace path, files) are in the cache and undamaged.

        What is missing is copied from the workspace where it is there unchanged. Raises MissingData.
        """

    def quarantine(self, objects: Iterable[str]) -> None:
        """Move damaged objects (absolute paths) out of the cache."""

    def is_executable(self, path: str) -> bool:
        """Whether the file has an x bit, as dvc.lock records it."""

    def save_manifest(
        self,
        path: str,
        rows: Sequence[ManifestRow],
        transform: str,
        packages: Mapping[str, str] | None = None,
        kept: Kept | None = None,
    ) -> Version:
        """Write a stage's manifest into cache and workspace; `packages` count as its code.

        With `kept`, what stays of an earlier manifest need not be told.
        """

    def lock_entry(self, dvc_name: str) -> LockEntry | None:
        """The stage's entry in dvc.lock."""

    def write_lock(self, dvc_name: str, entry: LockEntry, order: Sequence[str] = ()) -> None:
        """Replace the stage's entry in dvc.lock, durably, after the data it names.

        A stage that is new there goes where a run one by one in `order` would have put it.
        """

    def holding(
        self, command: str, read: Sequence[str], write: Sequence[str]
    ) -> AbstractContextManager[None]:
        """DVC's own read-write lock on these workspace paths. Raises LockedError."""


class Ledger(Protocol):
    """What happened: results by datum key."""

    def results(self, keys: Sequence[str]) -> dict[str, Result]:
        """The recorded results among `keys`."""

    def record(self, stage: str, results: Iterable[Result]) -> None:
        """Keep these results, durably enough to survive the process."""

    def recover(self, stage: str, datums: Sequence[Recovered]) -> None:
        """Keep which datums of a stage failed and were recovered; a result for such a key ends that."""

    def recovered(self, stage: str) -> dict[str, Recovered]:
        """The datums of a stage that were recovered and have had no result since, by key."""

    def knows(self, manifest: str) -> bool:
        """Whether this manifest's rows have been learnt."""

    def learn(self, manifest: str, rows: Sequence[ManifestRow]) -> None:
        """Keep the results that a manifest (by its content hash) records."""

    def forget(self, keys: Iterable[str]) -> None:
        """Drop results whose files are gone."""

    def seconds(self, stage: str) -> float | None:
        """The mean seconds of a datum of this stage in earlier runs; None where never run."""


class Pool(Protocol):
    """Executes Work. One thread submits and collects."""

    def submit(self, work: Work, expected: float | None = None) -> None:
        """Queue one datum; `expected` is its likely duration in seconds, None where unknown."""

    def next(self, timeout: float | None = None) -> Outcome | None:
        """Block until one datum is done, or about `timeout` seconds: None where none is by then.

        Only called while some are outstanding.
        """

    def cancel(self, stage: str) -> list[Outcome]:
        """Forget what is queued of a stage, end what runs of it, with all that it started.

        Returns what was done by then; nothing comes of the others. Other stages lose nothing.
        """

    def close(self, *, now: bool = False) -> None:
        """End every process of the pool; with `now`, without waiting for running datums."""


class Facts(Protocol):
    """Small facts derived from content, remembered by content hash. Losing them costs time only."""

    def get(self, kind: str, key: str) -> str | None:
        """The remembered fact."""

    def put(self, kind: str, key: str, value: str) -> None:
        """Remember a fact."""


class Listener(Protocol):
    """Hears what a run does, as it does it."""

    def started(self, plan: StagePlan) -> None:
        """A stage that has something to do begins."""

    def outcome(self, stage: Stage, datum: Datum, outcome: Outcome) -> None:
        """A datum is done: well, or for good with a `failure`, be it `recovered` or not."""

    def retried(self, stage: Stage, datum: Datum, outcome: Outcome, tried: int) -> None:
        """A datum has failed for the `tried`th time, and is tried again."""

    def finished(self, report: StageReport) -> None:
        """A stage is settled."""
