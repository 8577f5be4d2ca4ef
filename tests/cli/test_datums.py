"""`datums`, `logs`, `run --only-failed`, `--retry-recovered`, `exec --datum --debug`: one datum's fate."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.support import Tree

Here = Callable[[Tree], Tree]
Until = Callable[[Callable[[], Any]], Any]

PIPELINE = """\
pipeline: shaky
stages:
  each:
    run: stages.shaky:each
    input: {raw: letters_raw/*.txt}
    datum_tries: 2
  all:
    run: stages.shaky:everything
    input: {each: each}
"""

STAGES = """\
import os
import sys
import time
from pathlib import Path


def each(raw: Path):
    text = raw.read_text()
    print("reading", raw.name, flush=True)
    while "wait" in text and not Path("go").exists():
        time.sleep(0.01)
    print("read", text, file=sys.stderr)
    if "bad" in text:
        raise ValueError(f"what is {text}?")
    print("without the end of a line", end="")
    return {raw.name: text.upper()}


def everything(each: list[Path]):
    return {"all.txt": " ".join(path.read_text() for path in each)}
"""

SAYS = "echo heard $(basename $raw); echo and said >&2; test $(cat $raw) != bad && cp $raw pfs/out/"


@pytest.fixture
def shaky(letters: Tree) -> Tree:
    letters.write("pipelines/shaky.yaml", PIPELINE)
    letters.write("stages/shaky.py", STAGES)
    return letters


def states(cli: Cli, *arguments: str) -> dict[str, str]:
    rows = cli("datums", "shaky.each", *arguments, "--json").data
    return {row["name"]: row["state"] for row in rows}


@pytest.fixture
def until() -> Until:
    """Look until something is there."""

    def look(found: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 60
        while not (value := found()):
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.02)
        return value

    return look


# ---------------------------------------------------------------- what would become of them


def test_what_would_become_of_each(letters: Tree, cli: Cli) -> None:
    rows = cli("datums", "letters.upper", "--json").data
    assert [(row["name"], row["state"], row["reason"]) for row in rows] == [
        ("a", "reused", ""),
        ("b", "reused", ""),
        ("c", "reused", ""),
    ]
    assert rows[0].keys() == {"id", "name", "inputs", "state", "reason", "tries", "seconds", "run"}
    (item,) = rows[0]["inputs"]
    assert (item["input"], item["dataset"], item["path"], item["size"]) == ("raw", "letters_raw", "a.txt", 5)
    assert rows[0]["run"] == cli("runs", "--json").data[0]["id"]
    letters.write("data/letters_raw/d.txt", "delta")
    (letters.root / "data/letters_raw/a.txt").unlink()
    rows = cli("datums", "letters.upper", "--json").data
    assert {row["name"]: row["state"] for row in rows} == {
        "b": "reused", "c": "reused", "d": "run", "a": "dropped",
    }  # fmt: skip
    assert [row["name"] for row in cli("datums", "letters.upper", "--state", "run", "--json").data] == ["d"]
    text = cli("datums", "letters.upper", "--state", "dropped").out.splitlines()
    assert text[0].split() == ["id", "name", "state", "tries", "time", "inputs", "reason"]
    assert text[1].endswith("letters_raw/a.txt is gone")
    assert text[2] == "1 of 4 datums: 1 dropped"
    assert cli("datums", "letters.upper", "--state", "failed").out == "none of 4 datums\n"


def test_of_a_stage_that_did_nothing_in_a_run(letters: Tree, cli: Cli) -> None:
    letters.write("data/letters_raw/a.txt", "aleph")  # as many letters: nothing to do below `count`
    letters.trunkline("run")
    rows = cli("datums", "letters.upper", "--run", "latest", "--json").data
    assert [(row["name"], row["state"]) for row in rows] == [("a", "run"), ("b", "reused"), ("c", "reused")]
    runs = [row["id"] for row in cli("runs", "--json").data]
    assert [row["run"] for row in rows] == [runs[0], runs[1], runs[1]]
    error = cli("datums", "letters.total", "--run", runs[0], code=2).err
    assert f"letters.total had nothing to do in run {runs[0]}" in error
    (row,) = cli("datums", "letters.total", "--run", "latest", "--json").data  # the last one that it was in
    assert row["run"] == runs[1]
    assert "there is no stage 'letters.none'" in cli("datums", "letters.none", "--run", "latest", code=2).err


# ---------------------------------------------------------------- failed, and run again


def test_a_failed_datum_from_its_states_and_logs_to_its_repair(shaky: Tree, cli: Cli) -> None:
    shaky.write("data/letters_raw/b.txt", "bad")
    assert shaky.trunkline("run", "shaky", check=False).code == 3
    run = cli("runs", "--json").data[0]["id"]
    rows = {row["name"]: row for row in cli("datums", "shaky.each", "--run", run, "--json").data}
    assert {name: (row["state"], row["tries"]) for name, row in rows.items()} == {
        "a": ("run", 1), "b": ("failed", 2), "c": ("run", 1),
    }  # fmt: skip
    assert rows["b"]["reason"] == "ValueError: what is bad?"
    assert all(row["run"] == run and row["seconds"] > 0 for row in rows.values())

    (log,) = cli("logs", run, "--datum", "b", "--json").data["logs"].values()
    tries = log.split("--- shaky.each: datum b, try 1 of 2: ValueError: what is bad?; again ---\n")
    assert len(tries) == 2, log
    for each in tries:
        assert "reading b.txt\nread bad\n" in each
        assert "ValueError: what is bad?" in each
    assert cli("logs", run, "--datum", rows["b"]["id"][:9]).out.count("reading b.txt") == 2
    assert "no datum called 'x' was tried" in cli("logs", run, "--datum", "x", code=2).err

    (planned,) = cli("datums", "shaky.each", "--state", "failed", "--json").data
    assert (planned["name"], planned["run"]) == ("b", run)
    assert planned["reason"] == f"it failed in run {run}: ValueError: what is bad?"

    # repaired, while c changes and d is new: these are left, so nothing can be published
    for name, text in (("b", "beta"), ("c", "changed"), ("d", "delta")):
        shaky.write(f"data/letters_raw/{name}.txt", text)
    decisions = cli("run", "shaky", "--only-failed", "-n", "--json").data["stages"]
    assert [(stage["decision"], stage["datums"]["run"]) for stage in decisions] == [("run", 1), ("wait", 0)]
    done = shaky.trunkline("run", "--only-failed")
    assert re.search(r"shaky.each +1 run, 1 reused, 2 left waiting", done.out)
    assert "shaky.all      not run: a stage before it is left waiting" in done.out
    assert "letters.upper  left waiting: it is not up to date, and none of its datums failed" in done.out
    assert states(cli, "--run", "latest") == {"a": "reused", "b": "run", "c": "waiting", "d": "waiting"}
    assert not (shaky.root / "data/shaky/each").exists()
    nothing = cli("run", "--only-failed").out
    assert nothing == "no datum failed when its stage last ran: nothing to do\n"
    error = cli("run", "--only-failed", "--force", code=2).err
    assert "--only-failed runs less than what changed, --force more" in error
    shaky.trunkline("run")
    assert shaky.counts()["shaky.each"] == (2, 2, 0)
    assert shaky.read("data/shaky/all/all.txt") == "ALPHA BETA CHANGED DELTA"


def test_recovered_datums_are_told_and_tried_again_when_asked(shaky: Tree, cli: Cli) -> None:
    shaky.write(
        "pipelines/shaky.yaml",
        f"""\
pipeline: shaky
stages:
  each:
    cmd: [sh]
    stdin: ['{SAYS}']
    err_cmd: [sh, -c, 'test ! -e never']
    input: {{raw: letters_raw/*.txt}}
    datum_tries: 2
""",
    )
    shaky.write("data/letters_raw/b.txt", "bad")
    done = shaky.trunkline("run", "shaky")
    assert "2 run, 1 recovered" in done.out
    assert "again: trunkline run shaky.each --retry-recovered" in done.out
    (row,) = cli("datums", "shaky.each", "--run", "latest", "--state", "recovered", "--json").data
    assert (row["name"], row["tries"]) == ("b", 2)
    assert row["reason"].startswith("ExitCode: exit code 1")
    (log,) = cli("logs", "--datum", "b", "--json").data["logs"].values()
    first, second = log.split(", try 1 of 2: ")
    assert "heard b.txt\nand said\n" in first
    assert "heard b.txt\nand said\n" in second
    assert cli("plan", "shaky", "--json").data["empty"]
    assert states(cli) == {"a": "reused", "b": "recovered", "c": "reused"}
    assert "1 recovered" in shaky.trunkline("run", "shaky", "--retry-recovered").out
    assert shaky.counts()["shaky.each"] == (0, 2, 0)


# ---------------------------------------------------------------- while it goes on


@contextmanager
def started(tree: Tree, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "trunkline", *arguments],
        cwd=tree.root, env=tree.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize("end", ["done", "killed"])
def test_a_run_that_goes_on_can_be_watched(shaky: Tree, cli: Cli, until: Until, end: str) -> None:
    before = {row["id"] for row in cli("runs", "--json").data}
    shaky.write("data/letters_raw/c.txt", "wait")
    with started(shaky, "run", "shaky.each") as run:
        (new,) = until(lambda: {row["id"] for row in cli("runs", "--json").data} - before)
        until(lambda: (shaky.root / f".trunkline/runs/{new}/datums/shaky.each.jsonl").exists())
        until(lambda: states(cli, "--run", new) == {"a": "run", "b": "run", "c": "waiting"})
        with started(shaky, "logs", new, "--stage", "shaky.each", "--follow") as follow:
            assert follow.stdout is not None
            seen = list(iter(follow.stdout.readline, "reading b.txt\n"))
            assert follow.poll() is None
            if end == "done":
                (shaky.root / "go").touch()
            else:
                os.kill(run.pid, signal.SIGKILL)
            seen += follow.communicate(timeout=60)[0].splitlines(keepends=True)
            assert follow.returncode == 0
        run.wait()
    last = seen[-1]
    assert last == f"run {new}: {'done' if end == 'done' else 'interrupted'}\n"
    assert ("read wait\n" in seen) == (end == "done")
    assert "without the end of a line\n" in seen, "it comes when the run is over"
    assert states(cli, "--run", new)["c"] == ("run" if end == "done" else "waiting")
    assert "--follow prints lines as they come" in cli("logs", "--follow", "--json", code=2).out


# ---------------------------------------------------------------- the debugger


def talk(tree: Tree, *arguments: str, lines: tuple[str, ...]) -> tuple[int, str]:
    """A command in a real terminal, where a line is typed at each prompt; exit code, what is shown."""
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tree.root)
        os.execve(sys.executable, [sys.executable, "-m", "trunkline", *arguments], tree.environment())
    shown, typed = b"", 0
    try:
        while select.select([terminal], [], [], 60)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:  # the other side has ended
                break
            if not data:
                break
            shown += data
            if typed < len(lines) and shown.count(b"(Pdb) ") > typed:
                os.write(terminal, lines[typed].encode() + b"\n")
                typed += 1
    finally:
        os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_the_debugger_in_a_terminal(shaky: Tree, cli: Cli) -> None:
    shaky.write("data/letters_raw/b.txt", "bad")
    exec_b = ("exec", "shaky.each", "--datum", "b", "--debug")
    code, shown = talk(shaky, *exec_b, lines=("p raw.name", "c", "p text", "q"))
    assert code == 3
    assert "-> text = raw.read_text()" in shown
    assert shown.index("'b.txt'") < shown.index("reading b.txt") < shown.index("'bad'")
    assert '-> raise ValueError(f"what is {text}?")' in shown
    assert "error: shaky.each: datum b failed: ValueError: what is bad?" in shown
    assert "trunkline/cli" not in shown, "no frame of ours is shown"
    code, shown = talk(shaky, *exec_b, lines=("q",))
    assert (code, shown.splitlines()[-1]) == (0, "left datum b in the debugger; nothing was published")


def test_what_has_no_debugger_says_so(letters: Tree, cli: Cli) -> None:
    letters.write("pipelines/shell.yaml", "pipeline: shell\nstages:\n  one: {cmd: [touch, pfs/out/x]}\n")
    assert "shell.one runs a command" in cli("exec", "shell.one", "--datum", "one", "--debug", code=2).err
    said = cli("exec", "letters.upper", "--datum", "a", "--debug", "--json", code=2).out
    assert "--debug talks with a person" in said
