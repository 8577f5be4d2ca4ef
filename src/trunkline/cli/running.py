"""One run from its first line to its last, wherever it is shown: in a terminal, in Prefect, in both.

The order: abandoned runs are sealed, what is stale is compiled, ticks that are due are written, changed
sources are versioned, the engine brings the stages up to date. The run's id is printed first and last.
However it ends, results are kept, the record says how, and whoever shows it is told.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from trunkline.cli.output import seconds
from trunkline.cli.progress import Printer
from trunkline.cli.record import Recorder, Show
from trunkline.errors import TrunklineError
from trunkline.ledger.ids import uuid7
from trunkline.model import DatasetKind, Stage, StageReport
from trunkline.plan.narrow import Failed
from trunkline.points import Point, reached
from trunkline.project import Project

if TYPE_CHECKING:
    from trunkline.flows.flow import Told

_SAID = {"done": "done", "failed": "FAILED", "interrupted": "interrupted"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is asked for beyond what has changed.

    `force`: every datum; `pending`: datums that were recovered, and stages that are run every time;
    `failed`: of what has changed, only these datums; without `ticks` no clock ticks.
    """

    force: bool = False
    pending: bool = False
    failed: Failed | None = None
    ticks: bool = True


def execute(
    project: Project,
    stages: Sequence[Stage],
    printer: Printer,
    *,
    command: str,
    asked: Asked = Asked(),
    show: Callable[[Recorder], Show] | None = None,
) -> Recorder:
    """Bring `stages` (upstream first) up to date; the run's recorder, with a report for each stage.

    `show` makes, from the recorder of the run, who shows it. Raises what the engine raises.
    """
    began = time.monotonic()
    project.seal()
    compiled = project.compile()
    reached(Point.COMPILED)
    recorder = Recorder(project, command, printer, run_id=uuid7())
    printer.line(f"run {recorder.id}")
    for path in compiled:
        printer.line(f"  wrote {path}")
    state, message = "failed", ""
    try:
        ticks = project.tick(stages) if asked.ticks else ()
        for path in chain(ticks, _version_sources(project, stages)):
            printer.line(f"  wrote {path}")
        reached(Point.SOURCES_VERSIONED)
        recorder.show = show(recorder) if show is not None else None
        with project.engine(recorder.paths, recorder) as engine:
            engine.run(
                stages,
                force=asked.force,
                pending=asked.pending,
                failed=asked.failed,
                order=project.dvc_order(),
            )
        reached(Point.RUN_COMPLETE)
        project.store.complete([stage.dvc_name for stage in stages])
        state = "done"
    except TrunklineError as error:
        message = error.message
        if recorder.log is not None and not error.hint:
            error.hint = f"type `trunkline show {recorder.id}` to see it again"
        raise
    except Exception:
        raise
    except BaseException:  # Ctrl-C, SIGTERM, or what Prefect makes of it
        state = "interrupted"
        raise
    finally:
        printer.close()
        try:  # interrupted while it waits for Prefect, the run has ended as it had before
            if recorder.show is not None:
                said = message or f"run {recorder.id} {_SAID[state]}"
                recorder.show.end(state, said, _told(project, recorder))
        finally:
            recorder.finish(state)
            more = "; what was done is kept" if state == "interrupted" else ""
            printer.line(f"run {recorder.id} {_SAID[state]} in {seconds(time.monotonic() - began)}{more}")
    return recorder


def _version_sources(project: Project, stages: Sequence[Stage]) -> Iterator[str]:
    """Version what is there of these stages' sources, as `dvc repro` does; the pointers that changed.

    A pointer may be wrong where every stage is up to date: git took it to another commit, or what
    changed is a part of the dataset that no stage reads. Or its data are not in the cache: they came
    by another way than DVC.
    """
    for path in source_paths(stages):
        pointer = f"{path}.dvc"
        present, named = project.gather.version(path), project.store.pointer(pointer)
        if present is None or named is None:
            continue
        if present != named or not os.path.exists(project.store.object_path(present.oid)):
            with project.store.holding("trunkline run", [path], []):
                fresh = project.store.pointer(pointer) != named  # somebody was here before the lock
                project.gather.settle(path, project.store.keep_source(path, fresh=fresh))
            if present != named:
                yield pointer


def source_paths(stages: Sequence[Stage]) -> list[str]:
    """The paths of the source datasets that these stages read."""
    leaves = [leaf.dataset for stage in stages for leaf in stage.leaves]
    return sorted({dataset.path for dataset in leaves if dataset.kind is DatasetKind.SOURCE})


# ---------------------------------------------------------------- what is told of a run


def _told(project: Project, recorder: Recorder) -> list[Told]:
    """The metrics of the stages that ran, and where their models come from."""
    if recorder.log is None:
        return []
    ran = [report for report in recorder.reports if report.state == "done"]
    told = list(_metrics(project, ran))
    with suppress(TrunklineError):  # a lineage that cannot be read is no reason for a run to fail
        told += _lineage(project, recorder, ran)
    return told


def _metrics(project: Project, reports: Sequence[StageReport]) -> Iterator[Told]:
    from trunkline.flows.flow import Told

    rows: list[dict[str, object]] = []
    for report in reports:
        stage = project.stage(report.stage)
        for name in stage.metrics:
            values = _flat(_json(os.path.join(project.root, stage.path, name)))
            rows += [{"stage": report.stage, "metric": key, "value": value} for key, value in values]
    if rows:
        name = "-".join(dict.fromkeys(report.stage.partition(".")[0] for report in reports))
        yield Told(f"{name}-metrics", "The metrics of this run", table=rows)


def _json(path: str) -> object:
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except (OSError, ValueError):  # metrics may be YAML, or gone by now: DVC shows them either way
        return {}


def _flat(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif prefix and not isinstance(value, list):
        yield prefix, value


def _lineage(project: Project, recorder: Recorder, reports: Sequence[StageReport]) -> Iterator[Told]:
    from trunkline.flows.flow import Told
    from trunkline.lineage import Artifact, render_text, walk
    from trunkline.lineage.mermaid import render_mermaid

    for report in reports:
        model = project.stage(report.stage).model
        if model is None or report.entry is None:
            continue
        path = f"{project.stage(report.stage).path}/{model.path}"
        version = project.store.version(path)
        if version is None:
            continue
        graph = walk(Artifact(path, version.oid, path), project.history())
        record = os.path.join(recorder.directory, "run.json")
        markdown = (
            f"`trunkline lineage {path}` shows it in the project, for the model that is there; a copy of this"
            f" one is known wherever it lies. Run `{recorder.id}`: `trunkline show {recorder.id}`,"
            f" [run.json](file://{record})\n\n```\n{render_text(graph)}\n```\n\n"
            f"```mermaid\n{render_mermaid(graph)}\n```\n"
        )
        yield Told(f"lineage-{model.name}", f"Where the model {model.name} comes from", markdown=markdown)
