"""Datums by a command."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runners.conftest import Bench
from trunkline.model import Command, Failure, Outcome
from trunkline.runners.command import environment
from trunkline.runners.worker import execute


def sh(script: str) -> Command:
    return Command(("sh", "-ec", script))


def failed(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    assert outcome.files == ()
    return outcome.failure


def test_inputs_and_outputs_are_relative_to_the_scratch(bench: Bench) -> None:
    given = [
        bench.one("raw", "2013/day.csv", "n\n1\n"),
        bench.many("tree", {"x/a.txt": "a", "x/b.txt": "b"}, path="x"),
    ]

    outcome = bench.do(
        sh("mkdir pfs/out/deep; cat pfs/raw/2013/day.csv pfs/tree/x/* > pfs/out/deep/all.txt"), given
    )

    assert outcome.failure is None
    assert [file.path for file in outcome.files] == ["deep/all.txt"]
    assert bench.out(outcome, "deep/all.txt") == b"n\n1\nab"
    assert bench.left() == [f"{Path(outcome.scratch).name}/pfs/out/deep/all.txt"]


def test_the_environment_is_that_of_the_reference(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INHERITED", "yes")
    monkeypatch.delenv("TRUNKLINE_ENGINE", raising=False)
    given = [bench.one("raw", "day.csv", "x"), bench.many("tree", {})]
    work = bench.work(sh(""), given, env={"MINE": "1", "PACH_JOB_ID": "no"}, join_on="2013")

    seen = environment(work)

    assert {
        key: seen[key] for key in seen if key.startswith(("PACH", "PPS", "TRUNKLINE_ROOT", "raw", "tree"))
    } == {
        "PACH_JOB_ID": work.run_id,
        "PACH_OUTPUT_COMMIT_ID": work.run_id,
        "PACH_DATUM_ID": work.datum,
        "PPS_PIPELINE_NAME": "pipe.stage",
        "TRUNKLINE_ROOT": str(bench.root),
        "raw": "pfs/raw/day.csv",
        "raw_COMMIT": given[0].oid,
        "PACH_DATUM_raw_JOIN_ON": "2013",
        "tree": "pfs/tree",
        "tree_COMMIT": "0.dir",
        "PACH_DATUM_tree_JOIN_ON": "2013",
    }
    assert (seen["INHERITED"], seen["MINE"]) == ("yes", "1")


def test_the_command_runs_in_that_environment_with_this_python(bench: Bench) -> None:
    outcome = bench.do(
        sh('cat "$raw" > pfs/out/a.txt; python -c "import sys; print(sys.prefix)" > pfs/out/b.txt'),
        [bench.one("raw", "day.csv", "x")],
    )

    assert outcome.failure is None
    assert bench.out(outcome, "a.txt") == b"x"
    assert bench.out(outcome, "b.txt").decode() == f"{sys.prefix}\n"


def test_stdin_is_lines_and_need_not_be_read(bench: Bench) -> None:
    long = tuple("x" * 1000 for _ in range(1000))

    read = bench.do(Command(("sh", "-e"), ("echo one > pfs/out/a", "echo two >> pfs/out/a")))
    ignored = bench.do(Command(("true",), long))
    without = bench.do(sh("cat > pfs/out/a"))

    assert bench.out(read, "a") == b"one\ntwo\n"
    assert (ignored.failure, ignored.files) == (None, ())
    assert bench.out(without, "a") == b""


def test_output_goes_to_the_log_and_the_end_of_stderr_to_the_message(bench: Bench) -> None:
    work = bench.work(sh("echo out; for i in $(seq 20); do echo err $i >&2; done; exit 7"))

    failure = failed(execute(work))

    lines = "".join(f"\n    err {number}" for number in range(11, 21))
    assert (failure.kind, failure.message, failure.traceback) == ("ExitCode", f"exit code 7{lines}", "")
    log = bench.log(work)
    assert sorted(log.splitlines()[:21]) == sorted(["out", *(f"err {number}" for number in range(1, 21))])
    assert bench.left() == []


def test_a_silent_command_has_no_log(bench: Bench) -> None:
    work = bench.work(sh("true"))

    execute(work)

    assert not os.path.exists(work.log)


def test_a_command_that_is_killed_says_by_what(bench: Bench) -> None:
    assert failed(bench.do(sh("kill -TERM $$"))).message == "killed by SIGTERM"


def test_a_missing_and_an_unstartable_command(bench: Bench) -> None:
    script = bench.root / "script"
    script.write_text("#!/bin/sh\n")

    missing = failed(bench.do(Command(("no-such-command", "x"))))
    unstartable = failed(bench.do(Command((str(script),))))

    assert (missing.kind, missing.message) == (
        "CommandNotFound",
        "there is no command `no-such-command`: install it, or name a script of the project",
    )
    assert unstartable.kind == "CommandNotFound"
    assert (
        unstartable.message
        == f"`{script}` cannot be started: Permission denied; is it executable (chmod +x)?"
    )


def test_what_a_command_leaves_running_is_killed(bench: Bench) -> None:
    work = bench.work(sh("sleep 1000 & echo $! > pfs/out/pid; sleep 1000 >/dev/null 2>&1 &"))

    started = time.monotonic()
    outcome = execute(work)

    assert outcome.failure is None
    assert time.monotonic() - started < 500
    assert ended(int(bench.out(outcome, "pid")))


def ended(pid: int) -> bool:
    """Whether a process ends within some seconds, or is a corpse."""
    for _ in range(500):
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        if state.stdout.strip()[:1] in ("", "Z"):
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    "script", ["echo more >> $raw", "chmod u+w $raw; printf X | dd of=$raw conv=notrunc 2>/dev/null"]
)
def test_a_command_that_writes_to_its_input_fails_and_the_cache_is_whole(script: str, bench: Bench) -> None:
    given = bench.one("raw", "a.txt", "text")

    failure = failed(bench.do(sh(f"chmod u+w $raw; {script}"), [given]))

    assert failure.kind == "InputModified"
    assert (
        failure.message
        == "it wrote to its input raw/a.txt; inputs are read-only: write to the output instead"
    )
    assert failure.damaged == ()
    assert Path(given.object(given.files[0])).read_text() == "text"


def test_a_command_that_writes_to_its_input_and_fails_says_both(bench: Bench) -> None:
    failure = failed(
        bench.do(sh("chmod u+w $raw; echo x >> $raw; exit 3"), [bench.one("raw", "a.txt", "text")])
    )

    assert failure.kind == "InputModified"
    assert failure.message.endswith("(and then failed: ExitCode: exit code 3)")


def test_an_input_has_one_mtime_whenever_it_came(bench: Bench) -> None:
    outcomes = []
    for stamp in (1_000, 2_000):
        given = bench.one("raw", "a.txt", "text")
        os.utime(given.object(given.files[0]), (stamp, stamp))
        outcomes.append(bench.do(sh("tar cf pfs/out/a.tar pfs/raw/a.txt"), [given]))

    assert outcomes[0].files == outcomes[1].files


def test_links_to_inputs_become_files(bench: Bench) -> None:
    outcome = bench.do(sh("ln -s ../raw/a.txt pfs/out/b.txt"), [bench.one("raw", "a.txt", "text")])

    assert bench.out(outcome, "b.txt") == b"text"
    assert not (Path(outcome.scratch) / "pfs/out/b.txt").is_symlink()
