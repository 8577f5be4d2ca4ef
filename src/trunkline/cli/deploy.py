"""`trunkline deploy`: pipelines as deployments on a Prefect server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from trunkline.cli.output import Answer, flat, table
from trunkline.errors import UsageError
from trunkline.flows import deployments, server
from trunkline.flows.deployments import Deployed, project_name
from trunkline.flows.server import Server
from trunkline.model import Pipeline
from trunkline.project import Project
from trunkline.spec.names import NAME, did_you_mean
from trunkline.store import branches
from trunkline.store.worktree import Worktree

_HEADER = ("pipeline", "schedule", "next run (UTC)")


def arguments_deploy(parser: argparse.ArgumentParser) -> None:
    """The arguments of `deploy`."""
    parser.add_argument("pipelines", nargs="*", metavar="PIPELINE", help="which (default: all)")
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--list", action="store_true", help="say what is deployed, and change nothing")
    either.add_argument("--delete", action="store_true", help="delete deployments in place of making them")
    parser.epilog = (
        "Does what `prefect deploy --all` does with the compiled prefect.yaml. Deployed runs are executed while"
        " `trunkline up` keeps a worker; with PREFECT_API_URL set, it is that server on which they are deployed."
    )


def command_deploy(args: argparse.Namespace) -> Answer:
    """Deploy pipelines, or list or delete what is deployed."""
    with Project.find() as project:
        if args.list:
            return _list(project, args.pipelines)
        if args.delete:
            return _delete(project, args.pipelines)
        return _deploy(project, args)


# ---------------------------------------------------------------- deploy


def _deploy(project: Project, args: argparse.Namespace) -> Answer:
    chosen = _chosen(project, args.pipelines)
    _check_branches(project, chosen)
    written = project.compile(deployable=True)
    found = _server(project)
    pools = {pipeline.deploy.work_pool for pipeline in chosen}
    name = project_name(project.home)
    names = [pipeline.name for pipeline in chosen]
    deployments.deploy(project.root, found, name, names, pools, every=not args.pipelines)
    there = deployments.listed(found, name)
    rows = [row for row in there if row.pipeline in names]
    gone = _gone(project, there) if found.ours else []
    data = {"server": found.url, "written": written, "deployments": [_data(row, True) for row in rows]}
    return Answer(data, lambda: _deployed_text(found, chosen, written, rows, gone))


def _chosen(project: Project, names: Sequence[str]) -> list[Pipeline]:
    """The pipelines of these names, all without a name. Raises UsageError."""
    known = {pipeline.name: pipeline for pipeline in project.pipelines}
    if not known:
        raise UsageError("there is no pipeline in pipelines/ yet", where=project.root)
    for name in names:
        pipeline, dot, _ = name.partition(".")
        if dot and pipeline in known:
            hint = f"type `trunkline deploy {pipeline}`"
            raise UsageError(f"{name!r} is a stage; pipelines are deployed", hint=hint)
        if name not in known:
            hint = did_you_mean(name, known, f"there are: {', '.join(known)}")
            raise UsageError(f"there is no pipeline {name!r}", hint=hint)
    return [known[name] for name in names] or list(known.values())


def _check_branches(project: Project, pipelines: Sequence[Pipeline]) -> None:
    """Raise UsageError where a branch that a deployment is to follow is neither here nor at origin."""
    for pipeline in pipelines:
        if pipeline.deploy.repository:
            continue  # another repository's
        try:
            branches.tracked(project.root, pipeline.branch)
        except UsageError:
            raise UsageError(
                f"there is no branch {pipeline.branch!r}, which runs of {pipeline.name} are to start from",
                where=pipeline.file,
                hint="commit something, or write branch: and the name of another branch into the file",
            ) from None


def _server(project: Project) -> Server:
    """The server, started if need be. Raises ServerError."""
    found = server.find(project.home)
    if found is not None:
        return found
    starting = server.begin(project.home)
    if starting.fresh:
        print(f"Prefect's server is being started: {starting.address().pages}", file=sys.stderr, flush=True)
    return starting.wait()


def _deployed_text(
    found: Server, chosen: Sequence[Pipeline], written: Sequence[str], rows: Sequence[Deployed],
    gone: Sequence[Deployed],
) -> str:  # fmt: skip
    lines = [f"wrote {path}" for path in written]
    lines += [f"deployed on {found.pages}", _table(rows)]
    tracked = sorted({pipeline.branch for pipeline in chosen})
    lines.append(f"runs start from what is committed on {', '.join(tracked)}")
    if found.ours:
        lines.append("`trunkline up` keeps the server and a worker running: without a worker nothing runs")
    return "\n".join([*lines, *_gone_text(gone)])


# ---------------------------------------------------------------- list


def _list(project: Project, names: Sequence[str]) -> Answer:
    known = {pipeline.name for pipeline in project.pipelines}
    found = _server(project)
    rows = [
        row
        for row in deployments.listed(found, project_name(project.home))
        if not names or row.pipeline in names
    ]
    gone = _gone(project, rows)
    deployed = [row for row in rows if row not in gone]
    missing = sorted((set(names) or known) - {row.pipeline for row in rows})
    data = [
        *(_data(row, True) for row in deployed),
        *(_data(row, False) for row in gone if found.ours),
        *({"pipeline": name, "deployed": False} for name in missing),
    ]
    return Answer(data, lambda: _list_text(found, deployed, gone, missing))


def _list_text(
    found: Server, rows: Sequence[Deployed], gone: Sequence[Deployed], missing: Sequence[str]
) -> str:
    lines = (
        [f"deployed on {found.pages}", _table(rows)] if rows else [f"nothing is deployed on {found.pages}"]
    )
    if missing:
        lines.append(f"not deployed: {', '.join(missing)}")
    return "\n".join([*lines, *(_gone_text(gone) if found.ours else [])])


def _gone(project: Project, rows: Sequence[Deployed]) -> list[Deployed]:
    """Deployments whose pipeline there is no longer."""
    known = {pipeline.name for pipeline in project.pipelines}
    return [row for row in rows if row.pipeline not in known]


def _gone_text(gone: Sequence[Deployed]) -> list[str]:
    return [
        f"{row.pipeline} is deployed, and there is no such pipeline any more:"
        f" `trunkline deploy --delete {row.pipeline}`"
        for row in gone
    ]


# ---------------------------------------------------------------- delete


def _delete(project: Project, names: Sequence[str]) -> Answer:
    """Without names: all of this project, and what is left over on the project's own server.

    Their worktrees go with them. Raises LockedError where a run is at work in one of these.
    """
    found, name = _server(project), project_name(project.home)
    names = list(dict.fromkeys(names or [row.pipeline for row in deployments.listed(found, name)]))
    places = [Worktree(project.home, each) for each in names if NAME(each)]
    with ExitStack() as held:
        made = [place for place in places if place.is_made()]
        for place in made:
            held.enter_context(place.hold(print, wait=False))
        rows = deployments.delete(found, name, names)
        for place in made:
            place.remove()
    data = {"server": found.url, "deleted": [row.pipeline for row in rows]}
    lines = [f"deleted {row.pipeline}: {_count(row)}" for row in rows]
    return Answer(data, lambda: "\n".join(lines) or f"nothing is deployed on {found.pages}")


def _count(row: Deployed) -> str:
    many = len(row.schedules)
    return f"{many} schedule{'s' if many != 1 else ''}, and the runs that were to come"


# ---------------------------------------------------------------- text and data


def _data(row: Deployed, known: bool) -> dict[str, Any]:
    return {
        "pipeline": row.pipeline,
        "deployed": True,
        "pipeline_exists": known,
        **{name: value for name, value in row._asdict().items() if name != "pipeline"},
    }


def _table(rows: Sequence[Deployed]) -> str:
    cells: list[tuple[str, ...]] = []
    for row in rows:
        lines = [(_schedule_text(schedule), _next(row, schedule)) for schedule in row.schedules]
        lines = lines or [("none: it runs when somebody starts it", "")]
        cells += [(row.pipeline if not index else "", *line) for index, line in enumerate(lines)]
    return table(_HEADER, cells)


def _next(row: Deployed, schedule: dict[str, Any]) -> str:
    if row.paused or not schedule["active"]:
        return "paused"
    return f"{datetime.fromisoformat(schedule['next']):%Y-%m-%d %H:%M:%S}" if schedule["next"] else ""


def _schedule_text(schedule: dict[str, Any]) -> str:
    if "cron" in schedule:
        when = f"cron {schedule['cron']}"
    elif "interval" in schedule:
        when = f"every {_duration(schedule['interval'])}"
    else:
        when = str(schedule.get("rrule")).partition("RRULE:")[2].partition("\n")[0]
    zone = f" ({schedule['timezone']})" if schedule["timezone"] != "UTC" else ""
    params = [f"{name}={value}" for name, value in flat(schedule["parameters"]).items()]
    return f"{when}{zone}{' with ' if params else ''}{', '.join(params)}"


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:g}s"
