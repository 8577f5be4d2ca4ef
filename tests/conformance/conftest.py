"""Fixtures of the tests against real DVC."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import Tree


@pytest.fixture(scope="session")
def _ran(_letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = Tree(_letters).copy(tmp_path_factory.mktemp("ran") / "project")
    tree.trunkline("run")
    tree.commit("Run")
    return tree.root


@pytest.fixture
def ran(_ran: Path, tmp_path: Path) -> Tree:
    """The project `letters`, run by `trunkline run` and committed."""
    return Tree(_ran).copy(tmp_path / "project")


@pytest.fixture
def origin(_empty: Path, tmp_path: Path) -> Tree:
    """Another DVC project beside it, `../origin`, with the dataset `data/words`."""
    tree = Tree(_empty).copy(tmp_path / "origin")
    tree.write("data/words/a.txt", "one")
    tree.dvc("add", "-q", "data/words")
    tree.commit()
    return tree
