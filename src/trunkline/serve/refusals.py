"""What is wrong with what was sent, as a value, and as the JSON of an answer.

    {"error": {"code": "input", "message": "2 problems in 3 rows", "hint": "…", "more": 0,
               "problems": [{"where": "rows[1].distance", "row": 1, "column": "distance",
                             "expected": "a number, or null where it is missing", "got": "\"far\""}, …]},
     "model": {"name": "flights_late", "version": "5c21…", "run": "01a2…"}}

Rows count from 0, as in the list that was sent. What does not belong to one row or column has null there.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

MAX_ROWS = 1_000_000
SHOWN = 20  # problems in one answer
_ENOUGH = 2000  # problems to look for
_LONG = 60  # characters of a value


class Problem(NamedTuple):
    """One thing that is wrong. `row` and `column` are None where it is not about one."""

    expected: str
    got: str
    row: int | None = None
    column: str | None = None

    @property
    def where(self) -> str:
        """Its place, as one would write it in JavaScript or Python."""
        row = "rows" if self.row is None else f"rows[{self.row}]"
        if self.column is None:
            return row
        return f"{row}.{self.column}" if self.column.isidentifier() else f"{row}[{json.dumps(self.column)}]"

    def as_json(self) -> dict[str, Any]:
        """For the answer."""
        return {"where": self.where, **self._asdict()}


class Refused(Exception):
    """A request that gets an answer other than 200: its status, a code for programs, a message for people."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        hint: str = "",
        problems: tuple[Problem, ...] = (),
        more: int = 0,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.problems = problems
        self.more = more

    def as_json(self) -> dict[str, Any]:
        """The `error` of the answer."""
        return {
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "problems": [problem.as_json() for problem in self.problems],
            "more": self.more,
        }


class Problems:
    """Collects what is wrong with a batch: the first ones in full, the others as a number."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self._count = 0
        self.more_to_find = False  # whether whoever adds stopped before the end

    def add(self, expected: str, got: str, row: int | None = None, column: str | None = None) -> None:
        """One more."""
        self._count += 1
        if len(self._found) < SHOWN:
            self._found.append(Problem(expected, got, row, column))

    def __bool__(self) -> bool:
        return bool(self._count)

    @property
    def enough(self) -> bool:
        """Whether there are so many that nobody needs the number of them all."""
        return self._count >= _ENOUGH

    def refuse(self, what: str, hint: str = "") -> Refused:
        """The answer that lists them; `what` is what they are in."""
        first = self._found[0]
        least = "more than " if self.more_to_find else ""
        many = f"{least}{self._count:,} problems in {what}; the first: " if self._count > 1 else ""
        message = f"{many}{first.where}: expected {first.expected}, got {first.got}"
        more = self._count - len(self._found)
        return Refused(422, "input", message, hint=hint, problems=tuple(self._found), more=more)


def few(rows: int) -> None:
    """Refuse more rows than are computed at once."""
    if rows > MAX_ROWS:
        raise Refused(413, "size", f"these are more than {MAX_ROWS:,} rows", hint="send fewer at once")


def shown(value: object) -> str:
    """A value of JSON, so short that it can be part of a message."""
    if isinstance(value, dict | list):
        return ("an object" if value else "{}") if isinstance(value, dict) else f"a list of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return f"a whole number of {value.bit_length()} bits"
    text = json.dumps(value)
    return text if len(text) <= _LONG else f"{text[: _LONG - 1]}…"
