from __future__ import annotations

import pytest

from tests.support import Tree
from trunkline.errors import StoreError
from trunkline.store import gitignore


def test_one_line_beside_the_dataset(tree: Tree) -> None:
    root = str(tree.root)
    assert gitignore.ensure(root, "data/p/.manifests/s")
    assert gitignore.ensure(root, "data/p/.manifests/t")
    assert not gitignore.ensure(root, "data/p/.manifests/s")
    assert tree.read("data/p/.manifests/.gitignore") == "/s\n/t\n"
    assert gitignore.ensure(root, "top[1]")
    assert tree.read(".gitignore").endswith("/top\\[1\\]\n")
    tree.write("top[1]", "x")
    assert "top[1]" not in tree.git("status", "--short").out


def test_what_git_ignores_already_gets_no_line(tree: Tree) -> None:
    tree.write(".gitignore", "/data/\n")
    assert not gitignore.ensure(str(tree.root), "data/x")
    assert not (tree.root / "data").exists()


def test_what_git_tracks_is_refused(tree: Tree) -> None:
    tree.write("data/x/a", "1")
    tree.commit()
    with pytest.raises(StoreError, match="data/x is tracked by git") as caught:
        gitignore.ensure(str(tree.root), "data/x")
    assert caught.value.hint == "type `git rm -r --cached data/x` and commit"


def test_without_git_there_is_nothing_to_ignore(tree: Tree) -> None:
    tree.command("rm", "-rf", ".git")
    assert not gitignore.ensure(str(tree.root), "data/x")
