"""A real project in a temporary directory: real git, real DVC, the real command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import forked

ENVIRONMENT = {
    "DVC_NO_ANALYTICS": "1",
    "GIT_AUTHOR_NAME": "A Tester",
    "GIT_AUTHOR_EMAIL": "tester@example.org",
    "GIT_COMMITTER_NAME": "A Tester",
    "GIT_COMMITTER_EMAIL": "tester@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
    "PYTHONDONTWRITEBYTECODE": "1",
    "TRUNKLINE_ENGINE": "local",
}


@dataclass(frozen=True)
class Done:
    """A finished command."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What `--json` answered."""
        return json.loads(self.out)["data"]


class Tree:
    """A project's directory, and what one does in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def environment(self, **extra: str) -> dict[str, str]:
        """The environment of every command: no user's git, DVC on the PATH that trunkline is on."""
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
        return {**os.environ, **ENVIRONMENT, "PATH": path, "HOME": str(self.root.parent), **extra}

    def command(self, *argv: str, check: bool = True, **extra: str) -> Done:
        """Run a command in the project."""
        result = subprocess.run(
            argv, cwd=self.root, env=self.environment(**extra), capture_output=True, text=True, check=False
        )
        if check and result.returncode:
            raise AssertionError(f"{argv} gave {result.returncode}\n{result.stdout}\n{result.stderr}")
        return Done(result.returncode, result.stdout, result.stderr)

    def program(self, name: str, *arguments: str, check: bool = True, **extra: str) -> Done:
        """`python -m name …`, forked where it can be."""
        environment = self.environment(**extra)
        template = forked.template(name, environment)
        if template is None:
            return self.command(sys.executable, "-m", name, *arguments, check=check, **extra)
        done = Done(*template.run(arguments, self.root, environment))
        if check and done.code:
            raise AssertionError(f"{name} {arguments} gave {done.code}\n{done.out}\n{done.err}")
        return done

    def trunkline(self, *arguments: str, check: bool = True, **extra: str) -> Done:
        """`trunkline …`, in a process of its own."""
        return self.program("trunkline", *arguments, check=check, **extra)

    def dvc(self, *arguments: str, check: bool = True) -> Done:
        """`dvc …`, the real one."""
        return self.program("dvc", *arguments, check=check)

    def git(self, *arguments: str, check: bool = True) -> Done:
        """`git …`."""
        return self.command("git", *arguments, check=check)

    def write(self, path: str, text: str | bytes) -> Path:
        """Write a file of the project."""
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        if full.exists():
            full.unlink()  # an output may be a link into the cache
        full.write_bytes(text.encode() if isinstance(text, str) else text)
        return full

    def read(self, path: str) -> str:
        """The text of a file of the project."""
        return (self.root / path).read_text()

    def commit(self, message: str = "Change") -> None:
        """Commit everything."""
        self.git("add", "-A")
        self.git("commit", "-qm", message, "--allow-empty")

    def contents(self, *folders: str) -> dict[str, bytes]:
        """Every file below the folders (or the files themselves), by path."""
        found: dict[str, bytes] = {}
        for folder in folders:
            top = self.root / folder
            paths = [top] if top.is_file() else sorted(top.rglob("*"))
            found.update({str(p.relative_to(self.root)): p.read_bytes() for p in paths if p.is_file()})
        return found

    def published(self) -> dict[str, bytes]:
        """All that both runners must leave alike: lock, datasets, manifests, .gitignore lines."""
        return {**self.contents("data"), **self.contents("dvc.lock")}

    def counts(self, run: str = "latest") -> dict[str, tuple[int, int, int]]:
        """(run, reused, dropped) of every stage of a run that had something to do."""
        stages = self.trunkline("show", run, "--json").data["stages"]
        return {
            stage["stage"]: (stage["datums"]["run"], stage["datums"]["reuse"], stage["datums"]["drop"])
            for stage in stages
        }

    def copy(self, to: Path) -> Tree:
        """The same project elsewhere, cache and all."""
        shutil.copytree(self.root, to, symlinks=True)
        return Tree(to)


PIPELINE = """\
pipeline: letters

stages:
  upper:
    run: stages.letters:upper
    input: {raw: letters_raw/*.txt}
    params: {suffix: "!"}
  count:
    run: stages.letters:count
    input: {texts: upper/*}
  total:
    run: stages.letters:total
    input: {counts: count}
    metrics: [metrics.json]
"""

STAGES = '''\
"""Stages over text files: small, quick, without any library."""

from pathlib import Path

from stages.helper import shout


def upper(raw: Path, *, suffix: str):
    """In capitals."""
    return {f"{raw.stem}.txt": shout(raw.read_text()) + suffix}


def count(texts: Path):
    # how many characters
    return {f"{texts.stem}.json": {"characters": len(texts.read_text())}}


def total(counts: list[Path]):
    import json

    return {"metrics.json": {"characters": sum(json.loads(p.read_text())["characters"] for p in counts)}}
'''

HELPER = '''\
"""What several stages need."""


def shout(text: str) -> str:
    return text.upper()
'''


def letters(tree: Tree, files: dict[str, str] | None = None) -> Tree:
    """The three-stage project `letters` over a few text files."""
    tree.write("pipelines/letters.yaml", PIPELINE)
    tree.write("stages/letters.py", STAGES)
    tree.write("stages/helper.py", HELPER)
    for name, text in (files or {"a": "alpha", "b": "beta", "c": "gamma"}).items():
        tree.write(f"data/letters_raw/{name}.txt", text)
    tree.dvc("add", "-q", "data/letters_raw")
    tree.trunkline("compile")
    tree.commit("Start")
    return tree
