"""The history of a project as its files tell it: dvc.lock and pointers, run records, git, DVC's cache.

Reads as late as it can: a question that the workspace's lock answers costs one process of git for each
source dataset, and no more of the runs than their bytes. DVC's formats are read by the functions in
`Readers`, which are the store's.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trunkline.errors import TrunklineError
from trunkline.ledger.records import RunRecord, StageRecord, same_entry
from trunkline.ledger.runs import Runs
from trunkline.lineage.history import Accepted, LockSnapshot, Origin, RunFact, SourceVersion
from trunkline.model import Commit, File, LockEntry, ReasonKind, Version
from trunkline.store import git

LOCK = "dvc.lock"


@dataclass(frozen=True, slots=True)
class Readers:
    """What knows DVC's formats and the cache. Those that raise, raise TrunklineError.

    `lock` reads the text of a dvc.lock; `pointer` that of a .dvc file, given its path; `listing` the
    files of a `.dir` object; `object_path` says where an object lies; `datums` counts a manifest's, and
    `accepted` those that were accepted, with the transform for which; `producers` asks the results index.
    """

    lock: Callable[[str], Mapping[str, LockEntry]]
    pointer: Callable[[str, str], Version | None]
    listing: Callable[[str], tuple[File, ...]]
    object_path: Callable[[str], str]
    datums: Callable[[str], int | None] = lambda manifest: None
    accepted: Callable[[str], tuple[int, str]] = lambda manifest: (0, "")
    producers: Callable[[str], Sequence[tuple[str, str, str]]] = lambda md5: ()


class Recorded:
    """The History of the project at `root`; `sources` are the paths of its source datasets."""

    def __init__(self, root: str, readers: Readers, runs: Runs, sources: Collection[str]) -> None:
        self._root = root
        self._readers = readers
        self._runs = runs
        self._sources = sources
        self._listings: dict[str, tuple[File, ...] | None] = {}
        self._versions: dict[str, tuple[SourceVersion, ...]] = {}

    # ------------------------------------------------------------ locks

    def locks(self) -> Iterator[LockSnapshot]:
        """The workspace's lock, then those of runs and of git, newest first."""
        text = _text(os.path.join(self._root, LOCK))
        yield LockSnapshot(Origin("workspace"), self._parsed(text) if text is not None else {})
        both = heapq.merge(self._of_runs(), self._of_git(), key=lambda lock: lock.origin.time, reverse=True)
        yield from both

    def _of_runs(self) -> Iterator[LockSnapshot]:
        for record in self._runs.each():
            entries = {
                ref.replace(".", "-", 1): stage.entry
                for ref, stage in record.stages.items()
                if stage.entry is not None
            }
            if entries:
                yield LockSnapshot(Origin("run", record.id, record.started), entries)

    def _of_git(self) -> Iterator[LockSnapshot]:
        last: tuple[bytes, Mapping[str, LockEntry]] | None = None
        for commit, data in git.history(self._root, LOCK, everywhere=True):
            if data is None:
                continue
            if last is None or last[0] != data:
                last = data, self._parsed(data.decode("utf-8", "replace"))
            yield LockSnapshot(Origin("commit", commit.commit, commit.time), last[1])

    def _parsed(self, text: str) -> Mapping[str, LockEntry]:
        """The entries of a lock; none where it is no lock (an old format, a conflict)."""
        try:
            return self._readers.lock(text)
        except (TrunklineError, ValueError):
            return {}

    # ------------------------------------------------------------ contents

    def listing(self, oid: str) -> tuple[File, ...] | None:
        """The files of a version; None where its listing is not in the cache."""
        if oid not in self._listings:
            try:
                self._listings[oid] = self._readers.listing(oid) if oid.endswith(".dir") else None
            except TrunklineError:
                self._listings[oid] = None
        return self._listings[oid]

    def holds(self, oid: str, md5: str) -> bool | None:
        """Whether a version is, or lists, this content: a search in its bytes, nothing is parsed."""
        if not oid.endswith(".dir"):
            return oid == md5
        try:
            with open(self._readers.object_path(oid), "rb") as stream:
                return f'"{md5}"'.encode() in stream.read()
        except OSError:
            return None

    def datums(self, manifest: str) -> int | None:
        """The number of datums in a manifest; None where it is not in the cache."""
        try:
            return self._readers.datums(manifest)
        except TrunklineError:
            return None

    def accepted(self, ref: str, manifest: str) -> Accepted | None:
        """What of a manifest a person accepted; None: nothing. By the last record that fits."""
        try:
            count, transform = self._readers.accepted(manifest)
        except TrunklineError:
            return None
        if not count:
            return None
        for record in self._runs.each():
            stage = record.stages.get(ref)
            if stage is not None and stage.transform == transform and _accepts(stage):
                return Accepted(count, stage.reasons[0].subject, record.started, record.id)
        return Accepted(count)

    def producers(self, md5: str) -> Sequence[tuple[str, str, str]]:
        """(stage, datum key, run) of results with this content, newest first."""
        return self._readers.producers(md5)

    # ------------------------------------------------------------ sources

    def sources(self) -> Collection[str]:
        """The paths of the source datasets that are there now."""
        return self._sources

    def source_versions(self, path: str) -> Iterable[SourceVersion]:
        """The versions that a path ever had, the present pointer's first, each with its first commit."""
        if path not in self._versions:
            self._versions[path] = tuple(self._all_versions(path))
        return self._versions[path]

    def _all_versions(self, path: str) -> Iterator[SourceVersion]:
        pointer = f"{path}.dvc"
        found: dict[str, tuple[Version, Commit | None]] = {}
        present = _text(os.path.join(self._root, pointer))
        if present is not None and (version := self._pointed(present, pointer)) is not None:
            found[version.oid] = version, None
        for commit, data in git.history(self._root, pointer, everywhere=True):
            text = "" if data is None else data.decode("utf-8", "replace")
            if text and (version := self._pointed(text, pointer)) is not None:
                # the older one comes later and wins, in the place of the newer one
                found[version.oid] = version, commit
        for oid, (version, fact) in found.items():
            yield SourceVersion(oid, version.size, version.nfiles, fact)

    def _pointed(self, text: str, pointer: str) -> Version | None:
        try:
            return self._readers.pointer(text, pointer)
        except (TrunklineError, ValueError):
            return None

    # ------------------------------------------------------------ runs

    def run_of(self, ref: str, entry: LockEntry) -> RunFact | None:
        """The first run that made exactly this entry; else the first that made the same data.

        One that accepted it made nothing.
        """
        pipeline, _, stage = ref.partition(".")
        path = f"data/{pipeline}/{stage}"
        version = next((out.md5 for out in entry.outs if out.path == path), None)
        if version is None:
            return None
        found = self._runs.of_version(version)
        made = [(run, stage) for run, stage in found if stage.stage == ref and not _accepts(stage)]
        exact = [(run, stage) for run, stage in made if stage.entry and same_entry(stage.entry, entry)]
        if not made:
            return None
        return _fact(*(exact or made)[-1], exact=bool(exact))


def _accepts(stage: StageRecord) -> bool:
    """Whether nothing was made, and what was there was accepted."""
    return stage.state == "done" and any(reason.kind == ReasonKind.ACCEPTED for reason in stage.reasons[:1])


def _fact(run: RunRecord, stage: StageRecord, *, exact: bool) -> RunFact:
    return RunFact(
        id=run.id,
        state=run.state,
        started=run.started,
        commit=run.git.commit,
        branch=run.git.branch,
        dirty_files=run.git.dirty_files,
        environment=run.environment,
        datums=stage.datums,
        seconds=stage.seconds,
        exact=exact,
    )


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
