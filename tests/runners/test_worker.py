"""One datum: what it sees, and what it leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.runners.conftest import Bench
from trunkline.model import Command, Function
from trunkline.runners.worker import Executor, execute


def test_an_outcome_says_what_where_and_how_long(bench: Bench) -> None:
    bench.code("import time\ndef f():\n    time.sleep(0.02)\n    return {'a.txt': 'x'}\n")
    work = bench.work("f")

    outcome = execute(work)

    assert (outcome.stage, outcome.datum) == (work.stage, work.datum)
    assert outcome.seconds >= 0.02
    assert bench.left() == [f"{Path(outcome.scratch).name}/pfs/out/a.txt"]


def test_seconds_do_not_count_imports(bench: Bench) -> None:
    bench.code("import time\ntime.sleep(0.5)\ndef f():\n    return {}\n")

    assert bench.do("f").seconds < 0.5


def test_datums_of_a_stage_may_share_a_scratch(bench: Bench) -> None:
    bench.code(
        "def f(*, text):\n    return {'a.txt': text}\n\ndef g(*, text):\n    return {f'{text}.txt': text}\n"
    )

    first, second = (bench.do("f", params={"text": text}, scratch="stage") for text in ("one", "two"))
    third = bench.do("g", params={"text": "three"}, scratch="stage")

    assert bench.out(first, "a.txt") == b"one"
    assert bench.out(second, "a.txt") == b"two"
    assert first.scratch == third.scratch != second.scratch


def test_datums_that_write_for_themselves_never_share(bench: Bench) -> None:
    bench.code("def f(*, text, out):\n    (out / 'a.txt').write_text(text)\n")

    first, second = (bench.do("f", params={"text": text}, scratch="stage") for text in ("one", "two"))

    assert (bench.out(first, "a.txt"), bench.out(second, "a.txt")) == (b"one", b"two")


def test_a_datum_may_be_executed_again(bench: Bench) -> None:
    bench.code("def f(*, out):\n    (out / 'a.txt').write_text('x')\n\ndef g():\n    return {'a.txt': 'x'}\n")
    for run in (
        Function("stages.mine", "f"),
        Function("stages.mine", "g"),
        Command(("touch", "pfs/out/a.txt")),
    ):
        work = bench.work(run)
        first, second = execute(work), execute(work)
        assert first.failure is second.failure is None
        assert first.files == second.files


def test_env_and_directory_are_set_for_the_datum_and_put_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNKLINE_OLD", "old")
    here = os.getcwd()
    bench.code(
        """
        import os
        def f():
            seen = f"{os.environ['TRUNKLINE_OLD']} {os.environ['TRUNKLINE_NEW']} {os.getcwd()}"
            os.chdir("/")
            del os.environ["TRUNKLINE_NEW"]
            return {"a.txt": seen}
        """
    )

    outcome = bench.do("f", env={"TRUNKLINE_OLD": "other", "TRUNKLINE_NEW": "new"})

    assert bench.out(outcome, "a.txt").decode() == f"other new {bench.root}"
    assert os.environ["TRUNKLINE_OLD"] == "old"
    assert "TRUNKLINE_NEW" not in os.environ
    assert os.getcwd() == here


def test_what_is_printed_is_in_the_log_and_nowhere_else(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.code(
        """
        import logging, sys
        print("imported")
        handler = logging.StreamHandler()
        def f(*, number):
            print("out", number)
            logging.getLogger("stages").addHandler(handler)
            logging.getLogger("stages").warning("logged %d", number)
            print("err \\udc80", file=sys.stderr)
            return {}
        """
    )
    executor = Executor()
    works = [bench.work("f", params={"number": number}) for number in (1, 2)]
    for work in works:
        assert executor.execute(work).failure is None

    assert bench.log(works[0]) == "imported\nout 1\nlogged 1\nerr \\udc80\n"
    assert bench.log(works[1]) == "out 2\nlogged 2\nerr \\udc80\n"
    assert capsys.readouterr() == ("", "")


def test_a_datum_that_says_nothing_has_no_log(bench: Bench) -> None:
    bench.code("def f():\n    return {}\n")
    work = bench.work("f")

    execute(work)

    assert not os.path.exists(work.log)


def test_a_log_is_appended_to(bench: Bench) -> None:
    bench.code("def f():\n    print('again')\n    return {}\n")
    work = bench.work("f")

    execute(work)
    execute(work)

    assert bench.log(work) == "again\nagain\n"


def test_a_command_and_a_function_are_executed_alike(bench: Bench) -> None:
    outcome = bench.do(Command(("sh", "-c", "echo hello > pfs/out/a.txt")))

    assert bench.out(outcome, "a.txt") == b"hello\n"
