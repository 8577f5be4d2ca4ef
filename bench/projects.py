"""Temporary projects: real git, real DVC, the programs of this environment; gone afterwards."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.processes import Command, Cost, run

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BIN = Path(sys.executable).parent


class Tree:
    """One project's directory, and the commands that are measured in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True)
        self.do("git", "init", "-q", "-b", "main")
        self.do(*_dvc("init", "-q"))
        self.do(*_dvc("config", "core.check_update", "false"))
        self.write(".gitignore", "/.trunkline/\n/prepared/\n__pycache__/\n")
        self.do("git", "add", "-A")
        self.do("git", "commit", "-qm", "Empty")
        self._kept: set[str] = set()
        self._trashed = 0

    def write(self, path: str, text: str | bytes) -> Path:
        """Write a file; one that is a link into a cache is replaced, not written through."""
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.unlink(missing_ok=True)
        full.write_bytes(text.encode() if isinstance(text, str) else text)
        return full

    def stages(self, *modules: str) -> None:
        """Copy modules of `bench/stages` to the project's `stages`."""
        for name in ("__init__", *modules):
            self.write(f"stages/{name}.py", (HERE / "stages" / f"{name}.py").read_bytes())

    def source(self, *names: str) -> None:
        """Version the datasets `data/<name>`, as `trunkline put` would; their objects outlive `make_cold`."""
        self.do(sys.executable, str(HERE / "save_source.py"), *names)
        self._kept.update(self._objects())

    def do(self, *argv: str) -> Cost:
        """Run something that has to work."""
        return run(Command(argv, self.root))

    def trunkline(self, *arguments: str, before: Callable[[], object] = lambda: None) -> Command:
        """`trunkline …` to be measured."""
        return Command((program("trunkline"), *arguments), self.root, before)

    def dvc(self, *arguments: str, before: Callable[[], object] = lambda: None) -> Command:
        """`dvc …` to be measured."""
        return Command(_dvc(*arguments), self.root, before)

    def floor(self, script: str, *arguments: str, before: Callable[[], object] = lambda: None) -> Command:
        """A script of `bench/floors` to be measured."""
        return self.python(str(HERE / "floors" / f"{script}.py"), *arguments, before=before)

    def python(self, script: str, *arguments: str, before: Callable[[], object] = lambda: None) -> Command:
        """A script to be measured."""
        return Command((sys.executable, script, *arguments), self.root, before)

    # ------------------------------------------------------------ back to the start

    def make_cold(self, *outputs: str) -> None:
        """Forget every result: outputs, lock, results index, run records, objects that are no source's.

        Moved away, not removed: on some file systems the next files made are dear after that.
        """
        self._trashed += 1
        trash = self.root.parent / f"trash-{self._trashed}"
        for path in (*outputs, ".trunkline/runs", ".dvc/cache/trunkline", "dvc.lock"):
            if (self.root / path).exists():
                (trash / path).parent.mkdir(parents=True, exist_ok=True)
                os.rename(self.root / path, trash / path)
        for path in self._objects():
            if path not in self._kept:
                name = os.path.basename(os.path.dirname(path)) + os.path.basename(path)
                (trash / "objects").mkdir(parents=True, exist_ok=True)
                os.rename(path, trash / "objects" / name)

    def _objects(self) -> Iterator[str]:
        for directory, _, names in os.walk(self.root / ".dvc/cache/files"):
            for name in names:
                yield os.path.join(directory, name)


@contextmanager
def workshop() -> Iterator[Callable[[str], Tree]]:
    """Makes projects by name, all below one temporary directory that is removed in the end."""
    with tempfile.TemporaryDirectory(prefix="trunkline-bench-", ignore_cleanup_errors=True) as directory:
        top = Path(directory)
        yield lambda name: Tree(top / name / "project")


def program(name: str) -> str:
    """A program of this very environment."""
    return str(BIN / name)


def _dvc(*arguments: str) -> tuple[str, ...]:
    return (program("dvc"), *arguments)
