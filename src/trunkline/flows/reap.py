"""Tells the server which runs have died: a flow run says of itself how it ends, unless it is killed.

The process of a flow run is known from the mark that it leaves first (`state.mark_flow`), or from the run's
record. A flow run that looks alive while its process is dead becomes CRASHED, or CANCELLED where somebody
had asked for that; so do the task runs that it leaves. On the user's own server, where runs of other
projects and machines are to be seen, only those are touched that we know to be ours.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from trunkline.flows import state
from trunkline.flows.api import ALIVE, Api
from trunkline.flows.home import POOL, Home
from trunkline.ledger.owner import Owner
from trunkline.ledger.runs import Runs

TAG = "trunkline"
_UNKNOWN = 120.0  # seconds after which a flow run whose process nobody knows counts as dead
_CANCEL = 30.0  # seconds that run and worker have to act on a cancellation by themselves
_LATE = 15.0  # seconds in which the last words of a flow run's tasks may still be under way
_SWEEP = 60.0  # seconds between two looks for task runs that were left behind
_RECORDS = 200  # so many runs, newest first, are looked at for a flow run
_MESSAGE = "The process of this run ended without a word."

FlowRun = dict[str, Any]  # as the API has it


class Known(NamedTuple):
    """What is known of the process of a flow run, and since when (seconds since the epoch)."""

    owner: Owner
    since: float


class Reaper:
    """Looks after the flow runs of one project."""

    def __init__(self, home: Home, api: Api, *, ours: bool) -> None:
        self._home = home
        self._api = api
        self._ours = ours
        self._told: set[str] = set()  # flow runs whose process we told to end
        self._swept = 0.0

    def reap(self, *, last: bool = False) -> bool:
        """End what looks alive and is dead; whether a flow run is under way. Raises ApiError.

        With `last` no process is left that might still say something.
        """
        runs = self._api.flow_runs(ALIVE)
        known = self._known(run for run in runs if _is_ours(run))
        alive = False
        for run in runs:
            if not _is_ours(run):
                alive = alive or self._ours  # the user's own flow, on the project's server
            elif self._is_dead(run, known.get(run["id"]), last):
                self._end(run)
            else:
                alive = True
                self._cancel(run, known.get(run["id"]))
        if time.monotonic() - self._swept > _SWEEP:
            self.end_tasks(_LATE)
            self._forget_marks(run["id"] for run in runs)
        return alive

    def processes(self, started: Iterable[Owner] = ()) -> dict[Owner, str]:
        """The processes of our flow runs under way, and the name of each run. Raises ApiError.

        `started` are processes that a worker of ours started: they may not have said yet who they are.
        """
        runs = [run for run in self._api.flow_runs(ALIVE) if _is_ours(run)]
        known = self._known(runs)
        submitted = {run.get("infrastructure_pid"): str(run["name"]) for run in runs}
        found = {owner: submitted.get(str(owner.pid), "") for owner in started}
        found |= {known[run["id"]].owner: str(run["name"]) for run in runs if run["id"] in known}
        return {owner: name for owner, name in found.items() if owner.lives()}

    def end_tasks(self, late: float = 0.0) -> None:
        """End the task runs that look alive in flow runs which are over. Raises ApiError.

        Their process was killed, or the server was before it wrote down what it had been told.
        """
        if not self._ours:
            return
        self._swept = time.monotonic()
        for task in self._api.left_behind(TAG):
            if _age(task) > late:
                self._api.set_state("task_runs", task["id"], "CRASHED", _MESSAGE)

    # ------------------------------------------------------------ who is dead

    def _known(self, runs: Iterable[FlowRun]) -> dict[str, Known]:
        """The processes of flow runs: from their marks, or else from the records of runs."""
        found: dict[str, Known] = {}
        missing = set()
        for run in runs:
            mark = state.read_mark(self._home, run["id"])
            if mark is not None:
                found[run["id"]] = Known(*mark)
            else:
                missing.add(run["id"])
        return {**found, **self._recorded(missing)} if missing else found

    def _recorded(self, missing: set[str]) -> dict[str, Known]:
        found: dict[str, Known] = {}
        for record, _ in zip(Runs(self._home.root).each(), range(_RECORDS), strict=False):
            flow = record.flow.get("id")
            if flow in missing:
                found[flow] = Known(record.owner, datetime.fromisoformat(record.started).timestamp())
                if len(found) == len(missing):
                    break
        return found

    def _is_dead(self, run: FlowRun, known: Known | None, last: bool) -> bool:
        if known is not None and run["state_type"] == "PENDING" and known.since < _since(run):
            known = None  # that was an earlier try; the process of this one is being started
        if known is not None:
            return not known.owner.lives()
        if not self._ours or run.get("work_pool_name") not in (None, POOL):
            return False  # another project's, or another machine's
        return last or _age(run) > _UNKNOWN

    def _end(self, run: FlowRun) -> None:
        # Its last word may have come after we asked; it has had no word to say since.
        run = self._api.flow_run(run["id"])
        if run["state_type"] in ALIVE:
            final = "CANCELLED" if run["state_type"] == "CANCELLING" else "CRASHED"
            self._api.set_state("flow_runs", run["id"], final, _MESSAGE)
            self._swept = time.monotonic() - _SWEEP + _LATE  # then look at its tasks
        state.unmark_flow(self._home.root, run["id"])

    def _cancel(self, run: FlowRun, known: Known | None) -> None:
        """End the process of a flow run that should have ended by itself, or by its worker."""
        if known is None or run["state_type"] != "CANCELLING" or _age(run) < _CANCEL:
            return
        if known.owner.lives() and run["id"] not in self._told:
            self._told.add(run["id"])
            with suppress(ProcessLookupError, PermissionError):
                os.kill(known.owner.pid, signal.SIGTERM)

    def _forget_marks(self, alive: Iterator[str]) -> None:
        """Remove the marks of flow runs that are over."""
        kept = set(alive)
        for flow_run in state.marks(self._home):
            mark = state.read_mark(self._home, flow_run)
            if flow_run not in kept and (mark is None or not mark[0].lives()):
                state.unmark_flow(self._home.root, flow_run)


def _is_ours(run: FlowRun) -> bool:
    return TAG in run["tags"]


def _since(run: FlowRun) -> float:
    """When a run came into its state, in seconds since the epoch."""
    moment = (run.get("state") or {}).get("timestamp") or run["updated"]
    return datetime.fromisoformat(moment).timestamp()


def _age(run: FlowRun) -> float:
    """Seconds since a run came into its state."""
    return time.time() - _since(run)
