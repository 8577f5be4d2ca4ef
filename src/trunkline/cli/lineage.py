"""`trunkline lineage`: from a file back to the data, code and parameters that made it."""

from __future__ import annotations

import argparse
import os

from trunkline.cli.output import Answer
from trunkline.cli.rows import answer_rows, arguments_rows
from trunkline.digest import md5_file, tree_oid
from trunkline.errors import StoreError, UsageError
from trunkline.lineage import Artifact, graph_json, render_text, walk
from trunkline.project import Project


def arguments_lineage(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lineage`."""
    parser.add_argument(
        "artifact",
        nargs="?",
        help="a model or any other file or directory, or a copy of it; or a dataset's name, or PIPELINE.STAGE",
    )
    arguments_rows(parser)


def command_lineage(args: argparse.Namespace) -> Answer:
    """Find the content, walk back, render. Exit 1 where nobody knows it."""
    if args.rows:
        return answer_rows(args.rows, args.artifact or "", everything=args.all, fetch=args.fetch)
    if args.artifact is None:
        raise UsageError("lineage of what?", hint="give a file, a dataset, or PIPELINE.STAGE; or --rows")
    with Project.find() as project:
        project.seal()
        graph = walk(_artifact(project, args.artifact), project.history())
    return Answer(graph_json(graph), lambda: render_text(graph), exit_code=0 if graph.found else 1)


def _artifact(project: Project, given: str) -> Artifact:
    """What was named, by content: what is there, else what a pointer or dvc.lock says of the place."""
    if not os.path.lexists(given) and (dataset := _dataset(project, given)):
        return dataset
    folder, name = os.path.split(os.path.abspath(given))
    full = os.path.join(os.path.realpath(folder), name)  # the file itself may be a link into the cache
    path = os.path.relpath(full, project.root)
    path = "" if path.partition("/")[0] in (".", "..") else path
    if f"{project.root}/".startswith(f"{full.rstrip('/')}/"):
        raise UsageError(f"{given} is more than one dataset", hint="give the path of one, or of a file")
    try:
        if os.path.isdir(full):
            version = project.store.version(path) if path else None
            return Artifact(given, version.oid if version is not None else _hash_folder(full), path)
        return Artifact(given, md5_file(full), path)
    except FileNotFoundError as error:
        hint = "give the path of a file, or of a copy of it; or a dataset's name"
        raise UsageError(f"there is no file {given}", hint=hint) from error
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=str(error.filename or given)) from error


def _dataset(project: Project, given: str) -> Artifact | None:
    """A dataset by its name or its path, though its data may not be here."""
    name = given.rstrip("/").removeprefix("data/").replace("/", ".")
    if pointer := project.store.sources().get(name):
        version = project.store.pointer(pointer)
        return None if version is None else Artifact(given, version.oid, f"data/{name}")
    pipeline, _, stage = name.partition(".")
    entry = project.store.lock_entry(f"{pipeline}-{stage}")
    path = f"data/{pipeline}/{stage}"
    outs = entry.outs if entry is not None else ()
    return next((Artifact(given, out.md5, path) for out in outs if out.path == path), None)


def _hash_folder(folder: str) -> str:
    files = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            files.append((os.path.relpath(path, folder), md5_file(path)))
    return tree_oid(files)
