"""Where a content that a stage read came from: versions of datasets that hold it, and how those came about.

This is the one relation that both directions follow: `places` from a dep to the outputs and sources
that hold it, `reads` from a version to the deps that are it, or a part of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from trunkline.lineage.history import History, Making, SourceVersion, within
from trunkline.model import LockItem


class Place(NamedTuple):
    """`inside` ("" for all) of the version `oid` of the dataset at `path`; made so, or a source.

    `checked` False: the listing that would show it is not at hand, but one lock names both.
    """

    path: str
    oid: str
    inside: str
    making: Making | None = None
    source: SourceVersion | None = None
    checked: bool = True


class Reading(NamedTuple):
    """A making that read `dep`, which is `inside` ("" for all) of the version `oid` of the dataset `path`."""

    making: Making
    dep: LockItem
    path: str
    oid: str
    inside: str
    checked: bool = True


def places(
    path: str, md5: str, beside: Sequence[Making], history: History, *, every: bool = False
) -> list[Place]:
    """Where this content at `path` came from; the likeliest alone, unless `every`.

    `beside` are the makings of the lock in which the reader was found: they come first.
    """
    if every:
        found = {(place.path, place.oid, place.making and place.making.id): place
                 for place in _all(path, md5, beside, history)}  # fmt: skip
        return list(found.values()) or list(_unlisted(path, beside, history))
    some = list(islice(_all(path, md5, beside, history), 1))
    return some or list(islice(_unlisted(path, beside, history), 1))


def _all(path: str, md5: str, beside: Sequence[Making], history: History) -> Iterator[Place]:
    present = [place for place in _above(path) if place in history.sources()]
    yield from _sources(path, md5, present, history)
    yield from _among(path, md5, beside, history)
    yield from _among(path, md5, _later(lambda: history.makers(path, md5)), history)
    past = [place for place in _above(path) if place not in present and place in history.places("source")]
    yield from _sources(path, md5, past, history)


def _sources(path: str, md5: str, datasets: Iterable[str], history: History) -> Iterator[Place]:
    for dataset in datasets:
        inside = within(path, dataset) or ""
        for version in history.source_versions(dataset):
            if history.part(version.oid, inside) == md5:
                yield Place(dataset, version.oid, inside, source=version)


def _among(path: str, md5: str, makings: Iterable[Making], history: History) -> Iterator[Place]:
    for making in makings:
        for out in making.outs:
            inside = within(path, out.path)
            if inside is not None and history.part(out.md5, inside) == md5:
                yield Place(out.path, out.md5, inside, making)


def _unlisted(path: str, beside: Sequence[Making], history: History) -> Iterator[Place]:
    """A part of an output of the same lock, whose listing is not here to check it by."""
    for making in beside:
        for out in making.outs:
            inside = within(path, out.path)
            if inside and history.listing(out.md5) is None:
                yield Place(out.path, out.md5, inside, making, checked=False)


def reads(versions: Mapping[str, Sequence[str]], history: History) -> Iterator[Reading]:
    """Who read these versions (dataset's path -> content hashes), or a part of one."""
    deps = sorted(history.places("dep"))
    for path, oids in versions.items():
        for place in deps:
            if (inside := within(place, path)) is not None:
                yield from _read(path, oids, place, inside, history)


def _read(path: str, oids: Sequence[str], place: str, inside: str, history: History) -> Iterator[Reading]:
    """Who read, at `place`, what is `inside` of these versions."""
    parts = history.parts(inside, oids) if inside else {oid: oid for oid in oids}
    by_part: dict[str, list[str]] = {}
    for oid, md5 in parts.items():
        if md5:
            by_part.setdefault(md5, []).append(oid)
    for making in history.readers(place, list(by_part)):
        for dep in making.deps:
            if dep.path == place:
                yield from (Reading(making, dep, path, oid, inside) for oid in by_part.get(dep.md5, ()))
    for oid in oids:
        if oid not in parts:
            for making in history.beside(path, oid):
                for dep in making.deps:
                    if dep.path == place:
                        yield Reading(making, dep, path, oid, inside, checked=False)


def _later(some: Callable[[], Sequence[Making]]) -> Iterator[Making]:
    yield from some()


def _above(path: str) -> Iterator[str]:
    """The path and the directories that hold it, the nearest first."""
    while path:
        yield path
        path = path.rpartition("/")[0]
