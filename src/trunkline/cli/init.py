"""`trunkline init`: one working two-stage pipeline, in an empty directory or an existing repository.

Never overwrites: what is already there stays, and is named. Where there are pipelines already (a clone,
or a second `init`) no example is written, only what is missing around them: the pre-commit hook above
all, since git does not clone hooks.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from trunkline.cli.output import Answer
from trunkline.cli.template import template
from trunkline.errors import ProjectError
from trunkline.project import Project

SOURCE = "data/example_raw"
# What goes into git, so git must not be told to ignore it.
COMMITTED = ("dvc.yaml", "dvc.lock", f"{SOURCE}.dvc", "pipelines/example.yaml", "stages/example/tidy.py")
IGNORED = ("/.trunkline/", "/dvc_plots/", "__pycache__/")
EXAMPLE_STEPS = [
    "trunkline run                                # both stages",
    "git add -A && git commit -m 'Start'          # what made these results",
    "trunkline put example_raw YOUR_FILES.csv     # your own data, then run again",
]
HOOK_MARK = "trunkline_check()"


def arguments_init(parser: argparse.ArgumentParser) -> None:
    """The arguments of `init`."""
    parser.add_argument("directory", nargs="?", default=".", help="where; created if missing (default: here)")
    parser.add_argument(
        "--template",
        metavar="NAME",
        help="write this pipeline of the course, and the stages that it uses: carseats, credit, flights, …",
    )


def command_init(args: argparse.Namespace) -> Answer:
    """Set up git and DVC where missing, write the example where there is no pipeline, compile."""
    root = os.path.realpath(args.directory)
    chosen = template(args.template) if args.template else None
    os.makedirs(root, exist_ok=True)
    done, kept = _prepare(root), _pipelines(root)
    todo: list[str] = []
    if chosen is not None:
        kept.clear()
        _write_all(root, chosen.contents, done, kept)
    elif not kept:
        _example(root, done, kept)
        todo = EXAMPLE_STEPS
    _ignore(root)
    with Project.find(root) as project:
        present = [os.path.basename(path) for path in project.store.sources()]
        missing = [name for name in chosen.sources if name not in present] if chosen is not None else []
        if not missing:  # else the pipeline has nothing to read yet: `run` compiles it
            done += project.compile()
    hook = _install_hook(root, done)
    if chosen is not None:
        todo = [*(f"trunkline put {name} YOUR_FILES" for name in missing), f"trunkline run {args.template}"]
    return Answer(
        {"root": root, "written": done, "kept": kept, "hook": hook, "missing": missing},
        lambda: _text(args.directory, done, kept, hook, todo),
    )


# ---------------------------------------------------------------- git and DVC


def _prepare(root: str) -> list[str]:
    done = []
    top = _git(root, "rev-parse", "--show-toplevel", check=False)
    if not top:
        _git(root, "init", "--quiet")
        top = root
        done.append(".git/")
    _check_not_ignored(root)
    if not os.path.isdir(os.path.join(root, ".dvc")):
        command = [sys.executable, "-m", "dvc", "init", "--quiet"]
        if os.path.realpath(top) != root:
            command.append("--subdir")
        result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if result.returncode:
            raise ProjectError(f"`dvc init` failed: {result.stderr.strip()}", where=root)
        done.append(".dvc/")
    return done


def _check_not_ignored(root: str) -> None:
    """A rule such as `data/` would keep the pointers out of git, and nothing would ever say so."""
    found = _git(root, "check-ignore", "--verbose", "--", *COMMITTED, check=False)
    if found:
        rule, _, path = found.splitlines()[0].partition("\t")
        where, _, pattern = rule.partition(":")[2].partition(":")
        raise ProjectError(
            f"the rule `{pattern}` would keep {path} out of git, where it has to be",
            where=f"{rule.partition(':')[0]}:{where}",
            hint="take it out, or let it name less: trunkline has git ignore every dataset by itself",
        )


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


# ---------------------------------------------------------------- the example


def _pipelines(root: str) -> list[str]:
    folder = os.path.join(root, "pipelines")
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [f"pipelines/{name}" for name in names if name.endswith((".yaml", ".yml"))]


def _example(root: str, done: list[str], kept: list[str]) -> None:
    """The pipeline file comes last: an interrupted `init` may be typed again."""
    templates = files("trunkline") / "templates"
    data, stages, pipeline = (list(_below(templates, top)) for top in ("data", "stages", "pipelines"))
    if os.path.exists(os.path.join(root, f"{SOURCE}.dvc")):
        kept.append(SOURCE)
    else:
        _write_all(root, data, done, kept)
        with Project.find(root) as project:
            project.store.save_source(SOURCE)
    _write_all(root, [*stages, *pipeline], done, kept)


def _below(templates: Traversable, path: str) -> Iterator[tuple[str, str]]:
    """Path and text of every file of the example below `path`."""
    place = templates
    for part in path.split("/"):
        place = place / part
    for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _below(templates, f"{path}/{entry.name}")
        elif entry.is_file():
            yield f"{path}/{entry.name}", entry.read_text(encoding="utf-8")


def _write_all(root: str, contents: list[tuple[str, str]], done: list[str], kept: list[str]) -> None:
    for path, text in contents:
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


# ---------------------------------------------------------------- the hook


def _install_hook(root: str, done: list[str]) -> str:
    """The hook's path where it checks this project, "" where the repository has one of its own."""
    folder = os.path.realpath(os.path.join(root, _git(root, "rev-parse", "--git-path", "hooks")))
    path = os.path.join(folder, "pre-commit")
    top = os.path.realpath(_git(root, "rev-parse", "--show-toplevel"))
    call = f"trunkline_check {shlex.quote(os.path.relpath(root, top))} || exit 1"
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        if HOOK_MARK not in text:
            return path if "trunkline compile --check" in text else ""
        if call in text.splitlines():
            return path
    else:
        # Hooks may be configured to live elsewhere, for all of somebody's repositories.
        common = os.path.realpath(os.path.join(root, _git(root, "rev-parse", "--git-common-dir")))
        if not folder.startswith((common + os.sep, top + os.sep)):
            return ""
        text = (files("trunkline") / "templates" / "pre-commit").read_text(encoding="utf-8")
        text = text.replace("@PYTHON@", shlex.quote(sys.executable))
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text + ("" if text.endswith("\n") else "\n") + call + "\n")
    os.chmod(path, 0o755)
    done.append(os.path.relpath(path, root))
    return path


# ---------------------------------------------------------------- the answer


def _text(directory: str, done: list[str], kept: list[str], hook: str, todo: list[str]) -> str:
    lines = [f"wrote {path}" for path in done]
    lines += [f"kept  {path} (it was there)" for path in kept]
    if not hook:
        lines.append("kept  your git hooks: let pre-commit call `trunkline compile --check`")
    if not todo:
        return "\n".join(lines)
    there = [] if directory == "." else [f"cd {shlex.quote(directory)}"]
    return "\n".join([*lines, "", "next:", *(f"  {line}" for line in [*there, *todo])])
