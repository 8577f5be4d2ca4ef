"""A run as a Prefect flow run: in a thread of its own, beside the engine.

The run does not wait for Prefect: importing it takes two seconds, starting the server ten. From the first
stage that has something to do, a thread finds or starts the server, begins the flow run and tells it what
happened so far and what happens from then on. With nothing to do there is no thread and no import.

    AsFlow.started, outcome, finished    called by the engine; put into a queue
    the thread                           reads the queue inside the flow; asks every few seconds whether
                                         the flow run was cancelled, and interrupts the run if so
    AsFlow.end                           the final state and the artifacts; waits until Prefect has them

Nothing that goes wrong here ends a run: its results do not depend on Prefect. It is said, and that is all.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.model import Datum, Outcome, Stage, StagePlan, StageReport

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from trunkline.flows.mirror import Mirror
    from trunkline.flows.server import Server

_LOOK = 3.0  # seconds between two looks whether the flow run was cancelled
_PATIENCE = 60.0  # seconds that a run which is over waits for Prefect to have all of it
_IMPATIENCE = 3.0  # seconds that one waits which was interrupted while the server was still starting


@dataclass(frozen=True)
class Facts:
    """What a flow run says of its run. `upstream`: each stage with the stages that it reads."""

    run_id: str
    flow: str
    name: str
    tags: tuple[str, ...]
    upstream: Mapping[str, Sequence[str]]


class Told(NamedTuple):
    """What a run leaves in Prefect beside its tasks: one artifact, a table or Markdown."""

    key: str
    description: str
    table: Sequence[Mapping[str, object]] = ()
    markdown: str = ""


@dataclass
class Handlers:
    """What the thread tells and asks the run.

    `say` prints a line; `shown` takes the flow run's id, its page, and how many tasks it had; `said` puts
    a report into words; `log` is where a datum's output is kept.
    """

    say: Callable[[str], None]
    shown: Callable[[str, str, int], None]
    said: Callable[[StageReport], str]
    log: Callable[[Stage, str], str]


@dataclass(frozen=True)
class _End:
    state: str
    message: str
    artifacts: Sequence[Told] = field(default_factory=tuple)


class AsFlow:
    """A Listener that shows the run to Prefect."""

    def __init__(self, root: str, facts: Facts, handlers: Handlers) -> None:
        self._root = root
        self._facts = facts
        self._handlers = handlers
        self._events: SimpleQueue[tuple[str, tuple[Any, ...]] | _End] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._flow_run = ("", "")
        self._over = False
        self._given_up = False
        self.cancelled = False

    def started(self, plan: StagePlan) -> None:
        """A stage begins."""
        self._events.put(("started", (plan,)))
        self._begin()

    def outcome(self, stage: Stage, datum: Datum, outcome: Outcome) -> None:
        """A datum is done."""
        self._events.put(("outcome", (stage, datum, outcome)))

    def retried(self, stage: Stage, datum: Datum, outcome: Outcome, tried: int) -> None:
        """A datum is tried again."""
        self._events.put(("retried", (stage, datum, outcome, tried)))

    def finished(self, report: StageReport) -> None:
        """A stage is settled."""
        self._events.put(("finished", (report,)))
        if report.state == "failed":
            self._begin()

    def end(self, state: str, message: str, artifacts: Sequence[Told] = ()) -> None:
        """The run is over: done, failed or interrupted. Returns when Prefect has it, or does not answer."""
        if self._thread is None:
            return
        self._over = True
        self._events.put(_End(state, message, artifacts))
        booting = state == "interrupted" and not self._flow_run[0]
        self._thread.join(_IMPATIENCE if booting else _PATIENCE)
        if self._thread.is_alive() and not self._flow_run[0]:
            self._handlers.say("  not shown in Prefect: the run was over before its server was there")
        elif self._thread.is_alive():
            self._handlers.say("  Prefect does not answer: the flow run may look unfinished for a while")

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._follow, name="prefect", daemon=True)
            self._thread.start()

    # ------------------------------------------------------------ in the thread

    def _follow(self) -> None:
        from trunkline.flows import server

        try:
            self._flow(server.find(self._root) or self._start())
        except BaseException as error:
            self._not_shown(error)

    def _not_shown(self, error: BaseException) -> None:
        if not self._given_up:
            self._given_up = True
            said = str(error).strip()
            reason = said.splitlines()[0] if said not in ("", "None") else type(error).__name__
            self._handlers.say(f"  not shown in Prefect: {reason}")

    def _start(self) -> Server:
        """Start the server, and import Prefect meanwhile: that takes as long."""
        from trunkline.flows import home, server, settings

        starting = server.begin(self._root, keep=False, worker=False)
        found = starting.address()
        if found.ours:
            self._handlers.say(
                f"  Prefect's server is being started: {found.pages}\n"
                "  `trunkline down` stops it, `--engine local` does without"
            )
        settings.import_prefect(home.environment(self._root, found.url))
        return starting.wait()

    def _flow(self, found: Server) -> None:
        from trunkline.flows import home, settings

        settings.import_prefect(home.environment(self._root, found.url))
        from prefect import flow, tags

        def body(run: str, stages: list[str]) -> State[None]:
            return self._body(found)

        facts = self._facts
        decorated = flow(
            name=facts.flow, flow_run_name=facts.name, persist_result=False, validate_parameters=False
        )(body)
        with settings.without_heartbeat(), tags(*facts.tags):
            decorated(facts.run_id, list(facts.upstream), return_state=True)

    def _body(self, found: Server) -> State[None]:
        from prefect.runtime import flow_run

        from trunkline.flows.mirror import Mirror

        self._flow_run = str(flow_run.id), f"{found.pages}/runs/flow-run/{flow_run.id}"
        self._handlers.shown(*self._flow_run, 0)
        mirror = Mirror(self._facts.upstream, self._handlers.said, self._handlers.log)
        try:
            return self._tell(mirror, str(flow_run.id))
        except Exception as error:  # Prefect would only note that the flow failed
            self._not_shown(error)
            raise
        finally:
            mirror.close()  # a task that waits for its stage would keep this process from ending

    def _tell(self, mirror: Mirror, flow_run: str) -> State[None]:
        looked = time.monotonic()
        while True:
            try:
                event = self._events.get(timeout=_LOOK)
            except Empty:
                event = None
            if isinstance(event, _End):
                return self._ended(mirror, event)
            if event is not None:
                getattr(mirror, event[0])(*event[1])
            if time.monotonic() - looked > _LOOK and not self.cancelled:
                looked = time.monotonic()
                self._look(flow_run)

    def _ended(self, mirror: Mirror, end: _End) -> State[None]:
        from trunkline.flows import mirror as shown

        shown.end(mirror, end.artifacts)
        self._handlers.shown(*self._flow_run, mirror.tasks)
        return shown.final_state("cancelled" if self.cancelled else end.state, end.message)

    def _look(self, flow_run: str) -> None:
        """Interrupt the run where its flow run was cancelled."""
        from prefect.client.orchestration import get_client

        try:
            with get_client(sync_client=True) as client:
                state = client.read_flow_run(flow_run).state  # type: ignore[arg-type]
        except Exception:  # the server is busy, or somebody deleted the flow run
            return
        if state is not None and (state.is_cancelling() or state.is_cancelled()) and not self._over:
            self.cancelled = True
            os.kill(os.getpid(), signal.SIGTERM)
