"""`trunkline lineage`: from a file back to the data, code and parameters that made it."""

from __future__ import annotations

import argparse
import os

from trunkline.cli.output import Answer
from trunkline.digest import md5_file, tree_oid
from trunkline.errors import MissingData
from trunkline.lineage import Artifact, graph_json, render_text, walk
from trunkline.project import Project


def arguments_lineage(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lineage`."""
    parser.add_argument(
        "artifact", help="a model or any other file or dataset: its path, or that of a copy of it"
    )


def command_lineage(args: argparse.Namespace) -> Answer:
    """Find the content, walk back, render. Exit 1 where nobody knows it."""
    project = Project.find()
    project.seal()
    graph = walk(_artifact(project, args.artifact), project.history())
    return Answer(graph_json(graph), lambda: render_text(graph), exit_code=0 if graph.found else 1)


def _artifact(project: Project, given: str) -> Artifact:
    full = os.path.realpath(given)
    inside = os.path.relpath(full, project.root)
    path = "" if inside.startswith("..") else inside
    if os.path.isdir(full):
        version = project.store.version(path) if path else None
        oid = version.oid if version else _hash_folder(full)
        return Artifact(given, oid, path)
    if not os.path.isfile(full):
        raise MissingData(
            f"there is no file {given}", where=given, hint="give the path of a file, or of a copy of it"
        )
    return Artifact(given, md5_file(full), path)


def _hash_folder(folder: str) -> str:
    files = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            files.append((os.path.relpath(path, folder), md5_file(path)))
    return tree_oid(files)
