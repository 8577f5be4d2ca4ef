"""Every error a user can meet, as one tree.

    TrunklineError            code, message, where, hint, exit code
    ├── UsageError       2    a command line that asks for something that cannot be
    ├── ProjectError     2    no project, no git, no DVC, a project in the wrong state
    ├── SpecError        2    every problem of every pipeline file, at once
    ├── StaleError       1    dvc.yaml is older than the pipelines it is compiled from
    ├── StoreError       3    data that is missing, damaged, or in the way
    │   ├── MissingData       an object or a dataset that is in neither workspace nor cache
    │   └── CorruptData       content that no longer has the hash it is stored under
    ├── LockedError      3    another process holds what is needed
    ├── ServerError      3    a Prefect server that cannot be started, or does not answer
    └── StageFailed      3    datums failed; what succeeded beside them is kept

An error says what (`message`), where (`where`: a path, `file:line:column`, a stage), and what
to type instead (`hint`). Foreign exceptions are turned into these at the border where they
arise; nothing else reaches a user without `--debug`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class TrunklineError(Exception):
    """An error with a cause the user can act on."""

    code = "error"
    exit_code = 3

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def as_json(self) -> dict[str, object]:
        """The error as `--json` prints it: code, message, where, hint."""
        return {"code": self.code, "message": self.message, "where": self.where, "hint": self.hint}


class UsageError(TrunklineError):
    """A command line that asks for something that cannot be."""

    code = "usage"
    exit_code = 2


class ProjectError(TrunklineError):
    """No project here, or a project in a state that the command cannot work with."""

    code = "project"
    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem of one file. `line` and `column` count from 1; 0 means the whole file.

    `source` is the text of that line and `length` the number of characters to mark under it.
    """

    file: str
    line: int
    column: int
    message: str
    hint: str = ""
    source: str = ""
    length: int = 1

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.message}"]
        if self.line and self.source.strip():
            lines += [f"    {self.source}", "    " + " " * (self.column - 1) + "^" * self.length]
        if self.hint:
            lines.append(f"    {self.hint}")
        return "\n".join(lines)


class SpecError(TrunklineError):
    """Everything that is wrong with the pipeline files, found in one go."""

    code = "specification"
    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column, p.message)))
        count = len(self.problems)
        others = sorted({p.file for p in self.problems if not p.file.startswith("pipelines/")})
        places = ", ".join(others) or "the pipeline files"
        summary = f"{count} problem{'s' if count != 1 else ''} in {places}"
        super().__init__("\n".join([*map(str, self.problems), summary]), where=self.problems[0].where)

    def as_json(self) -> dict[str, object]:
        problems = [{"message": p.message, "where": p.where, "hint": p.hint} for p in self.problems]
        return {**super().as_json(), "problems": problems}


class StaleError(TrunklineError):
    """dvc.yaml does not say what the pipeline files say."""

    code = "stale"
    exit_code = 1


class StoreError(TrunklineError):
    """Data is missing, damaged, or in the way."""

    code = "store"


class MissingData(StoreError):
    """A dataset or an object that is neither in the workspace nor in the cache."""

    code = "missing"


class CorruptData(StoreError):
    """Content that no longer has the hash under which it is stored."""

    code = "corrupt"


class LockedError(TrunklineError):
    """Another process holds what is needed."""

    code = "locked"


class ServerError(TrunklineError):
    """A Prefect server cannot be started, or does not answer."""

    code = "server"


class StageFailed(TrunklineError):
    """At least one datum of a stage failed. The results of all others are kept."""

    code = "stage_failed"
