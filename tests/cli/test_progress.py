"""What is said of a stage under way: how far, how fast, how long yet."""

from __future__ import annotations

import io

import pytest

from tests.plan.values import stage
from trunkline.cli import progress
from trunkline.cli.progress import Pace, Printer
from trunkline.model import Datum, DatumPlan, Decision, Failure, Outcome, StagePlan, StageReport

DONE = Outcome("p.s", "a", (), 0.1, "")
FAILED = Outcome("p.s", "a", (), 0.1, "", Failure("ValueError", "no"))
RECOVERED = Outcome("p.s", "a", (), 0.1, "", Failure("ValueError", "no"), recovered=True)
STAGE = stage()


def test_a_pace_in_words() -> None:
    pace = Pace(total=364, reused=12, now=100.0)
    assert pace.text(100.0) == "0 of 364, 12 reused"
    for half in range(1, 121):
        pace.count({1: RECOVERED, 2: FAILED}.get(half, DONE), 100.0 + half / 2)
    assert pace.text(160.0) == "120 of 364, 12 reused, 1 recovered, 1 failed, 2 a second, 2 min left"


def test_a_pace_is_that_of_the_last_half_minute() -> None:
    pace = Pace(total=1000, reused=0, now=0.0)
    for _ in range(500):
        pace.count(DONE, 1.0)
    for second in range(2, 102):
        pace.count(DONE, float(second))
    assert pace.text(101.0).endswith("1 a second, 7 min left")


def plan(count: int) -> StagePlan:
    datums = tuple(DatumPlan(Datum(str(n), str(n), ()), str(n), Decision.RUN) for n in range(count))
    return StagePlan(STAGE, Decision.RUN, (), datums, count)


def work(printer: Printer, count: int) -> None:
    printer.started(plan(count))
    for number in range(count):
        printer.outcome(STAGE, Datum(str(number), str(number), ()), DONE)
    printer.finished(StageReport("p.s", "done", Decision.RUN, run=count, total=count))
    printer.close()


def test_without_a_terminal_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter(range(0, 100_000, 3))  # three seconds a datum
    monkeypatch.setattr("trunkline.cli.progress.time.monotonic", lambda: float(next(clock)))
    work(Printer(["p.s", "p.other"]), 20)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  p.s      3 of 20, 0.333 a second, 51 s left; 0 of 2 stages"
    assert len(lines) == 20 // 4 + 1
    assert lines[-1].split()[:3] == ["p.s", "20", "run"]


def test_in_a_terminal_bars_that_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr(
        "rich.progress.get_console", lambda: Console(file=screen, force_terminal=True, width=110)
    )
    monkeypatch.setattr(progress, "_FRAME", -1.0)
    printer = Printer(["p.s", "p.other"])
    printer.started(plan(3))
    printer.outcome(STAGE, Datum("0", "0", ()), FAILED)
    assert printer._bars is not None
    printer._bars.refresh()
    assert "1 of 3, 1 failed" in screen.getvalue()
    assert "0 of 2" in screen.getvalue()
    printer.finished(StageReport("p.s", "failed", Decision.RUN, run=2, total=3))
    printer._bars.refresh()
    assert "1 of 2" in screen.getvalue()
    printer.close()
    assert printer._bars is None
