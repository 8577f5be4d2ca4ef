"""Shows a run to Prefect: a task a stage, inside the flow run that is under way.

    stage begins       a task run `flights.clean`, after those of the stages upstream; a progress artifact
    datum is done      its progress; a failed one in the task's log
    stage is settled   the task ends as Completed, Cached (it was up to date), Failed, Cancelled or NotRun;
                       a table of its datums as an artifact

Prefect is told, never asked: what runs is decided by the plan and executed by our engine, because a
Prefect task costs a hundredth of a second and a datum less. A task lives exactly as long as its stage: its
body waits for what the stage has to say. Datums are no tasks.

All methods are called from the thread that runs the flow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any
from uuid import UUID

from prefect import allow_failure, get_run_logger, task
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, StateType
from prefect.futures import PrefectFuture
from prefect.states import Cancelled, Completed, Failed

from trunkline.flows.flow import Told
from trunkline.model import Datum, Decision, FailedDatum, Outcome, Stage, StagePlan, StageReport
from trunkline.plan.explain import sentence

MANY = 100  # rows of an artifact; counts are of all
_PRINTED = 4_000  # characters of what a datum printed; all of it is in its log
_BEAT = 1.0  # seconds between two reports of progress

Said = Callable[[StageReport], str]  # a settled stage in a few words
Log = Callable[[Stage, str], str]  # the path of the log of a datum, by its id


@dataclass
class _Task:
    """A stage's task: what is still to be told it, and what came of it."""

    events: SimpleQueue[tuple[str, Any]] = field(default_factory=SimpleQueue)
    future: PrefectFuture[Any] | None = None
    total: int = 0
    done: int = 0


class InFlow:
    """Shows a run in the flow run that is under way in this very thread: how a deployed run is shown."""

    def __init__(self, mirror: Mirror, shown: Callable[[int], None]) -> None:
        self._mirror = mirror
        self._shown = shown
        self.started = mirror.started
        self.outcome = mirror.outcome
        self.retried = mirror.retried
        self.finished = mirror.finished

    def end(self, state: str, message: str, artifacts: Sequence[Told] = ()) -> None:
        """The run is over; the flow's own state is its caller's to return. Never fails the run."""
        try:
            end(self._mirror, artifacts)
        except Exception as error:
            get_run_logger().warning("Prefect did not take all of what this run has to show: %s", error)
        self._shown(self._mirror.tasks)


class Mirror:
    """A Listener for the flow run that is under way.

    `upstream` names the stages before each; `said` puts a report into words; `log` is where a datum's
    output is kept.
    """

    def __init__(self, upstream: Mapping[str, Sequence[str]], said: Said, log: Log) -> None:
        self._upstream = upstream
        self._said = said
        self._log = log
        self._tasks: dict[str, _Task] = {}

    @property
    def tasks(self) -> int:
        """How many task runs there are."""
        return len(self._tasks)

    def started(self, plan: StagePlan) -> None:
        """A stage begins."""
        mine = self._submit(plan.stage.ref)
        mine.total = plan.count(Decision.RUN)
        mine.events.put(("plan", plan))

    def outcome(self, stage: Stage, datum: Datum, outcome: Outcome) -> None:
        """A datum is done."""
        mine = self._tasks[stage.ref]
        mine.done += 1
        printed = _head(self._log(stage, datum.id)) if mine.done <= MANY or outcome.failure else ""
        mine.events.put(("datum", (datum, outcome, printed, mine.done, mine.total)))

    def retried(self, stage: Stage, datum: Datum, outcome: Outcome, tried: int) -> None:
        """A datum is tried again."""
        self._tasks[stage.ref].events.put(("retry", (datum, outcome, tried, stage.datum_tries)))

    def finished(self, report: StageReport) -> None:
        """A stage is settled."""
        mine = self._tasks.get(report.stage) or self._submit(report.stage)
        mine.events.put(("end", (report, self._said(report))))

    def close(self) -> None:
        """End the tasks of stages that were interrupted, and wait for all."""
        for each in self._tasks.values():
            each.events.put(("stop", None))  # whoever has ended does not read it any more
        for each in self._tasks.values():
            if each.future is not None:
                each.future.wait()

    def _submit(self, ref: str) -> _Task:
        before = [self._tasks[name].future for name in self._upstream.get(ref, ()) if name in self._tasks]
        mine = self._tasks[ref] = _Task()
        # No result is kept and nothing is retried: there is one authority on both.
        stage = task(name=ref, task_run_name=ref, cache_policy=NO_CACHE, persist_result=False, retries=0)(
            lambda: _stage(ref, mine.events)
        )
        mine.future = stage.submit(
            return_state=False, wait_for=[allow_failure(each) for each in before if each is not None]
        )
        return mine


