"""A datum that fails is tried again as often as its stage says, and only that datum; then it may be rescued."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.support import Tree

STAGES = """\
import os
from pathlib import Path


def shaky(raw: Path) -> dict[str, bytes]:
    tries = Path(os.environ["MARKS"], raw.stem)
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    needed = raw.read_text().split()[0]
    if len(tries.read_text()) < int(needed):
        raise ValueError(f"not before try {needed}")
    return {f"{raw.stem}.txt": b"done"}
"""
PIPELINE = """\
pipeline: shaky

stages:
  each:
    run: stages.shaky:shaky
    input: {{raw: shaky_raw/*}}
    datum_tries: {tries}
"""
# The parent of a command is the worker that runs the datum.
DEADLY = """\
pipeline: shaky

stages:
  each:
    cmd: [sh, -c, 'printf x >> "$MARK"; [ "$(cat "$MARK")" = xx ] || kill -9 $PPID; cp pfs/raw/* pfs/out/']
    input: {raw: shaky_raw/b.txt}
    datum_tries: 2
"""


@pytest.fixture
def shaky(tree: Tree) -> Tree:
    tree.write("stages/shaky.py", STAGES)
    tree.write("pipelines/shaky.yaml", PIPELINE.format(tries=3))
    for name, text in {"a": "1 raises", "b": "3 raises", "c": "2 raises"}.items():
        tree.write(f"data/shaky_raw/{name}.txt", text)
    tree.dvc("add", "-q", "data/shaky_raw")
    return tree


def tries(marks: Path) -> dict[str, int]:
    return {path.name: len(path.read_text()) for path in sorted(marks.iterdir())}


def test_a_datum_is_tried_as_often_as_declared(shaky: Tree, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    done = shaky.trunkline("run", MARKS=str(marks))
    assert tries(marks) == {"a": 1, "b": 3, "c": 2}
    assert "shaky.each: datum b, try 2 of 3: ValueError: not before try 3; again" in done.out
    assert shaky.counts() == {"shaky.each": (3, 0, 0)}
    assert "try 1 of 3" in shaky.trunkline("logs").out


def test_what_fails_every_time_fails_the_stage_and_more_tries_run_it_alone(
    shaky: Tree, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    shaky.write("pipelines/shaky.yaml", PIPELINE.format(tries=2))
    failed = shaky.trunkline("run", check=False, MARKS=str(marks))
    assert failed.code == 3
    assert "datum b failed: ValueError: not before try 3" in failed.out
    assert tries(marks) == {"a": 1, "b": 2, "c": 2}
    shaky.write("pipelines/shaky.yaml", PIPELINE.format(tries=4))
    shaky.trunkline("run", MARKS=str(marks))
    assert tries(marks) == {"a": 1, "b": 3, "c": 2}


def test_a_worker_that_dies_costs_a_try(shaky: Tree, tmp_path: Path) -> None:
    shaky.write("pipelines/shaky.yaml", DEADLY)
    done = shaky.trunkline("run", MARK=str(tmp_path / "mark"))
    assert (tmp_path / "mark").read_text() == "xx"
    assert "shaky.each: datum each, try 1 of 2" in done.out
    assert shaky.contents("data/shaky/each") == {"data/shaky/each/b.txt": b"3 raises"}


def test_a_datum_is_tried_three_times_unless_it_is_said(shaky: Tree, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    shaky.write(
        "pipelines/shaky.yaml",
        PIPELINE.format(tries=3).replace("    datum_tries: 3\n", "")
        + "  gone:\n    cmd: [no-such-program]\n    input: {raw: shaky_raw/*}\n",
    )
    failed = shaky.trunkline("run", check=False, MARKS=str(marks))
    assert failed.code == 3
    assert "there is no command `no-such-program`" in failed.out
    assert "shaky.gone: datum" not in failed.out, "what is not there is not looked for again"
    assert tries(marks) == {"a": 1, "b": 3, "c": 2}


# ---------------------------------------------------------------- recovered datums

RESCUED = """\
pipeline: shaky

stages:
  each:
    run: stages.shaky:shaky
    input: {raw: shaky_raw/*}
    datum_tries: 2
    err_cmd: [sh, tools/rescue.sh]
    metrics: [b.txt]
"""


def test_a_recovered_datum_publishes_nothing_and_waits_for_another_reason(
    shaky: Tree, tmp_path: Path
) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    shaky.write("pipelines/shaky.yaml", RESCUED)
    shaky.write("tools/rescue.sh", 'grep -q 9 "$raw" && echo rescued > "$MARKS/rescued-$PACH_DATUM_ID"')
    shaky.write("data/shaky_raw/b.txt", "9 raises, and always will")
    shaky.dvc("add", "-q", "data/shaky_raw")

    done = shaky.trunkline("run", MARKS=str(marks))
    assert tries(marks)["b"] == 2
    assert len(list(marks.glob("rescued-*"))) == 1
    assert list(shaky.contents("data/shaky/each")) == ["data/shaky/each/a.txt", "data/shaky/each/c.txt"]
    assert "1 recovered" in done.out
    datums = shaky.trunkline("show", "latest", "--json").data["stages"][0]["datums"]
    assert (datums["run"], datums["failed"], datums["recovered"]) == (2, 0, 1)

    assert shaky.trunkline("plan", "--json").data["empty"]
    assert not shaky.command("dvc", "status", "-q").code
    shaky.trunkline("run", MARKS=str(marks))
    assert tries(marks)["b"] == 2

    shaky.write("data/shaky_raw/d.txt", "1")
    shaky.trunkline("run", MARKS=str(marks))
    assert (tries(marks)["a"], tries(marks)["b"], tries(marks)["d"]) == (1, 4, 1)

    (marks / "b").write_text("x" * 8)  # now it succeeds
    shaky.trunkline("run", "--retry-recovered", MARKS=str(marks))
    assert tries(marks)["b"] == 9
    assert "data/shaky/each/b.txt" in shaky.contents("data/shaky/each")
    shaky.trunkline("run", "--retry-recovered", MARKS=str(marks))
    assert tries(marks)["b"] == 9


# ---------------------------------------------------------------- together

TOGETHER = """\
pipeline: slow

stages:
  each:
    run: stages.slow:slow
    input: {raw: slow_raw/*}
    job_timeout: 4s
  beside:
    run: stages.slow:quick
    input: {raw: slow_raw/a}
"""
SLOW = """\
import os, time
from pathlib import Path


def slow(raw: Path) -> dict[str, bytes]:
    while raw.stem == "b" and not Path(os.environ["GO"]).exists():
        time.sleep(0.01)
    return {f"{raw.stem}.txt": str(os.getpid()).encode()}


def quick(raw: Path) -> dict[str, bytes]:
    return {"quick.txt": b""}
"""


def test_a_stage_whose_time_is_over_keeps_what_is_done(tree: Tree, tmp_path: Path) -> None:
    tree.write("stages/slow.py", SLOW)
    tree.write("pipelines/slow.yaml", TOGETHER)
    for name in "abc":
        tree.write(f"data/slow_raw/{name}", name)
    tree.dvc("add", "-q", "data/slow_raw")

    late = tree.trunkline("run", check=False, GO=str(tmp_path / "go"))

    assert late.code == 3
    said = re.search(
        r"stage slow\.each took longer than its job_timeout of 4s: (\d) datums? of it (is|are) done and kept,"
        r" (\d) (was|were) not",
        late.err,
    )
    assert said is not None
    done, left = int(said[1]), int(said[3])
    assert (done >= 1, left >= 1, done + left) == (True, True, 3), (
        "how many is a matter of how busy it is here"
    )
    assert "slow.beside" in late.out
    assert list(tree.contents("data/slow")) == [
        path for path in tree.contents("data/slow") if "/each/" not in path
    ], "nothing of it is published"

    (tmp_path / "go").touch()
    tree.trunkline("run", GO=str(tmp_path / "go"))
    assert tree.counts()["slow.each"] == (left, done, 0)


# ---------------------------------------------------------------- every time

EVERY = """\
pipeline: shaky

stages:
  each:
    cmd: [sh, -c, 'printf x >> "$MARKS/mark"; cp pfs/raw/* pfs/out/; exit 3']
    input: {raw: shaky_raw/*}
    reprocess_spec: every_job
    accept_return_code: [3]
    secrets: [MARKS]
    datum_timeout: 10m
"""


def test_what_is_run_every_time_is_run_with_every_other_reason(shaky: Tree, tmp_path: Path) -> None:
    shaky.write("pipelines/shaky.yaml", EVERY)
    missing = shaky.trunkline("run", check=False)
    assert missing.code == 2
    assert "stage shaky.each needs the secret MARKS, and it is not set in this environment" in missing.err
    assert shaky.contents("data/shaky/each") == {}

    mark = tmp_path / "mark"
    shaky.trunkline("run", MARKS=str(tmp_path))
    assert mark.read_text() == "xxx"
    assert shaky.trunkline("plan", "--json").data["empty"]
    shaky.trunkline("run")  # up to date: the secret is not asked for
    assert mark.read_text() == "xxx"

    shaky.write("pipelines/shaky.yaml", EVERY.replace("10m", "1h"))
    shaky.trunkline("run", MARKS=str(tmp_path))
    assert mark.read_text() == "xxx" * 2
    assert str(tmp_path) not in shaky.trunkline("logs").out


# ---------------------------------------------------------------- a stage that ends its process

FATAL = """\
import os, signal
from pathlib import Path


def shaky(raw: Path) -> dict[str, bytes]:
    if raw.stem == "b":
        os.kill(os.getpid(), signal.SIGSEGV)
    return {f"{raw.stem}.txt": b"done"}
"""


def test_what_ended_the_run_itself_is_told_by_the_next_one(shaky: Tree) -> None:
    """A short stage is computed in the run's own process, which dies with it: once."""
    shaky.write("stages/shaky.py", FATAL)
    assert shaky.trunkline("run", check=False).code == -signal.SIGSEGV

    told = shaky.trunkline("run", check=False)

    assert told.code == 3
    assert re.search(
        r"datum b failed: WorkerDied: its process \d+ was killed by SIGSEGV; the usual cause is a fault in",
        told.out,
    )
    assert told.out.count("; again") == 2, "each death costs a try"
    assert shaky.counts() == {"shaky.each": (2, 0, 0)}, "and the others are kept"
    assert shaky.trunkline("run", check=False).code == 3, "it stays where it can be told"


@pytest.mark.parametrize("written", ["0", "-1", "many", "1.5"])
def test_tries_are_a_whole_number(shaky: Tree, written: str) -> None:
    shaky.write("pipelines/shaky.yaml", PIPELINE.format(tries=written))
    done = shaky.trunkline("check", check=False)
    assert done.code == 2
    assert "'datum_tries' of stage 'each' must be a whole number above 0" in done.err
