"""The programs that the demonstration calls: trunkline as a person types it, and git."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path


class CommandError(Exception):
    """A program said no; it has already told the user why. `code` is its exit code."""

    def __init__(self, command: str, code: int) -> None:
        super().__init__(f"`{command}` ended with exit code {code}")
        self.code = code


def trunkline(root: Path, *arguments: str, **environment: str) -> None:
    """Run a command of trunkline in the project, its output where ours goes. Raises CommandError."""
    typed = " ".join(["trunkline", *arguments])
    print(f"$ {typed}", flush=True)
    done = subprocess.run([_program(), *arguments], cwd=root, env=os.environ | environment, check=False)
    if done.returncode:
        raise CommandError(typed, done.returncode)


def git(root: Path, *arguments: str) -> str | None:
    """What git prints, without the last line end; None where it fails."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.rstrip("\n") if done.returncode == 0 else None


def typed(root: Path, *arguments: str) -> str:
    """How a person in `root` has to type a command of trunkline."""
    program = Path(_program())
    if shutil.which("trunkline") and not os.environ.get("MAKELEVEL"):
        return " ".join(["trunkline", *arguments])
    place = program.relative_to(root) if program.is_relative_to(root) else program.name
    return " ".join([str(place), *arguments])


def _program() -> str:
    """The trunkline of this very environment, whatever else is on the path."""
    return str(Path(sys.executable).parent / "trunkline")
