"""`trunkline put`, `rm`, `versions`: source datasets, changed by whole commits.

`put` and `rm` change the workspace, version it as `dvc add` would, and commit the pointer alone:
nothing else that is staged or edited is touched. A dataset with changes that no version holds is
refused, so that a commit never carries what its message does not say.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from trunkline.cli.output import Answer, size, table
from trunkline.errors import MissingData, StoreError, UsageError
from trunkline.model import Version
from trunkline.project import Project
from trunkline.store import git

NAME = re.compile(r"[a-z][a-z0-9_]*")


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
    parser.add_argument("dataset", help="a source dataset, or PIPELINE.STAGE")
    parser.add_argument("-n", "--limit", type=int, default=20, help="how many (default: 20)")


def _commit_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--message", default="", help="the commit's message")
    parser.add_argument("--no-commit", action="store_true", help="stage the pointer in git, do not commit")
    parser.add_argument("--hooks", action="store_true", help="run git's commit hooks")


def command_put(args: argparse.Namespace) -> Answer:
    """Copy files into a dataset, version and commit it."""
    project = Project.find()
    path = _source(project, args.dataset, create=True)
    sources = _named(args.files, args.to)
    before = _clean_version(project, args.dataset, path, args.no_commit)
    _copy(project, sources, os.path.join(project.root, path))
    message = args.message or f"{args.dataset}: put {_some([name for name, _ in sources])}"
    return _version(project, args, path, before, message)


def command_rm(args: argparse.Namespace) -> Answer:
    """Remove files from a dataset, version and commit it."""
    project = Project.find()
    path = _source(project, args.dataset, create=False)
    before = _clean_version(project, args.dataset, path, args.no_commit)
    folder = os.path.join(project.root, path)
    targets = [_inside(folder, name) for name in args.paths]
    for target, name in zip(targets, args.paths, strict=True):
        if not os.path.lexists(target):
            raise MissingData(f"{name} is not in the dataset {args.dataset}", where=path, hint=f"`ls {path}`")
    for target in targets:
        shutil.rmtree(target) if os.path.isdir(target) else os.unlink(target)
        _prune(os.path.dirname(target), folder)
    message = args.message or f"{args.dataset}: remove {_some(args.paths)}"
    return _version(project, args, path, before, message)


def command_versions(args: argparse.Namespace) -> Answer:
    """The versions of a dataset that git's history names, newest first."""
    project = Project.find()
    rows = _history(project, args.dataset)[: args.limit]
    data = [
        {"version": row.oid, "files": row.files, "size": row.size, "commit": row.commit,
         "date": row.date, "author": row.author, "subject": row.subject, "present": row.present}
        for row in rows
    ]  # fmt: skip
    cells = [
        (row.oid[:8], str(row.files), size(row.size), row.commit[:8], row.date[:16], row.subject
         + (" (in the workspace)" if row.present else ""))
        for row in rows
    ]  # fmt: skip
    header = ("version", "files", "size", "commit", "date", "subject")
    return Answer(data, lambda: table(header, cells) if cells else "no version is committed yet")


class _Row(NamedTuple):
    oid: str
    files: int
    size: int
    commit: str
    date: str
    author: str
    subject: str
    present: bool


def _history(project: Project, dataset: str) -> list[_Row]:
    from trunkline.store import lockfile, pointers

    if "." in dataset:
        stage = project.stage(dataset)
        file, present = "dvc.lock", project.store.version(stage.path)
    else:
        path = _source(project, dataset, create=False)
        file, present = f"{path}.dvc", project.store.version(path)
    last = ""
    rows: list[_Row] = []
    for entry in reversed(git.log_of(project.root, file)):  # oldest first: who introduced a version
        text = git.show(project.root, entry.commit, file)
        if text is None:
            continue
        if "." in dataset:
            locked = lockfile.parse(text.decode()).get(stage.dvc_name)
            out = next((out for out in locked.outs if out.path == stage.path), None) if locked else None
            version = Version(out.md5, out.size, out.nfiles) if out else None
        else:
            version = pointers.parse(text.decode(), file)
        if version is not None and version.oid != last:
            last = version.oid
            rows.append(_Row(version.oid, version.nfiles or 1, version.size, *entry, version == present))
    return rows[::-1]


def _source(project: Project, name: str, create: bool) -> str:
    """The path of a source dataset. Raises UsageError with what to type instead."""
    sources = project.store.sources()
    if name in sources:
        return f"data/{name}"
    if not create:
        hint = f"there are: {', '.join(sorted(sources))}" if sources else "there is none yet: `trunkline put`"
        raise UsageError(f"there is no source dataset {name!r}", hint=hint)
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot name a dataset", hint="use small letters, digits and _, and begin with a letter"
        )
    if any(pipeline.name == name for pipeline in project.pipelines):
        raise UsageError(
            f"{name} is a pipeline: its stages write data/{name}", hint="choose another name for the dataset"
        )
    return f"data/{name}"


