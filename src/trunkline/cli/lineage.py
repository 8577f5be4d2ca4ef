"""`trunkline lineage`: from an artifact back to the data, code and parameters, or forward from these."""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from trunkline.cli.output import Answer
from trunkline.digest import md5_bytes, md5_file, tree_oid
from trunkline.errors import StoreError, TrunklineError, UsageError
from trunkline.lineage import Artifact, Found, Graph, History, find, graph_json, render_text, walk
from trunkline.lineage.find import located
from trunkline.lineage.graph import with_purged
from trunkline.lineage.history import within
from trunkline.project import Project
from trunkline.store import git

if TYPE_CHECKING:
    from trunkline.lineage.down import CodeFile, Data, Thing

_SHOWN = 5  # of what was purged
_PACKAGE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==(\S+)")
_EXAMPLES = """\
what to ask about:
  data/flights/train/model.onnx    a file or directory that is there, by its content; or a copy of one
  flights_late, flights.train      a model, what a stage has made, a source dataset: as it is now
  flights_late@4f2a91c0            … or that version of it, by its content hash (also without the name)
  flights.train@main~2             … or as a commit had it
  flights.train@019aacb5           … or as a run left it; @latest as the last one did

and with --down also:
  stages/train.py[@REV]            a file of code
  flights.train.alpha=0.001        a parameter's value
  commit:1a2b3c4d                  the runs that were made at a commit
  numpy==2.2.6                     a version of a package
"""


