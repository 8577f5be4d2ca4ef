"""The course in a fresh clone: `make course`, the tutorial's commands as they stand, DVC's own runner from nothing.

About two minutes of work, so it is done once, for all that is asked here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.course import PIPELINES
from tests.support import ENVIRONMENT, Tree
from tools import figures

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs/course").glob("*.md"))
BLOCKS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def cloned(folder: Path) -> Tree:
    """The repository as its last commit has it."""
    tree = Tree(folder)
    Tree(ROOT).git("clone", "-q", str(ROOT), str(tree.root))
    tree.git("switch", "-q", "-C", "main")  # where it comes from may have no branch checked out
    downloads = ROOT / "build/downloads"
    if downloads.is_dir():
        shutil.copytree(downloads, tree.root / "build/downloads", copy_function=os.link)
    return tree


def locked(tree: Tree) -> dict[str, Any]:
    """What dvc.lock says of each stage."""
    stages: dict[str, Any] = yaml.safe_load(tree.read("dvc.lock"))["stages"]
    return stages


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tree, str]:
    """A clone in which `make course` was typed, and what it said."""
    tree = cloned(tmp_path_factory.mktemp("course") / "clone")
    return tree, tree.command(sys.executable, "-m", "demo", "course").out


@pytest.fixture
def course(said: tuple[Tree, str]) -> Tree:
    return said[0]


def test_every_pipeline_runs_and_both_runners_call_it_up_to_date(said: tuple[Tree, str]) -> None:
    course, out = said
    assert re.findall(r"^== (\w+)$", out, re.MULTILINE) == list(PIPELINES)
    assert "not made" not in out
    state = course.trunkline("status", *PIPELINES)
    assert state.code == 0, state.out
    mine = [stage for stage in locked(course) if stage.partition("-")[0] in PIPELINES]
    assert course.dvc("status", *mine).out.strip() == "Data and pipelines are up to date."
    assert not course.git("status", "--short", "--", ".", ":!dvc.lock").out, "what is not for git is ignored"


@pytest.mark.parametrize("name", PIPELINES)
def test_every_model_leads_back_to_the_data_that_it_was_made_of(course: Tree, name: str) -> None:
    stages = yaml.safe_load(course.read(f"pipelines/{name}.yaml"))["stages"].values()
    models = [stage["model"]["name"] for stage in stages if "model" in stage]
    assert models
    for model in models:
        nodes = course.trunkline("lineage", model, "--json").data["nodes"]
        sources = {node["name"] for node in nodes if node["attributes"].get("kind") == "source"}
        assert sources, model
        assert all((course.root / f"{source}.dvc").is_file() for source in sources)
        assert {"run", "code", "model"} <= {node["type"] for node in nodes}, model


def test_the_figures_in_the_pages_are_those_of_this_run(
    course: Tree, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [str(page) for page in PAGES]
    code = figures.main(["--check", "--data", str(course.root / "data"), *pages])
    assert code == 0, capsys.readouterr().out


def test_every_figure_is_that_of_an_independent_computation(course: Tree) -> None:
    """The tests that need the course's data, in the clone, which has it."""
    files = ("course_tabular_figures", "learning_figures", "published")
    tests = [f"tests/stages/test_{name}.py" for name in files]
    done = course.command(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rs", *tests)
    assert "SKIPPED" not in done.out
    assert re.search(r"\b\d+ passed", done.out) or "[100%]" in done.out


def test_the_tutorials_commands_work_as_they_stand(course: Tree) -> None:
    text = (ROOT / "docs/course/index.md").read_text()
    commands = [line for block in BLOCKS.findall(text) for line in block.splitlines()]
    assert len(commands) > 20
    told: dict[str, list[str]] = {}
    for command in commands:
        done = subprocess.run(
            command,
            shell=True,
            cwd=course.root,
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0 or "diff" in command, f"{command}\n{done.stdout}\n{done.stderr}"
        told.setdefault(command, []).append(done.stdout)
        if command.startswith("sed "):
            assert course.git("status", "--short", "pipelines").out, f"it changes nothing: {command}"
    assert not course.git("status", "--short", "--", "pipelines").out, "every change is taken back"
    slower, back = told["trunkline run carseats"][1:]
    assert re.search(r"carseats.several +1 run", slower)
    assert not re.search(r"\d run", back), "what was known is not computed again"
    _, longer, shorter = told["trunkline run iris"]
    assert re.search(r"iris.trial +6 run, 12 reused", longer)
    assert not re.search(r"iris.trial +\d+ run", shorter)
    assert "reproduced bit for bit" in told["trunkline reproduce carseats_several"][0]


@pytest.mark.parametrize(
    "name",
    [name if name == "segments" else pytest.param(name, marks=pytest.mark.whole) for name in PIPELINES],
)
def test_dvc_repro_from_nothing_gives_the_same_bytes(course: Tree, name: str, tmp_path: Path) -> None:
    other = cloned(tmp_path / "a folder of another name")
    for source in (path for path in (course.root / "data").glob("*_raw") if path.is_dir()):
        shutil.copytree(source, other.root / "data" / source.name)
    mine = [stage for stage in locked(other) if stage.startswith(f"{name}-")]

    done = other.dvc("repro", *mine)

    assert done.out.count("Running stage") == len(mine), "nothing of it was there"
    assert {stage: locked(other)[stage] for stage in mine} == {stage: locked(course)[stage] for stage in mine}
