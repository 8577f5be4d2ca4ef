"""Commands in processes forked from this one, which has imported what they need: 20 ms, not 400.

What runs is the command's own `main`, with an environment, a working directory, a session and an output
of its own; only the start of Python is saved. This process is the reaper of all that descend from it, so
that it knows who is left. It must stay without threads of its own, and open nothing that a child may not have.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.support import Done
from trunkline import points
from trunkline.runners import reaper

_SUBREAPER = 36
_PATIENCE = 90.0  # seconds after which a command hangs
_PAUSE = 0.002


class Hangs(AssertionError):
    """A command that does not end, or leaves somebody behind."""


def become_reaper() -> None:
    """Be the parent of every orphan among the descendants."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


class Running:
    """A command that was started."""

    def __init__(self, pid: int, output: Path, what: str) -> None:
        self.pid = pid
        self.what = what
        self._output = output
        self._status: int | None = None

    def ended(self) -> bool:
        """Whether it has."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = status if pid else None
        return self._status is not None

    def kill(self) -> None:
        """SIGKILL."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)

    def done(self) -> Done:
        """Wait for its end; what it printed is all in `out`, a code below zero is a signal."""
        deadline = time.monotonic() + _PATIENCE
        while not self.ended():
            if time.monotonic() > deadline:
                self.kill()
                raise Hangs(f"{self.what} does not end\n{self._output.read_text()}")
            time.sleep(_PAUSE)
        assert self._status is not None
        text = self._output.read_text(errors="replace")
        self._output.unlink()
        return Done(os.waitstatus_to_exitcode(self._status), text, "")


class Forks:
    """Starts commands. Their outputs lie in `folder` while they run."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._numbers = 0

    def start(self, root: Path, *argv: str, crash: str = "") -> Running:
        """`trunkline …` or `dvc …` in `root`; with `crash`, told where to die."""
        return self.call(root, lambda: _command(argv), " ".join(argv), crash)

    def run(self, root: Path, *argv: str, crash: str = "") -> Done:
        """The same, to its end."""
        return self.start(root, *argv, crash=crash).done()

    def call(self, root: Path, act: Callable[[], int], what: str, crash: str = "") -> Running:
        """Do `act` in a process of its own."""
        self._numbers += 1
        output = self._folder / f"{self._numbers}.txt"
        output.touch()
        sys.stdout.flush()
        pid = os.fork()
        if not pid:
            self._become(root, output, what, crash, act)
        return Running(pid, output, what)

    def _become(self, root: Path, output: Path, what: str, crash: str, act: Callable[[], int]) -> None:
        code = 99
        try:
            os.setsid()
            stream = os.open(output, os.O_WRONLY | os.O_APPEND)
            null = os.open(os.devnull, os.O_RDONLY)
            for source, number in ((null, 0), (stream, 1), (stream, 2)):
                os.dup2(source, number)
            os.chdir(root)
            os.environ.clear()
            os.environ.update(self._environment)
            os.environ.update({points.VARIABLE: crash} if crash else {})
            sys.argv = what.split()
            points.arm(crash)
            code = act()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code or 0)

    def warm(self, root: Path, *argv: str) -> None:
        """Import, here and for all that follow, what this command imports."""
        names = self._folder / "modules.json"

        def act() -> int:
            code = _command(argv)
            names.write_text(json.dumps([name for name in sys.modules if not name.startswith("stages")]))
            return code

        done = self.call(root, act, " ".join(argv)).done()
        assert done.code == 0, done.out
        for name in json.loads(names.read_text()):
            with suppress(Exception):  # parts of C libraries that only pretend to be modules
                importlib.import_module(name)
        gc.collect()
        gc.freeze()  # so that no child copies what it does not use


def _command(argv: tuple[str, ...]) -> int:
    if argv[0] == "dvc":
        from dvc.cli import main as dvc

        return int(dvc(list(argv[1:])) or 0)
    from trunkline.cli.main import main as trunkline

    return trunkline(argv[1:])


# ---------------------------------------------------------------- who is there


class Family(NamedTuple):
    """The processes that a run has started."""

    template: list[int]
    workers: list[int]


def family(run: int) -> Family:
    """The template of the run with this pid, and its workers."""
    table = reaper.processes()
    templates = [process.pid for process in table if process.parent == run and _is_template(process.pid)]
    return Family(templates, [process.pid for process in table if process.parent in templates])


def _is_template(pid: int) -> bool:
    with suppress(OSError):
        return b"trunkline.runners.template" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def nobody_left(patience: float = 20.0) -> None:
    """See that all descendants end, nearly at once. Raises Hangs. Not while a command is waited for."""
    deadline = time.monotonic() + patience
    with suppress(ChildProcessError):  # there is none: orphans are children of ours
        while True:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                time.sleep(_PAUSE)
            if time.monotonic() > deadline:
                left = [process.pid for process in reaper.processes() if process.parent == os.getpid()]
                raise Hangs(f"still there: {[_command_of(pid) for pid in left]}")


def _command_of(pid: int) -> str:
    with suppress(OSError):
        return f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode()[:200]}"
    return str(pid)
