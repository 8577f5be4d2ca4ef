"""`trunkline lineage --rows`: which datums, files and models have matching rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from trunkline.cli.output import Answer
from trunkline.errors import TrunklineError
from trunkline.lineage import History
from trunkline.model import File, LockEntry
from trunkline.project import Project
from trunkline.rows import Model, Part, Rows

_SHOWN = 10  # files of a dataset, for people
_WHAT = {
    "rows": "the rows do not come out of it",
    "column": "the column does not come out of it: whether the rows do, it cannot tell",
    "table": "what comes out of it is no table: whether the rows are in it cannot be told",
}


def answer_rows(
    given: Sequence[str], dataset: str, *, everything: bool = False, fetch: bool = False
) -> Answer:
    """Scan, walk back from each model, render. Exit 1 where no row matches."""
    from trunkline.reading.scan import Scanner, conditions

    wanted = conditions(given)
    with Project.find() as project:
        project.seal()
        named = (project.reachable if fetch else project.artifacts).find(dataset) if dataset else None
        only = None if named is None else (named.dataset, named.oid)
        scanner = Scanner(project.objects, wanted, fetch=fetch)
        rows = Rows(
            _Past(project.history()),
            lambda oid: _listing(project, oid, fetch),
            scanner.count,
            lambda oid: _datums(project, oid),
            everything=everything,
        )
        parts = rows.datasets(only, "" if named is None else named.inside)
        data = {"rows": dict(wanted), **_answer(parts, rows.models(only))}
    return Answer(data, lambda: "\n".join(_lines(data)), exit_code=0 if data["datasets"] else 1)


class _Past:
    """What `trunkline.rows` asks, of lineage's history."""

    def __init__(self, history: History) -> None:
        self._history = history
        self.sources = history.sources

    def locks(self) -> Iterator[Mapping[str, LockEntry]]:
        return iter(self._history.locks())

    def source_versions(self, path: str) -> Iterator[str]:
        return (version.oid for version in self._history.source_versions(path))

    def run_of(self, name: str, entry: LockEntry) -> str:
        run = self._history.run_of(name.replace("-", ".", 1), entry)
        return "" if run is None else run.id


def _listing(project: Project, oid: str, fetch: bool) -> tuple[File, ...] | None:
    with suppress(TrunklineError):
        return project.objects.listing(oid) if fetch else tuple(sorted(project.store.listing(oid)))
    return None


def _datums(project: Project, manifest: str) -> Mapping[str, str]:
    """The datums of a manifest by the files that they wrote."""
    rows = project.manifest(manifest) or ()
    return {file.path: row.datum.name for row in rows for file in row.files}


def _answer(parts: Sequence[Part], models: Sequence[Model]) -> dict[str, Any]:
    """As plain data."""
    return {
        "datasets": [_part(part) for part in parts if part.hits],
        "in_training_input": [
            {**_model_data(model), "inputs": [_part(part) for part in model.inputs]}
            for model in models
            if model.inputs
        ],
        "upstream_only": [
            {**_model_data(model), "dropped_at": drop.stage, "what": drop.what, "input": _part(drop.part)}
            for model in models
            for drop in model.dropped
        ],
        "not_known": [_model_data(model) for model in models if model.absent and not model.inputs],
        "clear": [
            _model_data(model) for model in models if not (model.inputs or model.dropped or model.absent)
        ],
        "absent": sum(part.absent for part in parts),
        "unreadable": sum(part.unread for part in parts),
    }


def _part(part: Part) -> dict[str, Any]:
    files = [hit._asdict() for hit in part.hits]
    return {
        "path": part.path,
        "version": part.version,
        "rows": part.rows,
        "files": files,
        "absent": part.absent,
    }


def _model_data(model: Model) -> dict[str, Any]:
    return {
        "model": model.name,
        "version": model.version,
        "stage": model.stage,
        "run": model.run or None,
        "absent": model.absent,
    }


def _lines(data: Mapping[str, Any]) -> Iterator[str]:
    if not data["datasets"]:
        yield f"no row has {', '.join(f'{column}={value}' for column, value in data['rows'].items())}"
    for part in data["datasets"]:
        yield f"{part['path']} {part['version'][:8]}: {_count(part)}"
        for file in part["files"][:_SHOWN]:
            datum = f"  (datum {file['datum']})" if file["datum"] else ""
            yield f"  {file['path']}: {file['rows']:,}{datum}"
        if len(part["files"]) > _SHOWN:
            yield f"  … and {len(part['files']) - _SHOWN} more files"
    if data["in_training_input"]:
        yield "in the training input of"
    for model in data["in_training_input"]:
        yield f"  {_model(model)}"
        yield from (f"    {part['path']} {part['version'][:8]}: {_count(part)}" for part in model["inputs"])
    if data["upstream_only"]:
        yield "upstream only, of"
    for model in data["upstream_only"]:
        part = model["input"]
        yield f"  {_model(model)}: dropped at {model['dropped_at']}"
        yield f"    it reads {part['path']} {part['version'][:8]}: {_count(part)}; {_WHAT[model['what']]}"
    for model in data["not_known"]:
        yield f"not known for {_model(model)}: {_files(model['absent'])} not be looked into; --fetch brings what is not here"
    if data["absent"]:
        yield f"{_files(data['absent'])} not be looked into: not here; --fetch brings them"

    if data["unreadable"]:
        yield f"{_files(data['unreadable'])} not be looked into: not what the name says, or empty"


def _model(model: Mapping[str, Any]) -> str:
    run = f", run {model['run']}" if model["run"] else ""
    return f"{model['model']} {model['version'][:8]} ({model['stage']}{run})"


def _count(part: Mapping[str, Any]) -> str:
    files = len(part["files"])
    return (
        f"{part['rows']:,} row{'' if part['rows'] == 1 else 's'} in {files:,} file{'' if files == 1 else 's'}"
    )


def _files(number: int) -> str:
    return f"{number:,} file{'' if number == 1 else 's'} could"
