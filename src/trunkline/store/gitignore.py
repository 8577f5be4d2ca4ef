"""Keeps data out of git: one line per dataset in the `.gitignore` beside it, as DVC writes it.

    data/.gitignore                 /flights_raw
    data/flights/.gitignore         /ingest
    data/flights/.manifests/.gitignore   /ingest

What git ignores already gets no line. A path that git tracks cannot become a dataset.
"""

from __future__ import annotations

import os
import re
from threading import Lock

from trunkline.errors import StoreError
from trunkline.points import Point, reached

NAME = ".gitignore"
_lock = Lock()


def ensure(root: str, path: str) -> bool:
    """See that git ignores `path`; whether a line had to be written. Raises StoreError."""
    folder, _, name = path.rpartition("/")
    line = "/" + re.sub(r"([\[\]!*#?])", r"\\\1", name)
    file = os.path.join(root, folder, NAME)
    with _lock:
        text = _read(file)
        if line in text.split("\n"):
            return False
        if not _in_git(root) or _is_ignored(root, path):
            return False
        _check_untracked(root, path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        with open(file, "a", encoding="utf-8", newline="") as stream:
            stream.write(("" if not text or text.endswith("\n") else "\n") + line + "\n")
    reached(Point.IGNORE_WRITTEN)
    return True


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


def _in_git(root: str) -> bool:
    here = os.path.abspath(root)
    while not os.path.exists(os.path.join(here, ".git")):
        parent = os.path.dirname(here)
        if parent == here:
            return False
        here = parent
    return True


def _is_ignored(root: str, path: str) -> bool:
    from trunkline.store import gitcall  # brings `subprocess`, which "nothing to do" does without

    code, _, _ = gitcall.attempt(root, "check-ignore", "--quiet", "--no-index", "--", path)
    return code == 0


def _check_untracked(root: str, path: str) -> None:
    from trunkline.store import gitcall

    if gitcall.call(root, "ls-files", "-z", "--", path):
        raise StoreError(
            f"{path} is tracked by git, so it cannot be a dataset",
            where=path,
            hint=f"type `git rm -r --cached {path}` and commit",
        )
