"""Runs whole processes and says what they cost, descendants included."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

# What a user's shell may hold and a measurement must not see.
_FOREIGN = ("DVC_", "GIT_", "PYTHON", "TRUNKLINE_")


class Cost(NamedTuple):
    """CPU seconds, seconds, and the bytes of the largest process at its peak."""

    cpu: float
    wall: float
    rss: int

    def plus(self, other: Cost) -> Cost:
        """One after the other."""
        return Cost(self.cpu + other.cpu, self.wall + other.wall, max(self.rss, other.rss))


class CommandFailed(Exception):
    """A measured command did not do what it should; the message holds what it printed."""


class Command(NamedTuple):
    """Something to measure. `before` puts the world in order first and is not counted."""

    argv: Sequence[str]
    directory: Path
    before: Callable[[], object] = lambda: None
    codes: tuple[int, ...] = (0,)


def run(command: Command) -> Cost:
    """Run it once. Raises CommandFailed."""
    command.before()
    with tempfile.TemporaryFile() as said:
        began = time.perf_counter()
        process = subprocess.Popen(
            command.argv,
            cwd=command.directory,
            env=environment(command.directory),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in command.codes:
            said.seek(0)
            text = said.read().decode("utf-8", "replace")
            raise CommandFailed(f"{' '.join(command.argv)} gave {process.returncode}\n{text}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * unit)


def medians(rounds: int, *commands: Command) -> list[Cost]:
    """The median cost of each command, run in turns, so that a busy minute is shared by all."""
    costs: list[list[Cost]] = [[] for _ in commands]
    for _ in range(rounds):
        for command, found in zip(commands, costs, strict=True):
            found.append(run(command))
    return [median(found) for found in costs]


def median(costs: Sequence[Cost]) -> Cost:
    """Of each number by itself; of the memory the largest."""
    return Cost(
        statistics.median(cost.cpu for cost in costs),
        statistics.median(cost.wall for cost in costs),
        max(cost.rss for cost in costs),
    )


def environment(directory: Path) -> Mapping[str, str]:
    """This Python's programs first, byte code cached, no user's git, nothing phoned home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    who = {"NAME": "A Bench", "EMAIL": "bench@example.invalid"}
    return {
        **kept,
        "PATH": path,
        "HOME": str(directory.parent),
        "DVC_NO_ANALYTICS": "1",
        "TRUNKLINE_ENGINE": "local",
        "DVC_SITE_CACHE_DIR": str(directory.parent / "dvc-site-cache"),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()},
    }
