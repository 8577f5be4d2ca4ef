"""How a command answers: text for people, one JSON object for programs, an exit code for both.

{"command": "plan", "schema": 1, "data": {"stages": [...]}}
{"error": {"code": "missing", "message": "...", "where": "data/raw", "hint": "..."}}
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trunkline.errors import SpecError, StoreError, TrunklineError

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found. `text` is asked for only where text is wanted.

    `shown`: a command that goes on for long has shown it already.
    """

    data: Any
    text: Callable[[], str]
    exit_code: int = 0
    shown: bool = False


def show(command: str, answer: Answer, as_json: bool) -> int:
    """Print the answer and give its exit code."""
    if answer.shown:
        return answer.exit_code
    if as_json:
        _print(json.dumps({"command": command, "schema": SCHEMA, "data": answer.data}, indent=2))
    elif text := answer.text():
        _print(text)
    return answer.exit_code


def show_error(error: TrunklineError, as_json: bool) -> int:
    """Print the error (JSON to stdout, text to stderr) and give its exit code."""
    if as_json and not isinstance(error, _Unwritten):
        try:
            _print(json.dumps({"error": error.as_json()}, indent=2))
        except _Unwritten as unwritten:
            print(error_text(unwritten), file=sys.stderr)
    else:
        print(error_text(error), file=sys.stderr)
    return error.exit_code


class _Unwritten(StoreError):
    """Stdout takes nothing more."""


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python still has in hand
        raise _Unwritten(
            f"the answer cannot be written: {error.strerror}", hint="see that there is space where it goes"
        ) from error


def error_text(error: TrunklineError) -> str:
    """What, where, and what to type instead."""
    if isinstance(error, SpecError):
        return error.message
    where = f"{error.where}: " if error.where and error.where not in error.message else ""
    lines = [f"error: {where}{error.message}"]
    if error.hint:
        lines += [f"  {line}" for line in error.hint.splitlines()]
    return "\n".join(lines)


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Columns aligned by spaces; numbers to the right."""
    cells = [header, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    numeric = [
        bool(rows) and all(row[column].replace(".", "").isdigit() for row in rows)
        for column in range(len(header))
    ]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    )


def seconds(value: float) -> str:
    """A duration for people."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest:02d} s"


def size(value: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nested mapping with dotted keys."""
    out: dict[str, Any] = {}
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            out.update(flat(value, f"{prefix}{key}."))
        else:
            out[f"{prefix}{key}"] = value
    return out


def plural(number: int, word: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"
