"""Keeps a project's Prefect server, and a worker, running: one process per project, of its own.

    python -m trunkline.flows.keeper ROOT

It is the parent of both, starts again what dies, and ends when it is asked to, when nobody used the server
for half an hour (unless `trunkline up` said to keep it), or when its directory is gone. A second keeper finds
the lock held and ends. It talks with people through the files of `state` only, and with the server through
`api`; it imports no Prefect, so it costs 30 MB.

The server's socket is the keeper's: it listens from the first moment to the last, so while a server starts
(again) its clients wait instead of being refused, and the worker starts at the same time as the server; it takes
no run before it is settled what becomes of those that were missed (`missed`).
Where PREFECT_API_URL names the user's own server there is the worker alone, and of its pool it takes the queue
that has the project's name.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version

from trunkline.flows import state
from trunkline.flows.api import Api, ApiError
from trunkline.flows.children import TRIES, Child, Failed, end_stranger, how
from trunkline.flows.ending import drain, end_runs, pause, resume
from trunkline.flows.home import LOOPBACK, Home, foreign, pages_of, server_environment
from trunkline.flows.reap import Reaper
from trunkline.flows.state import State, read_state, write_state
from trunkline.flows.working import Worker
from trunkline.ledger.owner import owner_of

_LOOK = 0.25  # seconds between two looks at everything
_REAP = 10.0  # seconds between two looks for runs whose process is dead
_BOOT = 180.0  # seconds that a server has to answer
_IDLE = 1800.0
_ORPHAN = 10.0  # seconds that the server of a killed keeper has to write down what it was told
_END = 15.0  # seconds that a server has to end


class Keeper:
    """The server and the worker of one project, as they are wanted."""

    def __init__(self, root: str) -> None:
        self._home = Home(root)
        self._ours = not foreign()
        self._idle = _idle()
        lifeline, self._held = os.pipe()  # nobody else has `_held`: see `tether`
        self._server = Child("server", self._home.log("server"), lifeline)
        worker = Child("worker", self._home.log("worker"), lifeline)
        self._socket: socket.socket | None = None
        self._ready = -1  # the server closes the other end, having written to it when it answers
        self._next_reap = 0.0  # in monotonic seconds
        self._busy = time.time()  # when there last was a flow run under way
        self._told = False  # by SIGTERM
        self._state = self._claim()
        self._api = Api(self._state.url)
        self._reaper = Reaper(self._home, self._api, ours=self._ours)
        self._worker = Worker(self._home, self._api, worker, self._change, ours=self._ours)

    def run(self) -> None:
        """Keep them until there is a reason to stop."""
        signal.signal(signal.SIGTERM, self._tell)
        try:
            while not self._must_stop():
                self._look_at_server()
                self._worker.look(self._state)
                self._reap()
                self._pause()
            self._stop()
        except BaseException as error:
            self._worker.end()
            self._server.end(0.0)
            self._change(state="failed", error=_reason(error), server=None, worker=None, worker_ready=False)
            raise

    def _tell(self, *_: object) -> None:
        self._told = True

    # ------------------------------------------------------------ before

    def _claim(self) -> State:
        """Say that we are there, end what a keeper that was killed has left, say where the server will be."""
        before = read_state(self._home)
        claimed = State(
            state="starting", ours=self._ours, port=before.port, prefect=version("prefect"),
            keeper=owner_of(os.getpid()), server=before.server, worker=before.worker,
            kept=state.wished(self._home, state.KEPT),
        )  # fmt: skip
        write_state(self._home, claimed)
        if before.worker is not None:
            end_stranger(before.worker, 0.0)
        if before.server is not None and before.server.lives():
            drain(self._home, Api(before.url, timeout=2.0), _ORPHAN)
            end_stranger(before.server, _END)
        url, port = foreign(), before.port
        if self._ours:
            self._socket = _listen(before.port)
            port = self._socket.getsockname()[1]
            url = f"http://{LOOPBACK}:{port}/api"
        claimed = replace(
            claimed,
            url=url,
            pages=pages_of(url, {} if self._ours else os.environ),
            port=port,
            server=None,
            worker=None,
        )
        write_state(self._home, claimed)
        return claimed

    # ------------------------------------------------------------ the server

    def _look_at_server(self) -> None:
        if not self._ours:
            if self._state.state == "starting":
                self._change(state="running")
            return
        code = self._server.code()
        if code is not None:
            self._server_died(code)
        if not self._server.started:
            self._start_server()
        elif self._state.state == "starting":
            self._await_server()

    def _start_server(self) -> None:
        assert self._socket is not None
        self._ready, told = os.pipe()
        listening = self._socket.fileno()
        try:
            self._server.start(
                ["server", str(listening), str(told)],
                server_environment(self._home.root, self._state.url),
                self._home.database,
                listening, told,
            )  # fmt: skip
        finally:
            os.close(told)
        self._change(state="starting", server=self._server.owner)

    def _await_server(self) -> None:
        if self._ready >= 0 and select.select([self._ready], [], [], 0)[0]:
            answers = os.read(self._ready, 1)
            self._close_ready()
            if answers:
                self._server.ready = True
                self._next_reap = 0.0
                self._busy = time.time()  # whoever had it started has it from now on
                self._change(state="running")
        elif time.time() - self._server.since > _BOOT:
            raise Failed(f"the Prefect server does not answer after {_BOOT:.0f} s\n{self._server.printed()}")

    def _server_died(self, code: int) -> None:
        self._close_ready()
        quick = self._server.ended()
        first = code >= 0 and not self._server.ready
        if first or quick >= TRIES:
            raise Failed(f"the Prefect server {how(code)}\n{self._server.printed()}".rstrip())

    def _close_ready(self) -> None:
        if self._ready >= 0:
            os.close(self._ready)
            self._ready = -1

    # ------------------------------------------------------------ meanwhile

    def _reap(self) -> None:
        if self._state.state != "running" or time.monotonic() < self._next_reap:
            return
        self._next_reap = time.monotonic() + min(_REAP, max(self._idle / 3, _LOOK))
        resume(self._home, self._api)
        try:
            alive = self._reaper.reap()
        except ApiError:
            alive = True  # it has so much to do that it does not answer
        if alive:
            self._busy = time.time()

    def _must_stop(self) -> bool:
        kept = state.wished(self._home, state.KEPT)
        if kept != self._state.kept:
            self._change(kept=kept)
        if self._told or not self._at_home() or state.asked_to_stop(self._home, self._state.keeper):
            return True
        if kept or self._state.state != "running" or not self._is_idle():
            return False
        self._next_reap = 0.0  # a run may have begun since we last asked
        self._reap()
        if not self._is_idle():
            return False
        # First say so, then look again: who asks in between sees it, or we see that he asked.
        self._change(state="stopping")
        if self._is_idle() and not state.wished(self._home, state.KEPT):
            return True
        self._change(state="running")
        return False

    def _is_idle(self) -> bool:
        return time.time() - max(self._busy, state.used(self._home)) > self._idle

    def _at_home(self) -> bool:
        """Whether our directory is still there: a project may have been deleted."""
        return os.path.exists(self._home.lock)

    def _pause(self) -> None:
        select.select([self._ready] if self._ready >= 0 else [], [], [], _LOOK)

    # ------------------------------------------------------------ after

    def _stop(self) -> None:
        interrupted: list[str] = []
        undrained = 0
        self._change(state="stopping")
        if self._at_home():
            if self._worker.owner is not None and self._ours:
                pause(self._home, self._api)
            interrupted = end_runs(self._reaper, self._worker.owner)
        self._worker.end()
        if self._server.ready and self._at_home():
            with suppress(ApiError):
                self._reaper.reap(last=True)
            undrained = drain(self._home, self._api, since=self._server.since)
            with suppress(ApiError):
                self._reaper.end_tasks()
        self._server.end(_END if self._server.ready else 0.0)
        self._change(
            state="stopped", server=None, worker=None, worker_ready=False,
            interrupted=tuple(interrupted), undrained=undrained,
        )  # fmt: skip

    def _change(self, **values: object) -> None:
        self._state = replace(self._state, **values)  # type: ignore[arg-type]
        with suppress(OSError):  # no space, or a directory that is gone: no reason to end what runs
            write_state(self._home, self._state)


def _idle() -> float:
    text = os.environ.get("TRUNKLINE_PREFECT_IDLE", "")
    try:
        return float(text) if text else _IDLE
    except ValueError:
        return _IDLE


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError):
        return f"the Prefect server cannot be kept: {error.strerror or error}"
    return str(error) or type(error).__name__


def _listen(port: int) -> socket.socket:
    """A socket that listens on the loopback interface: on the port that was used last, if it is free."""
    for wanted in (port, 0):
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((LOOPBACK, wanted))
            listening.listen(2048)
        except OSError:
            listening.close()
            if not wanted:
                raise
        else:
            return listening
    raise AssertionError("a port that nobody uses is always there")


def _only_one(home: Home) -> bool:
    """Hold the lock for as long as this process lives; False where another keeper does, and stays."""
    handle = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            now = read_state(home)
            if now.lives and now.state in ("starting", "running"):
                return False
            time.sleep(_LOOK)  # it is about to end, or has not said a word yet


def main(root: str) -> int:
    """Keep the server of the project at `root`, in a process for which nobody waits."""
    if os.fork():
        os._exit(0)
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` leaves it ignored
    home = Home(root)
    if not _only_one(home):
        return 0
    try:
        Keeper(root).run()
    except Failed:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
