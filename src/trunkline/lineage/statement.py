"""What was made, by whom and from what: an in-toto Statement with SLSA provenance.

    {"_type": "https://in-toto.io/Statement/v1",
     "subject": [{"name": "data/flights/train/model.onnx", "digest": {"sha256": "…", "md5": "…"}}],
     "predicateType": "https://slsa.dev/provenance/v1",
     "predicate": {"buildDefinition": {"buildType": …, "externalParameters": …, "resolvedDependencies": […]},
                   "runDetails": {"builder": …, "metadata": …}}}

Materials are the sources, the code files, and the commits of git: of each run its record, which holds the
code as it was, and what was checked out. What lies between them and the subjects is named among the
internal parameters. A directory has two digests: `dirHash`, the sha256 of the lines that `sha256sum` prints
for its files, sorted by name, and `dvcDirMd5`, the name under which DVC keeps its listing.
Formats: in-toto Attestation Framework 1.0, SLSA 1.0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from trunkline import __version__
from trunkline.lineage.graph import Graph, Node, graph_json

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://trunkline.dev/run/v1"


class Kept(NamedTuple):
    """A run's record in git: its commit and the commit's tree, "" where there is none; when the run ended."""

    commit: str
    tree: str
    ended: str = ""


def statement(
    graph: Graph,
    subjects: Mapping[str, Mapping[str, str]],
    kept: Mapping[str, Kept] | None = None,
) -> dict[str, Any]:
    """The statement about nodes of a graph: of each its digests beside DVC's. `kept`: of the graph's runs."""
    kept = kept or {}
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": path_of(graph.nodes[node]), "digest": {**digests, **dvc_digest(graph.nodes[node])}}
            for node, digests in subjects.items()
        ],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _parameters(graph),
                "internalParameters": {"stages": list(_stages(graph))},
                "resolvedDependencies": [*_materials(graph), *_commits(graph, kept)],
            },
            "runDetails": {
                "builder": {"id": BUILD_TYPE, "version": {"trunkline": __version__}},
                "metadata": _metadata(graph, list(subjects), kept),
            },
        },
    }


def path_of(node: Node) -> str:
    """Where a node lies in the project."""
    return str(node.attributes.get("path") or node.name)


def dvc_digest(node: Node) -> dict[str, str]:
    """DVC's hash: MD5 of a file, or of the listing of a directory."""
    version = str(node.attributes.get("version") or "")
    if version.endswith(".dir"):
        return {"dvcDirMd5": version.removesuffix(".dir")}
    return {"md5": version} if version else {}


def makers(graph: Graph, node: str) -> tuple[Node, ...]:
    """The stages that made a node, or what it is a part of; none for a source."""
    whole = [node, *(each.id for each in graph.into(node, "contains"))]
    return tuple(stage for each in whole for stage in graph.into(each, "output"))


def _parameters(graph: Graph) -> dict[str, Any]:
    found = graph_json(graph)["nodes"]
    return {node["name"]: node["attributes"] for node in found if node["type"] == "params"}


def _stages(graph: Graph) -> Iterator[dict[str, Any]]:
    for node in graph.nodes.values():
        if node.type == "stage":
            outputs = [graph.nodes[edge.target] for edge in graph.edges if edge.source == node.id]
            yield {
                "name": node.name,
                "run": node.attributes.get("run"),
                "invocationId": node.attributes.get("run_id"),
                "outputs": [{"name": path_of(out), "digest": dvc_digest(out)} for out in outputs],
            }


def _materials(graph: Graph) -> Iterator[dict[str, Any]]:
    made = {edge.target for edge in graph.edges if edge.role in ("output", "contains")}
    for node in graph.nodes.values():
        if node.type == "code" or (node.type in ("dataset", "file") and node.id not in made):
            yield {"name": path_of(node), "digest": dvc_digest(node)}


def _commits(graph: Graph, kept: Mapping[str, Kept]) -> Iterator[dict[str, Any]]:
    heads: dict[str, None] = {}
    for node in graph.nodes.values():
        if node.type != "run":
            continue
        if node.attributes.get("commit"):
            heads[str(node.attributes["commit"])] = None
        record = kept.get(node.name)
        if record is not None and record.commit:
            digest = {"gitCommit": record.commit, **({"gitTree": record.tree} if record.tree else {})}
            facts = {"run": node.name, "dirty": bool(node.attributes.get("dirty"))}
            yield {"name": f"run {node.name}", "digest": digest, "annotations": facts}
    for commit in heads:
        yield {"name": "git", "digest": {"gitCommit": commit}}


def _metadata(graph: Graph, subjects: Sequence[str], kept: Mapping[str, Kept]) -> dict[str, Any]:
    """Of the run that made the first of the subjects itself."""
    stages = makers(graph, subjects[0])
    run = next((run for stage in stages for run in graph.into(stage.id, "run")), None)
    if run is None:
        return {}
    ended = kept[run.name].ended if run.name in kept else ""
    found = {"invocationId": run.name, "startedOn": run.attributes.get("started"), "finishedOn": ended}
    return {key: value for key, value in found.items() if value}