def arguments_lineage(parser: argparse.ArgumentParser) -> None:
    """The arguments of `lineage`."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EXAMPLES
    parser.add_argument("artifact", nargs="?", metavar="THING", help="what to ask about: see below")
    parser.add_argument(
        "--down", action="store_true", help="forward: which stages, runs, datasets and models it went into"
    )
    parser.add_argument(
        "--datums", action="store_true", help="datum by datum and file by file, not stage by stage"
    )
    parser.add_argument(
        "--every-way",
        action="store_true",
        help="where the same content came about in several ways, follow all of them, not the likeliest",
    )
    parser.add_argument(
        "--rows", action="append", metavar="COLUMN=VALUE[,…]",
        help="which files, datums and models have rows like this; of one dataset, or of all",
    )  # fmt: skip
    parser.add_argument(
        "--all",
        action="store_true",
        help="with --rows or --down: every version, not only today's; of a file every one that has it",
    )
    parser.add_argument(
        "--fetch", action="store_true", help="with --rows: bring what is not here from the remote"
    )


def command_lineage(args: argparse.Namespace) -> Answer:
    """Find the thing, walk, render. Exit 1 where nobody knows it."""
    if args.rows:
        from trunkline.cli.rows import answer_rows

        return answer_rows(args.rows, args.artifact or "", everything=args.all, fetch=args.fetch)
    if args.artifact is None:
        raise UsageError("lineage of what?", hint="give a file, a dataset, or PIPELINE.STAGE; or --rows")
    with Project.find() as project:
        project.seal()
        return _forward(project, args) if args.down else _back(project, args)


def _back(project: Project, args: argparse.Namespace) -> Answer:
    if args.all:
        raise UsageError("--all asks forward, or for rows", hint="type --down too")
    history = project.history()
    artifact, found = _artifact(project, args.artifact, history)
    if args.datums:
        from trunkline.lineage.datums import datums_of
        from trunkline.lineage.datumtext import render_datums

        graph = datums_of(artifact, history, found, every=args.every_way)
        return _answer(project, graph, render_datums, as_json=args.json)
    return _answer(
        project, walk(artifact, history, found, every=args.every_way), render_text, as_json=args.json
    )


def _forward(project: Project, args: argparse.Namespace) -> Answer:
    from trunkline.lineage.down import Data, down

    if args.every_way:
        raise UsageError("--every-way asks back: forward, every way is followed", hint="leave it out")
    history = project.history()
    thing = _thing(project, args.artifact, history, all_versions=args.all)
    if args.datums:
        from trunkline.lineage.datums import datums_from
        from trunkline.lineage.datumtext import render_datums

        if not isinstance(thing, Data):
            raise UsageError(
                "--datums asks of data: a dataset or a file of one", where=args.artifact, hint="leave it out"
            )
        return _answer(project, datums_from(thing, history), render_datums, as_json=args.json)
    from trunkline.lineage.told import render_down

    return _answer(project, down(thing, history), render_down, as_json=args.json)


def _answer(project: Project, graph: Graph, text: Callable[[Graph], str], *, as_json: bool) -> Answer:
    """Its JSON or its text: a large graph is not put into both."""
    graph = with_purged(graph, lambda version: [hole.sentence for hole in project.holes(version)])
    data = graph_json(graph) if as_json else None
    return Answer(data, lambda: text(graph) + _holes(graph), exit_code=0 if graph.found else 1)


def _holes(graph: Graph) -> str:
    found = {each: None for node in graph.nodes.values() for each in node.attributes.get("purged", ())}
    lines = [f"  {each}" for each in list(found)[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"  and {len(found) - _SHOWN} more")
    return "\n".join(["\ncannot be reproduced, as data that it needs are gone:", *lines]) if lines else ""


# ---------------------------------------------------------------- back: an artifact


def _artifact(project: Project, given: str, history: History) -> tuple[Artifact, Found | None]:
    """What was named, by content: what is there on disk, else what `artifacts` finds."""
    if not given or os.path.lexists(given):
        return on_disk(project, given), None
    named = project.artifacts.find(given)
    found = located(given, named.dataset, named.oid, named.inside, history)
    return Artifact(given, named.md5, named.path), found


def on_disk(project: Project, given: str) -> Artifact:
    """A file or directory that is there, by content. Raises UsageError, StoreError."""
    full, path = _place(project, given)
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


def _place(project: Project, given: str) -> tuple[str, str]:
    """(absolute path, path in the project or "") of what was typed."""
    folder, name = os.path.split(os.path.abspath(given))
    full = os.path.join(os.path.realpath(folder), name)  # the file itself may be a link into the cache
    path = os.path.relpath(full, project.root)
    return full, "" if path.partition("/")[0] in (".", "..") else path


def _hash_folder(folder: str) -> str:
    files = []
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            files.append((os.path.relpath(path, folder), md5_file(path)))
    return tree_oid(files)


# ---------------------------------------------------------------- forward: anything


def _thing(project: Project, given: str, history: History, *, all_versions: bool) -> Thing:
    """What was named. A path that is there goes before anything that it may be read as."""
    from trunkline.lineage.down import AtCommit, Package, Param

    if not os.path.lexists(given):
        if given.startswith("commit:"):
            return AtCommit(git.resolve(project.root, given.removeprefix("commit:")))
        if match := _PACKAGE.fullmatch(given):
            return Package(re.sub(r"[-_.]+", "-", match[1]).lower(), match[2])
        key, equals, value = given.partition("=")
        if equals and "." in key and "/" not in key:
            return Param(key, _value(value))
    return _code(project, given, history) or _data(project, given, history, all_versions=all_versions)


def _value(text: str) -> Any:
    """What YAML reads: JSON is YAML too, and costs nothing to read."""
    try:
        return json.loads(text)
    except ValueError:
        from trunkline.spec.read import load

        return load(text, "the value")


def _code(project: Project, given: str, history: History) -> CodeFile | None:
    """A file at a place where no dataset is: as it is, or as a commit has it."""
    from trunkline.lineage.down import CodeFile

    name, _, rev = (given, "", "") if os.path.lexists(given) or "@" not in given else given.rpartition("@")
    full, path = _place(project, name)
    datasets = [*history.sources(), *history.places("out")]
    if not path or any(within(path, place) is not None for place in datasets):
        return None
    if rev:
        data = (
            git.show(project.root, git.resolve(project.root, rev), path) if _is_dep(path, history) else None
        )
        return None if data is None else CodeFile(path, md5_bytes(data))
    return CodeFile(path, md5_file(full)) if os.path.isfile(full) else None


def _is_dep(path: str, history: History) -> bool:
    return path in history.places("dep")


def _data(project: Project, given: str, history: History, *, all_versions: bool) -> Thing:
    from trunkline.lineage.down import AtCommit, Data

    _, path = _place(project, given)
    try:
        named = project.artifacts.find(path if path and os.path.lexists(given) else given)
    except TrunklineError as error:
        if os.path.lexists(given):
            return _copy(project, given, history, error)
        try:
            return AtCommit(git.resolve(project.root, given))
        except UsageError:
            raise error from None
    if not all_versions:
        return Data(named.dataset, (named.oid,), named.inside, named.md5)
    oids = dict.fromkeys([
        named.oid,
        *(version.oid for version in history.source_versions(named.dataset)),
        *history.versions("dep", named.dataset),
        *history.versions("out", named.dataset),
    ])  # fmt: skip
    same = history.parts(named.inside, list(oids)) if named.inside else {}
    some = [oid for oid in oids if not named.inside or same.get(oid) == named.md5]
    return Data(named.dataset, tuple(some), named.inside, named.md5)


def _copy(project: Project, given: str, history: History, error: TrunklineError) -> Data:
    """A file or directory that is a copy of one that is known."""
    from trunkline.lineage.down import Data

    artifact = on_disk(project, given)
    found = find(artifact, history)
    if found is None:
        raise UsageError(
            f"nobody knows the content of {given}", hint="no lock, run or commit here names it"
        ) from error
    return Data(found.path, (found.oid,), found.file, artifact.md5)
