"""Which model is served: its bytes, by content; its name; the run that made it; its lineage.

All of it is read once, before the server starts. Later runs do not change what is served.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from trunkline import listing
from trunkline.artifacts import Named
from trunkline.digest import md5_bytes
from trunkline.errors import CorruptData, StoreError, UsageError
from trunkline.lineage import Artifact, Found, Graph, graph_json, walk
from trunkline.lineage.find import located
from trunkline.lineage.graph import with_purged
from trunkline.project import Project

SUFFIX = ".onnx"


class Model(NamedTuple):
    """A model to serve. `version` is the content hash of the file, `run` "" where no record names one."""

    name: str
    version: str
    run: str
    data: bytes
    lineage: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """What every answer says of it."""
        return {"name": self.name, "version": self.version, "run": self.run or None}


def find(project: Project, given: str) -> Model:
    """The model that is called so: a file that is there, else any name that a lineage can be asked of.

    A folder hides no name; what is called *.onnx and is there in any form is what was meant.
    """
    if os.path.isfile(given) or (os.path.lexists(given) and given.lower().endswith(SUFFIX)):
        artifact, data = _on_disk(project, given)
        graph = walk(artifact, project.history())
    else:
        named = _one_file(project, project.reachable.find(given))
        _check_suffix(named.path, given)
        data = _read(project.objects.path(named.md5, given), given)
        history = project.history()
        found: Found | None = located(given, named.dataset, named.oid, named.inside, history)
        artifact = Artifact(given, named.md5, named.path)
        graph = walk(artifact, history, found)
    if md5_bytes(data) != artifact.md5:
        raise CorruptData("the file changed while it was read", where=given, hint="type it again")
    graph = with_purged(graph, lambda version: [hole.sentence for hole in project.holes(version)])
    root = graph.nodes[graph.root]
    name = root.name if root.type == "model" else (artifact.path or os.path.basename(given))
    return Model(name, artifact.md5, _run(graph), data, graph_json(graph))


def _on_disk(project: Project, given: str) -> tuple[Artifact, bytes]:
    _check_suffix(given, given)
    folder, name = os.path.split(os.path.abspath(given))
    full = os.path.join(os.path.realpath(folder), name)  # the file itself may be a link into the cache
    path = os.path.relpath(full, project.root)
    data = _read(full, given)
    return Artifact(given, md5_bytes(data), "" if path.partition("/")[0] in (".", "..") else path), data


def _check_suffix(path: str, given: str) -> None:
    if not path.lower().endswith(SUFFIX):
        raise UsageError(
            f"{path} is no ONNX model", where=given, hint="`trunkline serve` serves ONNX files, and no others"
        )


def _one_file(project: Project, named: Named) -> Named:
    """The file that was named, or the one ONNX file of a directory. Raises UsageError."""
    if not named.md5.endswith(".dir"):
        return named
    files = listing.below(project.objects.listing(named.oid), named.inside)
    models = [file for file in files if file.path.lower().endswith(SUFFIX)]
    if len(models) != 1:
        what = f"{len(models)} ONNX files" if models else "no ONNX file"
        some = models[0].path if models else "FILE"
        raise UsageError(f"{named.given} has {what}", hint=f"name one: {named.stage or named.dataset}/{some}")
    return named._replace(inside=models[0].path, md5=models[0].md5)


def _read(path: str, given: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=given) from error


def _run(graph: Graph) -> str:
    """The run that made the model: that of the stage out of whose dataset it is."""
    targets = {graph.root}
    targets |= {edge.source for edge in graph.edges if edge.target == graph.root and edge.role == "contains"}
    for edge in graph.edges:
        if edge.role == "output" and edge.target in targets:
            return str(graph.nodes[edge.source].attributes.get("run_id") or "")
    return ""
