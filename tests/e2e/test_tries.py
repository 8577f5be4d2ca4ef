"""A datum that fails is tried again as often as its stage says, and only that datum."""

from __future__ import annotations

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


@pytest.mark.parametrize("written", ["0", "-1", "many", "1.5"])
def test_tries_are_a_whole_number(shaky: Tree, written: str) -> None:
    shaky.write("pipelines/shaky.yaml", PIPELINE.format(tries=written))
    done = shaky.trunkline("check", check=False)
    assert done.code == 2
    assert "'datum_tries' of stage 'each' must be a whole number above 0" in done.err
