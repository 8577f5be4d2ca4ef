"""A deployed run that is cancelled, or loses a process, or all of them: nothing of it stays, the next one ends it.

Whatever happened, within the patience of `until`: no process of the run is left, its flow run is in a final
state, and the next run finishes the work, computes what is missing and no more, and leaves a worktree with which
DVC agrees.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keeping import Kept, kept, kill, until
from tests.support import Tree
from trunkline.ledger.owner import Owner

BRANCH = "trunkline/slow"
STAGES = """\
import os
import time
from pathlib import Path


def slow(raw: Path) -> dict[str, bytes]:
    marks = Path(os.environ["MARKS"])
    (marks / f"began-{raw.stem}").write_text(str(os.getpid()))
    while raw.read_text().startswith("wait") and not (marks / f"go-{raw.stem}").exists():
        time.sleep(0.05)
    with open(marks / f"done-{raw.stem}", "a") as stream:
        stream.write("x")
    return {raw.name: raw.read_bytes()}
"""
PIPELINE = """\
pipeline: slow

stages:
  each:
    run: stages.slow:slow
    input: {raw: slow_raw/*}
"""


class Deployed(Kept):
    """A project with a deployment whose datums wait until they are let go."""

    @property
    def marks(self) -> Path:
        return self.root.parent / "marks"

    def put(self, name: str, text: str) -> None:
        """A new file of the source dataset."""
        path = self.root.parent / f"{name}.txt"
        path.write_text(text)
        self.trunkline("put", "slow_raw", str(path))

    def retrain(self) -> str:
        """A flow run of the deployment; its id."""
        deployment = self.api.call("GET", "/deployments/name/trunkline/slow")["id"]
        return self.submit(deployment, pipeline="slow")

    def at_work(self, name: str) -> Owner:
        """The process of the flow run whose datum is waiting."""
        until(lambda: (self.marks / f"began-{name}").exists())
        record = until(lambda: next((each for each in self.records() if each["state"] == "running"), None))
        return Owner(**record["owner"])

    def of_runs(self) -> dict[int, str]:
        """The processes in the worktree, and those of its datums."""
        return {
            pid: words
            for pid, words in self.processes().items()
            if "flow-run" in words or "worktrees" in words
        }


@pytest.fixture(scope="module")
def slow(prefect_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    top = tmp_path_factory.mktemp("crashes")
    (top / "project").mkdir()
    (top / "marks").mkdir()
    tree = Deployed(top / "project", prefect_cache, MARKS=str(top / "marks"))
    tree.git("init", "-q", "-b", "main")
    tree.dvc("init", "-q")
    tree.write(".gitignore", "/.trunkline/\n__pycache__/\n")
    tree.write("stages/slow.py", STAGES)
    tree.write("pipelines/slow.yaml", PIPELINE)
    tree.write("data/slow_raw/first.txt", "first\n")
    tree.dvc("add", "-q", "data/slow_raw")
    tree.trunkline("compile")
    tree.commit("Start")
    with kept(tree):
        tree.up()
        tree.trunkline("deploy")
        flow_run = tree.retrain()
        assert until(lambda: tree.final(flow_run)) == "COMPLETED"
        yield tree


def _cancel(tree: Deployed, flow_run: str, owner: Owner) -> str:
    tree.api.set_state("flow_runs", flow_run, "CANCELLING", "")
    return "CANCELLED"


def _kill_flow(tree: Deployed, flow_run: str, owner: Owner) -> str:
    kill(owner)
    return "CRASHED"


def _kill_worker(tree: Deployed, flow_run: str, owner: Owner) -> str:
    before = tree.state.worker
    kill(before)
    until(lambda: tree.state.worker not in (None, before))
    return "COMPLETED"


def _kill_server(tree: Deployed, flow_run: str, owner: Owner) -> str:
    kill(tree.state.server)
    until(tree.answers)
    return "COMPLETED"


def _machine_dies(tree: Deployed, flow_run: str, owner: Owner) -> str:
    """All at once, and afterwards the numbers of processes name others."""
    tree.kill_all()
    until(lambda: not owner.lives())
    opened = (tree.root / ".trunkline/runs/.open").iterdir()
    for path in [Path(tree.home.state), *Path(tree.home.flows).iterdir(), *opened]:
        path.write_text(path.read_text().replace(owner.boot, "an-earlier-boot"))
    tree.up()
    return "CRASHED"


CRASHES = [_cancel, _kill_flow, _kill_worker, _kill_server, _machine_dies]


@pytest.mark.parametrize("crash", CRASHES, ids=[each.__name__.lstrip("_") for each in CRASHES])
def test_what_is_left_of_a_crash(slow: Deployed, crash: Any) -> None:
    name = crash.__name__.lstrip("_").replace("_", "-")
    slow.put(name, f"wait {name}\n")
    flow_run = slow.retrain()
    owner = slow.at_work(name)
    expected = crash(slow, flow_run, owner)
    if expected == "COMPLETED":
        (slow.marks / f"go-{name}").touch()
    assert until(lambda: slow.final(flow_run)) == expected
    until(lambda: not owner.lives())
    worker = int((slow.marks / f"began-{name}").read_text())
    until(lambda: worker not in slow.processes())

    if expected != "COMPLETED":
        (slow.marks / f"go-{name}").touch()
        following = slow.retrain()
        assert until(lambda: slow.final(following)) == "COMPLETED"
    assert (slow.marks / f"done-{name}").read_text() == "x", "computed once, whatever happened"
    assert (slow.marks / "done-first").read_text() == "x", "and nothing else with it"
    states = [record["state"] for record in slow.records()]
    assert "running" not in states
    inside = Tree(slow.root / ".trunkline/worktrees/slow")
    assert "up to date" in inside.dvc("status").out
    assert (inside.root / f"data/slow/each/{name}.txt").read_text() == f"wait {name}\n"
    lock = slow.git("show", f"{BRANCH}:dvc.lock").out
    assert f"nfiles: {len(list((inside.root / 'data/slow/each').iterdir()))}" in lock
