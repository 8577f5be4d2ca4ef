"""The command line in this process, on a real project: for what executes no stage's code."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import ENVIRONMENT, Done, Tree
from trunkline.cli.main import main

Cli = Callable[..., Done]


@pytest.fixture(scope="session")
def _ran(_letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ran") / "project"
    tree = Tree(Path(shutil.copytree(_letters, root)))
    tree.trunkline("run")
    tree.commit("Run")
    return root


@pytest.fixture
def ran(_ran: Path, tmp_path: Path) -> Tree:
    """The project `letters`, run and committed."""
    return Tree(Path(shutil.copytree(_ran, tmp_path / "project", symlinks=True)))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Tree], Tree]:
    """Work in a project from here on."""

    def enter(tree: Tree) -> Tree:
        for name, value in ENVIRONMENT.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("HOME", str(tree.root.parent))
        monkeypatch.chdir(tree.root)
        return tree

    return enter


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Cli:
    """`trunkline …` in the working directory; the exit code must be `code`."""

    def run(*arguments: str, code: int = 0) -> Done:
        capfd.readouterr()
        found = main(arguments)
        done = Done(found, *capfd.readouterr())
        assert found == code, f"{arguments} gave {found}\n{done.out}\n{done.err}"
        return done

    return run


@pytest.fixture
def letters(ran: Tree, here: Callable[[Tree], Tree]) -> Tree:
    """The project `letters`, run and committed; the working directory."""
    return here(ran)


@pytest.fixture
def new_files(tmp_path: Path) -> Callable[..., list[str]]:
    """Files outside the project: path -> text; their paths."""

    def write(**texts: str) -> list[str]:
        paths = []
        for name, text in texts.items():
            path = tmp_path / "new" / f"{name}.txt"
            os.makedirs(path.parent, exist_ok=True)
            path.write_text(text)
            paths.append(str(path))
        return paths

    return write
