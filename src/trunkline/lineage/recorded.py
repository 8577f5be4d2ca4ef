"""The history of a project as its files tell it: dvc.lock and pointers, run records, git, DVC's cache.

What was, is asked of the index (`ledger.catalog`); what versions hold, of the listings and manifests in
DVC's cache, through the functions in `Readers`, which are the store's. Nothing is fetched from a remote.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from trunkline import listing
from trunkline.errors import TrunklineError
from trunkline.ledger.catalog import Catalog, RunRow
from trunkline.ledger.makings import Making, Origin
from trunkline.lineage.history import Accepted, RunFact, SourceVersion, within
from trunkline.model import Commit, File, LockEntry, ManifestRow, Version


class Readers(NamedTuple):
    """What knows DVC's formats and the cache. Those that raise, raise TrunklineError.

    `pointer` reads the present .dvc file at a path; `listing` the files of a `.dir` object; `object_path`
    says where an object lies; `datums` counts a manifest's, and `accepted` those that were accepted, with
    the transform for which; `rows` reads them all; `producers` asks the results index.
    """

    pointer: Callable[[str], Version | None]
    listing: Callable[[str], tuple[File, ...]]
    object_path: Callable[[str], str]
    datums: Callable[[str], int | None] = lambda manifest: None
    accepted: Callable[[str], tuple[int, str]] = lambda manifest: (0, "")
    rows: Callable[[str], Sequence[ManifestRow] | None] = lambda manifest: None
    producers: Callable[[str], Sequence[tuple[str, str, str]]] = lambda md5: ()


class Recorded:
    """The History of a project; `sources` are the paths of its source datasets."""

    def __init__(self, catalog: Catalog, readers: Readers, sources: Collection[str]) -> None:
        self._catalog = catalog
        self._readers = readers
        self._sources = sources
        self._listings: dict[str, tuple[File, ...] | None] = {}
        self._versions: dict[str, tuple[SourceVersion, ...]] = {}
        self._parts: dict[tuple[str, str], str | None] = {}
        self._together: dict[Origin, Sequence[Making]] = {}
        self._places: dict[str, Collection[str]] = {}

    # ------------------------------------------------------------ makings

    def together(self, origin: Origin) -> Sequence[Making]:
        """The makings of one lock."""
        if origin not in self._together:
            self._together[origin] = self._catalog.together(origin.kind, origin.id)
        return self._together[origin]

    def origin(self, making: Making) -> Origin:
        """Where a making is written: in the workspace's lock, else in the newest run or commit."""
        return self._origins([making])[making.id]

    def _origins(self, makings: Sequence[Making]) -> dict[int, Origin]:
        ids = [making.id for making in makings]
        found = {
            id_: Origin("commit", commit, time)
            for id_, (commit, time) in self._catalog.last_commits(ids).items()
        }
        for row in reversed(self._catalog.runs_of(ids)):
            if row.making not in found or row.started > found[row.making].time:
                found[row.making] = Origin("run", row.id, row.started)
        found.update(dict.fromkeys(self._catalog.present(ids), Origin("workspace")))
        return found

    def _newest_first(self, makings: Sequence[Making]) -> list[Making]:
        if len(makings) < 2:
            return list(makings)
        origins = self._origins(makings)
        key = {id_: (origin.kind == "workspace", origin.time) for id_, origin in origins.items()}
        return sorted(makings, key=lambda making: key.get(making.id, (False, "")), reverse=True)

    def locks(self) -> Iterator[Mapping[str, LockEntry]]:
        """The entries of every lock by DVC's stage name; read as far as it is asked for."""
        for origin in (Origin("workspace"), *(Origin(*each) for each in self._catalog.locks())):
            yield {making.name: making.entry for making in self.together(origin)}

    def makings(self) -> Sequence[Making]:
        """All of them."""
        return self._newest_first(self._catalog.every())

    def holding(self, md5: str) -> Iterator[Making]:
        """Those of whose outputs it is known that they are, or hold, this content; perhaps not all."""
        by_model: dict[str, list[str]] = {}
        models = self._catalog.with_model()
        for making in models:
            for out in making.data:
                by_model.setdefault(making.model[1] if making.model else "", []).append(out.md5)
        for inside, oids in by_model.items():
            self.parts(inside, oids)
        yield from self._newest_first(
            [m for m in models if any(self.part(out.md5, (m.model or ("", ""))[1]) == md5 for out in m.data)]
        )
        for ref, _, run in self.producers(md5):
            for making in self.together(Origin("run", run)):
                if making.ref == ref:
                    yield making

    def makers(self, path: str, md5: str) -> Sequence[Making]:
        """Those that had this content at `path`, as an output or as a part of one."""
        found = self._catalog.with_out(path, md5)
        for place in _above(path):
            if place in self.places("out"):
                inside = within(path, place) or ""
                oids = self._catalog.versions("out", place)
                parts = self.parts(inside, oids)
                for oid in oids:
                    if parts.get(oid) == md5:
                        found += self._catalog.with_out(place, oid)
        return self._newest_first(found)

    def readers(self, path: str, md5s: Sequence[str]) -> Sequence[Making]:
        """Those that had exactly one of these contents at `path` as a dep."""
        return self._catalog.with_dep(path, md5s)

    def with_param(self, key: str, value: object) -> Sequence[Making]:
        """Those whose parameter (`flights.train.epochs`) had this value."""
        return self._newest_first(self._catalog.with_param(key, value))

    def param_values(self, key: str) -> Sequence[str]:
        """The values that this parameter had, as JSON."""
        return self._catalog.param_values(key)

    def package_versions(self, package: str) -> Sequence[str]:
        """The versions of a package that runs had."""
        return self._catalog.package_versions(package)

    def beside(self, path: str, md5: str) -> Sequence[Making]:
        """Those that were in one lock with a maker of this output, and read something below `path`."""
        return self._catalog.beside([making.id for making in self._catalog.with_out(path, md5)], path)

    def locked_at(self, making: Making) -> tuple[str, str] | None:
        """(commit, time) since which dvc.lock has it; None where no commit has it."""
        return self._catalog.locked_at(making.id)

    def places(self, role: str) -> Collection[str]:
        """Every path that was ever an output ("out"), a dep ("dep") or a source dataset ("source")."""
        if role not in self._places:
            self._places[role] = frozenset(self._catalog.paths(role))
        return self._places[role]

    def versions(self, role: str, path: str) -> Sequence[str]:
        """Every content that was ever at this path as an output ("out") or a dep ("dep")."""
        return self._catalog.versions(role, path)

    def some(self, ids: Sequence[int]) -> Sequence[Making]:
        """The makings with these ids."""
        return self._catalog.some(ids)

    # ------------------------------------------------------------ runs

    def run_of(self, ref: str, entry: LockEntry) -> RunFact | None:
        """The first run that made exactly this entry; else the first that made the same data.

        One that accepted it made nothing.
        """
        exact = self._catalog.of_entry(ref.replace(".", "-", 1), entry)
        if (row := self._first(exact)) is not None:
            return self._fact(row, environment=True)
        path = "data/" + ref.replace(".", "/", 1)
        version = next((out.md5 for out in entry.outs if out.path == path), None)
        same = [] if version is None else self._catalog.with_out(path, version)
        row = self._first([making.id for making in same])
        return None if row is None else self._fact(row, environment=True, exact=False)

    def _first(self, makings: Sequence[int]) -> RunRow | None:
        rows = [row for row in self._catalog.runs_of(makings) if row.accepted is None]
        return rows[-1] if rows else None

    def runs_of(self, makings: Sequence[Making]) -> Mapping[int, Sequence[RunFact]]:
        """The runs that computed these, by the making's id; else the first that has it."""
        found: dict[int, list[RunFact]] = {}
        first: dict[int, RunFact] = {}
        for row in self._catalog.runs_of([making.id for making in makings]):
            fact = self._fact(row)
            if row.worked:
                found.setdefault(row.making, []).append(fact)
            elif row.accepted is None:
                first[row.making] = fact
        return {**{id_: [fact] for id_, fact in first.items()}, **found}

    def run_at(self, commit: str) -> Mapping[int, Sequence[RunFact]]:
        """What was computed by runs at this commit, or with it as parent: by the making's id."""
        return self._worked(self._catalog.runs_at(commit))

    def run_with(self, package: str, version: str) -> Mapping[int, Sequence[RunFact]]:
        """What was computed by runs with this version of a package: by the making's id."""
        return self._worked(self._catalog.runs_with(package, version))

    def _worked(self, rows: Sequence[RunRow]) -> Mapping[int, Sequence[RunFact]]:
        found: dict[int, list[RunFact]] = {}
        for row in rows:
            if row.worked:
                found.setdefault(row.making, []).append(self._fact(row))
        return found

    def _fact(self, row: RunRow, *, environment: bool = False, exact: bool = True) -> RunFact:
        return RunFact(
            id=row.id,
            state=row.state,
            started=row.started,
            commit=row.commit,
            branch=row.branch,
            dirty_files=tuple(json.loads(row.dirty)) if row.dirty != "[]" else (),
            environment=self._catalog.environment(row.environment) if environment else {},
            datums=json.loads(row.datums) if environment else {},
            seconds=row.seconds,
            exact=exact,
        )

    def accepted(self, ref: str, manifest: str) -> Accepted | None:
        """What of a manifest a person accepted; None: nothing. By the last record that fits."""
        try:
            count, transform = self._readers.accepted(manifest)
        except TrunklineError:
            return None
        if not count:
            return None
        found = self._catalog.accepted(ref, transform)
        return Accepted(count) if found is None else Accepted(count, *found)

    # ------------------------------------------------------------ contents

    def listing(self, oid: str) -> tuple[File, ...] | None:
        """The files of a version; None where its listing is not in the cache."""
        if oid not in self._listings:
            try:
                self._listings[oid] = self._readers.listing(oid) if oid.endswith(".dir") else None
            except TrunklineError:
                self._listings[oid] = None
        return self._listings[oid]

    def part(self, oid: str, inside: str) -> str | None:
        """The content of a file or directory inside a version; "" for nothing, None where not known."""
        if not inside:
            return oid
        if (oid, inside) not in self._parts:
            self.parts(inside, [oid])
        return self._parts.get((oid, inside))

    def parts(self, inside: str, oids: Sequence[str]) -> Mapping[str, str]:
        """`part` of many versions; those left out of which it is not known. What is looked up is remembered."""
        known = self._catalog.parts(inside, oids)
        new = []
        for oid in oids:
            if oid not in known and (oid, inside) not in self._parts:
                files = self.listing(oid) if oid.endswith(".dir") else ()
                if files is None:
                    self._parts[oid, inside] = None
                    continue
                found = listing.part(tuple(sorted(files)), inside)
                known[oid] = found.oid if found is not None else ""
                new.append((oid, inside, known[oid]))
        self._parts.update({(oid, inside): md5 for oid, md5 in known.items()})
        self._catalog.learn(new)
        return known

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

    def rows(self, manifest: str) -> Sequence[ManifestRow] | None:
        """The datums of a manifest; None where it is not in the cache."""
        try:
            return self._readers.rows(manifest)
        except TrunklineError:
            return None

    def producers(self, md5: str) -> Sequence[tuple[str, str, str]]:
        """(stage, datum key, run) of results with this content, newest first."""
        return self._readers.producers(md5)

    # ------------------------------------------------------------ sources

    def sources(self) -> Collection[str]:
        """The paths of the source datasets that are there now."""
        return self._sources

    def source_versions(self, path: str) -> Sequence[SourceVersion]:
        """The versions that a path ever had, the present pointer's first, each with its first commit."""
        if path not in self._versions:
            self._versions[path] = tuple(self._all_versions(path))
        return self._versions[path]

    def _all_versions(self, path: str) -> Iterator[SourceVersion]:
        found: dict[str, tuple[Version, Commit | None]] = {}
        if (present := self._present(f"{path}.dvc")) is not None:
            found[present.oid] = present, None
        for version, commit in self._catalog.pointed(f"{path}.dvc"):
            if version.oid is not None:
                # the older one comes later and wins, in the place of the newer one
                found[version.oid] = version, commit
        for oid, (version, fact) in found.items():
            yield SourceVersion(oid, version.size, version.nfiles, fact)

    def _present(self, pointer: str) -> Version | None:
        try:
            return self._readers.pointer(pointer)
        except (TrunklineError, ValueError):
            return None


def _above(path: str) -> Iterator[str]:
    """The directories that hold a path, the nearest first."""
    while path := path.rpartition("/")[0]:
        yield path
