"""Finds an artifact by its content, wherever it was copied to.

Newest first: the workspace's lock, its source datasets, then the locks of runs and of git, then older
versions of the sources, then what the results index knows of files whose listings are gone. Within one
of these, a dataset at whose path the artifact lies is looked into before the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice

from trunkline import listing
from trunkline.lineage.history import Artifact, Found, History, LockSnapshot, SourceVersion
from trunkline.model import File, LockItem


class Locks:
    """The history's locks, each asked for once and as late as possible, to be gone through many times."""

    def __init__(self, history: History) -> None:
        self._rest = iter(history.locks())
        self._known: list[LockSnapshot] = []

    def __iter__(self) -> Iterator[LockSnapshot]:
        at = 0
        while True:
            if at == len(self._known):
                if (snapshot := next(self._rest, None)) is None:
                    return
                self._known.append(snapshot)
            yield self._known[at]
            at += 1


def find(artifact: Artifact, history: History, locks: Locks | None = None) -> Found | None:
    """Where the artifact is; None where nobody knows. `locks` are the history's, if already asked for."""
    locks = Locks(history) if locks is None else locks
    snapshots = iter(locks)
    return next(
        chain(
            _in_locks(artifact, history, islice(snapshots, 1)),
            _in_sources(artifact, history, now=True),
            _in_locks(artifact, history, snapshots),
            _in_sources(artifact, history, now=False),
            _in_results(artifact, history, locks),
        ),
        None,
    )


def part_of(history: History, oid: str, inside: str) -> str | None:
    """The content hash of a file or directory inside a version; None where there is no such part."""
    if not inside:
        return oid
    found = listing.part(tuple(sorted(history.listing(oid) or ())), inside)
    return None if found is None else found.oid


def within(path: str, folder: str) -> str | None:
    """`path` relative to `folder`, "" where they are the same; None where it lies elsewhere."""
    if path == folder:
        return ""
    return path[len(folder) + 1 :] if path.startswith(f"{folder}/") else None


def _in_locks(artifact: Artifact, history: History, locks: Iterable[LockSnapshot]) -> Iterator[Found]:
    seen: set[str] = set()
    for snapshot in locks:
        outs = [(name, out) for name, entry in snapshot.entries.items() for out in entry.outs]
        for name, out in _nearest(artifact, outs):
            if out.md5 not in seen and (file := _inside(artifact, history, out.path, out.md5)) is not None:
                yield Found(out.path, out.md5, file, snapshot, name)
            seen.add(out.md5)


def _nearest(artifact: Artifact, outs: Sequence[tuple[str, LockItem]]) -> list[tuple[str, LockItem]]:
    return sorted(outs, key=lambda pair: (within(artifact.path, pair[1].path) is None, pair[1].path))


def _in_sources(artifact: Artifact, history: History, *, now: bool) -> Iterator[Found]:
    paths = sorted(history.sources(), key=lambda path: (within(artifact.path, path) is None, path))
    for path in paths:
        versions: Iterator[SourceVersion] = iter(history.source_versions(path))
        for version in islice(versions, 1) if now else islice(versions, 1, None):
            if (file := _inside(artifact, history, path, version.oid)) is not None:
                yield Found(path, version.oid, file, source=version)


def _in_results(artifact: Artifact, history: History, locks: Locks) -> Iterator[Found]:
    """A file whose dataset's listing is gone, but whose run is recorded."""
    produced = history.producers(artifact.md5)
    if not produced:
        return
    runs = {snapshot.origin.id: snapshot for snapshot in locks if snapshot.origin.kind == "run"}
    for ref, _, run in produced:
        name = ref.replace(".", "-", 1)
        path = "data/" + ref.replace(".", "/", 1)
        entry = runs[run].entries.get(name) if run in runs else None
        for out in entry.outs if entry is not None else ():
            if out.path == path and history.listing(out.md5) is None:
                yield Found(path, out.md5, within(artifact.path, path) or _name(artifact), runs[run], name)


def _inside(artifact: Artifact, history: History, path: str, oid: str) -> str | None:
    """Where in this version the artifact is, "" for all of it; None: it is not."""
    if artifact.md5 == oid:
        return ""
    inside = within(artifact.path, path)
    if inside and part_of(history, oid, inside) == artifact.md5:
        return inside
    if artifact.md5.endswith(".dir") or not history.holds(oid, artifact.md5):
        return None
    return _best(artifact, history.listing(oid) or ())


def _best(artifact: Artifact, files: Sequence[File]) -> str | None:
    """Among files of the same content the one that is called like the artifact, else the first."""
    name = _name(artifact)
    same = [file.path for file in files if file.md5 == artifact.md5]
    return next((path for path in same if path.rpartition("/")[2] == name), same[0] if same else None)


def _name(artifact: Artifact) -> str:
    return artifact.given.rpartition("/")[2]
