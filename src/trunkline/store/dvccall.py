"""Calls of the `dvc` command: for data that travel, which DVC does and we do not.

Import late: `subprocess` is not for the path of "nothing to do".
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from trunkline.store.gitcall import environment


def attempt(root: str, *arguments: str) -> str:
    """Run `dvc ARGUMENTS` in `root`: "" where it succeeded, else what it said."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        env=environment({"DVC_NO_ANALYTICS": "1"}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if not done.returncode:
        return ""
    said = (done.stderr + done.stdout).decode("utf-8", "replace")
    return _reason(said) or f"it ended with code {done.returncode}"


def fetch(root: str, targets: Sequence[str]) -> str:
    """Bring what these stages and pointers name into the cache; why not all of it is there."""
    return attempt(root, "fetch", "--quiet", *targets)


def push(root: str, targets: Sequence[str]) -> str:
    """Send what these stages and pointers name to the default remote; why it is not all there."""
    return attempt(root, "push", "--quiet", *targets)


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or [""])[0]
