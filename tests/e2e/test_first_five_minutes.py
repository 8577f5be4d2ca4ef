"""What a stranger types first, in a fresh clone: `make run` and `make one-more-day`, without the set-up.

The real pipeline over the real year: about a minute of work, so it is done once, for all that is asked here.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.support import Done, Tree

ROOT = Path(__file__).resolve().parents[2]
BY_DAY = ("ingest", "weather", "clean", "split")
MODEL = "data/flights/train/model.onnx"


@pytest.fixture
def clone(tmp_path: Path) -> Tree:
    """The repository as its last commit has it: no data, an empty cache."""
    tree = Tree(tmp_path / "clone")
    Tree(tmp_path).git("clone", "-q", str(ROOT), str(tree.root))
    tree.git("switch", "-q", "-C", "main")  # where it comes from may have no branch checked out
    return tree


def demo(tree: Tree, *arguments: str) -> Done:
    """`python -m demo …`, as the Makefile calls it, but for the data of the course: no test downloads."""
    arguments += ("--no-course",) if arguments[0] == "run" else ()
    return tree.command(sys.executable, "-m", "demo", *arguments)


def counts(text: str) -> dict[str, tuple[int, int]]:
    """(run, reused) by stage, from the lines that a run prints."""
    found = re.findall(r"^  flights\.(\w+) +(?:(\d+) run)?[, ]*(?:(\d+) reused)?", text, re.MULTILINE)
    return {stage: (int(run or 0), int(reused or 0)) for stage, run, reused in found if run or reused}


def expected(run: int, reused: int) -> dict[str, tuple[int, int]]:
    """That many datums in each stage that works by day, one in the others."""
    return {**dict.fromkeys(BY_DAY, (run, reused)), "train": (1, 0), "evaluate": (1, 0)}


def test_the_first_five_minutes(clone: Tree, tmp_path: Path) -> None:
    first = demo(clone, "run").out
    assert counts(first) == expected(364, 0)
    same = not clone.git("status", "--short", "dvc.lock").out
    assert ("names, byte for byte" if same else "the model is not the one that dvc.lock in git") in first
    assert not clone.git("status", "--short", "--", ".", ":!dvc.lock").out, "what is not for git is ignored"
    for line in ("made by flights.train", "data/flights_raw, version fe694617, 364 files", "estimator:"):
        assert line in first
    assert re.search(r"^  auc +0\.7\d+  0\.5000  0\.6\d+  0\.5000$", first, re.MULTILINE)
    assert "make one-more-day" in first.partition("== three things to type next")[2]

    shutil.copy(clone.root / MODEL, tmp_path / "copy.onnx")
    second = demo(clone, "one-more-day", "--no-comparison").out
    assert counts(second) == expected(1, 364)
    assert re.search(r"^  flights +60,215 +60,215 +25,282 +26,041$", second, re.MULTILINE)
    assert clone.git("log", "--format=%s", "-2").out.splitlines() == [
        "weather_raw: put 2013-12-31.csv",
        "flights_raw: put 2013-12-31.csv",
    ]
    assert (
        clone.dvc("status", "--with-deps", "flights-evaluate").out.strip()
        == "Data and pipelines are up to date."
    )
    nodes = clone.trunkline("lineage", str(tmp_path / "copy.onnx"), "--json").data["nodes"]
    sources = {node["name"] for node in nodes if node["attributes"].get("kind") == "source"}
    assert sources == {"data/flights_raw", "data/weather_raw"}

    third = demo(clone, "run").out
    assert len(re.findall(r"^  flights\.\w+ +up to date$", third, re.MULTILINE)) == 6
    assert "make one-more-day" not in third
    assert "2013-12-31 has arrived already" in demo(clone, "one-more-day", "--no-comparison").out
