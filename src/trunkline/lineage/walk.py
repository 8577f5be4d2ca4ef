"""Walks from an artifact back to the sources.

A stage is read from the lock entry that made a version: its code and parameters are the entry's, and
each dep is followed at exactly the content that the entry names, never at what the workspace happens
to hold. The producer of that content is looked for in the same lock, then in the others, newest first;
where no lock, run or commit names it, the graph says that it is unknown.

The same content may have come about in several ways (a comment was edited; a run was repeated). One is
told, unless all are asked for: then a stage's node has the inputs, code and runs of every way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.ledger.makings import digest
from trunkline.lineage.find import find
from trunkline.lineage.graph import Graph, Node
from trunkline.lineage.history import Artifact, Found, History, Making, Origin, RunFact, within
from trunkline.lineage.places import Place, places
from trunkline.lineage.sketch import Sketch, does, kind_of, stage_id
from trunkline.model import LockItem


def walk(artifact: Artifact, history: History, found: Found | None = None, *, every: bool = False) -> Graph:
    """The graph of what led to the artifact, which is at `found` where that is known already."""
    found = found or find(artifact, history)
    if found is None:
        return unknown(artifact)
    return _Walk(history, every).graph(artifact, found)


def unknown(artifact: Artifact) -> Graph:
    """The graph of what nobody knows."""
    kind = kind_of(artifact.md5)
    node = Node(f"{kind}:{artifact.given}@{artifact.md5}", kind, artifact.given, {"version": artifact.md5})
    return Graph(node.id, {node.id: node}, found=False)


def copied(artifact: Artifact, found: Found) -> str | None:
    """What was given, where it is not the file itself but a copy of it."""
    return artifact.given if found.file and artifact.path != f"{found.path}/{found.file}" else None


class _Walk:
    def __init__(self, history: History, every: bool) -> None:
        self._history = history
        self._every = every
        self._sketch = Sketch(history)
        self._done: set[int] = set()
        self._told: set[str] = set()

    def graph(self, artifact: Artifact, found: Found) -> Graph:
        origin = None if found.making is None else self._history.origin(found.making)
        place = Place(found.path, found.oid, found.file, found.making, found.source)
        facts = {"version": artifact.md5, "copy": copied(artifact, found)}
        root = self._place(place, facts, origin)
        if self._every:
            full = f"{found.path}/{found.file}" if found.file else found.path
            for other in places(full, artifact.md5, (), self._history, every=True):
                self._place(other, facts, origin)
        return self._sketch.graph(root)

    # ------------------------------------------------------------ data

    def _place(self, place: Place, facts: Mapping[str, Any], origin: Origin | None) -> str:
        """The node of a place, with all that led to it."""
        if place.source is not None:
            dataset = self._sketch.source(place.path, place.source)
        else:
            assert place.making is not None
            dataset = self._made(place.making, place.path, origin)
        model = place.making.model if place.making is not None else None
        return self._sketch.part(dataset, place.path, place.inside, facts, model)

    def _made(self, making: Making, path: str, origin: Origin | None) -> str:
        """The version that a making has at `path`, with the stage that made it."""
        out = next(out for out in making.outs if out.path == path)
        dataset = self._sketch.output(making, out)
        if self._every or dataset not in self._told:
            self._told.add(dataset)
            self._sketch.link(self._stage(making, origin), dataset, "output")
        return dataset

    # ------------------------------------------------------------ a stage

    def _stage(self, making: Making, origin: Origin | None) -> str:
        node = f"stage:{stage_id(making)}"
        if making.id in self._done or (node in self._sketch.nodes and not self._every):
            return node
        self._done.add(making.id)
        if origin is None or all(making.id != other.id for other in self._history.together(origin)):
            origin = self._history.origin(making)
        run = self._history.run_of(making)
        self._sketch.stage(making, self._facts(making, run, origin))
        if run is not None:
            self._sketch.link(self._run(run), node, "run")
        if (params := self._sketch.params(making)) is not None:
            self._sketch.link(params, node, "params")
        for dep in making.deps:
            self._dep(node, dep, making, origin)
        return node

    def _facts(self, making: Making, run: RunFact | None, origin: Origin) -> dict[str, Any]:
        manifest = making.manifest
        accepted = self._history.accepted(making.ref, manifest) if manifest else None
        since = self._history.locked_at(making) if run is None else None
        return {
            "dvc_name": making.name,
            "run": does(making),
            "datums": self._datums(manifest, run),
            "accepted": None if accepted is None else accepted._asdict(),
            "run_id": None if run is None else run.id,
            "run_exact": None if run is None else run.exact,
            "seconds": None if run is None else run.seconds,
            "commit": None if run is None else run.commit,
            "dirty": None if run is None else bool(run.dirty_files),
            "lock": origin._asdict(),
            "recorded": None if since is None else {"commit": since[0], "time": since[1]},
        }

    def _datums(self, manifest: str, run: RunFact | None) -> dict[str, int] | None:
        if run is not None and run.exact and run.datums:
            return dict(run.datums)
        total = self._history.datums(manifest) if manifest else None
        return None if total is None else {"total": total}

    def _run(self, run: RunFact) -> str:
        node = self._sketch.run(run)
        if run.environment:
            name = f"Python {run.environment.get('python', '')}".strip()
            environment = self._sketch.add("environment", digest(run.environment), name, run.environment)
            self._sketch.link(environment, node, "environment")
        return node

    # ------------------------------------------------------------ a dep

    def _dep(self, stage: str, dep: LockItem, making: Making, origin: Origin) -> None:
        """One dep of a stage: data with its own lineage, data of unknown origin, or a plain file."""
        if not is_data(dep, making, self._history):
            role = "code" if making.ours else "input"
            self._sketch.link(plain(self._sketch, dep, making), stage, role)
            return
        beside = self._history.together(origin)
        found = places(dep.path, dep.md5, beside, self._history, every=self._every)
        for place in found:
            facts = {
                "version": dep.md5, "size": dep.size, "nfiles": dep.nfiles, "checked": place.checked,
            }  # fmt: skip
            self._sketch.link(self._place(place, facts, origin), stage, "input")
        if not found:
            self._sketch.link(nowhere(self._sketch, dep), stage, "input")


def is_data(dep: LockItem, making: Making, history: History) -> bool:
    """Whether a dep is at a place where datasets are; else it is code, or a file by itself."""
    if making.ours and (dep.md5.endswith(".dir") or dep.path.startswith("data/")):
        return True
    places: Sequence[str] = [*history.sources(), *history.places("out")]
    return any(within(dep.path, place) is not None for place in places)


def plain(sketch: Sketch, dep: LockItem, making: Making) -> str:
    """The node of a dep that is no data."""
    if making.ours:
        return sketch.code(dep.path, dep.md5, dep.size)
    return sketch.dataset(dep.path, dep.md5, kind="plain", size=dep.size)


def nowhere(sketch: Sketch, dep: LockItem) -> str:
    """The node of data that nobody knows the origin of."""
    return sketch.dataset(dep.path, dep.md5, kind="unknown", size=dep.size, nfiles=dep.nfiles)
