"""Deployments on a Prefect server: made by Prefect's own command, listed and deleted by its API.

`prefect deploy` reads prefect.yaml; `trunkline deploy` calls it, so both come to the same. What that
command does not do is done here: `prune`, which prefect.yaml has it call before it changes a deployment.

A deployment is ours if the flow `trunkline` has it. Its name is the pipeline's. On the project's own server
one without a pipeline is left over from a pipeline that is gone. On a server that others use too those of this
project have its tag (`project:NAME`, see `spec.compile_prefect`): another project's is neither listed nor
deleted, and where its pipeline has the same name, deploying is refused, by Prefect's own command as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from trunkline import spec
from trunkline.errors import ServerError, UsageError
from trunkline.flows.api import Api, ApiError
from trunkline.flows.home import POOL, Home, environment
from trunkline.flows.server import Server
from trunkline.flows.state import read_state
from trunkline.store import branches

FLOW = "trunkline"
_TAG = "project:"
_PLAIN = {"PREFECT_CLI_COLORS": "false", "PREFECT_CLI_WRAP_LINES": "false", "COLUMNS": "200"}
# A user's own default, which Prefect would take in place of what prefect.yaml says.
_OVERRULES = ("PREFECT_DEPLOYMENTS_DEFAULT_WORK_POOL_NAME", "PREFECT_DEFAULT_WORK_POOL_NAME")


class Deployed(NamedTuple):
    """One deployment of ours, its schedules as the server has them; `next` is when it runs next (UTC)."""

    pipeline: str
    id: str
    page: str
    work_pool: str
    paused: bool
    schedules: tuple[dict[str, Any], ...]
    next: str | None


def project_name(root: str) -> str:
    """What a server calls the project at `root`: as its prefect.yaml has it, or will have it."""
    text = ""
    path = os.path.join(root, "prefect.yaml")
    with suppress(OSError, UnicodeDecodeError), open(path, encoding="utf-8") as stream:
        text = stream.read()
    return spec.project_name(text) or branches.name_for(root)


# ---------------------------------------------------------------- deploy


def deploy(
    root: str, server: Server, project: str, pipelines: Sequence[str], pools: Collection[str], *, every: bool
) -> None:
    """Do what `prefect deploy` does: `--all` (`every`), or the deployments of these pipelines.

    Raises ServerError, UsageError where another project has deployed one of them.
    """
    api = Api(server.url)
    if not server.ours:
        _check_owners(api, project, pipelines)
    for pool in sorted(pools):
        _see_to_pool(api, pool)
    what = ["--all"] if every else [word for name in pipelines for word in ("--name", name)]
    variables = {**os.environ, **environment(root, server.url), **_PLAIN}
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", *what, "--prefect-file", "prefect.yaml"],
        cwd=root,
        env={name: value for name, value in variables.items() if name not in _OVERRULES},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise ServerError(f"`prefect deploy` failed:\n{said}", where=server.url)


def _check_owners(api: Api, project: str, pipelines: Collection[str]) -> None:
    """Raise UsageError where another project has a deployment of that name."""
    try:
        found = {each["name"]: _owner(each["tags"]) for each in _ours(api)}
    except ApiError as error:
        raise _unanswered(api, error) from error
    for name in pipelines:
        if (owner := found.get(name, project)) not in ("", project):
            raise UsageError(_taken(name, owner), where=api.url, hint=_TAKEN)


def _owner(tags: Sequence[str]) -> str:
    """The project that a deployment belongs to, "" where it does not say."""
    return next((tag.removeprefix(_TAG) for tag in tags if tag.startswith(_TAG)), "")


def _taken(pipeline: str, owner: str) -> str:
    return f"{pipeline} is deployed there already, by another project: {owner}"


_TAKEN = "give the pipeline another name, or this project a server of its own: unset PREFECT_API_URL"


def _see_to_pool(api: Api, name: str) -> None:
    """See that a work pool is there; our own is made. Raises ServerError."""
    try:
        with suppress(_NotThere):
            _get(api, f"/work_pools/{name}")
            return
        if name == POOL:
            _create_pool(api)
            return
    except ApiError as error:
        raise _unanswered(api, error) from error
    raise ServerError(
        f"there is no work pool {name!r}",
        where=api.url,
        hint=f"type `prefect work-pool create {name} --type …` with the type that its workers have",
    )


def _create_pool(api: Api) -> None:
    try:
        api.post("/work_pools/", {"name": POOL, "type": "process", "description": "made by trunkline"})
    except ApiError as error:
        if error.status != 409:  # the worker was quicker
            raise


# ---------------------------------------------------------------- what there is


def listed(server: Server, project: str) -> list[Deployed]:
    """The deployments of ours on a server, by name; where others use it too, this project's. Raises ServerError."""
    api = Api(server.url)
    try:
        return [
            _deployed(api, server, found)
            for found in _ours(api)
            if server.ours or _owner(found["tags"]) == project
        ]
    except ApiError as error:
        raise _unanswered(api, error) from error