def _named(files: Sequence[str], to: str) -> list[tuple[str, str]]:
    """(name in the dataset, path on disk) of every file, each name once. Raises UsageError."""
    if os.path.isabs(to) or ".." in to.split("/"):
        raise UsageError(f"--to {to!r} leaves the dataset", hint="give a directory below the dataset")
    named: dict[str, str] = {}
    for given in files:
        for name, path in _walk(given):
            name = f"{to.strip('/')}/{name}" if to.strip("/") else name
            if named.setdefault(name, path) != path:
                raise UsageError(
                    f"two of the files would be {name}: {named[name]} and {path}", hint="rename one"
                )
    return list(named.items())


def _walk(given: str) -> Iterator[tuple[str, str]]:
    if os.path.isfile(given):
        yield os.path.basename(given), given
    elif os.path.isdir(given):
        for folder, _, names in sorted(os.walk(given)):
            for name in sorted(names):
                path = os.path.join(folder, name)
                yield os.path.relpath(path, given), path
    else:
        raise UsageError(f"there is no file {given}", where=given)


def _copy(project: Project, sources: Sequence[tuple[str, str]], folder: str) -> None:
    """Copy beside the dataset first, then rename: a full disk or a kill leaves the dataset whole."""
    staging = project.store.scratch()
    try:
        for name, path in sources:
            target = os.path.join(staging, name)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(path, target)
        for name, _ in sources:
            target = _inside(folder, name)
            if os.path.isdir(target):
                raise StoreError(f"{name} is a directory of the dataset", hint="put under another name")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            project.store.move(os.path.join(staging, name), target)
    except OSError as error:
        raise StoreError(
            f"could not copy: {error.strerror or error}", where=str(error.filename or "")
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _clean_version(project: Project, dataset: str, path: str, no_commit: bool) -> Version | None:
    """The dataset's version, where workspace, pointer and git agree on it. Raises StoreError."""
    if not no_commit:
        git.ready_to_commit(project.root, [f"{path}.dvc", "data/.gitignore"])
    present = project.store.version(path)
    pointed = project.store.pointer(f"{path}.dvc")
    if pointed is None:
        if present is not None and present.nfiles:
            raise StoreError(
                f"{path} holds files that no version knows",
                where=path,
                hint=f"type `dvc add {path}` to version them as they are, or move them away",
            )
        return None
    if present is None:
        raise MissingData(
            f"the dataset {dataset} is not in the workspace", where=path, hint=f"type `dvc pull {path}.dvc`"
        )
    if present.oid != pointed.oid:
        raise StoreError(
            f"{path} has changes that no version holds",
            where=path,
            hint=f"type `dvc add {path}` to keep them, or `dvc checkout {path}.dvc` to drop them",
        )
    return present


def _version(
    project: Project, args: argparse.Namespace, path: str, before: Version | None, message: str
) -> Answer:
    version = project.store.save_source(path)
    if before is not None and version.oid == before.oid:
        data = {"dataset": args.dataset, "version": version.oid, "changed": False, "commit": None}
        return Answer(data, lambda: f"{args.dataset} is unchanged: version {version.oid[:8]}")
    changes = [f"{path}.dvc", "data/.gitignore"]
    commit = None
    if args.no_commit:
        git.stage(project.root, changes)
    else:
        commit = git.commit_paths(project.root, changes, message, hooks=args.hooks)
    data = {"dataset": args.dataset, "version": version.oid, "changed": True, "commit": commit}
    return Answer(data, lambda: _put_text(args.dataset, before, version, commit))


def _put_text(dataset: str, before: Version | None, version: Version, commit: str | None) -> str:
    was = f" (was {before.oid[:8]}, {before.nfiles} files)" if before else ""
    where = f"committed as {commit[:8]}" if commit else "staged in git, not committed"
    return f"{dataset} is version {version.oid[:8]}, {version.nfiles} files{was}; {where}"


def _inside(folder: str, name: str) -> str:
    target = os.path.normpath(os.path.join(folder, name))
    if os.path.isabs(name) or not target.startswith(folder + os.sep):
        raise UsageError(f"{name} leaves the dataset", hint="give paths relative to the dataset")
    return target


def _prune(folder: str, stop: str) -> None:
    while folder != stop and not os.listdir(folder):
        os.rmdir(folder)
        folder = os.path.dirname(folder)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
