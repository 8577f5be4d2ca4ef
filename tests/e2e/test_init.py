"""`trunkline init` in the three kinds of directory, its hook, and the way from there to one's own files."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.support import Tree
from trunkline.cli.template import template

EXAMPLE = [
    "data/example_raw/monday.csv",
    "data/example_raw/tuesday.csv",
    "stages/example/profile.py",
    "stages/example/tidy.py",
    "pipelines/example.yaml",
]
ROOT = Path(__file__).resolve().parents[2]
NEW_STAGE = "  sizes:\n    run: stages.sizes:sizes\n    input: {table: tidy/*}\n"
NEW_CODE = "import pandas as pd\n\n\ndef sizes(table: pd.DataFrame) -> dict:\n    return {'n': table[[]]}\n"


@pytest.fixture
def empty(tmp_path: Path) -> Tree:
    """A directory that nothing was done to."""
    root = tmp_path / "sales"
    root.mkdir()
    return Tree(root)


@pytest.fixture
def repository(empty: Tree) -> Tree:
    """A git repository with a file of its own."""
    empty.git("init", "-q", "-b", "main")
    empty.write("README", "mine")
    empty.write(".gitignore", "*.log")
    empty.commit("Mine")
    return empty


def columns(tree: Tree) -> dict[str, int]:
    """What the example says of its columns: how many values each has."""
    import pandas as pd

    frame = pd.read_parquet(tree.root / "data/example/profile/columns.parquet")
    return dict(zip(frame["column"], frame["values"], strict=True))


def test_from_an_empty_directory_to_ones_own_files(empty: Tree, tmp_path: Path) -> None:
    done = empty.trunkline("init")
    assert [f"wrote {path}" for path in EXAMPLE] == [
        line for line in done.out.splitlines() if "xample" in line
    ][: len(EXAMPLE)]
    empty.trunkline("run")
    assert empty.counts() == {"example.tidy": (2, 0, 0), "example.profile": (1, 0, 0)}
    assert "example/profile/metrics.json" in empty.dvc("metrics", "show").out
    assert empty.trunkline("status").code == 0
    empty.commit("Start")
    assert not empty.git("status", "--short").out, "what is not for git is ignored"

    mine = [tmp_path / "january.csv", tmp_path / "february.csv"]
    mine[0].write_text("Order No,Shop,Amount\n1,a,3.5\n2,b,\n")
    mine[1].write_text("Order No,Shop,Amount\n3,a,lots\n")
    empty.trunkline("put", "example_raw", *map(str, mine))
    empty.trunkline("run")
    assert empty.counts() == {"example.tidy": (2, 2, 0), "example.profile": (1, 0, 0)}
    assert columns(empty)["temperature"] == 7, "other columns beside those of the example"
    empty.trunkline("rm", "example_raw", "monday.csv", "tuesday.csv")
    empty.trunkline("run")
    assert columns(empty) == {"order_no": 3, "shop": 3, "amount": 2}
    assert "january.csv" in empty.git("show", "--stat", "HEAD~1").out
    out = empty.trunkline("lineage", "data/example/profile/columns.parquet").out
    assert "stages/example/tidy.py" in out
    assert "remove monday.csv, tuesday.csv" in out


def test_a_stage_runs_when_its_own_file_changes_and_not_another(empty: Tree) -> None:
    empty.trunkline("init")
    empty.trunkline("run")
    code = empty.read("stages/example/profile.py")
    empty.write("stages/example/profile.py", code.replace("round(", "round(1 * "))
    empty.trunkline("run")
    assert empty.counts() == {"example.profile": (1, 0, 0)}


def test_a_repository_keeps_what_it_has(repository: Tree) -> None:
    hook = repository.write(".git/hooks/pre-commit", "#!/bin/sh\nexit 0\n")
    mine = "def tidy(raw, *, drop_duplicates):\n    return raw\n"
    repository.write("stages/example/tidy.py", mine)
    done = repository.trunkline("init")
    assert hook.read_text() == "#!/bin/sh\nexit 0\n"
    assert "let pre-commit call `trunkline compile --check`" in done.out
    assert repository.read("stages/example/tidy.py") == mine
    assert "kept  stages/example/tidy.py (it was there)" in done.out
    assert repository.read(".gitignore").splitlines() == [
        "*.log",
        "/.trunkline/",
        "/dvc_plots/",
        "__pycache__/",
    ]
    assert repository.read("README") == "mine"


def test_a_dvc_project_keeps_its_stages(repository: Tree) -> None:
    repository.dvc("init", "-q")
    theirs = "# mine\nstages:\n  copy:   # by hand\n    cmd: cp README copied\n    deps: [README]\n    outs: [copied]\n"
    repository.write("dvc.yaml", theirs)
    repository.dvc("repro", "-q")
    repository.commit("Theirs")
    repository.trunkline("init")
    assert repository.read("dvc.yaml").startswith(theirs)
    repository.trunkline("run")
    assert repository.dvc("status").out.strip() == "Data and pipelines are up to date."
    assert repository.read("copied") == "mine"


def test_a_rule_that_hides_the_pointers_is_refused(repository: Tree) -> None:
    repository.write(".gitignore", "*.log\ndata/\n")
    done = repository.trunkline("init", check=False)
    assert done.code == 2
    assert done.err.startswith(
        "error: .gitignore:2: the rule `data/` would keep data/example_raw.dvc out of git, where it has to be\n"
    )
    assert repository.git("status", "--short").out.split() == ["M", ".gitignore"], "nothing was written"


def test_the_hook_refuses_what_is_not_compiled_or_not_added(repository: Tree) -> None:
    """In a directory below the top of the repository, where git starts hooks."""
    project = Tree(repository.root / "below")
    repository.trunkline("init", "below")
    repository.commit("Start")
    project.write("pipelines/example.yaml", project.read("pipelines/example.yaml") + NEW_STAGE)
    project.write("stages/sizes.py", NEW_CODE)
    stale = repository.git("commit", "-qam", "Stale", check=False)
    assert stale.code == 1
    assert "type `trunkline compile`" in stale.err
    project.trunkline("compile")
    partly = repository.git("commit", "-qm", "Partly", "below/pipelines", check=False)
    assert partly.code == 1
    assert "what was compiled from it is not: git add dvc.yaml" in partly.err
    repository.commit("All of it")
    project.write("pipelines/example.yaml", project.read("pipelines/example.yaml") + "\n# a thought\n")
    repository.commit("Nothing to compile")


def test_a_second_project_of_a_repository_joins_the_hook(repository: Tree) -> None:
    for name in ("one", "the other", "one"):
        repository.trunkline("init", name)
    calls = [line for line in repository.read(".git/hooks/pre-commit").splitlines() if "|| exit 1" in line][
        -2:
    ]
    assert calls == ["trunkline_check one || exit 1", "trunkline_check 'the other' || exit 1"]
    repository.commit("Both")


def test_hooks_that_live_elsewhere_are_left_alone(repository: Tree, tmp_path: Path) -> None:
    """`core.hooksPath` may name a directory for all of somebody's repositories."""
    shared = tmp_path / "hooks"
    shared.mkdir()
    repository.git("config", "core.hooksPath", str(shared))
    assert "let pre-commit call" in repository.trunkline("init").out
    assert os.listdir(shared) == []


