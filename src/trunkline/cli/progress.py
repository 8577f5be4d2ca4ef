"""What a run prints while it works: a line a stage; on a terminal a bar for what is under way.

run 019c3f2e-…
  flights.ingest    364 run                     12.3 s
  flights.clean     1 run, 363 reused            0.4 s
  flights.train     up to date
run 019c3f2e-… done in 41.2 s
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from trunkline.cli.output import seconds
from trunkline.model import Datum, Decision, FailedDatum, Outcome, Stage, StagePlan, StageReport

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOWN_FAILURES = 3


class Printer:
    """A Listener that prints. `names` are the stages to come, for the width of their column.

    `quiet` sends it to stderr: stdout belongs to `--json`.
    """

    def __init__(self, names: list[str], quiet: bool = False) -> None:
        self._stream: TextIO = sys.stderr if quiet else sys.stdout
        self._width = max(map(len, names), default=0)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._beat = time.monotonic()
        self._done: dict[str, int] = {}
        self._totals: dict[str, int] = {}

    def line(self, text: str) -> None:
        """Print one line, above the bars."""
        bars = self._bars  # what the thread of Prefect prints may come while they are taken away
        if bars is not None:
            bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
            return
        try:
            # in one piece: two threads print
            print(f"{text}\n", end="", file=self._stream, flush=True)
        except OSError:  # nobody reads any more (`| head`), or a full disk: no reason to end a run
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def started(self, plan: StagePlan) -> None:
        """A stage begins: a bar where its datums are worth watching."""
        ref = plan.stage.ref
        self._totals[ref] = plan.count(Decision.RUN)
        self._done[ref] = 0
        if self._stream.isatty() and self._totals[ref]:
            if self._bars is None:
                self._bars = _bars()
                self._bars.start()
            self._tasks[ref] = self._bars.add_task(ref, total=self._totals[ref])

    def outcome(self, stage: Stage, datum: Datum, outcome: Outcome) -> None:
        """A datum is done: move the bar, or say something every ten seconds."""
        self._done[stage.ref] += 1
        if stage.ref in self._tasks and self._bars is not None:
            self._bars.advance(self._tasks[stage.ref])
        elif not self._stream.isatty() and time.monotonic() - self._beat > 10:
            self._beat = time.monotonic()
            self.line(f"  {stage.ref:{self._width}}  {self._done[stage.ref]} of {self._totals[stage.ref]} …")

    def retried(self, stage: Stage, datum: Datum, outcome: Outcome, tried: int) -> None:
        """A datum is tried again: a line."""
        self.line(retry_text(stage, datum, outcome, tried))

    def finished(self, report: StageReport) -> None:
        """A stage is settled: its line, and what failed."""
        if report.stage in self._tasks and self._bars is not None:
            self._bars.remove_task(self._tasks.pop(report.stage))
        self.line(f"  {report.stage:{self._width}}  {summary(report)}")
        for failed in report.failures[:SHOWN_FAILURES]:
            self.line(failure_text(report.stage, failed))
        if len(report.failures) > SHOWN_FAILURES:
            self.line(f"    and {len(report.failures) - SHOWN_FAILURES} more datums failed")
        if report.error:
            self.line(error_lines(report))

    def close(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


_SAID = {"failed": "FAILED", "interrupted": "interrupted"}


def summary(report: StageReport) -> str:
    """What a stage did, in a few words."""
    match report.state:
        case "up_to_date":
            return "up to date"
        case "skipped":
            return "not run: a stage before it failed" if report.reasons else "not run"
    parts = [
        f"{count} {word}"
        for count, word in (
            (report.run, "run"),
            (report.reuse, "reused"),
            (report.drop, "dropped"),
            (len(report.failures), "failed"),
        )
        if count
    ]
    text = ", ".join(parts) or ("" if report.error else "no datums")
    if report.decision is Decision.RELOCK:
        text += " (nothing changed but the lock)"
    if report.state in ("failed", "interrupted"):
        text = ": ".join(filter(None, (_SAID[report.state], text)))
    return f"{text:32} {seconds(report.ended - report.started):>8}"


def error_lines(report: StageReport) -> str:
    """Why a stage failed that has no datum to blame."""
    return "    " + report.error.replace("\n", "\n    ")


def failure_text(stage: str, failed: FailedDatum) -> str:
    """Which datum, from which files, why, where its log is, how to run it again."""
    message = failed.failure.message.replace("\n", "\n  ")
    lines = [f"    datum {failed.datum.name} failed: {failed.failure.kind}: {message}"]
    lines += [f"      {line}" for line in input_lines(failed)]
    lines += [f"      {line}" for line in failed.failure.traceback.rstrip().splitlines()]
    lines.append(f"      log:   {failed.log}")
    lines.append(f"      again: trunkline exec {stage} --datum {failed.datum.id[:12]}")
    return "\n".join(lines)


def retry_text(stage: Stage, datum: Datum, outcome: Outcome, tried: int) -> str:
    """Which datum failed and is tried again, and why."""
    failure = outcome.failure
    why = f": {failure.kind}: {failure.message.splitlines()[0]}" if failure and failure.message else ""
    return f"    {stage.ref}: datum {datum.name}, try {tried} of {stage.datum_tries}{why}; again"


def input_lines(failed: FailedDatum) -> list[str]:
    """From which files and directories a datum was made."""
    return [f"input {item.input}: {item.dataset}/{item.path}".rstrip("/") for item in failed.datum.items]


def _bars() -> Progress:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, transient=True)
