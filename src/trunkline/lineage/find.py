"""Finds an artifact by its content, wherever it was copied to.

First where the workspace's lock says, its source datasets, then what is known to hold it, then every
other making, newest first, then older versions of the sources, then what the results index knows of
files whose listings are gone. Within one of these, a dataset at whose path the artifact lies is looked
into before the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice

from trunkline.lineage.history import Artifact, Found, History, Making, Origin, within
from trunkline.model import File, LockItem


def find(artifact: Artifact, history: History) -> Found | None:
    """Where the artifact is; None where nobody knows."""
    seen: set[str] = set()

    def among(some: Iterable[Making]) -> Iterator[Found]:
        return _in_makings(artifact, history, some, seen)

    return next(
        chain(
            among(sorted(history.together(Origin("workspace")), key=lambda making: making.ref)),
            _in_sources(artifact, history, now=True),
            _lazily(lambda: among(history.holding(artifact.md5))),
            _lazily(lambda: among(history.makings())),
            _in_sources(artifact, history, now=False),
            _in_results(artifact, history),
        ),
        None,
    )


def located(given: str, path: str, oid: str, inside: str, history: History) -> Found | None:
    """The Found of what is known to be at `inside` of the version `oid` of the dataset at `path`."""
    version = next((each for each in history.source_versions(path) if each.oid == oid), None)
    if version is not None:
        return Found(path, oid, inside, source=version)
    making = next((each for each in history.makers(path, oid) if _out(each, path, oid)), None)
    return None if making is None else Found(path, oid, inside, making)


def _out(making: Making, path: str, oid: str) -> bool:
    return any((out.path, out.md5) == (path, oid) for out in making.outs)


def _lazily(some: Callable[[], Iterator[Found]]) -> Iterator[Found]:
    yield from some()


def _in_makings(
    artifact: Artifact, history: History, makings: Iterable[Making], seen: set[str]
) -> Iterator[Found]:
    pairs = [(making, out) for making in makings for out in making.outs]
    for making, out in _nearest(artifact, pairs):
        if out.md5 not in seen and (file := _inside(artifact, history, out.path, out.md5)) is not None:
            yield Found(out.path, out.md5, file, making)
        seen.add(out.md5)


def _nearest(artifact: Artifact, outs: Sequence[tuple[Making, LockItem]]) -> list[tuple[Making, LockItem]]:
    return sorted(outs, key=lambda pair: within(artifact.path, pair[1].path) is None)


def _in_sources(artifact: Artifact, history: History, *, now: bool) -> Iterator[Found]:
    paths = sorted(history.sources(), key=lambda path: (within(artifact.path, path) is None, path))
    for path in paths:
        versions = iter(history.source_versions(path))
        for version in islice(versions, 1) if now else islice(versions, 1, None):
            if (file := _inside(artifact, history, path, version.oid)) is not None:
                yield Found(path, version.oid, file, source=version)


def _in_results(artifact: Artifact, history: History) -> Iterator[Found]:
    """A file whose dataset's listing is gone, but whose run is recorded."""
    for ref, _, run in history.producers(artifact.md5):
        path = "data/" + ref.replace(".", "/", 1)
        for making in history.together(Origin("run", run)):
            for out in making.outs:
                if out.path == path and history.listing(out.md5) is None:
                    yield Found(path, out.md5, within(artifact.path, path) or _name(artifact), making)


def _inside(artifact: Artifact, history: History, path: str, oid: str) -> str | None:
    """Where in this version the artifact is, "" for all of it; None: it is not."""
    if artifact.md5 == oid:
        return ""
    inside = within(artifact.path, path)
    if inside and history.part(oid, inside) == artifact.md5:
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
