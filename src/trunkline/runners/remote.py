"""A pool's side of its processes: the template that it started, and each worker that came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any, NamedTuple

from trunkline.model import Work
from trunkline.runners import secrets, wire

_START = """
import json, sys
setup = json.loads(sys.argv[1])
sys.path[:] = setup["path"]
from trunkline.runners.template import main
main(setup)
"""


def command_line(setup: Mapping[str, Any]) -> list[str]:
    """What starts a template."""
    warnings = [f"-W{option}" for option in sys.warnoptions]
    return [sys.executable, *warnings, "-c", _START, json.dumps(setup)]


class Held(NamedTuple):
    """A datum that a worker has got; `sent` in nanoseconds since the epoch."""

    work: Work
    sent: int


class Remote:
    """The pool's side of one worker.

    What it holds is of one stage; `cpus` are those that it keeps to meanwhile. `given_up`: that stage was
    cancelled. `pid` is 0 before there is a process; it is its session's id too.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.stream, self.theirs = wire.pair()
        self.inbox = wire.Inbox(self.stream)
        self.spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self.held: deque[Held] = deque()
        self.cpus: tuple[int, ...] = ()
        self.answered = 0
        self.open = True
        self.given_up = False
        self.pid = 0

    def send(self, works: Sequence[Work], message: bytes) -> bool:
        """Give it these datums, which `message` says; False where it is gone."""
        try:
            self.stream.sendall(message)
        except OSError:
            self.open = False
            return False
        now = time.time_ns()
        self.held.extend(Held(work, now) for work in works)
        return True

    def close(self) -> None:
        """It has ended."""
        self.stream.close()
        self.spool.close()


class Template:
    """A running template."""

    def __init__(self, root: str, modules: Sequence[str], hidden: Iterable[str]) -> None:
        self.control, theirs = wire.pair()
        setup = {
            "path": [os.path.abspath(entry) for entry in sys.path],
            "control": theirs.fileno(),
            "parent": os.getpid(),
            "root": root,
            "modules": list(modules),
        }
        with theirs:
            self.process = subprocess.Popen(
                command_line(setup),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                env=secrets.stripped(hidden),
            )

    def end(self) -> str:
        """End it with all its descendants; what it said before it began to serve."""
        self.control.close()
        try:
            _, said = self.process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, said = self.process.communicate()
        return said.decode("utf-8", "replace").strip()
