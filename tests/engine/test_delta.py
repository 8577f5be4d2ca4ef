"""Planning by what changed answers what planning as a whole does, and publishes the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import HELPER, Tree
from trunkline.digest import md5_file
from trunkline.model import Decision, StagePlan
from trunkline.project import Project

FILES = 30
RAW = "data/letters_raw"


@pytest.fixture(scope="module")
def _many(_letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    tree = Tree(Path(shutil.copytree(_letters, tmp_path_factory.mktemp("many") / "project")))
    tree.write(
        "stages/letters.py", tree.read("stages/letters.py").replace("{raw.stem}", "{raw.stem.lower()}")
    )
    for number in range(FILES):
        tree.write(f"{RAW}/{number:02}.txt", f"text {number}")
    tree.trunkline("run")
    return tree


@pytest.fixture
def many(_many: Tree, tmp_path: Path) -> Tree:
    """The project `letters` with more files, run."""
    return _many.copy(tmp_path / "project")


def remove(tree: Tree, *names: str) -> object:
    for name in names:
        (tree.root / RAW / name).unlink()
    return names


def added_and_taken_back(tree: Tree) -> None:
    """Of which the result is known, but is not in the manifest."""
    tree.write(f"{RAW}/new.txt", "new")
    tree.trunkline("run")
    remove(tree, "new.txt")
    tree.trunkline("run")
    tree.write(f"{RAW}/new.txt", "new")


def lost_object(tree: Tree) -> None:
    tree.write(f"{RAW}/00.txt", "another")
    md5 = md5_file(str(tree.root / "data/letters/upper/07.txt"))
    (tree.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]).unlink()


def lost_results(tree: Tree) -> None:
    tree.write(f"{RAW}/00.txt", "another")
    shutil.rmtree(tree.root / ".dvc/cache/trunkline")


def other_param(tree: Tree) -> None:
    tree.write(f"{RAW}/00.txt", "another")
    tree.write("pipelines/letters.yaml", tree.read("pipelines/letters.yaml").replace('"!"', '"?"'))
    tree.trunkline("compile")


def edited_output(tree: Tree) -> None:
    tree.write(f"{RAW}/00.txt", "another")
    tree.write("data/letters/upper/03.txt", "edited")


def plans(tree: Tree) -> tuple[StagePlan, StagePlan]:
    """The first stage's plan by what changed, and as a whole."""
    with Project(str(tree.root)) as project:
        stage = project.stage("letters.upper")
        found = project.planner.stage(stage)
        locked = project.store.lock_entry(stage.dvc_name)
        return found, project.planner._whole(stage, found.reasons, locked, again=False)


BY_DELTA: dict[str, Callable[[Tree], object]] = {
    "changed": lambda tree: tree.write(f"{RAW}/03.txt", "another"),
    "added": lambda tree: tree.write(f"{RAW}/new.txt", "new"),
    "deleted": lambda tree: remove(tree, "04.txt", "05.txt"),
    "all three": lambda tree: [
        tree.write(f"{RAW}/03.txt", "another"), tree.write(f"{RAW}/new.txt", "new"), remove(tree, "04.txt")
    ],
    "like another": lambda tree: tree.write(f"{RAW}/03.txt", "text 4"),
    "no datum": lambda tree: tree.write(f"{RAW}/readme.md", "not a text"),
    "known": added_and_taken_back,
    "comment": lambda tree: [
        tree.write(f"{RAW}/03.txt", "another"), tree.write("stages/helper.py", "# a comment\n" + HELPER)
    ],
}  # fmt: skip
AS_A_WHOLE: dict[str, Callable[[Tree], object]] = {
    "a directory": lambda tree: tree.write(f"{RAW}/dir.txt/a", "new"),
    "most of it": lambda tree: [tree.write(f"{RAW}/{n:02}.txt", f"other {n}") for n in range(20)],
    "code": lambda tree: tree.write("stages/helper.py", HELPER.replace("upper()", "title()")),
    "lost object": lost_object,
    "parameter": other_param,
    "edited output": edited_output,
    "results are lost": lost_results,
}


@pytest.mark.parametrize("edit", [*BY_DELTA, *AS_A_WHOLE])
def test_it_says_what_planning_as_a_whole_does(many: Tree, edit: str) -> None:
    edits = {**BY_DELTA, **AS_A_WHOLE}
    edits[edit](many)

    found, whole = plans(many)

    assert (found.kept is not None) == (edit in BY_DELTA)
    assert (found.decision, found.total) == (whole.decision, whole.total)
    assert [found.count(each) for each in Decision] == [whole.count(each) for each in Decision]
    told = {item.datum.id: (item.decision, item.reasons) for item in whole.datums}
    listed = {item.datum.id: (item.decision, item.reasons) for item in found.datums}
    assert listed == {id_: told[id_] for id_ in listed}
    assert all(each == (Decision.REUSE, ()) for id_, each in told.items() if id_ not in listed)


@pytest.mark.parametrize("edit", ["all three", "known"])
def test_what_it_leads_to_is_what_a_run_from_scratch_publishes(many: Tree, edit: str, tmp_path: Path) -> None:
    BY_DELTA[edit](many)
    many.trunkline("run")

    assert many.trunkline("plan", "--json").data["empty"]
    counts = many.trunkline("show", "latest", "--json").data["stages"][0]["datums"]
    assert counts["total"] == FILES + 3 + (edit == "known")
    fresh = Tree(tmp_path / "fresh")
    ignored = shutil.ignore_patterns("cache", "tmp", ".trunkline", "dvc.lock", "letters")
    shutil.copytree(many.root, fresh.root, ignore=ignored)
    fresh.trunkline("run")
    assert fresh.published() == many.published()


def test_an_output_of_a_datum_that_is_kept_is_not_written_over(many: Tree) -> None:
    many.write(f"{RAW}/A.txt", "the output of a.txt has the same name")
    before = many.published()

    failed = many.trunkline("run", "letters.upper", check=False)

    assert failed.code == 3
    assert "two datums of stage letters.upper write a.txt: a and A" in failed.err
    assert {path: many.published()[path] for path in before if "raw" not in path} == {
        path: data for path, data in before.items() if "raw" not in path
    }


def test_the_datums_that_a_plan_does_not_list_can_be_asked_for(many: Tree) -> None:
    many.write(f"{RAW}/03.txt", "another")
    with Project(str(many.root)) as project:
        stage = project.stage("letters.upper")
        plan = project.planner.stage(stage)
        examined = project.planner.examine(stage, plan)
    assert len(plan.datums) == 1
    assert len(examined) == FILES + 3
    assert all(item.result is None or item.result.run for item in examined)
