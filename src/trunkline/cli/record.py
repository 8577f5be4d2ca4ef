"""Writes down what a run does while a person watches: the run's record beside the printer, and Prefect.

A run that finds nothing to do leaves no record; the record begins with the first stage that does
something, or fails to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from trunkline.cli.progress import (
    SHOWN_RETRIES,
    Printer,
    error_lines,
    failure_text,
    recovered_texts,
    retry_text,
    summary,
    why,
)
from trunkline.engine.works import RunPaths
from trunkline.errors import TrunklineError
from trunkline.ledger.ids import FOLDER
from trunkline.model import Datum, Outcome, Stage, StagePlan, StageReport
from trunkline.ports import Listener
from trunkline.project import Project

if TYPE_CHECKING:  # what writes a record is imported when there is one to write
    from trunkline.flows.flow import Told
    from trunkline.ledger.records import Scene
    from trunkline.ledger.runs import RunLog
    from trunkline.ledger.states import StatesLog

_SETTINGS = (
    "dvc.yaml",
    "prefect.yaml",
    ".dvcignore",
    ".dvc/config",
)  # beside the code, they decide what a run does


class Show(Listener, Protocol):
    """Where a run is shown beside the terminal."""

    def end(self, state: str, message: str, artifacts: Sequence[Told] = ()) -> None:
        """The run is over: done, failed or interrupted."""


class Recorder:
    """A Listener: prints, and keeps the record of the run `run_id`, or of the open `log`."""

    def __init__(
        self, project: Project, command: str, printer: Printer, *, run_id: str = "", log: RunLog | None = None
    ) -> None:
        self.id = log.id if log is not None else run_id
        self.directory = os.path.join(project.home, FOLDER, self.id)
        self.paths = RunPaths(self.id, self.directory)
        self.log = log
        self.show: Show | None = None
        self.reports: list[StageReport] = []
        self._project = project
        self._command = command
        self._printer = printer
        self._states: dict[str, StatesLog] = {}
        self._retries: dict[str, int] = {}

    def started(self, plan: StagePlan) -> None:
        """A stage begins."""
        from trunkline.ledger.states import StatesLog

        self._begin().stage_started(plan)
        self._states[plan.stage.ref] = StatesLog(self.directory, plan, self._manifest(plan.stage))
        self._printer.started(plan)
        if self.show is not None:
            self.show.started(plan)

    def outcome(self, stage: Stage, datum: Datum, outcome: Outcome) -> None:
        """A datum is done."""
        state = "recovered" if outcome.recovered else "failed" if outcome.failure else "run"
        self._states[stage.ref].settled(datum.id, state, outcome.seconds, why(outcome))
        self._printer.outcome(stage, datum, outcome)
        if self.show is not None:
            self.show.outcome(stage, datum, outcome)

    def retried(self, stage: Stage, datum: Datum, outcome: Outcome, tried: int) -> None:
        """A datum is tried again; its log says where one try ends and the next begins."""
        self._states[stage.ref].tried(datum.id, outcome.seconds, why(outcome))
        text = retry_text(stage, datum, outcome, tried)
        self._begin().datum_says(stage.ref, datum.id, f"--- {text.strip()} ---")
        told = self._retries[stage.ref] = self._retries.get(stage.ref, 0) + 1
        if told <= SHOWN_RETRIES:
            self._begin().log(text)
            self._printer.retried(stage, datum, outcome, tried)
        elif told == SHOWN_RETRIES + 1:
            self._begin().log(f"    {stage.ref}: more of its datums are tried again")
            self._printer.line(f"    {stage.ref}: more of its datums are tried again")
        if self.show is not None:
            self.show.retried(stage, datum, outcome, tried)

    def finished(self, report: StageReport) -> None:
        """A stage is settled."""
        self.reports.append(report)
        self._printer.finished(report)
        if report.state == "failed":
            self._begin()
        if self.log is not None and report.state != "up_to_date":
            self.log.stage_finished(report, self._digests(report))
            self.log.log(f"{report.stage}  {summary(report)}")
            for failed in report.failures:
                self.log.log(failure_text(report.stage, failed))
            for text in recovered_texts(report):
                self.log.log(text)
            if report.error:
                self.log.log(error_lines(report))
        if self.show is not None:
            self.show.finished(report)

    def shown(self, flow: str, url: str, tasks: int = 0) -> None:
        """The run is shown as this Prefect flow run."""
        if self.log is not None:
            self.log.flow({"id": flow, "url": url, "tasks": tasks})

    def _manifest(self, stage: Stage) -> str:
        """The hash of the manifest that stands in dvc.lock before the stage runs, "" where there is none."""
        entry = self._project.store.lock_entry(stage.dvc_name)
        outs = entry.outs if entry is not None else ()
        return next((out.md5 for out in outs if out.path == stage.manifest_path), "")

    def _begin(self) -> RunLog:
        if self.log is None:
            from trunkline.ledger.runs import RunLog

            scene = describe(self._project, self.id)
            self.log = RunLog.begin(self._project.home, command=self._command, scene=scene, run_id=self.id)
        return self.log

    def finish(self, state: str) -> None:
        """The run is over."""
        if self.log is not None:
            self.log.finish(state)
            try:
                self._project.archive.keep(self.log.record())
            except TrunklineError as error:
                self._printer.line(f"  not in git yet: {error.message}; `trunkline runs rebuild` tries again")

    def _digests(self, report: StageReport) -> Mapping[str, str]:
        """sha256 of the model, the metrics and the manifest that a stage left."""
        if report.entry is None:
            return {}
        from trunkline.archive import digests

        stage = self._project.stage(report.stage)
        names = [*stage.metrics, *([stage.model.path] if stage.model is not None else [])]
        return digests(self._project.root, [f"{stage.path}/{name}" for name in names], [stage.manifest_path])


def describe(project: Project, run_id: str) -> Scene:
    """What is checked out, what it runs with, and the code as a tree of git."""
    from trunkline.ledger.environment import capture
    from trunkline.ledger.records import Scene
    from trunkline.store import git

    paths = ["pipelines", "stages", "dvc.yaml", *_code(project)]
    state = git.state(project.root, paths)
    if project.deployed is not None:  # detached at a commit of the branch
        state = state._replace(branch=project.deployed.branch or None, worktree=project.deployed.name)
    names = {name for stage in project.stages for name in stage.secrets}
    secrets = [os.environ[name] for name in sorted(names) if name in os.environ]
    files = [*_code(project), *project.pipeline_texts, *project.store.sources().values(), *_SETTINGS]
    code = project.archive.code(run_id, files, secrets)
    return Scene(state, capture(project.root), {**code, "sources": _sources(project)})


def _sources(project: Project) -> dict[str, str]:
    """The version of every source dataset, as its pointer says it."""
    pointers = {path.removesuffix(".dvc"): path for path in project.store.sources().values()}
    versions = {path: project.store.pointer(file) for path, file in pointers.items()}
    return {path: version.oid for path, version in versions.items() if version is not None}


def _code(project: Project) -> list[str]:
    return sorted({path for stage in project.stages for path in project.code.files(stage)})
