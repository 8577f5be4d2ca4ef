"""Where deployed runs work, seen from either side: from the home project, and from a worktree of it.

    <home>/.trunkline/worktrees/
        .gitignore          *
        flights/            a worktree of the home's repository, detached; the deployment `flights` works here
        flights.json        {"branch": "main", "clone": false}: what it tracks
        flights.lock        held (flock) by the run that is at work in it

A project that lies below the top of its repository lies as far below the top of the worktree. Paths
and one small file are all that is read: the path of "nothing to do" comes by here.
"""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

FOLDER = ".trunkline/worktrees"
_MARK = f"/{FOLDER}/"
_EXPERIMENT = "/.dvc/tmp/exps/"


class Deployed(NamedTuple):
    """What a project in a worktree belongs to: the home, the deployment, the branch that it tracks.

    `branch` is "" where that is not known.
    """

    home: str
    name: str
    branch: str


def of(root: str) -> Deployed | None:
    """The deployment whose worktree holds the project at `root`; None for any other project."""
    home, mark, rest = root.rpartition(_MARK)
    if not mark or not rest:
        return None
    name = rest.partition("/")[0]
    return Deployed(home, name, read_branch(home, name))


def experiment_of(root: str) -> tuple[str, str] | None:
    """The project for which DVC runs an experiment beside the workspace, at `root`, and the name of that place.

    None for any other project.
    """
    home, mark, rest = root.rpartition(_EXPERIMENT)
    return (home, rest) if mark and rest and os.path.isdir(os.path.join(home, ".dvc")) else None


def note(home: str, name: str) -> str:
    """The file that says what a deployment tracks."""
    return os.path.join(home, FOLDER, f"{name}.json")


def read_branch(home: str, name: str) -> str:
    """The branch that a deployment tracks, "" where that is not known."""
    branch = _noted(home, name).get("branch")
    return branch if isinstance(branch, str) else ""


def read_clone(home: str, name: str) -> bool:
    """Whether the home is a clone that exists for deployed runs alone."""
    return _noted(home, name).get("clone") is True


def _noted(home: str, name: str) -> dict[str, Any]:
    try:
        with open(note(home, name), encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
