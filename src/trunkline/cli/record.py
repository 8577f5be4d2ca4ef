"""Writes down what a run does while a person watches: the run's record beside the printer.

A run that finds nothing to do leaves no record; the record begins with the first stage that does
something, or fails to.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from trunkline.cli.progress import Printer, error_lines, failure_text, summary
from trunkline.ledger.runs import FOLDER, RunLog
from trunkline.model import Datum, GitState, Outcome, Stage, StagePlan, StageReport
from trunkline.project import Project


class Recorder:
    """A Listener: prints, and keeps the record of the run `run_id`, or of the open `log`."""

    def __init__(
        self, project: Project, command: str, printer: Printer, *, run_id: str = "", log: RunLog | None = None
    ) -> None:
        self.id = log.id if log is not None else run_id
        self.directory = os.path.join(project.root, FOLDER, self.id)
        self.log = log
        self.reports: list[StageReport] = []
        self._project = project
        self._command = command
        self._printer = printer

    def started(self, plan: StagePlan) -> None:
        """A stage begins."""
        self._begin().stage_started(plan)
        self._printer.started(plan)

    def outcome(self, stage: Stage, datum: Datum, outcome: Outcome) -> None:
        """A datum is done."""
        self._printer.outcome(stage, datum, outcome)

    def finished(self, report: StageReport) -> None:
        """A stage is settled."""
        self.reports.append(report)
        self._printer.finished(report)
        if report.state == "failed":
            self._begin()
        if self.log is not None and report.state != "up_to_date":
            self.log.stage_finished(report)
            self.log.log(f"{report.stage}  {summary(report)}")
            for failed in report.failures:
                self.log.log(failure_text(report.stage, failed))
            if report.error:
                self.log.log(error_lines(report))

    def _begin(self) -> RunLog:
        if self.log is None:
            state, environment = describe(self._project)
            self.log = RunLog.begin(
                self._project.root, command=self._command, git=state, environment=environment, run_id=self.id
            )
        return self.log

    def finish(self, state: str) -> None:
        """The run is over."""
        if self.log is not None:
            self.log.finish(state)


def describe(project: Project) -> tuple[GitState, Mapping[str, object]]:
    """What is checked out, and what it runs with."""
    from trunkline.ledger.environment import capture
    from trunkline.store import git

    paths = ["pipelines", "stages", "dvc.yaml", *_code(project)]
    return git.state(project.root, paths), capture()


def _code(project: Project) -> list[str]:
    return sorted({path for stage in project.stages for path in project.code.files(stage)})
