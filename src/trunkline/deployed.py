"""What Prefect calls for a deployed run: the pull step `worktree`, then the flow `retrain`.

    worktree    sees that the deployment's worktree is there; the flow starts in it
    retrain     Completed, or Cached (nothing new), Skipped (missed, and not made up for),
                NotPushed (done and committed, but origin has not got it yet), Failed

Both are called in one process, which the worker started; where the project is, its environment says
(TRUNKLINE_HOME), and without it the project is cloned from `repository`. All that is not Prefect's is in
`retraining`. An interruption (a cancelled run, a worker that stops) is Prefect's own exception and goes
through: it ends what the run started, as Ctrl-C does.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterExpectedStartTime,
)
from prefect.client.schemas.sorting import FlowRunSort
from prefect.context import FlowRunContext
from prefect.states import Completed, Failed

from trunkline.cli.interrupts import wake_main_thread
from trunkline.cli.output import error_text
from trunkline.cli.progress import summary
from trunkline.cli.run import flow_facts
from trunkline.errors import ProjectError, TrunklineError, UsageError
from trunkline.flows import catchup, missed, state
from trunkline.flows.home import Home, foreign, pages_of
from trunkline.flows.mirror import InFlow, Mirror
from trunkline.flows.settings import without_console
from trunkline.ledger.owner import owner_of
from trunkline.retraining import Retraining, found_or_made
from trunkline.store import branches, home
from trunkline.store.worktree import Worktree

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun, State

    from trunkline.cli.record import Recorder, Show
    from trunkline.model import Stage, StagePlan
    from trunkline.project import Project

__all__ = ["retrain", "worktree"]

_MANY = 200  # flow runs that are looked at


# ---------------------------------------------------------------- the pull step


def worktree(pipeline: str, branch: str = "", repository: str = "") -> dict[str, str]:
    """See that the worktree of a deployment is there; where it is. Raises TrunklineError.

    `branch` is what is tracked ("": what is checked out). `repository` is cloned where TRUNKLINE_HOME
    does not say where the project is.
    """
    place = found_or_made(pipeline, branch, repository, os.environ.get("TRUNKLINE_HOME", ""))
    return {"directory": place.root}


# ---------------------------------------------------------------- the flow


@flow(name="trunkline", log_prints=True, persist_result=False)
def retrain(
    pipeline: str,
    params: dict[str, dict[str, Any]] | None = None,
    data: dict[str, str] | None = None,
) -> State[None]:
    """Bring a pipeline up to date with the branch that it tracks, and commit the results.

    For this run, `params` gives other values to parameters of stages, {stage: {parameter: value}}, and
    `data` takes other versions of source datasets, {dataset: beginning of its hash, or of a commit}.
    """
    without_console()
    wake_main_thread()
    run = _flow_run()
    place = _place(pipeline)
    os.chdir(place.home)  # the worktree may be made anew
    owner = owner_of(os.getpid())
    if owner is not None:
        state.mark_flow(place.home, str(run.id), owner)
        # Not before this process ends: until Prefect has the final state, the run must not look like a dead one.
        atexit.register(state.unmark_flow, place.home, str(run.id))
    try:
        trigger = "schedule" if run.auto_scheduled else "api"
        _name(run, f"{pipeline}-{trigger}", [f"pipeline:{pipeline}", f"trigger:{trigger}"])
        if why := _skipped(run, place):
            return Completed(name="Skipped", message=why)
        return _retrained(place, params or {}, data or {}, run, trigger)
    except TrunklineError as error:
        get_run_logger().error(error_text(error))
        return Failed(message=error_text(error))
    except BaseException:  # the signal will end this process with no more ado
        state.unmark_flow(place.home, str(run.id))
        raise


def _retrained(
    place: Worktree,
    params: Mapping[str, Mapping[str, Any]],
    data: Mapping[str, str],
    run: FlowRun,
    trigger: str,
) -> State[None]:
    def show(project: Project, stages: Sequence[Stage], recorder: Recorder) -> Show:
        facts = flow_facts(project, stages, recorder.id, trigger)
        _name(run, facts.name, facts.tags)
        mirror = Mirror(facts.upstream, summary, recorder.paths.log)
        return _Shown(mirror, recorder, str(run.id))

    logger = get_run_logger()
    command = f"deployed run of {place.name} ({trigger})"
    scheduled = trigger == "schedule"
    done = Retraining(place, params, command, logger.info, show, data, scheduled).run()
    if done.unpushed and place.fetches:
        raise ProjectError(
            f"not pushed, and this clone may not last: {done.unpushed}",
            where=place.home,
            hint="see that the worker may push to origin and to the DVC remote; the next run tries again",
        )
    if done.unpushed:
        logger.warning("not pushed: %s", done.unpushed)
    name = "NotPushed" if done.unpushed else "Cached" if done.cached else "Completed"
    return Completed(name=name, message=done.message)


class _Shown(InFlow):
    """Shows the run in this flow run; its record says so as soon as there is one."""

    def __init__(self, mirror: Mirror, recorder: Recorder, flow_run: str) -> None:
        page = f"{_pages()}/runs/flow-run/{flow_run}"
        super().__init__(mirror, lambda tasks: recorder.shown(flow_run, page, tasks))
        self.started = self._started
        self._begun = False

    def _started(self, plan: StagePlan) -> None:
        if not self._begun:
            self._begun = True
            self._shown(0)
        self._mirror.started(plan)


def _pages() -> str:
    """The address of the server's pages: as the keeper of the project's own server says it."""
    now = state.read_state(Home(os.environ.get("TRUNKLINE_HOME", "")))
    return now.pages if now.url == foreign() else pages_of(foreign())


# ---------------------------------------------------------------- what Prefect knows


def _flow_run() -> FlowRun:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise UsageError("this is no flow run")
    return context.flow_run


def _place(pipeline: str) -> Worktree:
    """The worktree that the pull step has left us in."""
    found = home.of(os.path.realpath(os.getcwd()))
    if found is None or found.name != pipeline:
        raise UsageError(
            f"this is not the worktree of the deployment {pipeline}",
            where=os.getcwd(),
            hint=f"start it as a deployment: `prefect deployment run trunkline/{pipeline}`",
        )
    return Worktree(found.home, pipeline)


def _name(run: FlowRun, name: str, tags: Sequence[str]) -> None:
    """Name the flow run for people, and for filters."""
    with get_client(sync_client=True) as client:
        client.update_flow_run(run.id, name=name, tags=sorted({"trunkline", *run.tags, *tags}))


def _skipped(run: FlowRun, place: Worktree) -> str:
    """Why a missed run is not made up for, "" where it is to run."""
    if not run.auto_scheduled or run.expected_start_time is None:
        return ""
    policy = _policy(place)
    mine = _due(run)
    up_since = os.environ.get("TRUNKLINE_UP_SINCE", "")
    others = [_due(other) for other in _later(run) if other.id != run.id] if policy == "latest" else []
    return catchup.skip(policy, mine, others, float(up_since) if up_since else None)


def _policy(place: Worktree) -> str:
    """`catch_up` of the pipeline, as the tracked commit has it."""
    if place.fetches:
        branches.fetch(place.home)
    commit = branches.tracked(place.home, place.branch, fetched=place.fetches)
    return missed.policy(place.root, commit, place.name)


def _later(run: FlowRun) -> list[FlowRun]:
    """The runs of the same deployment that are due since this one was."""
    if run.deployment_id is None:
        return []
    with get_client(sync_client=True) as client:
        return client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[run.deployment_id]),
                expected_start_time=FlowRunFilterExpectedStartTime(
                    after_=run.expected_start_time,
                    before_=datetime.now(UTC),  # type: ignore[arg-type]
                ),
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_DESC,
            limit=_MANY,
        )


def _due(run: FlowRun) -> catchup.Due:
    at = run.expected_start_time or datetime.now(UTC)
    return catchup.Due(at, run.parameters, run.state_type.value if run.state_type else "SCHEDULED")
