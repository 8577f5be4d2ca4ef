"""Which models saw these rows: from matching rows in datasets to models, by what their stages really read.

A model's training input is the data that its stage's entry of dvc.lock names, at that version. Where that
has matching rows the model saw them. Where it has none, the way leads back through the entries that made
it, to the first stages that read matching rows: there they were dropped, either the rows themselves, or
only the column by which they could be known. Decides from values; what files hold is asked of `count`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, Protocol

from trunkline import listing
from trunkline.model import File, LockEntry, LockItem

Files = tuple[File, ...]


class Past(Protocol):
    """What is known of the past."""

    def locks(self) -> Iterable[Mapping[str, LockEntry]]:
        """The entries of every dvc.lock by DVC's stage name, the workspace's first."""

    def sources(self) -> Iterable[str]:
        """The paths of the source datasets."""

    def source_versions(self, path: str) -> Iterable[str]:
        """The content hashes that a source dataset ever had, the present one first."""

    def run_of(self, name: str, entry: LockEntry) -> str:
        """The run that made an entry of DVC's stage `name`, "" where none is known."""


class Hit(NamedTuple):
    """A file with matching rows, in a version of a dataset (`part`: what of it was read); the datum that made it."""

    path: str
    rows: int
    datum: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """A version of a dataset or of a part of it, with its matching files.

    `absent`: files that are not at hand; `unread`: that are not what their names say.
    """

    path: str
    version: str
    hits: tuple[Hit, ...] = ()
    absent: int = 0
    unread: int = 0

    @property
    def rows(self) -> int:
        """All its matching rows."""
        return sum(hit.rows for hit in self.hits)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Matching rows that `stage` read and did not hand on. `what`: "rows", "column" or "table"."""

    stage: str
    what: str
    part: Part


@dataclass(slots=True)
class Model:
    """A version of a model. `inputs`: the training input that matches; `dropped`: what is upstream only."""

    name: str
    version: str
    stage: str
    run: str
    inputs: list[Part] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    absent: int = 0  # files that could not be asked


class _Read(NamedTuple):
    """A part that a stage read: its files (None: not known), and what they say."""

    part: Part
    files: Files | None
    seen: frozenset[str]


class Rows:
    """The question over one project.

    `listing` gives the files of a version, sorted, None where they are not known; `count` asks a file, and
    `datums` a manifest: which datum wrote which path.
    """

    def __init__(
        self,
        past: Past,
        listing: Callable[[str], Files | None],
        count: Callable[[File], tuple[int, str]],
        datums: Callable[[str], Mapping[str, str]],
        *,
        everything: bool = False,
    ) -> None:
        self._past = past
        self._listing = cache(listing)
        self._count = count
        self._datums = datums
        self._everything = everything
        self._rest = iter(past.locks())
        self._locks: list[Mapping[str, LockEntry]] = []
        self._reads: dict[tuple[str, str], _Read] = {}
        self._made: dict[tuple[str, str], tuple[str, LockEntry] | None] = {}

    # ------------------------------------------------------------ datasets

    def datasets(self, only: tuple[str, str] | None = None, inside: str = "") -> list[Part]:
        """The datasets that have matching rows, or files not at hand. `only`: this path, at this version."""
        return [
            part
            for path, oid, manifest in self._versions(only)
            if (part := self._scanned(path, oid, manifest, inside)).hits or part.absent or part.unread
        ]

    def _versions(self, only: tuple[str, str] | None) -> Iterator[tuple[str, str, str]]:
        """(path, version, manifest) of datasets: those of now, or of every time."""
        found: dict[tuple[str, str], str] = {}
        for path in self._past.sources():
            for oid in self._past.source_versions(path):
                found.setdefault((path, oid), "")
                if not self._everything and only is None:
                    break
        for lock in self._chosen(everything=self._everything or only is not None):
            for entry in lock.values():
                manifest = next((out.md5 for out in entry.outs if "/.manifests/" in out.path), "")
                for out in entry.outs:
                    if "/.manifests/" not in out.path:
                        found.setdefault((out.path, out.md5), manifest)
        for (path, oid), manifest in found.items():
            if only is None or only == (path, oid) or (self._everything and only[0] == path):
                yield path, oid, manifest

    def _chosen(self, *, everything: bool) -> Iterator[Mapping[str, LockEntry]]:
        """The workspace's lock, or all."""
        at = 0
        while True:
            if at == len(self._locks):
                lock = next(self._rest, None)
                if lock is None:
                    return
                self._locks.append(lock)
            yield self._locks[at]
            at += 1
            if not everything:
                return

    def _scanned(self, path: str, oid: str, manifest: str, inside: str) -> Part:
        files = self._files(oid)
        part = self._asked(path, oid, None if files is None else listing.below(files, inside)).part
        if not (manifest and part.hits):
            return part
        datums = self._datums(manifest)
        hits = tuple(hit._replace(datum=datums.get(hit.path, "")) for hit in part.hits)
        return Part(part.path, part.version, hits, part.absent, part.unread)

    def _files(self, oid: str) -> Files | None:
        if not oid.endswith(".dir"):
            return (File("", oid, -1),)
        return self._listing(oid)

    def _asked(self, path: str, oid: str, files: Files | None) -> _Read:
        """What the files of a part say."""
        if files is None:
            return _Read(Part(path, oid, absent=1), None, frozenset({"absent"}))
        hits, seen = [], []
        for file in files:
            named = file._replace(path=f"{path}/{file.path}" if file.path else path)
            rows, state = self._count(named)
            seen.append(state)
            if rows:
                hits.append(Hit(file.path or path, rows))
        unread = seen.count("unreadable")
        return _Read(Part(path, oid, tuple(hits), seen.count("absent"), unread), files, frozenset(seen))

    # ------------------------------------------------------------ models

    def models(self, only: tuple[str, str] | None = None) -> list[Model]:
        """Every model, with what of the rows it saw. `only`: those to which this version of a dataset led."""
        found: dict[tuple[str, str, str], Model] = {}
        for lock in self._chosen(everything=self._everything):
            for name, entry in lock.items():
                declared = _model(entry)
                if declared is None or (only is not None and not self._leads(only, entry)):
                    continue
                ref, model, path = declared
                version = self._model_version(entry, path)
                inputs = " ".join(sorted(f"{dep.path}={dep.md5}" for dep in _data(entry)))
                if (model, version, inputs) not in found:
                    found[model, version, inputs] = Model(
                        model, version, ref or name, self._past.run_of(name, entry)
                    )
                    self._trace(found[model, version, inputs], entry)
        return list(found.values())

    def _model_version(self, entry: LockEntry, path: str) -> str:
        """The content hash of the model's file; the dataset's where that is not known."""
        out = next(out for out in entry.outs if "/.manifests/" not in out.path)
        part = listing.part(self._files(out.md5) or (), path) if out.md5.endswith(".dir") else None
        return out.md5 if part is None else part.oid

    def _trace(self, model: Model, entry: LockEntry) -> None:
        """Find what of the rows a model saw, or where they were dropped."""
        reads = [self._read(dep) for dep in _data(entry)]
        model.inputs = [read.part for read in reads if read.part.hits]
        model.absent = sum(read.part.absent + read.part.unread for read in reads)
        if not model.inputs:
            seen: set[tuple[str, str]] = set()
            for read in reads:
                self._upstream(read, model, seen)

    def _upstream(self, below: _Read, model: Model, seen: set[tuple[str, str]]) -> None:
        """Find where the rows were dropped on the way to `below`, which has none, as far as it could be asked."""
        made = self._producer(below)
        if made is None or below.part.absent or below.part.unread:
            return
        ref, entry = made
        for dep in _data(entry):
            if (dep.path, dep.md5) in seen:
                continue
            seen.add((dep.path, dep.md5))
            read = self._read(dep)
            model.absent += read.part.absent + read.part.unread
            if read.part.hits:
                model.dropped.append(Dropped(ref, _lost(below), read.part))
            else:
                self._upstream(read, model, seen)

    def _leads(self, only: tuple[str, str], entry: LockEntry) -> bool:
        """Whether a version of a dataset is among what led to an entry."""
        todo, seen = [*_data(entry)], set()
        while todo:
            dep = todo.pop()
            if (dep.path, dep.md5) in seen:
                continue
            seen.add((dep.path, dep.md5))
            read = self._read(dep, ask=False)
            if _within(dep.path, only[0]) and (self._everything or self._is_part(dep, only)):
                return True
            made = self._producer(read)
            todo += _data(made[1]) if made is not None else ()
        return False

    def _is_part(self, dep: LockItem, whole: tuple[str, str]) -> bool:
        path, oid = whole
        return (
            dep.md5 == oid
            if dep.path == path
            else self._inside(oid, dep.path[len(path) + 1 :], dep.md5) is not None
        )

    # ------------------------------------------------------------ what a stage read

    def _read(self, dep: LockItem, *, ask: bool = True) -> _Read:
        """The files of a dep at the version that the entry names, and what they say."""
        if not ask:
            return _Read(Part(dep.path, dep.md5), None, frozenset())
        if (dep.path, dep.md5) not in self._reads:
            self._reads[dep.path, dep.md5] = self._asked(dep.path, dep.md5, self._dep_files(dep))
        return self._reads[dep.path, dep.md5]

    def _dep_files(self, dep: LockItem) -> Files | None:
        """The files of a dep, which may be a part of a dataset that has no listing of its own."""
        if not dep.md5.endswith(".dir"):
            return (File("", dep.md5, -1),)
        whole = self._files(dep.md5)
        if whole is not None:
            return whole
        for path, oid in self._holders(dep.path):
            files = self._inside(oid, dep.path[len(path) + 1 :], dep.md5)
            if files is not None:
                skip = len(dep.path) - len(path)
                return tuple(file._replace(path=file.path[skip:]) for file in files)
        return None

    def _inside(self, oid: str, inside: str, md5: str) -> Files | None:
        """The files at `inside` of a version, where their content is `md5`; None where it is not."""
        files = self._files(oid) or ()
        part = listing.part(files, inside) if inside else None
        if part is None or part.oid != md5:
            return None
        return listing.below(files, inside) or (File(inside, md5, -1),)

    def _holders(self, path: str) -> Iterator[tuple[str, str]]:
        """(path, version) of datasets that lie above a path, those of now first."""
        for source in self._past.sources():
            if _within(path, source) and path != source:
                yield from ((source, oid) for oid in self._past.source_versions(source))
        for lock in self._chosen(everything=True):
            for entry in lock.values():
                yield from ((out.path, out.md5) for out in entry.outs if _within(path, out.path))

    def _producer(self, read: _Read) -> tuple[str, LockEntry] | None:
        """The stage that made what was read, and its entry; None for a source."""
        key = read.part.path, read.part.version
        if key not in self._made:
            self._made[key] = self._found(*key)
        return self._made[key]

    def _found(self, path: str, md5: str) -> tuple[str, LockEntry] | None:
        for lock in self._chosen(everything=True):
            for name, entry in lock.items():
                for out in entry.outs:
                    if out.path == path and out.md5 == md5:
                        return _ref(name, entry), entry
                    if path.startswith(f"{out.path}/") and self._inside(
                        out.md5, path[len(out.path) + 1 :], md5
                    ):
                        return _ref(name, entry), entry
            if any(_within(path, source) for source in self._past.sources()):
                return None
        return None


def _lost(below: _Read) -> str:
    """What did not come through: rows, if the column did; else the column, if there was a table."""
    return "rows" if "read" in below.seen else "column" if "no column" in below.seen else "table"


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _data(entry: LockEntry) -> list[LockItem]:
    return [dep for dep in entry.deps if dep.path.startswith("data/") or dep.nfiles is not None]


def _ref(name: str, entry: LockEntry) -> str:
    words = entry.cmd.split()
    return words[2] if words[:2] == ["trunkline", "exec"] and len(words) > 2 else name


def _model(entry: LockEntry) -> tuple[str, str, str] | None:
    """(stage, model's name, its path) of an entry whose stage declares a model."""
    ref = _ref("", entry)
    for values in entry.params.values():
        declared: Any = values.get(f"stages.{ref.partition('.')[2]}")
        model = declared.get("model") if isinstance(declared, Mapping) else None
        if isinstance(model, Mapping):
            return ref, str(model.get("name")), str(model.get("path"))
    return None