def _stage(ref: str, events: SimpleQueue[tuple[str, Any]]) -> State[None]:
    """The body of a stage's task: say what happens until the stage is settled."""
    logger = get_run_logger()
    progress = _Progress(f"{_key(ref)}-progress")
    ran: list[dict[str, Any]] = []
    while True:
        kind, value = events.get()
        if kind == "plan":
            for reason in value.reasons[:MANY]:
                logger.info("%s", sentence(reason))
        elif kind == "datum":
            datum, outcome, printed, done, total = value
            progress.show(done, total)
            if printed:
                logger.info("datum %s printed:\n%s", datum.name, printed)
            if len(ran) < MANY:
                ran.append(_row(datum, outcome))
            if outcome.failure is not None:
                tell, word = (logger.warning, " recovered") if outcome.recovered else (logger.error, "")
                tell("datum %s%s: %s: %s", datum.name, word, outcome.failure.kind, outcome.failure.message)
        elif kind == "retry":
            datum, outcome, tried, tries = value
            why = outcome.failure.message if outcome.failure is not None else "its output could not be kept"
            logger.warning("datum %s, try %d of %d: %s", datum.name, tried, tries, why)
        elif kind == "end":
            report, words = value
            progress.end()
            return _ended(ref, report, words, ran)
        else:
            return Cancelled(message="the run was interrupted")


def _ended(ref: str, report: StageReport, words: str, ran: Sequence[dict[str, Any]]) -> State[None]:
    """The final state of a settled stage's task, its datums told."""
    get_run_logger().info("%s", " ".join(words.split()))
    if report.state == "up_to_date":
        return Completed(name="Cached", message="up to date")
    if report.state == "skipped":
        return State(type=StateType.CANCELLED, name="NotRun", message=words)
    counts = {
        "run": report.run,
        "reused": report.reuse,
        "dropped": report.drop,
        "failed": len(report.failures),
    }
    if report.recovered:
        counts["recovered"] = len(report.recovered)
    table = [
        {"datum": f"{report.total} in all", "state": ", ".join(f"{n} {word}" for word, n in counts.items())}
    ]
    try:
        create_table_artifact(
            table=[*table, *ran], key=f"{_key(ref)}-datums", description=f"The datums of {ref}"
        )
    except Exception as error:  # the stage is done, whatever becomes of its table
        get_run_logger().warning("Prefect did not take the table of datums: %s", error)
    if report.state == "interrupted":
        return Cancelled(message=" ".join(words.split()))
    if report.state != "failed":
        return Completed(message=" ".join(words.split()))
    for failed in report.failures[:MANY]:
        get_run_logger().error("%s", _failure(failed))
    return Failed(message=report.error or _failure(report.failures[0]))


class _Progress:
    """A progress artifact, made with the first datum and told once a second."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._id: UUID | None = None
        self._told = 0.0
        self._percent = 0.0

    def show(self, done: int, total: int) -> None:
        self._percent = 100.0 * done / total if total else 100.0
        if time.monotonic() - self._told >= _BEAT:
            self._tell()

    def end(self) -> None:
        if self._told:
            self._tell()

    def _tell(self) -> None:
        if self._id is None:
            made = create_progress_artifact(progress=self._percent, key=self._key, description="Datums done")
            self._id = made if isinstance(made, UUID) else None
        else:
            update_progress_artifact(artifact_id=self._id, progress=self._percent)
        self._told = time.monotonic()


def end(mirror: Mirror, artifacts: Sequence[Told]) -> None:
    """End what is open, and leave the artifacts with the flow run."""
    mirror.close()
    for each in artifacts:
        key = _key(each.key)
        if each.table:
            create_table_artifact(
                table=[dict(row) for row in each.table], key=key, description=each.description
            )
        if each.markdown:
            create_markdown_artifact(markdown=each.markdown, key=key, description=each.description)


def final_state(state: str, message: str) -> State[None]:
    """The flow run's own: of a run that is done, failed, interrupted or cancelled."""
    match state:
        case "done":
            return Completed(message=message)
        case "failed":
            return Failed(message=message)
        case _:
            return Cancelled(message=message)


def _head(path: str) -> str:
    """What a datum printed, the first lines of it."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(_PRINTED).rstrip()
    except OSError:  # it printed nothing
        return ""


def _row(datum: Datum, outcome: Outcome) -> dict[str, Any]:
    state = "recovered" if outcome.recovered else "failed" if outcome.failure is not None else "run"
    return {"datum": datum.name, "state": state, "seconds": round(outcome.seconds, 3), "id": datum.id[:16]}


def _failure(failed: FailedDatum) -> str:
    return f"datum {failed.datum.name}: {failed.failure.kind}: {failed.failure.message} (log: {failed.log})"


def _key(ref: str) -> str:
    """A stage's name as the key of an artifact: small letters, digits and dashes."""
    return ref.replace(".", "-").replace("_", "-")
