"""Before a server stops: runs are interrupted in an orderly way, and the server hears all that was said.

What a flow tells of its tasks goes through a queue in the server's memory; a server that is stopped too early
forgets states [measured: 6 of 200 were left]. So it is stopped when it counts as many task runs with a final
state as the records of the runs do, or when it has had a minute.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from datetime import datetime

from trunkline.flows import state
from trunkline.flows.api import FINAL, Api, ApiError
from trunkline.flows.children import gone
from trunkline.flows.home import POOL, Home
from trunkline.flows.reap import Reaper
from trunkline.ledger.owner import Owner, owner_of
from trunkline.ledger.runs import Runs
from trunkline.runners.reaper import processes

_RUNS = 45.0  # seconds that runs have to end
_DRAIN = 60.0
_LATE = 10.0  # seconds in which a run that has ended may still say something
_STALL = 10.0  # seconds without progress after which what a killed run has said is not waited for
_LOOK = 0.3
_RECENT = 50  # runs, newest first, of which the server may not have heard all


def pause(home: Home, api: Api) -> None:
    """Have the worker take no new run."""
    with suppress(ApiError, OSError):
        state.wish(home, state.PAUSED)
        api.call("PATCH", f"/work_pools/{POOL}", {"is_paused": True})


def resume(home: Home, api: Api) -> None:
    """Undo `pause`, and only that: a user may have paused the pool himself."""
    if state.wished(home, state.PAUSED):
        with suppress(ApiError):
            api.call("PATCH", f"/work_pools/{POOL}", {"is_paused": False})
            state.unwish(home, state.PAUSED)


def end_runs(reaper: Reaper, worker: Owner | None) -> list[str]:
    """Interrupt every run that is under way, and wait until all have ended; the names of their flow runs."""
    told: dict[Owner, str] = {}
    deadline = time.monotonic() + _RUNS
    while True:
        running = dict.fromkeys(_started_by(worker), "")
        with suppress(ApiError):
            running = reaper.processes(running)
        for owner, name in running.items():
            if owner not in told:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(owner.pid, signal.SIGTERM)
            told[owner] = name or told.get(owner, "")
        if not running:
            break
        if time.monotonic() > deadline:
            for owner in running:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(owner.pid, signal.SIGKILL)
            gone(list(running), 5.0)
            break
        gone(list(running), 1.0)
    return sorted(name or f"process {owner.pid}" for owner, name in told.items())


def _started_by(worker: Owner | None) -> list[Owner]:
    """The flow processes of our worker: the youngest of them have not said yet who they are."""
    if worker is None:
        return []
    children = [process.pid for process in processes() if process.parent == worker.pid]
    return [owner for owner in map(owner_of, children) if owner is not None]


def drain(home: Home, api: Api, patience: float = _DRAIN, since: float = 0.0) -> int:
    """Wait until the server counts all final task states that the records do; how many it lacks in the end.

    What a run said before `since`, when the server's process began, it said to another one, and is not waited for.
    """
    begun = time.monotonic()
    open_runs = _recorded(home, api.url, since - _LATE)
    counted, progress = -1, begun
    while True:
        deadline = begun + patience
        lacking = {run: _lacking(api, run, tasks, deadline) for run, (tasks, _) in open_runs.items()}
        open_runs = {run: of for run, of in open_runs.items() if lacking[run]}
        now, left = time.monotonic(), sum(lacking.values())
        if left != counted:
            counted, progress = left, now
        stalled = now - progress > _STALL and not any(orderly for _, orderly in open_runs.values())
        if not open_runs or stalled or now > deadline:
            return left
        time.sleep(_LOOK)


def _recorded(home: Home, url: str, since: float) -> dict[str, tuple[int, bool]]:
    """The flow runs of recent runs at this server: how many tasks, and whether the run ended by itself."""
    base = url.removesuffix("/api") + "/"
    recent = Runs(home.root).list(limit=_RECENT)
    return {
        str(record.flow["id"]): (int(record.flow.get("tasks", 0)), record.state in ("done", "failed"))
        for record in recent
        if record.flow.get("id")
        and str(record.flow.get("url", "")).startswith(base)
        and not (record.ended and datetime.fromisoformat(record.ended).timestamp() < since)
    }


def _lacking(api: Api, flow_run: str, tasks: int, deadline: float) -> int:
    """How many of its task runs have no final state; all of them where the server does not answer in time."""
    if time.monotonic() > deadline:
        return tasks
    with suppress(ApiError):
        tasks = max(0, tasks - api.count_task_runs(flow_run, FINAL))
        if tasks and not api.exists(flow_run):  # somebody deleted it, and its tasks with it
            return 0
    return tasks
