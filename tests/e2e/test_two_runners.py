"""Two runners, one lock: what `trunkline run` and `dvc repro` leave is the same, byte for byte."""

from __future__ import annotations

from pathlib import Path

from tests.support import Tree


def nothing_to_do(tree: Tree) -> None:
    """All three say so."""
    assert tree.trunkline("status").code == 0
    assert "up to date" in tree.dvc("status").out
    assert "Running stage" not in tree.dvc("repro", "--dry").out


def test_both_runners_leave_the_same_bytes(project: Tree, tmp_path: Path) -> None:
    other = project.copy(tmp_path / "other")
    project.trunkline("run")
    other.dvc("repro")
    assert project.published() == other.published()
    nothing_to_do(project)
    nothing_to_do(other)


def test_both_runners_follow_a_change_alike(project: Tree, tmp_path: Path) -> None:
    project.trunkline("run")
    project.write("data/letters_raw/d.txt", "delta")
    (project.root / "data/letters_raw/a.txt").unlink()
    other = project.copy(tmp_path / "other")
    project.trunkline("run")
    other.dvc("repro")
    assert project.published() == other.published()
    assert other.counts()["letters.upper"] == (1, 2, 1), "dvc repro is incremental, too"
    nothing_to_do(project)
    nothing_to_do(other)


def test_what_one_runner_did_the_other_continues(project: Tree) -> None:
    project.dvc("repro", "letters-upper")
    project.trunkline("run")
    assert set(project.counts()) == {"letters.count", "letters.total"}
    nothing_to_do(project)


def test_a_stale_dvc_yaml_is_an_error_of_repro(project: Tree) -> None:
    project.trunkline("run")
    before = project.published()
    text = project.read("pipelines/letters.yaml")
    project.write(
        "pipelines/letters.yaml", text.replace("{counts: count}", "{counts: count, raw: letters_raw}")
    )
    done = project.dvc("repro", check=False)
    assert done.code != 0
    assert "trunkline compile && dvc repro" in done.out + done.err
    assert project.published() == before, "the last outputs are back"


def test_a_failing_stage_puts_the_last_version_back_under_repro(project: Tree) -> None:
    project.dvc("repro")
    before = project.published()
    helper = project.read("stages/helper.py")
    project.write("stages/helper.py", helper.replace("return text.upper()", "raise ValueError(text)"))
    done = project.dvc("repro", check=False)
    assert done.code != 0
    assert "ValueError" in done.out + done.err
    assert project.published() == before
