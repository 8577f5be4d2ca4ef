"""Makes up for what was missed while no worker was there: before the worker takes its first run.

Of what a schedule asked for since the worker was last seen Prefect has made a part beforehand, some hours or
three runs ahead. The rest is made now, by the server's own backfill, which knows time zones and never makes a
run twice. Then `catch_up` decides (see `catchup`): runs are deleted, left to the worker, or held.

    held    state Missed (PAUSED): waits until the one before it has ended, then becomes SCHEDULED

What is held is in the server and nowhere else, so whoever keeps the worker next goes on with it. Only
deployments of our own in the worker's pool are touched, and of each schedule no more than `MANY` runs made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from trunkline import spec
from trunkline.errors import TrunklineError
from trunkline.flows import catchup
from trunkline.flows.api import ALIVE, Api, ApiError
from trunkline.flows.home import POOL, Home
from trunkline.store import branches, git

MANY = 100  # missed runs of a schedule that `catch_up: all` makes up for, the earliest
HELD = "Missed"
FLOW = "trunkline"


class Missed:
    """The missed runs of one project's deployments. `project` is "" where every deployment is its own."""

    def __init__(self, home: Home, api: Api, project: str = "") -> None:
        self._home = home
        self._api = api
        self._project = project

    def settle(self, since: float | None) -> list[str]:
        """Decide on all that was due until now, and was missed since; what came of it. Raises ApiError.

        `since` is None where nobody knows when a worker was last seen: then nothing is made.
        """
        now = datetime.now(UTC)
        return [said for each in self._deployments() if (said := self._settle(each, since, now))]

    def release(self) -> bool:
        """Let the next of the held runs begin where the one before has ended; whether any is held still.

        Raises ApiError.
        """
        held = sorted(self._runs(["PAUSED"], name=HELD), key=lambda run: str(run["expected_start_time"]))
        if not held:
            return False
        now = datetime.now(UTC)
        busy = {run["deployment_id"] for run in self._runs([*ALIVE, "SCHEDULED"], before=now)}
        for run in held:
            if run["deployment_id"] not in busy:
                busy.add(run["deployment_id"])
                self._api.set_state("flow_runs", run["id"], "SCHEDULED", "", "Late")
        return True

    # ------------------------------------------------------------ one deployment

    def _settle(self, deployment: dict[str, Any], since: float | None, now: datetime) -> str:
        policy = self._policy(deployment)
        made = datetime.fromisoformat(deployment["created"]).timestamp()
        begin = max(since, made) if since is not None else None
        due = self._due(deployment["id"], now)
        if begin is not None and (policy == "all" or (policy == "latest" and not due)):
            many = MANY if policy == "all" else 1
            self._backfill(deployment["id"], datetime.fromtimestamp(begin, UTC), now, many)
            due = self._due(deployment["id"], now)
        settled = catchup.settle(policy, due)
        for each in settled.dropped:
            with suppress(ApiError):  # somebody deleted it before us
                self._api.call("DELETE", f"/flow_runs/{each.id}")
        for each in settled.held:
            if each.state != "PAUSED":
                self._api.set_state("flow_runs", each.id, "PAUSED", "It waits for those before it.", HELD)
        return _said(deployment["name"], policy, settled) if due else ""

    def _due(self, deployment: str, now: datetime) -> list[catchup.Due]:
        runs = [
            *self._runs(["SCHEDULED"], before=now, deployment=deployment),
            *self._runs(["PAUSED"], deployment=deployment, name=HELD),
        ]
        return [
            catchup.Due(
                datetime.fromisoformat(run["expected_start_time"]), run["parameters"], run["state_type"], run["id"]
            )
            for run in runs
            if run["auto_scheduled"]
        ]  # fmt: skip

    def _backfill(self, deployment: str, begin: datetime, end: datetime, many: int) -> None:
        """Have the server make the runs that were due in between, the first `many` of each schedule."""
        span = {"start_time": begin.isoformat(), "end_time": end.isoformat()}
        self._api.post(f"/deployments/{deployment}/schedule", {**span, "min_runs": many, "max_runs": many})

    def _policy(self, deployment: dict[str, Any]) -> str:
        root = self._home.root
        try:
            branch = _branch(deployment) or branches.checked_out(root)
            return policy(root, branches.tracked(root, branch), deployment["name"])
        except TrunklineError:  # it has no such branch: the run itself will say so
            return catchup.DEFAULT

    # ------------------------------------------------------------ what the server has

    def _deployments(self) -> Iterator[dict[str, Any]]:
        for each in self._api.each("/deployments/filter", {"flows": {"name": {"any_": [FLOW]}}}):
            mine = not self._project or f"project:{self._project}" in each["tags"]
            if mine and each["work_pool_name"] == POOL and not each["paused"]:
                yield each

    def _runs(
        self, states: list[str], *, before: datetime | None = None, deployment: str = "", name: str = ""
    ) -> Iterator[dict[str, Any]]:
        state: dict[str, object] = {"type": {"any_": states}}
        wanted: dict[str, object] = {"state": {**state, **({"name": {"any_": [name]}} if name else {})}}
        if before is not None:
            wanted["expected_start_time"] = {"before_": before.isoformat()}
        if deployment:
            wanted["deployment_id"] = {"any_": [deployment]}
        return self._api.each("/flow_runs/filter", {"flow_runs": wanted, "flows": {"name": {"any_": [FLOW]}}})


def policy(root: str, commit: str, pipeline: str) -> str:
    """`catch_up` of a pipeline, as a commit has it. Raises TrunklineError."""
    file = f"pipelines/{pipeline}.yaml"
    data = git.show(root, commit, file)
    found = spec.load(data.decode("utf-8", "replace"), file) if data is not None else {}
    return str(found.get("catch_up", catchup.DEFAULT)) if isinstance(found, dict) else catchup.DEFAULT


def _branch(deployment: dict[str, Any]) -> str:
    """The branch that a deployment tracks, as its pull step has it."""
    for step in deployment.get("pull_steps") or []:
        for values in step.values():
            if isinstance(values, dict) and "branch" in values:
                return str(values["branch"])
    return ""


def _said(name: str, policy: str, settled: catchup.Settled) -> str:
    run = len(settled.first) + len(settled.held)
    missed = run + len(settled.dropped)
    what = f"{run} of {missed} missed runs {'is' if run == 1 else 'are'} made up for"
    if missed == 1:
        what = f"a missed run is {'' if run else 'not '}made up for"
    return f"{name}: {what} (catch_up: {policy})"
