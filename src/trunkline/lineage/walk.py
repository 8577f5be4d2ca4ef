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

from trunkline.lineage.find import find
from trunkline.lineage.graph import Graph, Node
from trunkline.lineage.history import Artifact, Found, History, Making, Origin
from trunkline.lineage.places import Place, places
from trunkline.lineage.sketch import Sketch, is_data, kind_of, nowhere, plain, stage_id, told
from trunkline.model import LockItem


def walk(artifact: Artifact, history: History, found: Found | None = None, *, every: bool = False) -> Graph:
    """The graph of what led to the artifact, which is at `found` where that is known already."""
    found = found or find(artifact, history)
    if found is None:
        return unknown(artifact)
    return _Walk(history, every).graph(artifact, found)


def walk_all(
    asked: Sequence[tuple[Artifact, Found | None]], history: History
) -> tuple[Graph, tuple[str, ...]]:
    """One graph of all that led to these (one at least), and the nodes that they are. Its root is the last."""
    graphs = [walk(artifact, history, found) for artifact, found in asked]
    nodes = {name: node for graph in graphs for name, node in graph.nodes.items()}
    edges = dict.fromkeys(edge for graph in graphs for edge in graph.edges)
    found = all(graph.found for graph in graphs)
    return Graph(graphs[-1].root, nodes, tuple(edges), found), tuple(graph.root for graph in graphs)


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
        told(self._sketch, making, origin)
        for dep in making.deps:
            if is_data(dep, making, self._history):
                self._dep(node, dep, origin)
            elif not making.ours:
                self._sketch.link(plain(self._sketch, dep), node, "input")
        return node

    # ------------------------------------------------------------ a dep

    def _dep(self, stage: str, dep: LockItem, origin: Origin) -> None:
        """One dep of a stage that is data: with its own lineage, or of unknown origin."""
        beside = self._history.together(origin)
        found = places(dep.path, dep.md5, beside, self._history, every=self._every)
        for place in found:
            facts = {
                "version": dep.md5, "size": dep.size, "nfiles": dep.nfiles, "checked": place.checked,
            }  # fmt: skip
            self._sketch.link(self._place(place, facts, origin), stage, "input")
        if not found:
            self._sketch.link(nowhere(self._sketch, dep), stage, "input")
