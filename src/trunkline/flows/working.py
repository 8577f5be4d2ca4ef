"""The keeper's worker: started, started again, and let go once it is settled what becomes of missed runs.

It imports what it needs while the server starts, and then waits for a word (`tether`): what is due already, and
was missed, is decided on before it takes its first run (`missed`). On the user's own server it takes the queue
that has the project's name, and no other project's runs.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from trunkline.flows import state
from trunkline.flows.api import Api, ApiError
from trunkline.flows.children import TRIES, Child, Failed, how
from trunkline.flows.deployments import project_name
from trunkline.flows.home import POOL, Home, environment
from trunkline.flows.missed import Missed
from trunkline.flows.state import State
from trunkline.ledger.owner import Owner

_QUERY = "PREFECT_WORKER_QUERY_SECONDS"  # how often a worker asks for runs: half of Prefect's default
_HEARD = 0.3  # seconds between two looks whether the server has heard of it
_SETTLE = 60.0  # seconds in which a server must have answered what was missed
_RELEASE = 1.0  # seconds between two looks whether the next of the missed runs may begin
_NOTE = 5.0  # seconds between two notes that it is there
_ASLEEP = 300.0  # seconds without a look after which the machine was asleep, and runs were missed
_AGAIN = 30.0  # seconds until one that keeps dying is started again


class Worker:
    """The worker of one project, as it is wanted. `change` writes down what the keeper says of itself."""

    def __init__(
        self, home: Home, api: Api, child: Child, change: Callable[..., None], *, ours: bool
    ) -> None:  # fmt: skip
        self._home = home
        self._api = api
        self._child = child
        self._change = change
        self._ours = ours
        self._project = "" if ours else project_name(home.root)
        self._before = 0.0  # its last heartbeat before we started it
        self._go = -1  # it works once it reads from the other end
        self._settled, self._held = False, True  # the missed runs: decided on; some perhaps held back
        self._looked = self._up_since = time.time()
        self._next = dict.fromkeys(("start", "heard", "release", "note"), 0.0)  # not before, monotonic

    @property
    def owner(self) -> Owner | None:
        """Its process, while it lives."""
        return self._child.owner

    def look(self, now: State) -> None:
        """See that it is there, and has what it is to do, where people want it. Raises Failed, OSError."""
        if not state.wished(self._home, state.WORKER):
            return
        if (code := self._child.code()) is not None:
            self._died(code)
        self._renew()
        if not self._child.started:
            if self._is_time("start", 0.0):
                self._start(now.url)
        elif now.state == "running":
            if self._go >= 0:
                self._let_it_work()
            elif not now.worker_ready:
                self._listen()
            elif self._is_time("note", _NOTE):
                state.note_worked(self._home)
            self._release()

    def end(self) -> None:
        """End it; the runs that it started go on."""
        self._close_go()
        self._child.end(0.0)

    # ------------------------------------------------------------ started

    def _start(self, url: str) -> None:
        self._before = time.time()
        if not self._ours:  # its clock may not be ours
            with suppress(ApiError):
                self._before = self._api.heartbeat(POOL, self._name)
        root = self._home.root
        path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
        own = {"TRUNKLINE_HOME": root, "PATH": path, _QUERY: os.environ.get(_QUERY, "5")}
        own["TRUNKLINE_UP_SINCE"] = f"{self._up_since:.3f}"  # for `catch_up: none`
        named = ["--pool", POOL, "--type", "process", "--name", self._name, "--install-policy", "never"]
        queue = ["--work-queue", self._project] if self._project else []
        go, self._go = os.pipe()
        variables = {**os.environ, **environment(root, url), **own}
        try:
            self._child.start(["worker", str(go), *named, *queue], variables, root, go)
        finally:
            os.close(go)
        self._change(worker=self.owner, worker_ready=False)

    @property
    def _name(self) -> str:
        return POOL if self._ours else f"{self._project} on {socket.gethostname()}"

    def _listen(self) -> None:
        """Say that it works, once the server has heard of it."""
        if self._is_time("heard", _HEARD):
            with suppress(ApiError):
                if self._api.heartbeat(POOL, self._name) > self._before:
                    self._child.ready = True
                    self._change(worker_ready=True)

    def _died(self, code: int) -> None:
        self._close_go()
        quick = self._child.ended()
        if quick >= TRIES and not self._child.ready:
            raise Failed(f"the Prefect worker {how(code)}\n{self._child.printed()}".rstrip())
        self._next["start"] = time.monotonic() + (0.0 if quick < TRIES else _AGAIN)
        self._change(worker=None, worker_ready=False)

    def _renew(self) -> None:
        """Start another one where all of us slept and runs were missed, or the project has another name."""
        slept, self._looked = time.time() - self._looked > _ASLEEP, time.time()
        if slept and self._settled:
            self._settled, self._up_since = False, time.time()
        elif self._ours or self._project == (name := project_name(self._home.root)):
            return
        else:
            self._project = name
        self.end()

    # ------------------------------------------------------------ missed runs

    def _let_it_work(self) -> None:
        """Let it begin, once it is settled what becomes of missed runs, or cannot be."""
        if not self._settled:
            try:
                said = self._settle()
            except ApiError as error:
                if time.time() - self._child.since < _SETTLE:
                    return
                said = [f"what was missed is not made up for: {error}"]
            self._settled = self._held = True
            self._change(missed=tuple(said))
            state.note_worked(self._home)
        with suppress(OSError):  # it has died
            os.write(self._go, b"1")
        self._close_go()

    def _settle(self) -> list[str]:
        if self._project:  # the project's worker on another machine may have been there all the time
            heard = self._api.heartbeat(POOL, f"{self._project} on ", prefix=True)
            if heard > time.time() - _SETTLE:
                return []
        return self._missed.settle(state.worked(self._home))

    def _release(self) -> None:
        if self._held and self._settled and self._is_time("release", _RELEASE):
            with suppress(ApiError):
                self._held = self._missed.release()

    @property
    def _missed(self) -> Missed:
        return Missed(self._home, self._api, self._project)

    # ------------------------------------------------------------ small things

    def _is_time(self, what: str, pause: float) -> bool:
        """Whether it is time for something; if so, not again before so many seconds."""
        now = time.monotonic()
        if now < self._next[what]:
            return False
        self._next[what] = now + pause
        return True

    def _close_go(self) -> None:
        if self._go >= 0:
            os.close(self._go)
            self._go = -1
