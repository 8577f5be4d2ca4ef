"""A lineage graph as a Mermaid flowchart, which GitHub, GitLab and Jupyter draw.

flowchart LR
    n0[("data/flights_raw<br/>9f8e3c01")]
    n1["flights.ingest<br/>stages.ingest:ingest_csv"]
    n0 --> n1
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from trunkline.lineage.graph import Graph, Node

_SHAPES = {
    "dataset": ('[("', '")]'),
    "file": ('(["', '"])'),
    "stage": ('["', '"]'),
    "code": ('>"', '"]'),
    "params": ('{{"', '"}}'),
    "environment": ('[/"', '"/]'),
    "run": ('[["', '"]]'),
    "model": ('(("', '"))'),
    "datum": ('("', '")'),
    "commit": ('[["', '"]]'),
    "package": ('[/"', '"/]'),
}
_SPECIAL = re.compile(r"[^\w .:/@+,=()~-]")


def render_mermaid(graph: Graph) -> str:
    """The text of the flowchart."""
    numbers = {node: f"n{number}" for number, node in enumerate(graph.nodes)}
    lines = ["flowchart LR"]
    for node in graph.nodes.values():
        left, right = _SHAPES[node.type]
        lines.append(f"    {numbers[node.id]}{left}{_label(node)}{right}")
    lines += [f"    {numbers[edge.source]} --> {numbers[edge.target]}" for edge in graph.edges]
    lines.append(f"    style {numbers[graph.root]} stroke-width:3px")
    return "\n".join(lines)


def _label(node: Node) -> str:
    return "<br/>".join(_text(part) for part in _parts(node) if part)


def _parts(node: Node) -> Iterator[str]:
    yield node.name if node.type != "run" else f"run {node.name[:8]}"
    match node.type:
        case "stage":
            yield str(node.attributes.get("run") or "")
        case "params":
            some = list(node.attributes.items())
            yield from (f"{key}: {value}" for key, value in some[:5])
            yield "…" if len(some) > 5 else ""
        case "run":
            commit = node.attributes.get("commit")
            yield f"commit {commit[:8]}" if commit else ""
        case _:
            yield str(node.attributes.get("version") or "")[:8]


def _text(words: str) -> str:
    """Words in which nothing has a meaning for Mermaid or for HTML."""
    return _SPECIAL.sub(lambda match: f"#{ord(match[0])};", words)
