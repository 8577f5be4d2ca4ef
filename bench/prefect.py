"""Prefect: what showing a run costs, beside the same run without; and what the server costs to start.

server      from nothing until it answers, beside `prefect server start` with an empty home: cold (a
            database has to be made) and warm (one is copied)
flow        the reference pipeline, and a stage of 10,000 datums, both cold, on a server that runs,
            beside `--engine local`
schedule    how long after the moment for which it is scheduled a run begins, and is over
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from bench import datums, flights
from bench.figures import SECONDS, Figure
from bench.processes import Command, Cost, median, medians, run
from bench.projects import HERE, Tree
from bench.sizes import Sizes

NAME = "prefect"
SCHEDULED = """
schedules: [{interval: 60}]
"""
PATIENCE = 300.0  # seconds


def bench(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    """The server, the flow, the schedule."""
    yield from _server(sizes, make("server"))
    tree = make("flights")
    departures = flights.prepared(tree, sizes.departures)
    what = f"{len(flights.STAGES)} stages, {departures:,} departures, as a flow"
    yield _flow(sizes, tree, what, "data/flights", 2)
    tree = make("texts")
    datums.prepared(tree, "texts", "upper", sizes.datums)
    yield _flow(sizes, tree, f"{sizes.datums:,} datums, as a flow", "data/p", None)
    yield from _schedule(make("schedule"))


# ---------------------------------------------------------------- the server


def _server(sizes: Sizes, tree: Tree) -> Iterator[Figure]:
    template = tree.root.parent / ".cache" / "trunkline"
    for how in ("cold", "warm"):
        floor: list[Cost] = []
        ours: list[Cost] = []
        for _ in range(sizes.few):
            floor.append(run(tree.floor("prefect_server")))
            if how == "cold" and template.exists():
                template.rename(f"{template}-{time.time()}")
            _forget(tree)
            ours.append(run(tree.python(str(HERE / "start_server.py"))))
            run(tree.trunkline("down"))
        yield Figure(
            NAME,
            f"server, {how}",
            "prefect server start",
            median(ours),
            median(floor),
            None,
            judged=("wall",),
        )


def _forget(tree: Tree) -> None:
    """Take the project's server away, with its database."""
    folder = tree.root / ".trunkline" / "prefect"
    if folder.exists():
        folder.rename(f"{folder}-{time.time()}")


# ---------------------------------------------------------------- the flow


def _flow(sizes: Sizes, tree: Tree, what: str, outputs: str, limit: float | None) -> Figure:
    def cold() -> None:
        tree.make_cold(outputs)

    with _running(tree):
        local, flow = medians(
            sizes.few,
            tree.trunkline("run", "--engine", "local", before=cold),
            tree.trunkline("run", "--engine", "prefect", before=cold),
        )
    return Figure(NAME, what, "--engine local", flow, local, limit, unit=SECONDS, judged=("wall",))


@contextmanager
def _running(tree: Tree, start: Command | None = None) -> Iterator[None]:
    run(start or tree.python(str(HERE / "start_server.py")))
    try:
        yield
    finally:
        run(tree.trunkline("down"))


# ---------------------------------------------------------------- the schedule


def _schedule(tree: Tree) -> Iterator[Figure]:
    """A run that finds something new, and begins by its schedule."""
    datums.prepared(tree, "texts", "upper", 20)
    path = tree.root / "pipelines" / "p.yaml"
    tree.write("pipelines/p.yaml", path.read_text(encoding="utf-8") + SCHEDULED)
    run(tree.trunkline("compile"))
    tree.do("git", "add", "-A")
    tree.do("git", "commit", "-qm", "Start")
    with _running(tree, tree.trunkline("up")):
        run(tree.trunkline("deploy"))
        found = _finished(tree)
    due, began, over = (_moment(found[key]) for key in ("expected_start_time", "start_time", "end_time"))
    by_hand = run(tree.trunkline("run", "--engine", "local", before=lambda: tree.make_cold("data/p")))
    for what, seconds in (("begins", began - due), ("is over", over - due)):
        cost = Cost(seconds, seconds, 0)
        text = f"from the schedule until a run {what}"
        yield Figure(NAME, text, "the run by hand", cost, by_hand, None, unit=SECONDS, judged=("wall",))


def _finished(tree: Tree) -> dict[str, Any]:
    """The first scheduled flow run that is over."""
    state = json.loads((tree.root / ".trunkline/prefect/server.json").read_text(encoding="utf-8"))
    query = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}}, "sort": "EXPECTED_START_TIME_ASC"}
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        request = urllib.request.Request(
            f"{state['url']}/flow_runs/filter",
            json.dumps(query).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            if runs := json.load(answer):
                found: dict[str, Any] = runs[0]
                return found
        time.sleep(1)
    raise TimeoutError("no scheduled run was over in time")


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
