"""A lineage graph while it is drawn: what a node of each kind is called, and says.

Both directions draw with this, so the same thing is the same node in every graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trunkline.ledger.makings import declared, digest, parameters
from trunkline.lineage.graph import Edge, Graph, Node
from trunkline.lineage.history import History, Making, RunFact, SourceVersion
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
            node = self.add("model", f"{model[0]}@{md5}", model[0], facts)
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


def stage_id(making: Making) -> str:
    """What identifies a stage's node: what it made."""
    return f"{making.ref}@{digest([[out.path, out.md5] for out in making.outs])}"


def does(making: Making) -> str:
    """The function or command of a stage."""
    values = declared(making.name, making.entry).values
    command = values.get("cmd")
    return values.get("run") or (" ".join(map(str, command)) if isinstance(command, list) else making.cmd)


def kind_of(md5: str) -> str:
    """The type of a node with this content."""
    return "dataset" if md5.endswith(".dir") else "file"
