"""Finds the Prefect server of a project, has it started, has it stopped.

The server is the user's where PREFECT_API_URL is set: then nothing is started or stopped here. Otherwise it
is the project's own, kept by a process of its own (`keeper`) that outlives the command that started it. What
is wanted of the keeper is said in files, so that any number of commands can say it at once: see `state`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import NamedTuple

from trunkline.errors import ServerError
from trunkline.flows import state
from trunkline.flows.api import Api
from trunkline.flows.children import end_stranger, gone, tail
from trunkline.flows.ending import drain
from trunkline.flows.home import Home, foreign, pages_of
from trunkline.flows.state import State, read_state, touch
from trunkline.ledger.owner import Owner

_LOOK = 0.1  # seconds between two looks at what the keeper says
_BOOT = 240.0  # seconds after which a server that is being started is given up
_ANSWER = 5.0  # seconds that the user's own server has to answer
_CLAIM = 40.0  # seconds after which a keeper must have said where the server will be
_SPACE = 64 << 20  # bytes that must be free: a new database has 12 MB
_SILENCE = 10.0  # seconds without a living keeper after which there will be none
_ORPHAN = 5.0  # seconds that the server of a killed keeper has to write down what it was told
_STOP = 200.0  # seconds that a keeper has to stop: it interrupts runs and drains first


class Server(NamedTuple):
    """A server that answers: the addresses of its API and of its pages, whether it is the project's own."""

    url: str
    pages: str
    ours: bool


def find(root: str) -> Server | None:
    """The server of the project at `root`, if it answers. Costs a request."""
    if url := foreign():
        return Server(url, pages_of(url), ours=False) if Api(url).healthy() else None
    home = Home(root)
    now = read_state(home)
    if not _answers(now):
        return None
    touch(home)
    return Server(now.url, now.pages, ours=True)


def begin(root: str, *, keep: bool = False, worker: bool = False) -> Starting:
    """Have the server run, and a worker too if so wanted; returns at once. Raises ServerError.

    With `keep` it runs until `stop`, otherwise until it is idle.
    """
    home = Home(root)
    url = foreign()
    now = read_state(home)
    if url and not worker:
        return Starting(home, url, now)
    if now.lives and (now.ours is bool(url) or (url and now.url not in ("", url))):
        raise _other_server(now, url)
    if url:
        _await_foreign(url, _ANSWER)
    try:
        home.make()
        _check_space(home)
        if keep:
            state.wish(home, state.KEPT)
        if worker:
            state.wish(home, state.WORKER)
        state.wish(home, state.USED)
        # After the wish, so that either we see that the keeper stops or it sees that it is wanted.
        now = read_state(home)
        needed = not now.lives or now.state in ("stopping", "stopped", "failed")
        process = _spawn(home) if needed else None
    except OSError as error:
        raise ServerError(
            f"the Prefect server cannot be started: {error.strerror}",
            where=home.folder,
            hint=_WITHOUT,
        ) from error
    return Starting(home, url, now, process, worker=worker)


class Stopped(NamedTuple):
    """What a stop came to: whose server it was, which flow runs it interrupted, how many states it lost."""

    ours: bool = True
    interrupted: tuple[str, ...] = ()
    undrained: int = 0


def runs(root: str) -> bool:
    """Whether there is anything to stop. Costs two small files."""
    now = read_state(Home(root))
    return any(owner is not None and owner.lives() for owner in (now.keeper, now.server, now.worker))


def stop(root: str) -> Stopped | None:
    """Stop the project's own server and its worker, drained; None where there is nothing to stop.

    A worker for the user's own server is stopped too, that server is not. Raises ServerError.
    """
    home = Home(root)
    now = read_state(home)
    for name in (state.KEPT, state.WORKER):
        state.unwish(home, name)
    if now.keeper is not None and now.lives:
        return _stop_keeper(home, now.keeper)
    left = [owner for owner in (now.worker, now.server) if owner is not None and owner.lives()]
    if left and now.ours:
        drain(home, Api(now.url, timeout=2.0), _ORPHAN)
    for owner in left:
        end_stranger(owner, 0.0 if owner == now.worker else 10.0)
    return Stopped(now.ours) if left else None


