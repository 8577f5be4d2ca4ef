"""A datum under Python's debugger: where it stops, and what leaving it means."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tests.runners.conftest import Bench
from trunkline.runners.debugger import Left, debug

MODULE = """
import functools
import json

def noisy(call):
    @functools.wraps(call)
    def wrapper(**given):
        before = 1
        return call(**given)
    return wrapper

@noisy
def fine(*, times):
    doubled = times * 2
    print("doubled", doubled)
    return {"out.txt": str(doubled)}

def broken(*, times):
    text = "{" * times
    return {"out.json": json.loads(text)}
"""


Typed = Callable[..., str]


@pytest.fixture
def debugged(bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Executes a function in the debugger, in which these lines are typed; what the terminal shows."""
    bench.code(MODULE)

    def run(function: str, *lines: str) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))
        work = bench.work(function, params={"times": 2})
        outcome = debug(work)
        shown = capsys.readouterr().out
        if outcome.failure is None:
            assert bench.out(outcome, outcome.files[0].path) == b"4"
        else:
            assert bench.left() == []
            assert outcome.failure.traceback.count("in broken") == 1
            assert "bdb.py" not in outcome.failure.traceback
        assert bench.log(work) == "", "it was shown, so it is not kept"
        return shown

    return run


def test_it_stops_at_the_first_line_behind_what_decorates_the_function(debugged: Typed) -> None:
    shown = debugged("fine", "p times + 40", "n", "p doubled * 10", "c")
    first = shown.index("-> doubled = times * 2")
    assert shown.index("42") > first
    assert "\n(Pdb) 40\n" in shown
    assert "doubled 4" in shown, "what it prints comes to the terminal"
    assert "before = 1" not in shown


def test_it_stops_where_it_raises_in_the_projects_own_frame(debugged: Typed) -> None:
    shown = debugged("broken", "c", "p text", "down", "q")
    assert "JSONDecodeError: Expecting property name" in shown
    after = shown[shown.index("JSONDecodeError") :]
    assert after.index("stages/mine.py") < after.index("'{{'") < after.index("json/__init__.py")
    assert "broken()" in after.splitlines()[1]


def test_to_step_into_an_error_and_on_is_to_stop_there_too(debugged: Typed) -> None:
    shown = debugged("broken", "n", "n", "c", "p len(text)", "q")
    assert shown.index("-> text =") < shown.index("-> return {") < shown.index("JSONDecodeError: ")


def test_to_leave_is_no_failure_of_the_datum(debugged: Typed, bench: Bench) -> None:
    with pytest.raises(Left):
        debugged("fine", "q")
    with pytest.raises(Left):
        debugged("fine")  # the terminal is closed
    assert bench.left() == []
