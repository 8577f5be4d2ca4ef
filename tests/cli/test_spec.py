"""`check` and `compile`: the pipeline files, and what is compiled from them."""

from __future__ import annotations

from collections.abc import Callable

from tests.cli.conftest import Cli
from tests.support import Tree

BROKEN = "pipeline: broken\nstages:\n  one:\n    run: stages.letters:uper\n    input: {raw: nothing/*}\n"


def test_check_says_what_it_checked(letters: Tree, cli: Cli) -> None:
    assert cli("check").out == "pipelines/letters.yaml: 3 stages, no problems\n"
    assert cli("check", "--json").data == [
        {"pipeline": "letters", "file": "pipelines/letters.yaml", "stages": ["upper", "count", "total"]}
    ]


def test_check_finds_every_problem_of_every_file(letters: Tree, cli: Cli) -> None:
    letters.write("pipelines/broken.yaml", BROKEN)
    letters.write("pipelines/other.yaml", BROKEN)
    done = cli("check", code=2)
    assert "pipelines/broken.yaml:4:" in done.err
    assert "pipelines/broken.yaml:5:" in done.err
    assert "pipelines/other.yaml:1:" in done.err
    assert "^" in done.err
    assert cli("check", "--json", code=2).out.count('"where": "pipelines/broken.yaml') >= 2


def test_a_file_that_is_no_text_is_an_error_that_names_it(letters: Tree, cli: Cli) -> None:
    letters.write("pipelines/binary.yaml", b"\xff\xfe\x00")
    assert "pipelines/binary.yaml" in cli("check", code=2).err
    (letters.root / "pipelines/binary.yaml").unlink()
    (letters.root / "pipelines/folder.yaml").mkdir()
    cli("check")


def test_compile_writes_what_is_stale_and_says_so(letters: Tree, cli: Cli) -> None:
    assert cli("compile").out == "up to date\n"
    cli("compile", "--check")
    before = letters.read("dvc.yaml")
    text = letters.read("pipelines/letters.yaml")
    letters.write("pipelines/letters.yaml", text.replace("  total:", "  sum:"))
    done = cli("compile", "--check", code=1)
    assert "dvc.yaml is older than pipelines/" in done.err
    assert "type `trunkline compile`" in done.err
    assert letters.read("dvc.yaml") == before, "--check writes nothing"
    assert '"code": "stale"' in cli("compile", "--check", "--json", code=1).out
    assert cli("compile", "--json").data == {"written": ["dvc.yaml"]}
    assert "letters-sum:" in letters.read("dvc.yaml")
    assert "/sum\n" in letters.read("data/letters/.gitignore")
    cli("compile", "--check")


def test_a_project_without_pipelines(tree: Tree, here: Callable[[Tree], Tree], cli: Cli) -> None:
    here(tree)
    assert cli("check").out == "there is no pipeline in pipelines/ yet\n"
    assert cli("compile", "--json").data == {"written": ["schema/pipeline.json"]}
    assert not (tree.root / "dvc.yaml").exists()
