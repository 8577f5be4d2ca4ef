"""Executes datums on a machine that shares nothing with the project but a DVC remote.

    Place(directory, name).execute(work, shipment, wanted) -> Returned

The inputs are fetched from the remote by content, the code is unpacked from the shipment, the datum runs
in a process of its own (as it does on the project's machine), its outputs are hashed and uploaded. Several
threads may execute at once. What the user's code does wrong is a failure in the outcome; what keeps us
from trying, or from handing back what came of it, is Trouble, and another machine may have more luck.

    <directory>/objects/        inputs by content, as long as there is room
    <directory>/code/<id>/      a stage's code, as if it were the project
    <directory>/<n>/            one process: outputs, views of inputs, logs

Processes are kept for the datums that come next, and ended when none came for a while. They also end when
this process does, whatever ends it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import NamedTuple

from trunkline.errors import TrunklineError
from trunkline.model import Outcome, Work
from trunkline.runners.kept import Kept
from trunkline.runners.objects import Remote
from trunkline.runners.processes import ProcessPool
from trunkline.runners.shipping import Returned, Shipment, Trouble, unpack
from trunkline.runners.views import remove_tree

_IDLE = 30.0  # seconds without a datum after which a process is ended
_LOOK = 0.2  # seconds between looks whether the datum is still wanted
_SAID = 4 << 20  # bytes of a datum's log that are handed back, the last ones
_SHARE = 4  # inputs may take up one part in this many of the space that is free at the beginning


class UnwantedError(Exception):
    """Nobody waits for the datum any more."""


class _Bench(NamedTuple):
    """A process that executes one datum at a time, and its directory."""

    pool: ProcessPool
    directory: str
    idle: float = 0.0


class Place:
    """A directory of this machine in which datums are executed. `name` is told where something fails."""

    def __init__(self, directory: str, name: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self._directory = directory
        self._name = name
        self._objects = Kept(os.path.join(directory, "objects"), shutil.disk_usage(directory).free // _SHARE)
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._unpacking = threading.Lock()
        self._code: dict[str, str] = {}
        self._remotes: dict[str, Remote] = {}
        self._benches: list[_Bench] = []
        self._warden: threading.Thread | None = None

    def execute(self, work: Work, shipment: Shipment, wanted: Callable[[], bool]) -> Returned:
        """Execute one datum. Raises Trouble, UnwantedError."""
        try:
            root = self._unpacked(shipment)
            remote = self._remote(shipment)
            md5s = (file.md5 for given in work.inputs for file in given.files)
            with self._objects.holding(md5s, remote.get), self._bench() as bench:
                return self._execute(work, bench, root, remote, wanted)
        except (TrunklineError, Trouble, OSError) as error:
            hint = getattr(error, "hint", "")
            raise Trouble(f"on {self._name}: {error}{f' ({hint})' if hint else ''}") from error

    def close(self) -> None:
        """End the processes that wait for datums."""
        with self._lock:
            benches, self._benches = self._benches, []
        for bench in benches:
            _end(bench)

    def _execute(
        self, work: Work, bench: _Bench, root: str, remote: Remote, wanted: Callable[[], bool]
    ) -> Returned:
        number = next(self._numbers)
        local = replace(
            work,
            root=root,
            scratch=os.path.join(bench.directory, f"out-{number}"),
            log=os.path.join(bench.directory, f"log-{number}"),
            inputs=tuple(given._replace(objects=self._objects.directory) for given in work.inputs),
        )
        outcome = _outcome(bench.pool, local, wanted)
        try:
            if outcome.failure is None:
                out = os.path.join(outcome.scratch, "pfs", "out")
                remote.add([(os.path.join(out, file.path), file.md5, file.size) for file in outcome.files])
            else:
                self._objects.drop(outcome.failure.damaged)
            return Returned(_without_paths(outcome), _said(local.log), self._name, root)
        finally:
            for path in {local.scratch, outcome.scratch}:
                remove_tree(path)

    # ------------------------------------------------------------ what is kept

    def _unpacked(self, shipment: Shipment) -> str:
        """Where the code is. One that does not fit here is unpacked, and refused, each time."""
        with self._unpacking:
            if shipment.id not in self._code:
                root = os.path.join(self._directory, "code", shipment.id[:16])
                remove_tree(root)
                os.makedirs(root)
                unpack(shipment, root)
                self._code[shipment.id] = root
            return self._code[shipment.id]

    def _remote(self, shipment: Shipment) -> Remote:
        with self._lock:
            key = repr(sorted(shipment.remote.items()))
            if key not in self._remotes:
                self._remotes[key] = Remote(shipment.remote)
            return self._remotes[key]

    @contextlib.contextmanager
    def _bench(self) -> Iterator[_Bench]:
        """A process of our own; it is ended with the datum where something is wrong with it."""
        with self._lock:
            bench = self._benches.pop() if self._benches else None
        if bench is None:
            directory = os.path.join(self._directory, str(next(self._numbers)))
            os.makedirs(directory)
            bench = _Bench(ProcessPool(1, pinned=False), directory)
        try:
            yield bench
        except BaseException:
            _end(bench)
            raise
        with self._lock:
            self._benches.append(bench._replace(idle=time.monotonic()))
            if self._warden is None:
                self._warden = threading.Thread(target=self._watch, name="trunkline", daemon=True)
                self._warden.start()

    def _watch(self) -> None:
        """End processes that nothing came for, until there are none."""
        while True:
            time.sleep(_IDLE / 10)
            with self._lock:
                old = [bench for bench in self._benches if time.monotonic() - bench.idle > _IDLE]
                self._benches = [bench for bench in self._benches if bench not in old]
                if not self._benches:
                    self._warden = None
            for bench in old:
                _end(bench)
            if self._warden is not threading.current_thread():
                return


def _outcome(pool: ProcessPool, work: Work, wanted: Callable[[], bool]) -> Outcome:
    pool.submit(work)
    while not pool.ready(_LOOK):
        if not wanted():
            raise UnwantedError(work.datum)
    outcome = pool.next()
    assert outcome is not None
    return outcome


def _without_paths(outcome: Outcome) -> Outcome:
    failure = outcome.failure and replace(outcome.failure, damaged=())
    return replace(outcome, scratch="", failure=failure)


def _said(log: str) -> bytes:
    """The end of the datum's log, which is removed."""
    try:
        size = os.stat(log).st_size
    except FileNotFoundError:
        return b""
    with open(log, "rb") as stream:
        stream.seek(max(0, size - _SAID))
        text = stream.read()
    os.unlink(log)
    return text if size <= _SAID else b"[%d bytes before this are not kept]\n%s" % (size - _SAID, text)


def _end(bench: _Bench) -> None:
    bench.pool.close(now=True)
    remove_tree(bench.directory)
