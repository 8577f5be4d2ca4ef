"""What lineage is told: values, and the Protocol through which it asks. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from trunkline.model import Commit, File, LockEntry


class Artifact(NamedTuple):
    """What a person asks about: a file or a directory, by content.

    `given` is what they wrote, `md5` its content hash (a directory's ends in `.dir`), `path` where it
    lies in the project, "" outside of it.
    """

    given: str
    md5: str
    path: str = ""


class Origin(NamedTuple):
    """Where a lock comes from: `kind` is workspace, run or commit; `id` the run's or the commit's."""

    kind: str
    id: str = ""
    time: str = ""


@dataclass(frozen=True, slots=True)
class LockSnapshot:
    """What a dvc.lock said at some time: its entries by DVC's stage name."""

    origin: Origin
    entries: Mapping[str, LockEntry]


class SourceVersion(NamedTuple):
    """A version of a source dataset, and the commit that introduced it; None: not committed."""

    oid: str
    size: int
    nfiles: int | None
    commit: Commit | None


@dataclass(frozen=True, slots=True)
class RunFact:
    """The run that made a lock entry. `exact` False: it made the same data, by another entry."""

    id: str
    state: str
    started: str
    commit: str | None
    branch: str | None
    dirty_files: tuple[str, ...]
    environment: Mapping[str, Any] = field(default_factory=dict)
    datums: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    exact: bool = True


class Accepted(NamedTuple):
    """That a person accepted the outputs of so many datums, though other code had made them.

    By whom, when and in which run: "" where no record here says so.
    """

    datums: int
    by: str = ""
    time: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """Where an artifact was found: in the version `oid` of the dataset at `path`.

    `file` is the file or directory inside, "" for all of it. Made by `stage` (DVC's name) as
    `snapshot` has it, or, without them, a source.
    """

    path: str
    oid: str
    file: str
    snapshot: LockSnapshot | None = None
    stage: str = ""
    source: SourceVersion | None = None


class History(Protocol):
    """What is known of the past."""

    def locks(self) -> Iterable[LockSnapshot]:
        """Every lock, the workspace's first, then newest first; read as far as it is asked for."""

    def listing(self, oid: str) -> tuple[File, ...] | None:
        """The files of a version; None where its listing is not at hand."""

    def holds(self, oid: str, md5: str) -> bool | None:
        """Whether a version is, or lists, a file of this content; None where that is not known."""

    def sources(self) -> Collection[str]:
        """The paths of the source datasets that are there now."""

    def source_versions(self, path: str) -> Iterable[SourceVersion]:
        """The versions that a path ever had as a source dataset, newest first."""

    def run_of(self, ref: str, entry: LockEntry) -> RunFact | None:
        """The run that made this entry of the stage `ref`."""

    def datums(self, manifest: str) -> int | None:
        """The number of datums in a manifest; None where it is not at hand."""

    def accepted(self, ref: str, manifest: str) -> Accepted | None:
        """What of a manifest of the stage `ref` a person accepted; None: nothing."""

    def producers(self, md5: str) -> Sequence[tuple[str, str, str]]:
        """(stage, datum key, run) of results with this content, newest first."""
