"""The composition root: finding a project, its stages, what is compiled, what is closed again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import Tree
from trunkline.errors import ProjectError, SpecError, StaleError, UsageError
from trunkline.project import Project

OTHER = "pipeline: other\nstages:\n  again:\n    run: stages.letters:upper\n    params: {suffix: x}\n"
OTHER += "    input: {raw: letters.upper/*}\n"


def two(project: Tree) -> Project:
    project.write("pipelines/other.yaml", OTHER)
    return Project(str(project.root))


# ---------------------------------------------------------------- finding it


def test_a_project_is_found_from_below(tree: Tree) -> None:
    (tree.root / "a/b").mkdir(parents=True)
    assert Project.find(str(tree.root / "a/b")).root == os.path.realpath(tree.root)


def test_a_project_may_lie_below_its_repository_and_in_a_work_tree(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: elsewhere\n")
    (tmp_path / "below/.dvc").mkdir(parents=True)
    assert Project.find(str(tmp_path / "below")).root == os.path.realpath(tmp_path / "below")


def test_no_project_and_no_git_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no trunkline project here") as raised:
        Project.find(str(tmp_path))
    assert raised.value.hint == "type `trunkline init`"
    (tmp_path / ".dvc").mkdir()
    with pytest.raises(ProjectError, match="in no git repository") as raised:
        Project.find(str(tmp_path))
    assert raised.value.hint == "type `git init`"


def test_a_project_in_the_worktree_of_a_deployment_knows_its_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    folder = home / ".trunkline/worktrees"
    folder.mkdir(parents=True)
    (folder / "letters.json").write_text('{"branch": "main", "clone": false}')
    for root in (folder / "letters", folder / "letters/below/it"):
        found = Project(str(root))
        assert found.deployed == (str(home), "letters", "main")
        assert found.home == str(home)
    other = Project(str(folder / "others"))
    assert other.deployed == (str(home), "others", "")
    (folder / "others.json").write_text("[")
    assert Project(str(folder / "others")).deployed == (str(home), "others", "")
    for root in (home, folder, home / ".trunkline"):
        assert Project(str(root)).deployed is None
        assert Project(str(root)).home == str(root)


# ---------------------------------------------------------------- stages


def test_stages_stand_upstream_first_across_pipelines(project: Tree) -> None:
    with two(project) as found:
        assert [stage.ref for stage in found.stages] == [
            "letters.upper",
            "letters.count",
            "letters.total",
            "other.again",
        ]


def test_targets_bring_what_they_need(project: Tree) -> None:
    with two(project) as found:

        def refs(*targets: str) -> list[str]:
            return [stage.ref for stage in found.select(targets)]

        assert len(refs()) == 4
        assert refs("other") == ["letters.upper", "other.again"]
        assert refs("letters.count", "other.again") == ["letters.upper", "letters.count", "other.again"]
        with pytest.raises(UsageError, match="no pipeline or stage 'lettres'") as raised:
            refs("lettres")
        assert raised.value.hint == "did you mean letters?"
        with pytest.raises(UsageError) as raised:
            found.stage("xyz")
        assert raised.value.hint.startswith("there are: letters.count, ")


def test_hidden_files_and_directories_are_no_pipelines(project: Tree) -> None:
    project.write("pipelines/.letters.yaml.swp.yaml", "no")
    project.write("pipelines/notes.txt", "no")
    (project.root / "pipelines/more.yaml").mkdir()
    with Project(str(project.root)) as found:
        assert list(found.pipeline_texts) == ["pipelines/letters.yaml"]


def test_problems_of_all_files_come_together(project: Tree) -> None:
    project.write("pipelines/one.yaml", "pipeline: [")
    project.write("pipelines/other.yaml", OTHER.replace("letters.upper", "letters.lower"))
    with Project(str(project.root)) as found, pytest.raises(SpecError) as raised:
        _ = found.pipelines
    assert {problem.file for problem in raised.value.problems} == {
        "pipelines/one.yaml",
        "pipelines/other.yaml",
    }


# ---------------------------------------------------------------- compiled files


def test_compile_writes_what_is_stale_once(project: Tree) -> None:
    with two(project) as found:
        assert found.stale() == ["dvc.yaml"]
        with pytest.raises(StaleError, match=r"dvc\.yaml is older than pipelines/"):
            found.check_compiled()
        assert found.compile() == ["dvc.yaml"]
        assert found.stale() == []
        assert found.dvc_order()[-1] == "other-again", "what was written is read again"
        found.check_compiled()
        assert found.compile() == []
    assert "/again\n" in project.read("data/other/.gitignore")


def test_prefect_yaml_is_there_where_something_is_scheduled_or_deployed(project: Tree) -> None:
    text = project.read("pipelines/letters.yaml")
    with Project(str(project.root)) as found:
        assert found.compile() == []
        assert found.compile(deployable=True) == ["prefect.yaml"]
        assert found.compile() == [], "it stays"
    (project.root / "prefect.yaml").unlink()
    project.write("pipelines/letters.yaml", text + "schedules: [{interval: 1d}]\n")
    with Project(str(project.root)) as found:
        with pytest.raises(StaleError, match=r"prefect\.yaml is older than pipelines/"):
            found.check_compiled()
        assert found.compile() == ["prefect.yaml"]
    (project.root / "pipelines/letters.yaml").unlink()
    with Project(str(project.root)) as found:
        assert found.compile() == ["dvc.yaml", "prefect.yaml"]
    assert not (project.root / "prefect.yaml").exists()


# ---------------------------------------------------------------- adapters


def test_what_is_open_is_closed_and_what_was_never_asked_for_is_not_made(tree: Tree) -> None:
    with Project(str(tree.root)) as found:
        pass
    assert not (tree.root / ".dvc/tmp/trunkline").exists()
    with Project(str(tree.root)) as found:
        scratch = found.store.scratch()
        os.mkdir(scratch)
        found.store.memo.put("kind", "key", "value")
    assert not os.path.exists(scratch)
    assert found.store.memo.get("kind", "key") == "value", "it opens again when asked"
    found.close()
