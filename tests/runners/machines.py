"""Machines for tests: a Dask scheduler and workers as processes of their own, and an S3 server.

Each worker has an empty home and working directory. A hook that Python itself calls writes down every
path below the tests' own directory that the worker, and whatever it starts, opens or lists: what two
machines do not share can so be seen not to be read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.s3 import S3
from trunkline.runners.shipping import CodeOf, meaning
from trunkline.writer import writer_tag

PATIENCE = 60.0  # seconds; what takes longer has gone wrong

HOOK = """\
import os, sys
_mine, _log = os.environ.get("AUDIT_BELOW"), os.environ.get("AUDIT_LOG")
if _mine and _log:
    _to = os.open(_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def _hook(event, args):
        if event in ("open", "os.listdir", "os.scandir", "os.chdir", "os.link", "os.rename"):
            for path in args[:2]:
                if isinstance(path, (str, bytes, os.PathLike)):
                    path = os.path.abspath(os.fsdecode(path))
                    if path.startswith(_mine):
                        os.write(_to, os.fsencode(path) + b"\\n")
    sys.addaudithook(_hook)
"""


def until(what: Callable[[], object], said: str) -> None:
    """Wait until it is so."""
    limit = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < limit, f"in {PATIENCE:.0f} s it did not come about that {said}"
        time.sleep(0.05)


def needs_dask() -> None:
    """Skip where the extra `dask` is not installed; fail where everything is to be tested."""
    if importlib.util.find_spec("distributed") is None:
        reason = 'the extra `dask` is not installed: pip install "trunkline[dask]"'
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason, allow_module_level=True)


class Machine:
    """One Dask worker. With a nanny it comes back when it is killed."""

    def __init__(self, address: str, home: Path, base: Path, *, nanny: bool) -> None:
        self.home = home
        home.mkdir(parents=True)
        (home / "hook").mkdir()
        (home / "hook" / "sitecustomize.py").write_text(HOOK)
        keep = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        environment = {
            **keep,
            **S3,
            "HOME": str(home),
            "PYTHONPATH": str(home / "hook"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "AUDIT_BELOW": f"{base}/",
            "AUDIT_LOG": str(home / "opened"),
        }
        command = [
            "worker",
            address,
            "--nthreads",
            "1",
            "--no-dashboard",
            "--local-directory",
            str(home / "dask"),
        ]
        self.process = _dask(
            [*command, "--host", "127.0.0.1", "--nanny" if nanny else "--no-nanny"], home, environment
        )

    @property
    def opened(self) -> list[str]:
        """The paths below the tests' directory that were opened, outside of the machine's own."""
        log = self.home / "opened"
        lines = log.read_text().splitlines() if log.exists() else []
        return [path for path in lines if not path.startswith(f"{self.home}/") and path != str(self.home)]

    @property
    def fetched(self) -> int:
        """How many objects it has got from the remote."""
        return len(list(self.home.glob("dask/**/trunkline/objects/??/*")))

    @property
    def registered(self) -> bool:
        """Whether the scheduler knows it: before that it is given nothing."""
        return b"Registered to:" in (self.home / "output").read_bytes()

    def end(self) -> None:
        """End it, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, 9)
        self.process.wait()


class Machines:
    """A scheduler, and workers below `base`."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.workers: list[Machine] = []
        self._scheduler: subprocess.Popen[bytes] | None = None
        self.address = ""

    def start(self, workers: int) -> None:
        """Start the scheduler and the first workers."""
        home = self.base / "scheduler"
        home.mkdir()
        told = home / "scheduler.json"
        command = [
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--scheduler-file",
            str(told),
        ]
        self._scheduler = _dask(command, home, {**os.environ, "HOME": str(home)})
        until(told.exists, "the scheduler told its address")
        until(lambda: told.read_text().endswith("}"), "it did so in full")
        self.address = json.loads(told.read_text())["address"]
        for _ in range(workers):
            self.add()

    def add(self, *, nanny: bool = False) -> Machine:
        """One more worker."""
        home = self.base / f"machine-{len(self.workers) + 1}"
        machine = Machine(self.address, home, self.base.parent, nanny=nanny)
        self.workers.append(machine)
        until(lambda: machine.registered, "the scheduler knows the worker")
        return machine

    @property
    def living(self) -> list[Machine]:
        """The workers that run."""
        return [machine for machine in self.workers if machine.process.poll() is None]

    def restore(self, workers: int) -> None:
        """See that so many workers run, none of which has a nanny."""
        while len(self.living) < workers:
            self.add()

    def end(self) -> None:
        """End all of them."""
        for machine in self.workers:
            machine.end()
        if self._scheduler is not None:
            self._scheduler.kill()
            self._scheduler.wait()


def _dask(command: list[str], home: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with open(home / "output", "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *command],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@contextlib.contextmanager
def machines(base: Path, workers: int) -> Iterator[Machines]:
    """A cluster that ends with the context."""
    made = Machines(base)
    try:
        made.start(workers)
        yield made
    finally:
        made.end()


def code_of(root: Path) -> Callable[[str], CodeOf]:
    """Every module below `root` as the code of any stage."""

    def source(stage: str) -> CodeOf:
        paths = sorted(str(path.relative_to(root)) for path in root.rglob("*.py"))
        contents = {path: (root / path).read_bytes() for path in paths}
        return CodeOf(str(root), tuple(paths), meaning(contents), writer_tag())

    return source