class Starting:
    """A server on its way."""

    def __init__(self, home: Home, url: str, before: State, process: subprocess.Popen[bytes] | None = None,
                 *, worker: bool = False) -> None:  # fmt: skip
        self._home = home
        self._url = url
        self._stale = before.keeper if process is not None else None  # what this one said is no news
        self._process = process
        self._worker = worker
        self.fresh = process is not None or (worker and not before.worker_ready)
        """Whether something has to be started for it."""
        self._began = time.monotonic()

    def address(self, patience: float = _CLAIM) -> Server:
        """Where the server will be. Raises ServerError."""
        if self._url:
            return Server(self._url, pages_of(self._url), ours=False)
        deadline = time.monotonic() + patience
        while True:
            now = self._now()
            if now.lives and now.url and now.state in ("starting", "running"):
                return Server(now.url, now.pages, now.ours)
            self._check(deadline, patience)

    def wait(self, patience: float = _BOOT) -> Server:
        """The server, when it answers (and the worker too, if it was asked for). Raises ServerError."""
        if self._url:
            _await_foreign(self._url, min(patience, _ANSWER))
            if not self._worker:
                return Server(self._url, pages_of(self._url), ours=False)
        deadline = time.monotonic() + patience
        while True:
            now = self._now()
            complete = now.worker_ready or not self._worker
            if complete and now.lives and now.state == "running" and (self._url or _answers(now)):
                self._reap()
                return Server(now.url, now.pages, now.ours)
            self._check(deadline, patience)

    def _now(self) -> State:
        """What the keeper says. Raises ServerError where it says that it failed, or says nothing."""
        now = read_state(self._home)
        if now.state == "failed" and now.keeper != self._stale and not now.lives:
            self._reap()
            raise ServerError(now.error, where=self._home.log("server"), hint=_WITHOUT)
        if not now.lives and time.monotonic() - self._began > _SILENCE:
            self._reap()
            said = tail(self._home.log("keeper"))
            raise ServerError(
                "the process that keeps the Prefect server has ended" + (f"\n{said}" if said else ""),
                where=self._home.log("keeper"),
                hint=_WITHOUT,
            )
        return now

    def _check(self, deadline: float, patience: float) -> None:
        if time.monotonic() > deadline:
            raise ServerError(
                f"the Prefect server does not answer after {patience:.0f} s",
                where=self._home.log("server"),
                hint=f"type `trunkline down` and try again\n{_WITHOUT}",
            )
        time.sleep(_LOOK)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait()  # it only starts the keeper


_WITHOUT = "`trunkline run --engine local` does without Prefect"


def _answers(now: State) -> bool:
    """Whether the server is there: it is the keeper's, lives, and answers."""
    if now.state != "running" or not now.lives:
        return False
    return now.server is not None and now.server.lives() and Api(now.url).healthy()


def _await_foreign(url: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while not Api(url).healthy(timeout=patience):
        if time.monotonic() > deadline:
            raise ServerError(
                "the server that PREFECT_API_URL names does not answer",
                where=url,
                hint="start it, or unset PREFECT_API_URL to use the project's own",
            )
        time.sleep(_LOOK)


def _other_server(now: State, url: str) -> ServerError:
    if now.ours:
        return ServerError(
            "PREFECT_API_URL is set, and the project's own server runs", where=now.url,
            hint="type `trunkline down` first",
        )  # fmt: skip
    return ServerError(
        f"a worker for another server runs, and PREFECT_API_URL is {url or 'not set'}", where=now.url,
        hint="type `trunkline down` first, or set PREFECT_API_URL" + (" to that server" if url else ""),
    )  # fmt: skip


def _check_space(home: Home) -> None:
    stat = os.statvfs(home.folder)
    if (free := stat.f_bavail * stat.f_frsize) < _SPACE:
        raise ServerError(
            f"the disk is full: the Prefect server needs {_SPACE >> 20} MB, {free >> 20} MB are free",
            where=home.folder,
            hint=f"make room\n{_WITHOUT}",
        )


def _spawn(home: Home) -> subprocess.Popen[bytes]:
    with open(home.log("keeper"), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "trunkline.flows.keeper", home.root],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=home.folder,
            start_new_session=True,
        )


def _stop_keeper(home: Home, keeper: Owner) -> Stopped:
    try:
        state.ask_to_stop(home, keeper)
    except OSError as error:
        raise ServerError(
            f"the server cannot be asked to stop: {error.strerror}", where=home.folder
        ) from error
    gone([keeper], _STOP)
    now = read_state(home)
    if now.keeper != keeper:  # somebody has typed `up` meanwhile: what runs now is that keeper's
        end_stranger(keeper, 0.0)
        return Stopped(now.ours)
    orderly = now.state == "stopped"
    left = [keeper] if orderly else [keeper, now.worker, now.server]  # the keeper would start them again
    for owner in left:
        if owner is not None:
            end_stranger(owner, 0.0)
    state.unwish(home, state.STOP)
    return Stopped(now.ours, now.interrupted if orderly else (), now.undrained if orderly else 0)
