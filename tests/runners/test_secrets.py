"""Secrets: who sees them, and that nobody writes them down."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.runners.conftest import Bench, everything, take
from trunkline.model import Command, Outcome, Work
from trunkline.runners.pools import AdaptivePool
from trunkline.runners.processes import ProcessPool
from trunkline.runners.secrets import Mask
from trunkline.runners.worker import execute

VALUE = "hunter2 and\n'more'"
TELL = """
    import os, signal, sys
    def tell(*, how="return"):
        value = os.environ.get("PASSWORD", "nothing")
        print("I know", value, flush=True)
        os.write(1, b"half of it: " + value[:4].encode())
        os.write(1, value[4:].encode() + b"\\n")
        if how == "raise":
            raise ValueError(value)
        if how == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return {"seen.txt": value}
"""


@pytest.fixture(autouse=True)
def password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", VALUE)


@pytest.mark.parametrize("how", ["return", "raise", "die"])
def test_a_function_has_its_secret_and_nobody_writes_it_down(how: str, bench: Bench) -> None:
    bench.code(TELL)
    pool = ProcessPool(1)
    work = bench.work("tell", params={"how": how}, secrets=("PASSWORD",))

    (outcome,) = everything(pool, [work]).values()
    pool.close()

    log = bench.log(work)
    assert log.startswith("I know ***\nhalf of it: ***\n")
    assert "hunter" not in log + repr(outcome.failure)
    if how == "return":
        assert bench.out(outcome, "seen.txt").decode() == VALUE
    elif how == "raise":
        assert outcome.failure is not None
        assert outcome.failure.message == "***"
        assert "ValueError: ***" in outcome.failure.traceback
    else:
        assert outcome.failure is not None


def test_here_too(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.code(TELL)
    work = bench.work("tell", params={"how": "raise"}, secrets=("PASSWORD",))

    outcome = execute(work)

    assert outcome.failure is not None
    assert "hunter" not in repr(outcome.failure)
    assert bench.log(work).startswith("I know ***\n")
    assert "hunter" not in bench.log(work)
    assert os.environ["PASSWORD"] == VALUE


def test_a_command_has_its_secret_and_nobody_writes_it_down(bench: Bench) -> None:
    script = (
        'printf %s "$PASSWORD" > pfs/out/seen; echo "out: $PASSWORD"; printf hun >&2; sleep 0.1; '
        "printf 'ter2 and' >&2; exit 3"
    )
    command = Command(("sh", "-c", script))
    rescue = Command(("sh", "-c", 'echo "again: $PASSWORD"; test "$PASSWORD"'))
    work = bench.work(command, secrets=("PASSWORD",), err_cmd=rescue)

    outcome = execute(work)

    assert outcome.recovered
    assert outcome.failure is not None
    assert outcome.failure.message == "exit code 3\n    ***"
    assert "hunter" not in bench.log(work)
    assert "out: ***" in bench.log(work)
    assert "again: ***" in bench.log(work)


def seen(outcome: Outcome, bench: Bench) -> str:
    assert outcome.failure is None
    return bench.out(outcome, "seen.txt").decode()


def test_stages_that_do_not_declare_it_do_not_see_it(bench: Bench) -> None:
    bench.code(TELL)
    tell = Command(("sh", "-c", 'printf %s "${PASSWORD-nothing}" > pfs/out/seen.txt'))
    runs: list[Command | str] = ["tell", tell]

    def works(stage: str, **declared: Any) -> list[Work]:
        return [bench.work(run, stage=f"{stage}.{n}", **declared) for n, run in enumerate(runs)]

    theirs, others = works("p", secrets=("PASSWORD",)), works("q", hidden=("PASSWORD",))
    for pool in (ProcessPool(1), AdaptivePool(1)):
        outcomes = everything(pool, [*theirs, *others, *theirs])
        assert [seen(outcomes[work.datum], bench) for work in theirs] == [VALUE] * 2
        assert [seen(outcomes[work.datum], bench) for work in others] == ["nothing"] * 2
        pool.close()
    assert [seen(execute(work), bench) for work in others] == ["nothing"] * 2
    assert os.environ["PASSWORD"] == VALUE


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_worker_was_started_with_it(bench: Bench) -> None:
    bench.code("def f():\n    return {'seen.txt': open('/proc/self/environ', 'rb').read()}\n")
    pool = ProcessPool(1)
    pool.submit(bench.work("f", secrets=("PASSWORD",)))
    outcome = take(pool)
    pool.close()

    environ = bench.out(outcome, "seen.txt")
    assert b"PATH=" in environ
    assert b"hunter" not in environ


def test_a_secret_that_is_not_there_fails_the_datum(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PASSWORD")
    outcome = bench.do(Command(("true",)), secrets=("PASSWORD",))

    assert outcome.failure is not None
    assert outcome.failure.kind == "MissingSecret"
    assert outcome.failure.message == "PASSWORD is not set where the datum is computed"


def test_a_mask_finds_a_value_in_its_forms_and_over_pieces() -> None:
    mask = Mask(["abcd", "a b\nlonger line", "quo'te\t"])

    assert mask.text("xabcdx a b, longer line; a b\nlonger line") == "x***x ***, ***; ***"
    assert mask.text(repr({"k": "quo'te\t"})) == """{'k': "***"}"""
    for size in (1, 2, 3, 5, 100):
        stream = mask.stream()
        text = b"xabcdx abc longer line ab" * 3
        pieces = [text[start : start + size] for start in range(0, len(text), size)]
        told = b"".join(stream.feed(piece) for piece in pieces) + stream.rest()
        assert told == b"x***x abc *** ab" * 3
    assert not Mask([""])
    assert Mask([]).data(b"abcd") == b"abcd"


def test_what_is_said_in_pieces_is_masked_in_a_log_of_this_process(bench: Bench) -> None:
    bench.code(
        """
        import os, sys
        def f():
            for letter in os.environ["PASSWORD"]:
                sys.stdout.write(letter)
            return {}
        """
    )
    work = bench.work("f", secrets=("PASSWORD",))

    execute(work)

    assert "hunter" not in bench.log(work)
    assert Path(work.log).read_text().startswith("***")
