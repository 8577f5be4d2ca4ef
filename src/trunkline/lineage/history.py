"""What lineage is told: values, and the Protocol through which it asks. No I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from trunkline.ledger.makings import Making, Origin
from trunkline.model import Commit, File, LockEntry, LockItem, ManifestRow

__all__ = ["Accepted", "Artifact", "Found", "History", "Making", "Origin", "RunFact", "SourceVersion"]


class Artifact(NamedTuple):
    """What a person asks about: a file or a directory, by content.

    `given` is what they wrote, `md5` its content hash (a directory's ends in `.dir`), `path` where it
    lies in the project, "" outside of it.
    """

    given: str
    md5: str
    path: str = ""


class SourceVersion(NamedTuple):
    """A version of a source dataset, and the commit that introduced it; None: not committed."""

    oid: str
    size: int
    nfiles: int | None
    commit: Commit | None


class RunFact(NamedTuple):
    """A run that made a lock entry. `exact` False: it made the same data, by another entry."""

    id: str
    state: str
    started: str
    commit: str | None
    branch: str | None
    dirty_files: tuple[str, ...]
    environment: Mapping[str, Any] = {}  # nobody changes it
    datums: Mapping[str, int] = {}
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


class Found(NamedTuple):
    """Where an artifact was found: in the version `oid` of the dataset at `path`.

    `file` is the file or directory inside, "" for all of it. It came about by `making`, or, without
    one, is a version of a source.
    """

    path: str
    oid: str
    file: str
    making: Making | None = None
    source: SourceVersion | None = None


class History(Protocol):
    """What is known of the past. Every sequence is newest first, what the workspace has before all."""

    # ---- how outputs came about

    def together(self, origin: Origin) -> Sequence[Making]:
        """The makings of one lock."""

    def origin(self, making: Making) -> Origin:
        """Where a making is written: in the workspace's lock, else in the newest run or commit."""

    def locks(self) -> Iterable[Mapping[str, LockEntry]]:
        """The entries of every lock by DVC's stage name; read as far as it is asked for."""

    def makings(self) -> Sequence[Making]:
        """All of them."""

    def holding(self, md5: str) -> Iterable[Making]:
        """Those of whose outputs it is known that they are, or hold, this content; perhaps not all."""

    def makers(self, path: str, md5: str) -> Sequence[Making]:
        """Those that had this content at `path`, as an output or as a part of one."""

    def readers(self, path: str, md5s: Sequence[str]) -> Sequence[Making]:
        """Those that had exactly one of these contents at `path` as a dep."""

    def with_param(self, key: str, value: object) -> Sequence[Making]:
        """Those whose parameter (`flights.train.epochs`) had this value."""

    def param_values(self, key: str) -> Sequence[str]:
        """The values that this parameter had, as JSON."""

    def package_versions(self, package: str) -> Sequence[str]:
        """The versions of a package that runs had."""

    def beside(self, path: str, md5: str) -> Sequence[Making]:
        """Those that were in one lock with a maker of this output, and read something below `path`."""

    def locked_at(self, making: Making) -> tuple[str, str] | None:
        """(commit, time) since which dvc.lock has it; None where no commit has it."""

    def places(self, role: str) -> Collection[str]:
        """Every path that was ever an output ("out"), a dep ("dep") or a source dataset ("source")."""

    def versions(self, role: str, path: str) -> Sequence[str]:
        """Every content that was ever at this path as an output ("out") or a dep ("dep")."""

    # ---- runs

    def run_of(self, ref: str, entry: LockEntry) -> RunFact | None:
        """The run that made this entry of the stage `ref`, with its environment."""

    def runs_of(self, makings: Sequence[Making]) -> Mapping[int, Sequence[RunFact]]:
        """The runs that computed these, by the making's id; without environments."""

    def run_at(self, commit: str) -> Mapping[int, Sequence[RunFact]]:
        """What was computed by runs at this commit, or with it as parent: by the making's id."""

    def run_with(self, package: str, version: str) -> Mapping[int, Sequence[RunFact]]:
        """What was computed by runs with this version of a package: by the making's id."""

    def some(self, ids: Sequence[int]) -> Sequence[Making]:
        """The makings with these ids."""

    def accepted(self, ref: str, manifest: str) -> Accepted | None:
        """What of a manifest of the stage `ref` a person accepted; None: nothing."""

    # ---- contents

    def listing(self, oid: str) -> tuple[File, ...] | None:
        """The files of a version; None where its listing is not at hand."""

    def part(self, oid: str, inside: str) -> str | None:
        """The content of a file or directory inside a version; "" for nothing, None where not known."""

    def parts(self, inside: str, oids: Sequence[str]) -> Mapping[str, str]:
        """`part` of many versions; those left out of which it is not known."""

    def holds(self, oid: str, md5: str) -> bool | None:
        """Whether a version is, or lists, a file of this content; None where that is not known."""

    def producers(self, md5: str) -> Sequence[tuple[str, str, str]]:
        """(stage, datum key, run) of results with this content, newest first."""

    def datums(self, manifest: str) -> int | None:
        """The number of datums in a manifest; None where it is not at hand."""

    def rows(self, manifest: str) -> Sequence[ManifestRow] | None:
        """The datums of a manifest; None where it is not at hand."""

    # ---- sources

    def sources(self) -> Collection[str]:
        """The paths of the source datasets that are there now."""

    def source_versions(self, path: str) -> Sequence[SourceVersion]:
        """The versions that a path ever had as a source dataset, the present one first."""


def fits(making: Making, entry: LockEntry) -> bool:
    """Whether the making is of this entry."""
    return making.outs == entry.outs and making.deps == entry.deps and making.cmd == entry.cmd


def dep_of(making: Making, path: str) -> LockItem | None:
    """The dep that is, or holds, `path`."""
    return next((dep for dep in making.deps if within(path, dep.path) is not None), None)


def within(path: str, folder: str) -> str | None:
    """`path` relative to `folder`, "" where they are the same; None where it lies elsewhere."""
    if path == folder:
        return ""
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else None
