"""`trunkline up`, `down`: the project's Prefect server and its worker, by hand."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from trunkline.cli.output import Answer
from trunkline.flows import server
from trunkline.flows.home import Home
from trunkline.flows.server import Server, Stopped
from trunkline.flows.state import read_state
from trunkline.project import Project


def arguments_up(parser: argparse.ArgumentParser) -> None:
    """The arguments of `up`."""
    parser.epilog = (
        "With PREFECT_API_URL set, that server is used as it is, and only a worker is started."
        " Both stay until `trunkline down`; a server that `trunkline run` started goes by itself when idle."
    )


def arguments_down(parser: argparse.ArgumentParser) -> None:
    """The arguments of `down`."""
    parser.epilog = (
        "Runs that are under way are interrupted; what they have done is kept."
        " A server that PREFECT_API_URL names is left alone, only the worker is stopped."
    )


def command_up(args: argparse.Namespace) -> Answer:
    """Start the server and a process worker, and keep them; returns when both work."""
    with Project.find() as project:
        starting = server.begin(project.home, keep=True, worker=True)
    if starting.fresh and not args.json:
        where = starting.address()
        what = "Prefect's server and a worker are" if where.ours else "a worker is"
        _say(f"{what} being started: {where.pages}")
    found = starting.wait()
    missed = read_state(Home(project.home)).missed if starting.fresh else ()
    data = {**found._asdict(), "started": starting.fresh, "missed": list(missed)}
    return Answer(data, lambda: _up(found, starting.fresh, missed))


def command_down(args: argparse.Namespace) -> Answer:
    """Stop the server and the worker; before that, runs are interrupted and all that was said is written."""
    with Project.find() as project:
        if server.runs(project.home) and not args.json:
            _say("stopping: runs end first, then the server writes down what it was told")
        stopped = server.stop(project.home)
    return Answer(_down_data(stopped), lambda: _down(stopped))


def _say(line: str) -> None:
    """What is going on, for whom it takes a while: the answer alone goes to stdout."""
    print(line, file=sys.stderr, flush=True)


def _up(found: Server, fresh: bool, missed: Sequence[str]) -> str:
    now = "" if fresh else "already "
    return "\n".join(
        [
            f"Prefect's server and a worker run {now}for this project"
            if found.ours
            else f"a worker runs {now}for the server that PREFECT_API_URL names",
            f"  pages  {found.pages}",
            f"  API    {found.url}",
            *missed,
            "`trunkline down` stops " + ("both" if found.ours else "the worker"),
        ]
    )


def _down_data(stopped: Stopped | None) -> dict[str, Any]:
    return {"stopped": stopped is not None, **(stopped or Stopped())._asdict()}


def _down(stopped: Stopped | None) -> str:
    if stopped is None:
        return "nothing of Prefect runs for this project"
    what = "Prefect's server and its worker have" if stopped.ours else "the worker has"
    lines = [f"interrupted: {name}; what it has done is kept" for name in stopped.interrupted]
    if stopped.undrained:
        lines.append(
            f"the server did not write down {stopped.undrained} task states; the runs' records have them"
        )
    return "\n".join([*lines, f"{what} stopped"])
