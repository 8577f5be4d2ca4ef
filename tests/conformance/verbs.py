"""What the tests of DVC's verbs share."""

from __future__ import annotations

from tests.support import Tree

RAW = "data/letters_raw"


def settled(tree: Tree) -> None:
    """Both runners say that there is nothing to do."""
    assert tree.trunkline("status", check=False).out == "everything is up to date\n"
    assert tree.dvc("status").out == "Data and pipelines are up to date.\n"


def replace(tree: Tree, path: str, old: str, new: str) -> None:
    """Edit a file of the project."""
    text = tree.read(path)
    assert old in text
    tree.write(path, text.replace(old, new))


def shout_louder(tree: Tree) -> None:
    """Change what every stage's code means, and what `upper` makes."""
    replace(tree, "stages/helper.py", "text.upper()", "text.upper() + '?'")
