"""Runs that are ended: what was done is kept, nobody is left behind, the next run goes on from there.

By signals and at work here; at every point and moment in tests/torture.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.golden.errors.transcript import compare, transcript
from tests.support import Done, Tree

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")

SHELL = """\
: > "$MARKS/$(basename "$raw")"
case "$raw" in *a.txt) ;; *) sleep "${NAP:-0}" ;; esac
cat "$raw" "$raw" > "pfs/out/$(basename "$raw")"
"""

STAGES = '''\
"""Stages that take their time."""

import os
import time
from pathlib import Path


def nap(raw: Path):
    Path(os.environ["MARKS"], "nap").touch()
    time.sleep(float(os.environ.get("NAP", 0)))
    return {"nap.txt": raw.read_text()}


def short(raw: Path):
    time.sleep(0.01)
    return {raw.name: raw.read_text() * 2}
'''

PIPELINES = {
    "naps": "  shell:\n    cmd: [sh, scripts/nap.sh]\n    input: {raw: letters_raw/*}\n    datum_tries: 1\n",
    "inline": "  short:\n    run: stages.slow:short\n    input: {raw: letters_raw/a.txt}\n"
    "  nap:\n    run: stages.slow:nap\n    input: {raw: short/a.txt}\n",
}


class Crash:
    """A project whose processes can be found: all that descend from ours have its mark in their environment."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.marks = tree.root.parent / "marks"
        self.marks.mkdir()
        self._sign = f"CRASH_TEST={uuid.uuid4()}"
        tree.write("scripts/nap.sh", SHELL)
        tree.write("stages/slow.py", STAGES)

    def add(self, name: str) -> None:
        """Declare a pipeline."""
        self.tree.write(f"pipelines/{name}.yaml", f"pipeline: {name}\nstages:\n{PIPELINES[name]}")
        self.tree.trunkline("compile")

    def start(self, *command: str, nap: float = 60) -> subprocess.Popen[str]:
        """Start `python -m command`, in a process group of its own."""
        name, _, value = self._sign.partition("=")
        return subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=self.tree.root,
            env=self.tree.environment(MARKS=str(self.marks), NAP=str(nap), **{name: value}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def until(self, name: str, process: subprocess.Popen[str]) -> None:
        """Wait until the datum of this file is at work."""
        while not (self.marks / name).exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)

    def until_kept(self, text: str, process: subprocess.Popen[str]) -> None:
        """Wait until a datum's output is in the cache."""
        md5 = hashlib.md5(text.encode()).hexdigest()
        while not (self.tree.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        time.sleep(0.1)

    def run(self, *arguments: str) -> Done:
        """`trunkline …`, to its end."""
        return self.tree.trunkline(*arguments, MARKS=str(self.marks))

    def processes(self) -> dict[int, str]:
        """The living processes that descend from what was started: pid -> command."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and self._sign.encode() in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # it has ended meanwhile
        return found

    def parent_of(self, command: str, environment: bytes) -> int:
        """The process that started the one with this command and this in its environment."""
        for pid, found in self.processes().items():
            entry = Path("/proc", str(pid))
            if found.startswith(command) and environment in (entry / "environ").read_bytes():
                return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        raise AssertionError(f"nobody runs {command}: {self.processes()}")

    def nobody_left(self) -> None:
        """All of them end, at once or nearly so."""
        deadline = time.monotonic() + 60
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not self.processes()

    def unlocked(self) -> None:
        """Nobody holds a path of the project in DVC's lock."""
        path = self.tree.root / ".dvc/tmp/rwlock"
        held = json.loads(path.read_text()) if path.exists() else {}
        assert not any(held.values())

    def states(self) -> list[str]:
        """The states of all runs, newest first."""
        return [run["state"] for run in self.tree.trunkline("runs", "--json").data]


@pytest.fixture
def crash(project: Tree) -> Iterator[Crash]:
    """The project `letters` with what can be ended."""
    found = Crash(project)
    yield found
    for pid in found.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def finish(process: subprocess.Popen[str]) -> Done:
    """Wait for its end."""
    out, err = process.communicate(timeout=60)
    return Done(process.returncode, out, err)


# ---------------------------------------------------------------- asked to end


@pytest.mark.parametrize("how", ["ctrl-c", "sigterm", "timeout"])
def test_a_run_that_is_interrupted(crash: Crash, how: str) -> None:
    crash.add("naps")
    process = crash.start("trunkline", "run", "naps")
    crash.until("b.txt", process)
    crash.until_kept("alphaalpha", process)
    assert len(crash.processes()) > 1
    if how == "ctrl-c":
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGTERM)
    if how == "timeout":  # timeout(1) signals its command, and then the group
        os.killpg(process.pid, signal.SIGTERM)
    done = finish(process)
    assert done.code == 130
    compare("interrupted", transcript(crash.tree, ("run", "naps"), done))
    crash.nobody_left()
    crash.unlocked()
    assert crash.states() == ["interrupted"]
    assert crash.tree.counts() == {"naps.shell": (1, 0, 0)}
    assert crash.tree.dvc("status", "naps-shell", check=False).code == 0
    crash.run("run", "naps")
    assert crash.tree.counts() == {"naps.shell": (2, 1, 0)}


