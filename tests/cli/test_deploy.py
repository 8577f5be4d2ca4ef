"""`deploy` where no server is needed: what is refused before one is asked."""

from __future__ import annotations

from tests.cli.conftest import Cli
from tests.support import PIPELINE, Tree
from trunkline.cli.deploy import _check_branches
from trunkline.project import Project


def test_what_is_no_pipeline_is_refused(letters: Tree, cli: Cli) -> None:
    done = cli("deploy", "lettres", code=2)
    assert done.err == "error: there is no pipeline 'lettres'\n  did you mean 'letters'?\n"
    done = cli("deploy", "letters.upper", code=2)
    assert (
        done.err
        == "error: 'letters.upper' is a stage; pipelines are deployed\n  type `trunkline deploy letters`\n"
    )
    assert not (letters.root / ".trunkline/prefect").exists()


def test_a_project_without_pipelines_has_nothing_to_deploy(letters: Tree, cli: Cli) -> None:
    (letters.root / "pipelines/letters.yaml").unlink()
    assert "there is no pipeline in pipelines/ yet" in cli("deploy", code=2).err


def test_a_branch_that_is_not_there_is_refused_before_anything_is_written(letters: Tree, cli: Cli) -> None:
    letters.write("pipelines/letters.yaml", PIPELINE + "branch: mian\n")
    done = cli("deploy", code=2)
    assert done.err == (
        "error: pipelines/letters.yaml: there is no branch 'mian', which runs of letters are to start from\n"
        "  commit something, or write branch: and the name of another branch into the file\n"
    )
    assert not (letters.root / "prefect.yaml").exists()


def test_a_branch_that_is_at_origin_alone_will_do(letters: Tree) -> None:
    letters.write("pipelines/letters.yaml", PIPELINE + "branch: side\n")
    letters.git("update-ref", "refs/remotes/origin/side", "HEAD")
    with Project(str(letters.root)) as project:
        _check_branches(project, project.pipelines)


def test_one_thing_at_a_time(letters: Tree, cli: Cli) -> None:
    assert "not allowed with argument" in cli("deploy", "--list", "--delete", code=2).err
