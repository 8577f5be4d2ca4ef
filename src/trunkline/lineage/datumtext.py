"""A graph of datums and files as text: stage by stage, in the order of the walk.

data/flights/ingest/2013-01-01.parquet  4f2a91c0

flights.ingest (stages.ingest:ingest), run 019aacb5-…
  datums  1: 2013-01-01
  from    data/flights_raw/2013-01-01.csv  9f8e3c01
  to      data/flights/ingest/2013-01-01.parquet  4f2a91c0
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trunkline.lineage.graph import Graph, Node

_SHORT = 8
_SHOWN = 5


def render_datums(graph: Graph) -> str:
    """The text of a graph of datums."""
    return "\n".join(_lines(graph))


def _lines(graph: Graph) -> Iterator[str]:
    root = graph.nodes[graph.root]
    yield _name(root)
    if not graph.found:
        yield "unknown: no lock, run or commit known here, and no source dataset, names this content"
        return
    into: dict[str, list[tuple[str, Node]]] = {}
    out: dict[str, list[tuple[str, Node]]] = {}
    for edge in graph.edges:
        into.setdefault(edge.target, []).append((edge.role, graph.nodes[edge.source]))
        out.setdefault(edge.source, []).append((edge.role, graph.nodes[edge.target]))
    stages = [node for node in graph.nodes.values() if node.type == "stage"]
    for stage in stages:
        yield ""
        datums = [node for role, node in out.get(stage.id, ()) if role == "datum"]
        run = next((node.name for role, node in into.get(stage.id, ()) if role == "run"), "")
        yield f"{stage.name} ({stage.attributes['run']})" + (f", run {run}" if run else "")
        works = datums or [stage]
        if datums:
            yield f"  datums  {len(datums)}: {_some([node.name for node in datums], ', ')}"
        elif stage.attributes["manifest"] == "missing":
            yield "  datums  not known: its manifest is not in the cache (`trunkline pull` brings it)"
        yield from _files("from", works, into, "input")
        yield from _files("to", works, out, "output")
    sources = {whole.id for node in graph.nodes.values() for role, whole in into.get(node.id, ())
               if role == "contains" and whole.attributes.get("kind") == "source"}  # fmt: skip
    for node in graph.nodes.values():
        if node.id in sources:
            commit = node.attributes["commit"]
            since = f", since commit {commit['commit'][:_SHORT]}: {commit['subject']}" if commit else ""
            yield ""
            yield f"source dataset {node.name}, version {str(node.attributes['version'])[:_SHORT]}{since}"
    if not stages:
        yield "no datum that is known here made it, or read it"


def _files(
    label: str, works: Sequence[Node], edges: dict[str, list[tuple[str, Node]]], wanted: str
) -> Iterator[str]:
    found = dict.fromkeys(
        node.id for work in works for role, node in edges.get(work.id, ()) if role == wanted
    )
    nodes = {node.id: node for work in works for _, node in edges.get(work.id, ())}
    lines = [_name(nodes[id_]) for id_ in found]
    for number, line in enumerate(lines[:_SHOWN]):
        yield f"  {label if not number else '':6}  {line}"
    if len(lines) > _SHOWN:
        yield f"  {'':6}  … and {len(lines) - _SHOWN} more: --json has all"


def _some(names: Sequence[str], between: str) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return between.join(names[:_SHOWN]) + more


def _name(node: Node) -> str:
    path = node.attributes.get("path") or node.name
    model = f"model {node.name}: " if node.type == "model" else ""
    doubt = "  (perhaps)" if node.attributes.get("perhaps") else ""
    return f"{model}{path}  {str(node.attributes.get('version') or '')[:_SHORT]}{doubt}"
