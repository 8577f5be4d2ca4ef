"""`trunkline init`: one working two-stage pipeline, in an empty directory or an existing repository.

Never overwrites: what is already there stays, and is named.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib.resources import files
from importlib.resources.abc import Traversable

from trunkline.cli.output import Answer
from trunkline.errors import ProjectError
from trunkline.project import Project

IGNORED = ("/.trunkline/", "__pycache__/")


def arguments_init(parser: argparse.ArgumentParser) -> None:
    """The arguments of `init`."""
    parser.add_argument("directory", nargs="?", default=".", help="where; created if missing (default: here)")


def command_init(args: argparse.Namespace) -> Answer:
    """Set up git and DVC where missing, write the example, compile it."""
    root = os.path.realpath(args.directory)
    os.makedirs(root, exist_ok=True)
    done = _prepare(root)
    kept: list[str] = []
    templates = files("trunkline") / "templates"
    for path in _template_paths(templates):
        _write(root, path, _at(templates, path).read_text(encoding="utf-8"), done, kept)
    _ignore(root)
    project = Project.find(root)
    if not any(path.startswith("data/") for path in kept):
        project.store.save_source("data/example_raw")
    done += project.compile()
    script = (templates / "pre-commit").read_text(encoding="utf-8").replace("@PYTHON@", sys.executable)
    hook = _install_hook(root, script)
    return Answer(
        {"root": root, "written": done, "kept": kept, "hook": hook},
        lambda: _text(args.directory, done, kept, hook),
    )


def _prepare(root: str) -> list[str]:
    done = []
    top = _git(root, "rev-parse", "--show-toplevel", check=False)
    if not top:
        _git(root, "init", "--quiet")
        top = root
        done.append(".git/")
    if not os.path.isdir(os.path.join(root, ".dvc")):
        command = [sys.executable, "-m", "dvc", "init", "--quiet"]
        if os.path.realpath(top) != root:
            command.append("--subdir")
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ProjectError(f"`dvc init` failed: {result.stderr.strip()}", where=root)
        done.append(".dvc/")
    return done


def _git(root: str, *arguments: str, check: bool = True) -> str:
    try:
        result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ProjectError(
            "trunkline needs git, and there is none on the PATH", hint="install git"
        ) from error
    if result.returncode and check:
        raise ProjectError(f"`git {' '.join(arguments)}` failed: {result.stderr.strip()}", where=root)
    return result.stdout.strip() if not result.returncode else ""


def _template_paths(templates: Traversable) -> list[str]:
    paths = []
    for folder in ("pipelines", "stages", "data/example_raw"):
        paths += [f"{folder}/{entry.name}" for entry in _at(templates, folder).iterdir() if entry.is_file()]
    return sorted(paths)


def _at(templates: Traversable, path: str) -> Traversable:
    for part in path.split("/"):
        templates = templates / part
    return templates


def _write(root: str, path: str, text: str, done: list[str], kept: list[str]) -> None:
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    try:
        with open(full, "x", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
    except FileExistsError:
        kept.append(path)
    else:
        done.append(path)


def _ignore(root: str) -> None:
    path = os.path.join(root, ".gitignore")
    text = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    missing = [line for line in IGNORED if line not in text.splitlines()]
    if missing:
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(("\n" if text and not text.endswith("\n") else "") + "\n".join(missing) + "\n")


def _install_hook(root: str, text: str) -> str:
    """The hook's path where it was installed, "" where the repository has one of its own."""
    path = os.path.join(root, _git(root, "rev-parse", "--git-path", "hooks"), "pre-commit")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as stream:
            return path if "trunkline compile --check" in stream.read() else ""
    with open(path, "x", encoding="utf-8") as stream:
        stream.write(text)
    os.chmod(path, 0o755)
    return path


def _text(directory: str, done: list[str], kept: list[str], hook: str) -> str:
    lines = [f"wrote {path}" for path in done]
    lines += [f"kept  {path} (it was there)" for path in kept]
    if not hook:
        lines.append("kept  your pre-commit hook: add the line `trunkline compile --check` to it")
    lines += ["", "next:"]
    if directory != ".":
        lines.append(f"  cd {directory}")
    lines += [
        "  trunkline run                                # both stages",
        "  git add -A && git commit -m 'Start'          # what made these results",
        "  trunkline put example_raw YOUR_FILES.csv     # your own data, then run again",
    ]
    return "\n".join(lines)
