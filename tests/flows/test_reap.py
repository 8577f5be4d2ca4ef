"""What becomes of flow runs whose process is dead, alive, or nobody's that we know. On a real server."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator

import pytest

from tests.keeping import Kept, until
from trunkline.flows import reap
from trunkline.flows.api import Api
from trunkline.flows.ending import drain
from trunkline.flows.reap import Reaper
from trunkline.flows.state import mark_flow, marks
from trunkline.ledger.owner import Owner, owner_of
from trunkline.ledger.records import Scene
from trunkline.ledger.runs import RunLog
from trunkline.model import GitState

GONE = Owner(2**22 + 1, "0", "an-earlier-boot")


@pytest.fixture
def api(prefect_project: Kept) -> Api:
    return prefect_project.api


@pytest.fixture
def reaper(prefect_project: Kept, api: Api) -> Reaper:
    return Reaper(prefect_project.home, api, ours=True)


@pytest.fixture
def alive() -> Iterator[Owner]:
    """A process that is at work."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        owner = owner_of(process.pid)
        assert owner is not None
        try:
            yield owner
        finally:
            process.kill()


def begin(api: Api, state: str = "RUNNING", **more: object) -> str:
    """A flow run in this state; its id."""
    flow = api.post("/flows/", {"name": "reaped"})
    body = {"flow_id": flow["id"], "tags": ["trunkline"], "state": {"type": "RUNNING"}, **more}
    run = str(api.post("/flow_runs/", body)["id"])
    if state != "RUNNING":
        api.set_state("flow_runs", run, state, "")
    return run


def task(api: Api, flow_run: str) -> str:
    """A task run of it that is at work; its id."""
    body = {
        "flow_run_id": flow_run,
        "task_key": "t",
        "dynamic_key": uuid.uuid4().hex,
        "state": {"type": "RUNNING"},
    }
    return str(api.post("/task_runs/", body)["id"])


def state_of(api: Api, run: str, kind: str = "flow_runs") -> str:
    return str(api.call("GET", f"/{kind}/{run}")["state_type"])


def recorded(tree: Kept, flow_run: str, owner: Owner | None = None, tasks: int = 0) -> None:
    """A record of the flow run, of this process or of another one."""
    log = RunLog.begin(str(tree.root), command="trunkline run", scene=Scene(GitState("", "", ()), {}))
    log.flow({"id": flow_run, "url": f"{tree.state.pages}/runs", "tasks": tasks})
    if owner is not None:
        path = f".trunkline/runs/{log.id}/run.json"
        mine = owner_of(int(log.record().owner.pid))
        assert mine is not None
        tree.write(path, tree.read(path).replace(mine.boot, owner.boot))
    log.finish("done")


@pytest.mark.parametrize("state", ["RUNNING", "PENDING"])
def test_a_dead_run_crashed(prefect_project: Kept, api: Api, reaper: Reaper, state: str) -> None:
    run = begin(api, state)
    mark_flow(str(prefect_project.root), run, GONE)
    reaper.reap()
    assert state_of(api, run) == "CRASHED"
    assert run not in marks(prefect_project.home)


def test_a_dead_run_is_known_by_its_record(prefect_project: Kept, api: Api, reaper: Reaper) -> None:
    run = begin(api)
    recorded(prefect_project, run, GONE)
    reaper.reap()
    assert state_of(api, run) == "CRASHED"


def test_its_tasks_crashed_with_it(prefect_project: Kept, api: Api, reaper: Reaper) -> None:
    run = begin(api)
    at_work = task(api, run)
    mark_flow(str(prefect_project.root), run, GONE)
    reaper.reap()
    assert state_of(api, at_work, "task_runs") == "RUNNING", "its last words may be under way"
    reaper.end_tasks()
    assert state_of(api, at_work, "task_runs") == "CRASHED"


def test_a_dead_run_that_was_to_be_cancelled_is_cancelled(
    prefect_project: Kept, api: Api, reaper: Reaper
) -> None:
    run = begin(api, "CANCELLING")
    mark_flow(str(prefect_project.root), run, GONE)
    reaper.reap()
    assert state_of(api, run) == "CANCELLED"


def test_a_run_at_work_stays(prefect_project: Kept, api: Api, reaper: Reaper, alive: Owner) -> None:
    run, at_work = begin(api), ""
    at_work = task(api, run)
    mark_flow(str(prefect_project.root), run, alive)
    assert reaper.reap()
    reaper.end_tasks()
    assert state_of(api, run) == "RUNNING"
    assert state_of(api, at_work, "task_runs") == "RUNNING"
    assert reaper.processes()[alive] == api.flow_run(run)["name"]
    api.set_state("flow_runs", run, "COMPLETED", "")


def test_a_run_that_should_have_ended_is_told_so(
    prefect_project: Kept, api: Api, reaper: Reaper, alive: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(api, "CANCELLING")
    mark_flow(str(prefect_project.root), run, alive)
    reaper.reap()
    assert alive.lives(), "it may be about to end by itself"
    monkeypatch.setattr(reap, "_CANCEL", 0.0)
    reaper.reap()
    until(lambda: not alive.lives())
    reaper.reap()
    assert state_of(api, run) == "CANCELLED"


def test_a_run_that_nobody_knows_is_given_time(
    api: Api, reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begin(api)
    assert reaper.reap()
    assert state_of(api, run) == "RUNNING"
    monkeypatch.setattr(reap, "_UNKNOWN", 0.0)
    reaper.reap()
    assert state_of(api, run) == "CRASHED"


def test_a_second_try_is_not_judged_by_the_first(prefect_project: Kept, api: Api, reaper: Reaper) -> None:
    run = begin(api, "FAILED")
    mark_flow(str(prefect_project.root), run, GONE)
    api.set_state("flow_runs", run, "PENDING", "")
    reaper.reap()
    assert state_of(api, run) == "PENDING"
    reaper.reap(last=True)
    assert state_of(api, run) == "CRASHED"


def test_what_a_server_cannot_write_down_any_more_is_not_waited_for(prefect_project: Kept, api: Api) -> None:
    gone, lost = begin(api), begin(api)
    recorded(prefect_project, gone, tasks=3)
    api.call("DELETE", f"/flow_runs/{gone}")
    assert drain(prefect_project.home, api, 5.0) == 0, "somebody deleted it"
    recorded(prefect_project, lost, tasks=2)
    assert drain(prefect_project.home, api, 0.5) == 2
    assert drain(prefect_project.home, api, 0.5, since=time.time() + 60) == 0, "it was told another process"
    api.call("DELETE", f"/flow_runs/{lost}")


def test_what_is_not_ours_is_left_alone(
    prefect_project: Kept, api: Api, reaper: Reaper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reap, "_UNKNOWN", 0.0)
    untagged = begin(api, tags=[])
    assert reaper.reap(), "but the server is in use"
    assert state_of(api, untagged) == "RUNNING"

    elsewhere = Reaper(prefect_project.home, api, ours=False)
    nobodys, dead = begin(api), begin(api)
    mark_flow(str(prefect_project.root), dead, GONE)
    elsewhere.reap(last=True)
    elsewhere.end_tasks()
    assert state_of(api, nobodys) == "RUNNING"
    assert state_of(api, dead) == "CRASHED"
    for run in (untagged, nobodys):
        api.set_state("flow_runs", run, "COMPLETED", "")