def test_a_clone_gets_its_hook_and_no_example(empty: Tree, tmp_path: Path) -> None:
    empty.trunkline("init")
    empty.commit("Start")
    empty.git("clone", "-q", ".", str(tmp_path / "clone"))
    clone = Tree(tmp_path / "clone")
    done = clone.trunkline("init", "--json").data
    assert done["written"] == [".git/hooks/pre-commit"]
    assert done["kept"] == ["pipelines/example.yaml"]
    assert not (clone.root / "data/example_raw").exists()
    assert not clone.git("status", "--short").out


# ---------------------------------------------------------------- a pipeline of the course


def test_a_template_brings_its_stages_and_says_what_is_missing(empty: Tree) -> None:
    done = empty.trunkline("init", "--template", "flights")
    written = {line.removeprefix("wrote ") for line in done.out.splitlines() if line.startswith("wrote ")}
    assert {"pipelines/flights.yaml", "stages/ingest.py", "stages/flights/columns.py"} <= written, (
        "and what it imports"
    )
    used = {line.split()[1].partition(":")[0] for line in _lines(empty, "run: ")}
    assert {f"{module.replace('.', '/')}.py" for module in used} <= written
    for path in written - {".git/", ".dvc/", ".git/hooks/pre-commit"}:
        assert empty.read(path) == (ROOT / path).read_text(), "the very files of this repository"
    assert "trunkline put flights_raw YOUR_FILES" in done.out
    assert "trunkline run flights" in done.out

    for source in ("flights_raw", "weather_raw"):
        empty.write(f"new/{source}.csv", "year,month\n2013,1\n")
        empty.trunkline("put", source, f"new/{source}.csv")
    again = empty.trunkline("init", "--template", "flights")
    assert "kept  pipelines/flights.yaml" in again.out
    assert "trunkline put" not in again.out
    assert empty.trunkline("compile", "--check").code == 0


@pytest.mark.parametrize("path", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_template_has_all_that_its_stages_import(path: Path) -> None:
    """Each name is looked up in the checkout: where it is a module, the template has its file."""
    contents, sources = template(path.stem)
    texts = dict(contents)
    assert len(texts) == len(contents)
    assert texts[f"pipelines/{path.name}"] == path.read_text(encoding="utf-8")
    stages = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    wanted = {stage["run"].partition(":")[0] for stage in stages.values() if "run" in stage}
    for name, text in texts.items():
        if name.endswith(".py"):
            wanted |= set(_imported(text))
    files = {f"{name.replace('.', '/')}{end}" for name in wanted for end in (".py", "/__init__.py")}
    assert {file for file in files if (ROOT / file).is_file()} <= texts.keys()
    assert all(_is_module(name) or _is_module(name.rpartition(".")[0]) for name in wanted)
    assert sources
    assert all((ROOT / "data" / f"{source}.dvc").is_file() for source in sources)


def _imported(text: str) -> Iterator[str]:
    """What a module imports of `stages`: `from stages.a import b` may mean stages.a.b, too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "an import that is relative would have to be resolved here"
            if (node.module or "").partition(".")[0] == "stages":
                yield node.module or ""
                yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "stages")


def _is_module(name: str) -> bool:
    base = ROOT / name.replace(".", "/")
    return base.with_suffix(".py").is_file() or (base / "__init__.py").is_file()


def test_a_wheel_has_the_templates(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for top in ("pipelines", "stages"):
        shipped = {f"trunkline/templates/course/{top}/{path.name}" for path in (ROOT / top).glob("*.*")}
        assert shipped <= names
        assert shipped


def _lines(tree: Tree, mark: str) -> list[str]:
    return [line.strip() for line in tree.read("pipelines/flights.yaml").splitlines() if mark in line]


def test_an_unknown_template_is_named_and_nothing_written(empty: Tree) -> None:
    done = empty.trunkline("init", "--template", "flihgts", check=False)
    assert (done.code, "'flights'" in done.err) == (2, True)
    assert not list(empty.root.iterdir())
