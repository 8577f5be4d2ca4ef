"""The main properties: after `run`, `plan` is empty; incremental equals from scratch, byte for byte.

A sequence of edits (files added, changed, deleted, put back; code and parameters changed and put
back; a comment) is applied to a real project; after each, the run is compared with a run of the
same sources in a project that has never run anything.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support import HELPER, PIPELINE, Tree

EDITS = {
    "add": lambda tree: tree.write("data/letters_raw/d.txt", "delta"),
    "change": lambda tree: tree.write("data/letters_raw/a.txt", "alpha and omega"),
    "delete": lambda tree: (tree.root / "data/letters_raw/b.txt").unlink(missing_ok=True),
    "restore": lambda tree: tree.write("data/letters_raw/b.txt", "beta"),
    "same": lambda tree: tree.write("data/letters_raw/e.txt", "gamma"),
    "code": lambda tree: tree.write("stages/helper.py", HELPER.replace("upper()", "title()")),
    "uncode": lambda tree: tree.write("stages/helper.py", HELPER),
    "comment": lambda tree: tree.write("stages/helper.py", "# a comment\n" + HELPER),
    "param": lambda tree: tree.write("pipelines/letters.yaml", PIPELINE.replace('"!"', '"?"')),
    "unparam": lambda tree: tree.write("pipelines/letters.yaml", PIPELINE),
}

sequences = st.lists(st.sampled_from(sorted(EDITS)), min_size=2, max_size=5)
slow = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # shrinking would run real projects hundreds of times
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _scratch(tree: Tree, place: Path, name: str, run: tuple[str, ...]) -> dict[str, bytes]:
    """What a project with these sources and nothing else publishes."""
    fresh = Tree(place / name)
    ignore = shutil.ignore_patterns("cache", "tmp", ".trunkline", "dvc.lock", "letters")
    shutil.copytree(tree.root, fresh.root, ignore=ignore)
    _run(fresh, run)
    return fresh.published()


def _run(tree: Tree, run: tuple[str, ...]) -> None:
    if run == ("dvc", "repro"):
        tree.trunkline("compile")
        tree.dvc("repro", "-q")
    else:
        tree.trunkline("run")


def _check(project: Tree, place: Path, edits: list[str], run: tuple[str, ...]) -> None:
    tree = project.copy(place / "incremental")
    _run(tree, run)
    for number, edit in enumerate(edits):
        EDITS[edit](tree)
        _run(tree, run)
        assert tree.trunkline("plan", "--json").data["empty"], (
            f"the plan is not empty after {edits[: number + 1]}"
        )
    expected = _scratch(tree, place, "scratch", run)
    found = tree.published()
    assert found.keys() == expected.keys(), edits
    different = [path for path in found if found[path] != expected[path]]
    assert not different, f"{different} after {edits}"


@given(edits=sequences)
@settings(slow, max_examples=8)
def test_incremental_equals_from_scratch_under_run(
    project: Tree, tmp_path_factory: pytest.TempPathFactory, edits: list[str]
) -> None:
    _check(project, tmp_path_factory.mktemp("run"), edits, ("trunkline", "run"))


@given(edits=sequences)
@settings(slow, max_examples=2)
def test_incremental_equals_from_scratch_under_repro(
    project: Tree, tmp_path_factory: pytest.TempPathFactory, edits: list[str]
) -> None:
    _check(project, tmp_path_factory.mktemp("repro"), edits, ("dvc", "repro"))
