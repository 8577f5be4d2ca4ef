"""`err_cmd`: what it sees, when it is run, what its end means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.runners.conftest import CODE, Bench, everything
from trunkline.model import Command
from trunkline.runners.processes import ProcessPool
from trunkline.runners.worker import execute


def sh(script: str) -> Command:
    return Command(("sh", "-ec", script))


def test_it_runs_on_what_a_command_left_in_the_same_environment(bench: Bench, tmp_path: Path) -> None:
    given = [bench.one("raw", "day.csv", "n\n")]
    look = sh('cat "$raw" pfs/out/half pfs/note; echo "$MINE $PACH_DATUM_ID"; cat')
    rescue = Command(look.argv, ("from", "stdin"))
    work = bench.work(
        sh("echo half > pfs/out/half; echo noted > pfs/note; exit 3"),
        given,
        env={"MINE": "1"},
        err_cmd=rescue,
    )

    outcome = execute(work)

    assert (outcome.recovered, outcome.files) == (True, ())
    assert outcome.failure is not None
    assert outcome.failure.message == "exit code 3"
    assert bench.log(work) == f"ExitCode: exit code 3\nn\nhalf\nnoted\n1 {work.datum}\nfrom\nstdin\n"
    assert bench.left() == []


def test_a_function_is_rescued_by_a_command_on_its_inputs(bench: Bench) -> None:
    bench.code(
        "def f(raw, out):\n    (out / 'half').write_text('half')\n    raise ValueError('no such day')\n"
    )
    given = [bench.one("raw", "day.csv", "n\n"), bench.many("tree", {"a/b": "deep"})]
    work = bench.work("f", given[:1], err_cmd=sh("cat $raw; ls pfs/out; test -d pfs/out"))

    outcome = execute(work)

    assert outcome.recovered
    assert outcome.failure is not None
    assert (outcome.failure.kind, outcome.failure.message) == ("ValueError", "no such day")
    assert bench.log(work).endswith("ValueError: no such day\n\nn\nhalf\n")
    assert bench.left() == []


@pytest.mark.parametrize(
    ("rescue", "message"),
    [
        (sh("echo why >&2; exit 4"), "exit code 3\n  err_cmd: exit code 4\n    why"),
        (Command(("no-such-command",)), "err_cmd: there is no command `no-such-command`"),
        (sh("sleep 1000"), "err_cmd: it took longer than its datum_timeout of 0.3s, and was ended"),
    ],
)
def test_what_does_not_end_well_rescues_nothing_and_says_so(
    rescue: Command, message: str, bench: Bench
) -> None:
    outcome = bench.do(sh("exit 3"), err_cmd=rescue, timeout=0.3)

    assert not outcome.recovered
    assert outcome.failure is not None
    assert outcome.failure.kind == "ExitCode"
    assert message in outcome.failure.message
    assert bench.left() == []


def test_a_datum_that_succeeds_needs_no_rescue(bench: Bench) -> None:
    work = bench.work(sh("echo a > pfs/out/a"), err_cmd=sh("echo rescued"))

    outcome = execute(work)

    assert (outcome.failure, outcome.recovered) == (None, False)
    assert bench.log(work) == ""


@pytest.mark.parametrize("how", ["exit", "SIGSEGV", "SIGKILL"])
def test_where_its_process_died_another_one_does_it(how: str, bench: Bench) -> None:
    bench.code(CODE)
    pool = ProcessPool(1)
    works = [
        bench.work("end", params={"n": n, "how": how}, err_cmd=sh("echo rescued $PACH_DATUM_ID"))
        for n in (4, 5, 6)
    ]

    outcomes = everything(pool, works, 0.0001)
    pool.close()

    died = outcomes[works[1].datum]
    assert [outcomes[work.datum].recovered for work in works] == [False, True, False]
    assert died.failure is not None
    assert died.failure.kind == "WorkerDied"
    log = bench.log(works[1])
    assert log.startswith("before\n")
    assert log.endswith(f"{died.failure.message}\nrescued {works[1].datum}\n")


def test_a_rescue_that_takes_its_worker_along_rescues_nothing(bench: Bench) -> None:
    bench.code(CODE)
    pool = ProcessPool(1)
    work = bench.work("end", params={"n": 5, "how": "exit"}, err_cmd=sh("kill -9 $PPID; sleep 1000"))

    (outcome,) = everything(pool, [work]).values()
    pool.close()

    assert not outcome.recovered
    assert outcome.failure is not None
    assert "ended with exit code 3" in outcome.failure.message


@pytest.mark.parametrize(("code", "good"), [(0, True), (3, True), (7, True), (4, False)])
def test_exit_codes_that_are_accepted(code: int, good: bool, bench: Bench) -> None:
    outcome = bench.do(sh(f"echo a > pfs/out/a; exit {code}"), accept=(3, 7))

    assert (outcome.failure is None) == good
    assert [file.path for file in outcome.files] == (["a"] if good else [])


def test_a_rescue_counts_for_no_more_than_its_exit_code(bench: Bench) -> None:
    """What else the stage accepts is a matter of its own command."""
    outcome = bench.do(sh("exit 4"), accept=(3,), err_cmd=sh("exit 3"))

    assert not outcome.recovered
    assert os.listdir(bench.base / "scratch") == []
