"""Which of the scheduled runs that were missed are made up for, once somebody can run them again.

    none     those that were due before the worker came up are not run
    latest   of those that are due, with the same parameters, only the last is run
    all      each is run, one after the other

    settle   when a worker comes up: what becomes of all that was missed, before it takes any of it
    skip     when a run begins: whether it still is to run, a long run before it having been in the way

Pure: what is due, and when, is given. Only what a schedule started is ever skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

DEFAULT = "latest"
LOST = ("CANCELLED", "CANCELLING", "CRASHED", "FAILED")  # a run that became this makes up for none


@dataclass(frozen=True, slots=True)
class Due:
    """A flow run of a deployment: when it was due, with which parameters, what became of it."""

    at: datetime
    parameters: Mapping[str, Any] = field(default_factory=dict)
    state: str = "SCHEDULED"
    id: str = ""


class Settled(NamedTuple):
    """What becomes of missed runs: `dropped` never run, `first` now, `held` each after the one before."""

    dropped: list[Due]
    first: list[Due]
    held: list[Due]


def settle(policy: str, missed: Iterable[Due]) -> Settled:
    """What becomes of the runs of a deployment that were missed."""
    due = sorted(missed, key=lambda each: (each.at, each.id))
    if policy == "none":
        return Settled(due, [], [])
    if policy == "all":
        return Settled([], due[:1], due[1:])
    kept = [each for number, each in enumerate(due) if not _is_repeated(each, due[number + 1 :])]
    return Settled([each for each in due if each not in kept], kept, [])


def _is_repeated(mine: Due, later: Iterable[Due]) -> bool:
    return any(other.parameters == mine.parameters for other in later)


def skip(policy: str, mine: Due, others: Iterable[Due], up_since: float | None) -> str:
    """Why a scheduled run is not run, "" where it is. `up_since`: when the worker came up, if known."""
    if policy == "none" and up_since is not None and mine.at.timestamp() < up_since:
        up = datetime.fromtimestamp(up_since, UTC)
        return f"due {_said(mine.at)}, before the worker came up {_said(up)} (catch_up: none)"
    if policy == "latest":
        later = [
            other.at
            for other in others
            if other.at > mine.at and other.parameters == mine.parameters and other.state not in LOST
        ]
        if later:
            return (
                f"due {_said(mine.at)}, and a later run is due since {_said(max(later))} (catch_up: latest)"
            )
    return ""


def _said(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
