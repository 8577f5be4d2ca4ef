"""What a run prints while it works: a line a stage; on a terminal bars for what is under way.

run 019c3f2e-…
  flights.ingest    364 run                     12.3 s
  flights.clean     120 of 364, 1 failed, 40.2 a second, 6 s left; 1 of 5 stages
  flights.clean     363 run, 1 reused            9.1 s
  flights.train     up to date
run 019c3f2e-… done in 41.2 s

Where there is no terminal, the line of a stage under way comes every ten seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from trunkline.cli.output import seconds
from trunkline.model import (
    Datum,
    Decision,
    FailedDatum,
    Failure,
    Outcome,
    Stage,
    StagePlan,
    StageReport,
)
from trunkline.plan.narrow import is_left, is_waiting

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOWN_FAILURES = 3
SHOWN_RETRIES = 3  # of a stage; all of them are among the states of its datums
_BEAT = 10.0  # seconds between two lines where no terminal is
_FRAME = 0.1  # seconds between two changes of a bar
_LONG = 200  # characters of what went wrong, where it stands in a line


class Pace:
    """How far the datums of a stage are, and how fast. Times are given, in seconds of any clock."""

    def __init__(self, total: int, reused: int, now: float) -> None:
        self.total = total
        self.done = 0
        self.shown = now
        self._counts = {"reused": reused, "recovered": 0, "failed": 0}
        self._marks = deque([(now, 0)], maxlen=30)  # one a second: what is slow now counts, not what was

    def count(self, outcome: Outcome, now: float) -> None:
        """A datum is done, well or not."""
        self.done += 1
        if outcome.recovered:
            self._counts["recovered"] += 1
        elif outcome.failure is not None:
            self._counts["failed"] += 1
        if now - self._marks[-1][0] >= 1:
            self._marks.append((now, self.done))

    def text(self, now: float) -> str:
        """`120 of 364, 12 reused, 1 failed, 40.2 a second, 6 s left`."""
        parts = [f"{self.done} of {self.total}"]
        parts += [f"{count} {word}" for word, count in self._counts.items() if count]
        then, done = self._marks[0]
        if self.done > done and now > then:
            rate = (self.done - done) / (now - then)
            parts += [f"{rate:.3g} a second", f"{_rough((self.total - self.done) / rate)} left"]
        return ", ".join(parts)


class Printer:
    """A Listener that prints. `names` are the stages to come, for the width of their column.

    `quiet` sends it to stderr: stdout belongs to `--json`.
    """

    def __init__(self, names: list[str], quiet: bool = False) -> None:
        self._stream: TextIO = sys.stderr if quiet else sys.stdout
        self._width = max(map(len, names), default=0)
        self._stages = len(names)
        self._settled = 0
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._beat = time.monotonic()
        self._paces: dict[str, Pace] = {}

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
        ref, now = plan.stage.ref, time.monotonic()
        pace = self._paces[ref] = Pace(plan.count(Decision.RUN), plan.count(Decision.REUSE), now)
        if self._stream.isatty() and pace.total:
            if self._bars is None:
                self._bars = _bars()
                self._bars.start()
                self._tasks[""] = self._bars.add_task("stages", total=self._stages, said="")
                self._all()
            self._tasks[ref] = self._bars.add_task(ref, total=pace.total, said=pace.text(now))

    def outcome(self, stage: Stage, datum: Datum, outcome: Outcome) -> None:
        """A datum is done: move the bar, or say something every ten seconds."""
        pace, now = self._paces[stage.ref], time.monotonic()
        pace.count(outcome, now)
        if stage.ref in self._tasks and self._bars is not None:
            if now - pace.shown > _FRAME:
                pace.shown = now
                self._bars.update(self._tasks[stage.ref], completed=pace.done, said=pace.text(now))
        elif not self._stream.isatty() and now - self._beat > _BEAT:
            self._beat = now
            stages = f"{self._settled} of {self._stages} stages"
            self.line(f"  {stage.ref:{self._width}}  {pace.text(now)}; {stages}")

    def retried(self, stage: Stage, datum: Datum, outcome: Outcome, tried: int) -> None:
        """A datum is tried again: a line."""
        self.line(retry_text(stage, datum, outcome, tried))

    def finished(self, report: StageReport) -> None:
        """A stage is settled: its line, and what failed."""
        self._settled += 1
        if self._bars is not None:
            self._all()
            if report.stage in self._tasks:
                self._bars.remove_task(self._tasks.pop(report.stage))
        self.line(f"  {report.stage:{self._width}}  {summary(report)}")
        for failed in report.failures[:SHOWN_FAILURES]:
            self.line(failure_text(report.stage, failed))
        if len(report.failures) > SHOWN_FAILURES:
            self.line(f"    and {len(report.failures) - SHOWN_FAILURES} more datums failed")
            self.line(f"      all: trunkline datums {report.stage} --state failed")
        for text in recovered_texts(report):
            self.line(text)
        if report.error:
            self.line(error_lines(report))

    def _all(self) -> None:
        """Move the bar of the stages."""
        if self._bars is not None:
            said = f"{self._settled} of {self._stages}"
            self._bars.update(self._tasks[""], completed=self._settled, said=said)

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
            return _skipped(report)
    parts = [
        f"{count} {word}"
        for count, word in (
            (report.run, "run"),
            (report.reuse, "reused"),
            (report.drop, "dropped"),
            (len(report.recovered), "recovered"),
            (len(report.failures), "failed"),
            (report.wait, "left waiting"),
        )
        if count
    ]
    text = ", ".join(parts) or ("" if report.error else "no datums")
    if report.decision is Decision.RELOCK:
        text += " (nothing changed but the lock)"
    if report.state in ("failed", "interrupted"):
        text = ": ".join(filter(None, (_SAID[report.state], text)))
    return f"{text:32} {seconds(report.ended - report.started):>8}"


def _skipped(report: StageReport) -> str:
    if is_left(report.reasons):
        return "left waiting: it is not up to date, and none of its datums failed"
    if is_waiting(report.reasons):
        return "not run: a stage before it is left waiting"
    return "not run: a stage before it failed" if report.reasons else "not run"


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


def recovered_texts(report: StageReport) -> Iterator[str]:
    """Which datums failed and were recovered, a few of them, and how to try them again."""
    for failed in report.recovered[:SHOWN_FAILURES]:
        yield f"    datum {failed.datum.name} recovered: {one_line(failed.failure)}"
        yield f"      log:   {failed.log}"
    if len(report.recovered) > SHOWN_FAILURES:
        yield f"    and {len(report.recovered) - SHOWN_FAILURES} more datums recovered"
    if report.recovered:
        yield f"      again: trunkline run {report.stage} --retry-recovered"


def retry_text(stage: Stage, datum: Datum, outcome: Outcome, tried: int) -> str:
    """Which datum failed and is tried again, and why."""
    reason = f": {why(outcome)}" if why(outcome) else ""
    return f"    {stage.ref}: datum {datum.name}, try {tried} of {stage.datum_tries}{reason}; again"


def why(outcome: Outcome) -> str:
    """What went wrong with a datum, in one line; "" where nothing did."""
    return "" if outcome.failure is None else one_line(outcome.failure)


def one_line(failure: Failure) -> str:
    """A failure in one line, cut where it is long."""
    text = ": ".join(filter(None, (failure.kind, " ".join(failure.message.split()))))
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"


def input_lines(failed: FailedDatum) -> list[str]:
    """From which files and directories a datum was made."""
    return [f"input {item.input}: {item.dataset}/{item.path}".rstrip("/") for item in failed.datum.items]


def _rough(value: float) -> str:
    """A duration as one guesses it: 6 s, 4 min, 2 h."""
    if value < 100:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 6000 else f"{value / 3600:.0f} h"


def _bars() -> Progress:
    from rich.progress import BarColumn, Progress, TextColumn

    columns = (TextColumn("  {task.description}"), BarColumn(), TextColumn("{task.fields[said]}"))
    return Progress(*columns, transient=True)
