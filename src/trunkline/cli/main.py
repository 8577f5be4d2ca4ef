"""The command line: parse, one call, render. Only the chosen command is imported.

Exit codes: 0 done, 1 the answer is "no" (stale, not up to date), 2 usage or specification,
3 a stage failed or data is missing, 130 interrupted, 141 whoever read the output went away.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple, NoReturn

from trunkline import __version__
from trunkline.cli.output import show, show_error
from trunkline.errors import TrunklineError, UsageError


class Command(NamedTuple):
    """A command: the module that holds it, its line in the help, whether a newcomer sees it first, its --debug."""

    module: str
    help: str
    first: bool = False
    debug: str = "show tracebacks"


COMMANDS = {
    "init": Command("init", "start a project here: a working pipeline, its stages, a pre-commit hook", True),
    "run": Command("run", "bring pipelines up to date: run what changed, reuse the rest", True),
    "status": Command("plan", "what is not up to date, and why (exit 1 if anything)", True),
    "put": Command("data", "put files into a source dataset and commit its new version", True),
    "lineage": Command(
        "lineage",
        "from a model or any file back to the data, code and parameters; or forward, with --down",
        True,
    ),
    "diff": Command("diff", "what differs between two versions of a dataset, or between two runs", True),
    "why": Command("plan", "why a stage runs, or from which run it is reused", True),
    "serve": Command(
        "serve", "a model over HTTP: typed by its inputs, every answer names version and run", True
    ),
    "check": Command("spec", "check every pipeline file; all problems at once"),
    "compile": Command("spec", "write dvc.yaml and the schema from pipelines/*.yaml"),
    "plan": Command("plan", "what `run` would do, stage by stage, without doing it"),
    "exec": Command(
        "exec",
        "run one stage; what dvc.yaml calls (or one datum of it, with --datum)",
        debug="with --datum: stop in Python's debugger at the function's first line, and where it raises;"
        " without: show tracebacks",
    ),
    "datums": Command("datums", "a stage's datums: what would become of each, or became of it in a run"),
    "rm": Command("data", "remove files from a source dataset and commit its new version"),
    "versions": Command("data", "the versions of a dataset or a model, from git and from runs"),
    "reproduce": Command(
        "reproduce", "make a recorded run or a model again, elsewhere, and compare bit for bit"
    ),
    "push": Command("sharing", "send the records of runs, manifests and data to where others find them"),
    "pull": Command("sharing", "bring what others have sent: records of runs, manifests and data"),
    "gc": Command("gc", "what of the cache nobody needs any longer; with --yes it goes"),
    "purge": Command("purge", "delete a file of a dataset from every version, and prove that it is gone"),
    "runs": Command("runs", "the runs, newest first"),
    "show": Command("runs", "one run: its stages, counts, times, failures"),
    "logs": Command("logs", "what a run printed, or its datums; with --follow as it comes"),
    "export": Command(
        "export", "a run or an artifact as OpenLineage, in-toto provenance, Mermaid, or a model card"
    ),
    "verify": Command("export", "whether a signed in-toto statement, and the artifact it is about, hold"),
    "deploy": Command("deploy", "make deployments of pipelines, so that they run by schedule or by API"),
    "up": Command("server", "start Prefect's server and a worker for this project, and keep them"),
    "down": Command("server", "stop Prefect's server and the worker"),
}


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors of ours, so that `--json` holds for them too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint=f"`{self.prog} --help` says what there is")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    match arguments:
        case []:
            print(overview(), file=sys.stderr)
            return 2
        case ["help", name, *_] if name in COMMANDS:
            arguments = [name, "--help"]
        case ["-h" | "--help" | "help", *_]:
            print(overview())
            return 0
        case ["-V" | "--version", *_]:
            print(f"trunkline {__version__}")
            return 0
    _collect_rarely()
    as_json, debug = "--json" in arguments, _tracebacks(arguments)
    try:
        return _guarded(arguments[0], arguments[1:], as_json, debug)
    except KeyboardInterrupt:
        return _interrupted(as_json)
    except BrokenPipeError:
        # Whoever read our output went away; what Python still has in hand must not fail as well.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _collect_rarely() -> None:
    """Look for garbage less often: a plan is a million small values, none of them a cycle.

    Measured at 10,000 datums: a fifth of all that planning costs.
    """
    gc.set_threshold(50_000, 20, 50)


def _tracebacks(arguments: Sequence[str]) -> bool:
    """Whether tracebacks are asked for; with `exec --datum` the same word asks for the debugger."""
    debugger = arguments[0] == "exec" and any(each.startswith("--da") for each in arguments)
    return "--debug" in arguments and not debugger


def _guarded(name: str, rest: list[str], as_json: bool, debug: bool) -> int:
    """Run the command; whatever it raises becomes a message and an exit code."""
    try:
        return _dispatch(name, rest)
    except TrunklineError as error:
        if debug:
            raise
        return show_error(error, as_json)
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug:
            raise
        text = f"{type(error).__name__}: {error}"
        hint = f"this is a defect of trunkline; `trunkline {name} … --debug` shows where"
        return show_error(TrunklineError(text, hint=hint), as_json)


def _dispatch(name: str, rest: list[str]) -> int:
    if name not in COMMANDS:
        raise _unknown(name)
    parser, module = parser_of(name), _module(name)
    try:
        args = parser.parse_intermixed_args(rest)
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    code = show(name, getattr(module, f"command_{name}")(args), args.json)
    sys.stdout.flush()
    return code


def _interrupted(as_json: bool) -> int:
    if as_json:
        print(
            json.dumps({"error": {"code": "interrupted", "message": "interrupted", "where": "", "hint": ""}})
        )
    else:
        print("interrupted", file=sys.stderr)
    # Where the signal came while a string was executed (making a dataclass, say), CPython notes that nobody
    # has caught it, and would end by the signal in the end; the next string makes it forget that.
    exec("")
    return 130


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    text = COMMANDS[name].help
    parser = _Parser(prog=f"trunkline {name}", description=f"{text[0].upper()}{text[1:]}.")
    getattr(_module(name), f"arguments_{name}")(parser)
    parser.add_argument("--json", action="store_true", help="answer with one JSON object")
    parser.add_argument("--debug", action="store_true", help=COMMANDS[name].debug)
    return parser


def _module(name: str) -> ModuleType:
    """The module that holds a command; no other is imported."""
    return importlib.import_module(f"trunkline.cli.{COMMANDS[name].module}")


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


def _unknown(name: str) -> UsageError:
    import difflib

    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean `trunkline {close[0]}`?" if close else "`trunkline --help` lists the commands"
    return UsageError(f"there is no command {name!r}", hint=hint)


if __name__ == "__main__":
    sys.exit(main())
