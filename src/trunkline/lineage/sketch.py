"""A lineage graph while it is drawn: what a node of each kind is called, and says.

Both directions draw with this, so the same thing is the same node in every graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.ledger.makings import digest, parameters
from trunkline.lineage.graph import Edge, Graph, Node
from trunkline.lineage.history import History, Making, Origin, RunFact, SourceVersion, within
from trunkline.model import LockItem


class Sketch:
    """The nodes and edges so far."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.nodes: dict[str, Node] = {}
        self.edges: dict[Edge, None] = {}

    def graph(self, root: str) -> Graph:
        """What was drawn."""
        return Graph(root, self.nodes, tuple(self.edges))

    def add(self, kind: str, identity: str, name: str, attributes: Mapping[str, Any]) -> str:
        """A node, as it was first added."""
        id_ = f"{kind}:{identity}"
        if id_ not in self.nodes:
            self.nodes[id_] = Node(id_, kind, name, attributes)
        return id_

    def also(self, id_: str, attributes: Mapping[str, Any]) -> None:
        """Say more of a node."""
        node = self.nodes[id_]
        self.nodes[id_] = Node(node.id, node.type, node.name, {**node.attributes, **attributes})

    def link(self, source: str, target: str, role: str) -> None:
        """An edge, once."""
        self.edges.setdefault(Edge(source, target, role))

    # ------------------------------------------------------------ data

    def dataset(self, path: str, oid: str, **attributes: Any) -> str:
        """A version of a dataset, or a file by itself."""
        return self.add(kind_of(oid), f"{path}@{oid}", path, {"version": oid, **attributes})

    def source(self, path: str, version: SourceVersion, **more: Any) -> str:
        """A version of a source dataset."""
        commit = version.commit
        return self.dataset(
            path, version.oid, kind="source", size=version.size, nfiles=version.nfiles,
            commit=None if commit is None else commit._asdict(), **more,
        )  # fmt: skip

    def output(self, making: Making, out: LockItem, **more: Any) -> str:
        """A version of what a stage makes."""
        kind = "stage" if making.ours else "foreign"
        return self.dataset(out.path, out.md5, kind=kind, size=out.size, nfiles=out.nfiles, **more)

    def part(
        self, dataset: str, path: str, inside: str, facts: Mapping[str, Any], model: tuple[str, str] | None
    ) -> str:
        """A file or directory of a dataset, a model where it is one; the dataset's own node for all of it."""
        if not inside:
            return dataset
        md5, full = facts["version"], f"{path}/{inside}"
        facts = {**facts, "kind": "part", "path": full}
        if model is not None and model[1] == inside:
            node = self.add("model", f"{model[0]}@{md5 or dataset}", model[0], facts)
        else:
            node = self.add(kind_of(md5), f"{full}@{md5}", full, facts)
        self.link(dataset, node, "contains")
        return node

    def code(self, path: str, md5: str, size: int | None = None) -> str:
        """A file of code."""
        facts = {"version": md5, "kind": "plain", "size": size}
        return self.add("code", f"{path}@{md5}", path, facts)

    # ------------------------------------------------------------ stages, runs

    def stage(self, making: Making, attributes: Mapping[str, Any]) -> str:
        """A stage that made these outputs."""
        return self.add("stage", stage_id(making), making.ref, attributes)

    def run(self, run: RunFact) -> str:
        """A run."""
        return self.add(
            "run",
            run.id,
            run.id,
            {
                "state": run.state,
                "started": run.started,
                "commit": run.commit,
                "branch": run.branch,
                "dirty": bool(run.dirty_files),
                "dirty_files": list(run.dirty_files),
            },
        )

    def params(self, making: Making) -> str | None:
        """The parameters of a stage; None where it has none."""
        values = parameters(making.name, making.entry)
        return self.add("params", f"{making.ref}@{digest(values)}", making.ref, values) if values else None


def told(sketch: Sketch, making: Making, origin: Origin) -> str:
    """The node of a stage with its run, parameters and code: all but its data."""
    history = sketch.history
    run = history.run_of(making.ref, making.entry)
    node = sketch.stage(making, _facts(history, making, run, origin))
    if run is not None:
        sketch.link(_run(sketch, run), node, "run")
    if (params := sketch.params(making)) is not None:
        sketch.link(params, node, "params")
    for dep in making.deps:
        if making.ours and not is_data(dep, making, history):
            sketch.link(sketch.code(dep.path, dep.md5, dep.size), node, "code")
    return node


def _facts(history: History, making: Making, run: RunFact | None, origin: Origin) -> dict[str, Any]:
    manifest = making.manifest
    accepted = history.accepted(making.ref, manifest) if manifest else None
    since = history.locked_at(making) if run is None else None
    return {
        "dvc_name": making.name,
        "run": does(making),
        "datums": _datums(history, manifest, run),
        "accepted": None if accepted is None else accepted._asdict(),
        "run_id": None if run is None else run.id,
        "run_exact": None if run is None else run.exact,
        "seconds": None if run is None else run.seconds,
        "commit": None if run is None else run.commit,
        "dirty": None if run is None else bool(run.dirty_files),
        "lock": origin._asdict(),
        "recorded": None if since is None else {"commit": since[0], "time": since[1]},
    }


def _datums(history: History, manifest: str, run: RunFact | None) -> dict[str, int] | None:
    if run is not None and run.exact and run.datums:
        return dict(run.datums)
    total = history.datums(manifest) if manifest else None
    return None if total is None else {"total": total}


def _run(sketch: Sketch, run: RunFact) -> str:
    node = sketch.run(run)
    if run.environment:
        name = f"Python {run.environment.get('python', '')}".strip()
        environment = sketch.add("environment", digest(run.environment), name, run.environment)
        sketch.link(environment, node, "environment")
    return node


def is_data(dep: LockItem, making: Making, history: History) -> bool:
    """Whether a dep is at a place where datasets are; else it is code, or a file by itself."""
    if making.ours and (dep.md5.endswith(".dir") or dep.path.startswith("data/")):
        return True
    datasets = [*history.sources(), *history.places("out")]
    return any(within(dep.path, place) is not None for place in datasets)


def plain(sketch: Sketch, dep: LockItem) -> str:
    """The node of a file by itself, which a stage written by hand reads."""
    return sketch.dataset(dep.path, dep.md5, kind="plain", size=dep.size)


def nowhere(sketch: Sketch, dep: LockItem) -> str:
    """The node of data that nobody knows the origin of."""
    return sketch.dataset(dep.path, dep.md5, kind="unknown", size=dep.size, nfiles=dep.nfiles)


def stage_id(making: Making) -> str:
    """What identifies a stage's node: what it made."""
    return f"{making.ref}@{digest([[out.path, out.md5] for out in making.outs])}"


def does(making: Making) -> str:
    """The function or command of a stage."""
    values = making.declared.values
    command = values.get("cmd")
    return values.get("run") or (" ".join(map(str, command)) if isinstance(command, list) else making.cmd)


def kind_of(md5: str) -> str:
    """The type of a node with this content."""
    return "dataset" if md5.endswith(".dir") else "file"
