"""Write docs/cli.md from what the commands say of themselves.

    ## `trunkline versions`

    The versions of a dataset, from git.

        trunkline versions DATASET [-n LIMIT]

    | argument | meaning |
    | --- | --- |
    | `DATASET` | a source dataset, or PIPELINE.STAGE |

argparse lays its own help out differently from one Python to the next, so the page is made from
the parser's arguments, not from that help.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from trunkline.cli.main import COMMANDS, parser_of

HEAD = """\
# Commands

<!-- Written by `make docs` from the commands' own help. Change the help, not this page. -->

The commands in the first table are enough for daily work; `trunkline COMMAND --help` prints what
stands here.

Every command takes `--json`, which prints one object, `{"command": …, "schema": 1, "data": …}`, or
`{"error": {"code": …, "message": …, "where": …, "hint": …}}`, and `--debug`, which shows the
traceback of an error. The exit code is the same with and without them:

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | the answer is "no": something is stale or not up to date |
| 2 | the command line, the project or a pipeline file is wrong |
| 3 | a stage failed, or data is missing or damaged |
| 130 | interrupted |
| 141 | whoever read the output went away, as in `trunkline runs \\| head` |
"""
EVERYWHERE = {"help", "json", "debug"}


def page() -> str:
    """The whole of docs/cli.md."""
    parts = [HEAD]
    for title, first in (("For a start", True), ("More", False)):
        rows = [f"| [`{name}`](#trunkline-{name}) | {_cell(command.help)} |"
                for name, command in COMMANDS.items() if command.first is first]  # fmt: skip
        parts.append(
            "\n".join([f"**{title}**", "", "| command | what it does |", "| --- | --- |", *rows]) + "\n"
        )
    parts += [_section(name) for name in COMMANDS]
    return "\n".join(parts)


def _section(name: str) -> str:
    parser = parser_of(name)
    actions = [action for action in parser._actions if action.dest not in EVERYWHERE]
    lines = [f"## `trunkline {name}`", "", parser.description or "", "", f"    {_usage(name, actions)}", ""]
    rows = [
        f"| {_cell(label)} | {_cell(action.help or '')} |" for action in actions for label in [_label(action)]
    ]
    if rows:
        lines += ["| argument | meaning |", "| --- | --- |", *rows, ""]
    if parser.epilog:
        lines += [parser.epilog, ""]
    return "\n".join(lines)


def _usage(name: str, actions: list[argparse.Action]) -> str:
    positional = [action for action in actions if not action.option_strings]
    optional = [action for action in actions if action.option_strings and action.help != argparse.SUPPRESS]
    return " ".join(["trunkline", name, *_positional(positional), *map(_optional, optional)])


def _positional(actions: list[argparse.Action]) -> Iterator[str]:
    for action in actions:
        value = _value(action)
        match action.nargs:
            case "*":
                yield f"[{value} …]"
            case "+":
                yield f"{value} [{value} …]"
            case "?":
                yield f"[{value}]"
            case _:
                yield value


def _optional(action: argparse.Action) -> str:
    flag = action.option_strings[0]
    text = flag if action.nargs == 0 else f"{flag} {_value(action)}"
    return text if action.required else f"[{text}]"


def _label(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_value(action)}`"
    value = "" if action.nargs == 0 else f" {_value(action)}"
    return ", ".join(f"`{flag}{value}`" for flag in action.option_strings)


def _value(action: argparse.Action) -> str:
    if action.choices is not None:
        return "|".join(map(str, action.choices))
    if isinstance(action.metavar, str):
        return action.metavar
    return action.dest.upper()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Run as `python tools/cli_reference.py FILE`: write it, and say whether it changed."""
    path = Path(sys.argv[1])
    text = page()
    changed = not path.exists() or path.read_text() != text
    if changed:
        path.write_text(text)
    print(f"{path} {'written' if changed else 'is up to date'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