def _ours(api: Api) -> Iterator[dict[str, Any]]:
    wanted = {"flows": {"name": {"any_": [FLOW]}}, "sort": "NAME_ASC"}
    return api.each("/deployments/filter", wanted)


def _deployed(api: Api, server: Server, found: dict[str, Any]) -> Deployed:
    active = not found["paused"] and any(schedule["active"] for schedule in found["schedules"])
    if active:
        with suppress(ApiError):  # the server does it by itself, only later
            api.post(f"/deployments/{found['id']}/schedule", {})
    times = _times(api, found["id"]) if active else {}
    schedules = [_schedule(each, times.get(each["id"])) for each in found["schedules"]]
    return Deployed(
        pipeline=found["name"],
        id=found["id"],
        page=f"{server.pages}/deployments/deployment/{found['id']}",
        work_pool=found["work_pool_name"] or "",
        paused=bool(found["paused"]),
        schedules=tuple(sorted(schedules, key=lambda each: str(each["slug"]))),
        next=min(times.values(), default=None),
    )


def _schedule(found: dict[str, Any], time: str | None) -> dict[str, Any]:
    """A schedule as the server has it, flat."""
    when = found["schedule"]
    kind = next((kind for kind in ("cron", "interval", "rrule") if kind in when), "")
    return {
        "slug": found["slug"],
        kind: when.get(kind),
        **({"anchor": when["anchor_date"]} if kind == "interval" else {}),
        "timezone": when.get("timezone") or "UTC",
        "active": found["active"],
        "parameters": (found["parameters"] or {}).get("params", {}),
        "next": time,
    }


def _times(api: Api, deployment: str) -> dict[str, str]:
    """When the next run of each schedule of a deployment is, by the schedule's id."""
    wanted = {
        "flow_runs": {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": ["SCHEDULED"]}}},
        "sort": "EXPECTED_START_TIME_ASC",
    }
    found: dict[str, str] = {}
    for run in api.each("/flow_runs/filter", wanted):
        by = run.get("created_by") or {}
        found.setdefault(str(by.get("id")), run["expected_start_time"])
    return found


# ---------------------------------------------------------------- delete


def delete(server: Server, project: str, pipelines: Sequence[str]) -> list[Deployed]:
    """Delete the deployments of these pipelines, and the runs of theirs that were to come; what they were.

    Raises UsageError where one of them has none, ServerError.
    """
    found = {each.pipeline: each for each in listed(server, project)}
    for name in pipelines:
        if name not in found:
            hint = f"deployed are: {', '.join(found)}" if found else "nothing is deployed there"
            raise UsageError(f"{name!r} is not deployed", where=server.url, hint=hint)
    api = Api(server.url)
    for name in pipelines:
        try:
            api.call("DELETE", f"/deployments/{found[name].id}")
        except ApiError as error:
            if error.status != 404:
                raise _unanswered(api, error) from error
    return [found[name] for name in pipelines]


# ---------------------------------------------------------------- called by `prefect deploy`


def prune(pipeline: str, project: str, schedules: Sequence[str]) -> dict[str, Any]:
    """Delete the schedules of a pipeline's deployment whose slugs are not among these.

    A step of prefect.yaml: `prefect deploy` changes and adds schedules by their slugs, and leaves alone
    those that are no longer in the file. Raises UsageError where the deployment is another project's: then
    nothing of it is changed.
    """
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound

    with get_client(sync_client=True) as client, suppress(ObjectNotFound):
        found = client.read_deployment_by_name(f"{FLOW}/{pipeline}")
        if (owner := _owner(found.tags)) not in ("", project) and not _is_own(str(client.api_url)):
            raise UsageError(_taken(pipeline, owner), hint=_TAKEN)
        for schedule in found.schedules:
            if schedule.slug not in schedules:
                client.delete_deployment_schedule(found.id, schedule.id)
    return {}


def _is_own(url: str) -> bool:
    """Whether that is the own server of the project in this directory, which may have had another name."""
    now = read_state(Home(os.getcwd()))
    return now.ours and now.url.rstrip("/") == url.rstrip("/")


# ---------------------------------------------------------------- answers


class _NotThere(Exception):
    """The server knows no such thing."""


def _get(api: Api, path: str) -> Any:
    try:
        return api.call("GET", path)
    except ApiError as error:
        if error.status == 404:
            raise _NotThere from error
        raise


def _unanswered(api: Api, error: ApiError) -> ServerError:
    return ServerError(f"the Prefect server did not do as it was asked: {error}", where=api.url)
