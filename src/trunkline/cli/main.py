"""The command line: parse, one call, render. Only the chosen command is imported.

Exit codes: 0 done, 1 the answer is "no" (stale, not up to date), 2 usage or specification,
3 a stage failed or data is missing, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from trunkline import __version__
from trunkline.cli.output import show, show_error
from trunkline.errors import TrunklineError


class Command(NamedTuple):
    """A command: the module that holds it, its line in the help, whether a newcomer sees it first."""

    module: str
    help: str
    first: bool = False


COMMANDS = {
    "init": Command("init", "start a project here: a working pipeline, its stages, a pre-commit hook", True),
    "run": Command("run", "bring pipelines up to date: run what changed, reuse the rest", True),
    "status": Command("plan", "what is not up to date, and why (exit 1 if anything)", True),
    "put": Command("data", "put files into a source dataset and commit its new version", True),
    "lineage": Command("lineage", "from a model or any file back to the data, code and parameters", True),
    "why": Command("plan", "why a stage runs, or from which run it is reused", True),
    "check": Command("spec", "check every pipeline file; all problems at once"),
    "compile": Command("spec", "write dvc.yaml and the schema from pipelines/*.yaml"),
    "plan": Command("plan", "what `run` would do, stage by stage, without doing it"),
    "exec": Command("exec", "run one stage; what dvc.yaml calls (or one datum of it, with --datum)"),
    "datums": Command("plan", "a stage's datums and what would become of each"),
    "rm": Command("data", "remove files from a source dataset and commit its new version"),
    "versions": Command("data", "the versions of a dataset, from git"),
    "runs": Command("runs", "the runs, newest first"),
    "show": Command("runs", "one run: its stages, counts, times, failures"),
    "logs": Command("runs", "what a run printed"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if arguments else 2
    if arguments[0] in ("-V", "--version"):
        print(f"trunkline {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        print(_unknown(name), file=sys.stderr)
        return 2
    return _dispatch(name, rest)


def _dispatch(name: str, rest: list[str]) -> int:
    import importlib

    module = importlib.import_module(f"trunkline.cli.{COMMANDS[name].module}")
    parser = parser_of(name)
    try:
        args = parser.parse_args(rest)
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        answer = getattr(module, f"command_{name}")(args)
        return show(name, answer, args.json)
    except TrunklineError as error:
        if args.debug:
            raise
        return show_error(error, args.json)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if args.debug:
            raise
        text = f"{type(error).__name__}: {error}"
        hint = f"this is a defect of trunkline; `trunkline {name} … --debug` shows where"
        return show_error(TrunklineError(text, hint=hint), args.json)


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    import importlib

    command = COMMANDS[name]
    parser = argparse.ArgumentParser(
        prog=f"trunkline {name}", description=command.help[0].upper() + command.help[1:] + "."
    )
    module = importlib.import_module(f"trunkline.cli.{command.module}")
    getattr(module, f"arguments_{name}")(parser)
    parser.add_argument("--json", action="store_true", help="answer with one JSON object")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    return parser


def overview() -> str:
    """The help of the program: first what a newcomer needs, then the rest."""
    lines = [
        "trunkline: versioned, data-driven pipelines on git, DVC and Parquet",
        "",
        "usage: trunkline COMMAND …",
        "",
    ]
    for title, first in (("commands", True), ("more", False)):
        lines.append(f"{title}:")
        lines += [
            f"  {name:9} {command.help}" for name, command in COMMANDS.items() if command.first is first
        ]
        lines.append("")
    lines.append("`trunkline COMMAND --help` says more. Every command takes --json and --debug.")
    return "\n".join(lines)


def _unknown(name: str) -> str:
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean `trunkline {close[0]}`?" if close else "`trunkline --help` lists the commands"
    return f"error: there is no command {name!r}\n  {hint}"


if __name__ == "__main__":
    sys.exit(main())
