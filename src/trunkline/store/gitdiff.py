"""How two trees or commits of a repository differ, as git says it. What belongs to data (pointers, locks,
their .gitignore) is left out."""

from __future__ import annotations

from typing import NamedTuple

from trunkline.store.gitcall import attempt, call, text

_DATA = (":(exclude,glob)**/dvc.lock", ":(exclude,glob)**/*.dvc", ":(exclude,glob)data/**/.gitignore")
_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "--no-renames")


class Edited(NamedTuple):
    """A file of the code, with the lines that came and went; None for what is no text."""

    path: str
    added: int | None
    removed: int | None


def has(root: str, name: str) -> bool:
    """Whether the repository has this tree or commit."""
    return not attempt(root, "cat-file", "-e", f"{name}^{{tree}}")[0]


def edited(root: str, old: str, new: str) -> list[Edited]:
    """The files that differ between two trees or commits. Raises ProjectError."""
    out = call(root, "diff", *_PLAIN, "--numstat", "-z", "--relative", old, new, "--", ".", *_DATA)
    fields = [line.split("\t", 2) for line in text(out).split("\0") if line]
    return [Edited(path, _number(added), _number(removed)) for added, removed, path in fields]


def patch(root: str, old: str, new: str) -> str:
    """The same as a patch. Raises ProjectError."""
    out = call(root, "diff", *_PLAIN, "--relative", old, new, "--", ".", *_DATA)
    return out.decode("utf-8", "replace")


def _number(field: str) -> int | None:
    return None if field == "-" else int(field)
