"""The lineage graph as a value, and as JSON. Edges run with the data, from cause to effect.

    {"root": "model:flights_late@4f2a…",
     "nodes": [{"id": "stage:flights.train@88aa….dir", "type": "stage", "name": "flights.train",
                "attributes": {"run": "stages.train:train", "datums": {"total": 1, …}, …}}, …],
     "edges": [{"from": "code:stages/train.py@9f8e…", "to": "stage:flights.train@88aa….dir", "role": "code"}, …]}

    from          to             role
    dataset, file stage          input
    code          stage          code
    params        stage          params
    run           stage          run
    environment   run            environment
    stage         dataset, file  output
    dataset       dataset, file, model   contains

Forward (`down`) the root is what was asked about, and one edge more leads from it:

    file          stage          input       a file of what the stage read
    dataset       dataset        version     all of a dataset, to each of its versions
    commit        run            commit
    package       run            package

By datum (`datums`) a stage's data passes through its datums:

    stage                 datum                 datum
    dataset, file, model  datum                 input
    datum                 dataset, file, model  output

An id holds the content, so the same thing has the same id in every graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Node:
    """`type`: dataset, file, stage, code, params, environment, run, model; datum, commit, package."""

    id: str
    type: str
    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


class Edge(NamedTuple):
    """`source` went into `target`, as its `role`."""

    source: str
    target: str
    role: str


@dataclass(frozen=True, slots=True)
class Graph:
    """Everything that led to the node `root`, or that it went into. `found` False: nobody knows it."""

    root: str
    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...] = ()
    found: bool = True

    def into(self, node: str, role: str) -> tuple[Node, ...]:
        """The nodes that went into `node` in this role, in their order."""
        return tuple(self.nodes[e.source] for e in self.edges if e.target == node and e.role == role)


def with_purged(graph: Graph, holes: Callable[[str], Sequence[str]]) -> Graph:
    """The graph, with what was purged of its data: `holes` says it of a version, one sentence a file."""
    nodes = {}
    for key, node in graph.nodes.items():
        if gone := list(holes(str(node.attributes.get("version", "")))):
            node = replace(node, attributes={**node.attributes, "purged": gone, "reproducible": False})
        nodes[key] = node
    return replace(graph, nodes=nodes)


def graph_json(graph: Graph) -> dict[str, Any]:
    """The graph as plain data for JSON."""
    return {
        "root": graph.root,
        "found": graph.found,
        "nodes": [
            {"id": node.id, "type": node.type, "name": node.name, "attributes": _plain(node.attributes)}
            for node in graph.nodes.values()
        ],
        "edges": [{"from": edge.source, "to": edge.target, "role": edge.role} for edge in graph.edges],
    }


def _plain(value: Any) -> Any:
    """Values of YAML that JSON does not have (dates) as text."""
    match value:
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)
