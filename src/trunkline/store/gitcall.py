"""Calls of the `git` command. Reads nothing by itself, decides nothing.

Import late: `subprocess` is not for the path of "nothing to do". Paths of callers are relative to
the project's root, which may lie below the repository's; git's own are relative to the top. What a
surrounding git (a hook) has put into the environment is dropped, because the repository is always
the one that holds the root.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from trunkline.errors import ProjectError

# `git rev-parse --local-env-vars`: what a hook's environment says about another call's repository
_FOREIGN = frozenset(
    "GIT_" + name
    for name in (
        "ALTERNATE_OBJECT_DIRECTORIES", "COMMON_DIR", "DIR", "GRAFT_FILE", "IMPLICIT_WORK_TREE",
        "INDEX_FILE", "INTERNAL_SUPER_PREFIX", "NAMESPACE", "NO_REPLACE_OBJECTS", "OBJECT_DIRECTORY", "PREFIX",
        "QUARANTINE_PATH", "REPLACE_REF_BASE", "SHALLOW_FILE", "WORK_TREE",
    )
)  # fmt: skip


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a call: messages in English, no question asked, no foreign repository."""
    own = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    return {**own, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", **(extra or {})}


def attempt(
    root: str, *arguments: str, data: bytes | None = None, extra: Mapping[str, str] | None = None
) -> tuple[int, bytes, str]:
    """(exit code, stdout, stderr) of `git ARGUMENTS` in `root`. Raises ProjectError without git."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=root,
            env=environment(extra),
            capture_output=True,
            check=False,
            input=data or b"",
        )
    except FileNotFoundError as error:
        if not os.path.isdir(root):
            raise ProjectError("there is no such directory", where=root) from error
        raise ProjectError(
            "trunkline needs git, and there is none on the PATH", hint="install git (https://git-scm.com)"
        ) from error
    stderr = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode == 128 and "not a git repository" in stderr:
        raise ProjectError("this is not inside a git repository", where=root, hint="type `git init`")
    return done.returncode, done.stdout, stderr


def call(
    root: str, *arguments: str, data: bytes | None = None, extra: Mapping[str, str] | None = None
) -> bytes:
    """Stdout of `git ARGUMENTS` in `root`. Raises ProjectError with git's own words."""
    code, out, stderr = attempt(root, *arguments, data=data, extra=extra)
    if code:
        raise ProjectError(f"`git {arguments[0]}` failed: {_reason(stderr)}", where=root)
    return out


def _reason(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if not line.startswith("hint:")]
    return "\n".join(lines).removeprefix("fatal: ").removeprefix("error: ") or "it did not say why"


def text(data: bytes) -> str:
    """Git's output as text. Paths that are not UTF-8 survive the round trip."""
    return data.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a project lies in its repository.

    `top` is the work tree's top directory, `prefix` the root's path below it ("" or "a/b/");
    `directory` is this work tree's git directory (absolute), as a linked work tree has its own.
    """

    root: str
    top: str
    prefix: str
    directory: str

    @classmethod
    def of(cls, root: str) -> Place:
        """The place of the project at `root`. Raises ProjectError."""
        out = call(root, "rev-parse", "--show-toplevel", "--show-prefix", "--absolute-git-dir")
        top, prefix, directory = text(out).split("\n")[:3]
        return cls(root, top, prefix, directory)

    def full(self, path: str) -> str:
        """A path of the project as git's index has it."""
        return self.prefix + path
