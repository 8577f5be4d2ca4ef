"""`trunkline put`, `rm`, `versions`: datasets and their versions."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from trunkline import versions
from trunkline.cli.options import count
from trunkline.cli.output import Answer, size, table
from trunkline.model import Stage, Version
from trunkline.project import Project
from trunkline.sources import Change, Recording, files_named
from trunkline.versions import Made, Past


def arguments_put(parser: argparse.ArgumentParser) -> None:
    """The arguments of `put`."""
    parser.add_argument("dataset", help="a source dataset; created if there is none of that name")
    parser.add_argument("files", nargs="+", metavar="FILE", help="files, or directories (all they hold)")
    parser.add_argument("--to", default="", metavar="DIR", help="a directory of the dataset to put them into")
    _commit_arguments(parser)


def arguments_rm(parser: argparse.ArgumentParser) -> None:
    """The arguments of `rm`."""
    parser.add_argument("dataset", help="a source dataset")
    parser.add_argument("paths", nargs="+", metavar="PATH", help="files or directories of the dataset")
    _commit_arguments(parser)


def arguments_versions(parser: argparse.ArgumentParser) -> None:
    """The arguments of `versions`."""
    parser.add_argument("dataset", help="a source dataset, PIPELINE.STAGE, or a model's name")
    parser.add_argument("-n", "--limit", type=count, default=20, help="how many (default: 20)")


def _commit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--message", default="", help="the commit's message")
    parser.add_argument("--no-commit", action="store_true", help="stage the pointer in git, do not commit")
    parser.add_argument("--hooks", action="store_true", help="run git's commit hooks")


def command_put(args: argparse.Namespace) -> Answer:
    """Copy files into a dataset, version and commit it."""
    with Project.find() as project:
        files = files_named(args.files, args.to)
        return _changed(project.sources.put(args.dataset, files, _recording(args)), args.no_commit)


def command_rm(args: argparse.Namespace) -> Answer:
    """Remove files from a dataset, version and commit it."""
    with Project.find() as project:
        return _changed(project.sources.remove(args.dataset, args.paths, _recording(args)), args.no_commit)


def command_versions(args: argparse.Namespace) -> Answer:
    """The versions of a dataset or a model that git's history or a run's record names, newest first."""
    with Project.find() as project:
        path, past = _past(project, args.dataset)
        rows = list(islice(past, args.limit))
        present = project.store.version(path)
        holes = {row.version.oid: [hole.path for hole in project.holes(row.version.oid)] for row in rows}
    oid = present.oid if present is not None else ""
    data = [{**_data(row, oid), "purged": holes[row.version.oid]} for row in rows]
    return Answer(data, lambda: _text(rows, present, holes))


def _recording(args: argparse.Namespace) -> Recording:
    return Recording(args.message, commit=not args.no_commit, hooks=args.hooks)


def _changed(change: Change, staged: bool) -> Answer:
    before, after = change.before, change.after
    data = {
        "dataset": change.dataset,
        "version": after.oid,
        "files": after.nfiles,
        "previous": before.oid if before is not None else None,
        "changed": change.changed,
        "commit": change.commit,
    }
    if not change.changed:
        return Answer(data, lambda: f"{change.dataset} is unchanged: version {after.oid[:8]}")
    was = f" (was {before.oid[:8]}, {_files(before)})" if before is not None else ""
    where = f"committed as {(change.commit or '')[:8]}" if not staged else "staged in git, not committed"
    return Answer(data, lambda: f"{change.dataset} is version {after.oid[:8]}, {_files(after)}{was}; {where}")


def _past(project: Project, dataset: str) -> tuple[str, Iterable[Past | Made]]:
    """The path of a dataset, or of a model's file, and its versions. Raises UsageError."""
    root, listing = project.root, project.store.listing
    if dataset not in project.store.sources() and (stage := _trains(project, dataset)) is not None:
        path = stage.model.path if stage.model is not None else ""
        past = versions.of_model(root, stage, path, listing)
        both = versions.with_runs(
            root, past, project.runs.each(), stage, lambda version: versions.file_of(version, path, listing)
        )
        return f"{stage.path}/{path}", (_sized(project, each) for each in both)
    if "." in dataset and dataset not in project.store.sources():
        stage = project.stage(dataset)
        past = versions.of_output(root, stage.path, stage.dvc_name)
        return stage.path, versions.with_runs(root, past, project.runs.each(), stage)
    path = project.sources.path(dataset)
    return path, versions.of_source(root, path)


def _trains(project: Project, model: str) -> Stage | None:
    """The stage whose model is called so."""
    return next((each for each in project.stages if each.model and each.model.name == model), None)


def _sized(project: Project, row: Past | Made) -> Past | Made:
    """With the size of the file, which no listing tells; -1 where it is not in the cache."""
    try:
        size = os.path.getsize(project.store.object_path(row.version.oid))
    except OSError:
        size = -1
    return row._replace(version=row.version._replace(size=size))


def _data(row: Past | Made, present: str) -> dict[str, Any]:
    version, commit = row.version, row.commit if isinstance(row, Past) else None
    return {
        "version": version.oid,
        "files": version.nfiles or 1,
        "size": version.size if version.size >= 0 else None,
        "commit": commit and commit.commit,
        "date": row.when,
        "author": commit and commit.author,
        "subject": commit and commit.subject,
        "run": row.run if isinstance(row, Made) else None,
        "present": version.oid == present,
    }


def _text(rows: list[Past | Made], present: Version | None, holes: Mapping[str, list[str]]) -> str:
    oid = present.oid if present is not None else ""
    cells = [
        (
            row.version.oid[:8],
            str(row.version.nfiles or 1),
            size(row.version.size) if row.version.size >= 0 else "",
            row.commit.commit[:8] if isinstance(row, Past) else "",
            f"{row.when[:10]} {row.when[11:16]}",
            (row.commit.subject if isinstance(row, Past) else f"run {row.run}, not committed")
            + (" (in the workspace)" if row.version.oid == oid else "")
            + _hole(holes[row.version.oid]),
        )
        for row in rows
    ]
    header = ("version", "files", "size", "commit", "date (UTC)", "subject")
    lines = [table(header, cells)] if cells else ["no version is committed yet"]
    if present is not None and oid not in {row.version.oid for row in rows}:
        lines.append(f"the workspace holds version {oid[:8]}, {_files(present)}, which is not among these")
    return "\n".join(lines)


def _hole(paths: list[str]) -> str:
    more = f" and {len(paths) - 2} more" if len(paths) > 2 else ""
    return f" (purged of it: {', '.join(paths[:2])}{more})" if paths else ""


def _files(version: Version) -> str:
    many = version.nfiles if version.nfiles is not None else 1
    return f"{many} file{'s' if many != 1 else ''}"
