"""Lineage: from any artifact back to the data, code, parameters and environment that made it.

graph = walk(Artifact("model.onnx", md5), history)      history: what the locks of workspace, runs
render_text(graph); graph_json(graph)                   and git say, behind one Protocol
"""

from __future__ import annotations

from trunkline.lineage.find import find
from trunkline.lineage.graph import Edge, Graph, Node, graph_json
from trunkline.lineage.history import (
    Accepted,
    Artifact,
    Found,
    History,
    Making,
    Origin,
    RunFact,
    SourceVersion,
)
from trunkline.lineage.text import render_text
from trunkline.lineage.walk import walk, walk_all

__all__ = [
    "Accepted",
    "Artifact",
    "Edge",
    "Found",
    "Graph",
    "History",
    "Making",
    "Node",
    "Origin",
    "RunFact",
    "SourceVersion",
    "find",
    "graph_json",
    "render_text",
    "walk",
    "walk_all",
]