def test_a_run_that_is_interrupted_in_its_own_process(crash: Crash) -> None:
    crash.add("inline")
    process = crash.start("trunkline", "run", "inline", "--json")
    crash.until("nap", process)
    process.send_signal(signal.SIGHUP)
    done = finish(process)
    assert done.code == 130
    assert json.loads(done.out)["error"]["code"] == "interrupted"
    crash.nobody_left()
    crash.unlocked()
    assert crash.states() == ["interrupted"]
    crash.run("run", "inline")
    assert crash.tree.counts() == {"inline.nap": (1, 0, 0)}, "the stage before it was published"


def test_a_repro_that_is_interrupted(crash: Crash) -> None:
    crash.add("naps")
    crash.run("run", "naps")
    before = crash.tree.contents("data/naps")
    (crash.marks / "b.txt").unlink()
    for name in "abc":
        crash.tree.write(f"data/letters_raw/{name}.txt", f"new {name}")
    process = crash.start("dvc", "repro", "naps-shell")
    crash.until("b.txt", process)
    crash.until_kept("new anew a", process)
    os.killpg(process.pid, signal.SIGINT)
    done = finish(process)
    # 130 from us, or SIGINT from a shell that stands between and dies of it
    assert re.search(r"exited with (130|-2)\b", done.err)
    assert "interrupted" in done.out
    crash.nobody_left()
    crash.unlocked()
    assert crash.tree.contents("data/naps") == before, "the last good version is back"
    crash.run("run", "naps")
    assert crash.tree.counts() == {"naps.shell": (2, 1, 0)}
    assert crash.states()[1] == "interrupted"


# ---------------------------------------------------------------- killed


def test_a_run_that_is_killed_at_work(crash: Crash) -> None:
    crash.add("naps")
    process = crash.start("trunkline", "run", "naps")
    crash.until("b.txt", process)
    process.kill()
    finish(process)
    crash.nobody_left()
    plan = crash.tree.trunkline("plan", "naps", "--json").data["stages"][0]
    assert plan["decision"] == "run"
    assert crash.tree.dvc("status", "naps-shell", check=False).code == 0
    crash.run("run", "naps")
    assert crash.states() == ["done", "interrupted"]
    assert "up to date" in crash.tree.dvc("status", "naps-shell").out


def test_a_repro_that_is_killed(crash: Crash) -> None:
    crash.add("naps")
    crash.run("run", "naps")
    before = crash.tree.contents("data/naps")
    (crash.marks / "b.txt").unlink()
    for name in "abc":
        crash.tree.write(f"data/letters_raw/{name}.txt", f"new {name}")
    process = crash.start("dvc", "repro", "naps-shell")
    crash.until("b.txt", process)
    process.kill()  # dvc alone
    finish(process)
    crash.nobody_left()
    assert crash.tree.contents("data/naps") == before, "its stage has put the last version back"
    crash.run("run", "naps")
    assert crash.tree.read("data/naps/shell/b.txt") == "new bnew b"
    assert crash.states()[:2] == ["done", "interrupted"]
    assert "up to date" in crash.tree.dvc("status", "naps-shell").out


def test_a_worker_that_is_killed(crash: Crash) -> None:
    crash.add("naps")
    process = crash.start("trunkline", "run", "naps")
    crash.until("b.txt", process)
    worker = crash.parent_of("sh ", b"b.txt")
    os.kill(worker, signal.SIGKILL)
    while process.poll() is None:  # nobody needs to wait for the others
        for pid, command in crash.processes().items():
            if command.startswith("sleep "):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    done = finish(process)
    assert done.code == 3
    assert f"datum b failed: WorkerDied: its process {worker} was killed by SIGKILL" in done.out
    crash.nobody_left()
    assert crash.states() == ["failed"]
    crash.run("run", "naps")
    assert crash.states() == ["done", "failed"]


# ---------------------------------------------------------------- at the same time


def test_two_runs_at_the_same_instant(crash: Crash) -> None:
    processes = [crash.start("trunkline", "run", nap=0) for _ in range(2)]
    ends = [finish(process) for process in processes]
    assert sorted(end.code for end in ends) in ([0, 0], [0, 3])
    for end in ends:
        assert end.code == 0 or "is being written by process" in end.err
        assert "Traceback" not in end.err
    crash.unlocked()
    assert crash.run("plan", "--json").data["empty"]
    assert "up to date" in crash.tree.dvc("status").out
