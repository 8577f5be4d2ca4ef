"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import Tree, letters


@pytest.fixture(scope="session")
def _empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "project"
    root.mkdir()
    tree = Tree(root)
    tree.git("init", "-q", "-b", "main")
    tree.dvc("init", "-q")
    tree.write(".gitignore", "/.trunkline/\n__pycache__/\n")
    tree.commit("Empty")
    return root


@pytest.fixture(scope="session")
def _letters(_empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("letters") / "project"
    shutil.copytree(_empty, root)
    return letters(Tree(root)).root


@pytest.fixture
def tree(_empty: Path, tmp_path: Path) -> Tree:
    """An empty project: git and DVC, nothing else."""
    return Tree(Path(shutil.copytree(_empty, tmp_path / "project")))


@pytest.fixture
def project(_letters: Path, tmp_path: Path) -> Tree:
    """The project `letters`, compiled and committed, not yet run."""
    return Tree(Path(shutil.copytree(_letters, tmp_path / "project")))
