"""A lineage graph as an in-toto Statement with SLSA provenance: who made this artifact, from what.

    {"_type": "https://in-toto.io/Statement/v1",
     "subject": [{"name": "data/flights/train/model.onnx", "digest": {"sha256": "…", "md5": "…"}}],
     "predicateType": "https://slsa.dev/provenance/v1",
     "predicate": {"buildDefinition": {"buildType": …, "externalParameters": …, "resolvedDependencies": […]},
                   "runDetails": {"builder": …, "metadata": …}}}

Materials are the sources, the code files and the commit; what lies between them and the artifact is
named among the internal parameters. Formats: in-toto Attestation Framework 1.0, SLSA 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trunkline import __version__
from trunkline.lineage.graph import Graph, Node

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://trunkline.dev/run/v1"


def statement(graph: Graph, sha256: str = "") -> dict[str, Any]:
    """The statement about a graph's root; `sha256` is the root's content's, where it is one file."""
    root = graph.nodes[graph.root]
    digest = {"sha256": sha256} if sha256 else {}
    return {
        "_type": STATEMENT,
        "subject": [{"name": _name(root), "digest": {**digest, **_digest(root)}}],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _parameters(graph),
                "internalParameters": {"stages": list(_stages(graph))},
                "resolvedDependencies": list(_materials(graph)),
            },
            "runDetails": {
                "builder": {"id": BUILD_TYPE, "version": {"trunkline": __version__}},
                "metadata": _metadata(graph),
            },
        },
    }


def _name(node: Node) -> str:
    return str(node.attributes.get("path") or node.name)


def _digest(node: Node) -> dict[str, str]:
    """DVC's hash: MD5 of a file, or of the listing of a directory."""
    version = str(node.attributes.get("version") or "")
    if version.endswith(".dir"):
        return {"dvcDirMd5": version.removesuffix(".dir")}
    return {"md5": version} if version else {}


def _parameters(graph: Graph) -> dict[str, Any]:
    return {node.name: dict(node.attributes) for node in graph.nodes.values() if node.type == "params"}


def _stages(graph: Graph) -> Iterator[dict[str, Any]]:
    for node in graph.nodes.values():
        if node.type == "stage":
            outputs = [graph.nodes[edge.target] for edge in graph.edges if edge.source == node.id]
            yield {
                "name": node.name,
                "run": node.attributes.get("run"),
                "outputs": [{"name": _name(out), "digest": _digest(out)} for out in outputs],
            }


def _materials(graph: Graph) -> Iterator[dict[str, Any]]:
    made = {edge.target for edge in graph.edges if edge.role in ("output", "contains")}
    for node in graph.nodes.values():
        if node.type == "code" or (node.type in ("dataset", "file") and node.id not in made):
            yield {"name": _name(node), "digest": _digest(node)}
    for commit in dict.fromkeys(
        str(node.attributes["commit"])
        for node in graph.nodes.values()
        if node.type == "run" and node.attributes.get("commit")
    ):
        yield {"name": "git", "digest": {"gitCommit": commit}}


def _metadata(graph: Graph) -> dict[str, Any]:
    """Of the run that made the artifact itself: the first that the walk back meets."""
    run = next((node for node in graph.nodes.values() if node.type == "run"), None)
    if run is None:
        return {}
    return {"invocationId": run.name, "startedOn": run.attributes.get("started")}
