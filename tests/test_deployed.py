"""What Prefect calls, called by Prefect's own engine at a real server: the pull step, then the flow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.keeping import PATIENCE, Kept, until
from tests.support import ENVIRONMENT, Tree
from trunkline.flows import home as prefect_home
from trunkline.flows.api import ApiError
from trunkline.ledger.owner import Owner

BRANCH = "trunkline/letters"


MOVED = ("refs/heads", "refs/trunkline/pushed")  # what a run that ends well moves


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


def inside(project: Tree) -> Tree:
    return Tree(project.root / ".trunkline/worktrees/letters")


def tip(project: Tree, rev: str = BRANCH) -> str:
    return project.git("rev-parse", rev).out.strip()


def put(project: Tree, name: str, text: str) -> None:
    project.write(f"data/letters_raw/{name}.txt", text)
    project.dvc("add", "-q", "data/letters_raw")
    project.commit(f"Put {name}")


# ---------------------------------------------------------------- the flow


class Deployment:
    """The deployment `letters` of a project at its server, and flow runs of it."""

    def __init__(self, tree: Kept) -> None:
        self.tree = tree
        self.api = tree.api
        self.flow = self.post("/flows/", {"name": "trunkline"})["id"]
        self.id = self.deploy("letters")
        self.said = ""

    def post(self, path: str, body: object) -> Any:
        """What the server answers; on a busy machine it is too busy at first."""

        def look() -> tuple[Any] | None:
            try:
                return (self.api.post(path, body),)
            except ApiError as error:
                if error.status != 503:
                    raise
                return None

        return until(look)[0]

    def deploy(self, name: str, **more: object) -> str:
        """A deployment of the pipeline; its id."""
        body = {
            "name": name,
            "flow_id": self.flow,
            "entrypoint": "trunkline.deployed.retrain",
            "parameters": {"pipeline": "letters"},
            "tags": ["trunkline", "pipeline:letters"],
            "pull_steps": [{"trunkline.deployed.worktree": {"pipeline": "letters", "branch": "main"}}],
            **more,
        }
        return str(self.post("/deployments/", body)["id"])

    def ask_for(self) -> str:
        """A flow run as people ask for one; its id."""
        return str(
            self.post(f"/deployments/{self.id}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]
        )

    def start(self, run: str, **extra: str) -> subprocess.Popen[str]:
        """What a worker starts."""
        root, home = str(self.tree.root), prefect_home.environment(str(self.tree.root), self.api.url, {})
        return subprocess.Popen(
            [sys.executable, "-m", "prefect", "flow-run", "execute", run],
            cwd=self.tree.root.parent,
            env=self.tree.environment(**home, TRUNKLINE_HOME=root, **extra),
            start_new_session=True,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def execute(self, run: str) -> dict[str, Any]:
        """Execute a flow run; what the server says of it then."""
        process = self.start(run)
        try:
            self.said = process.communicate(timeout=PATIENCE)[0]
        finally:
            end(process)
        return self.api.flow_run(run)

    def tasks(self, run: str, count: int) -> dict[str, str]:
        """The names of the final states of its tasks, once the server has so many."""
        until(lambda: self.api.count_task_runs(run) >= count)
        body = {"flow_runs": {"id": {"any_": [run]}}}
        return {task["name"]: task["state"]["name"] for task in self.api.each("/task_runs/filter", body)}

    @property
    def marks(self) -> list[Path]:
        """What flow processes have said of themselves."""
        return list(Path(self.tree.home.flows).glob("*.json"))


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope="module")
def served(prefect_project: Kept) -> Deployment:
    return Deployment(prefect_project)


def test_a_flow_run_retrains_and_the_next_one_has_nothing_to_do(served: Deployment) -> None:
    tree = served.tree
    tree.write("notes.txt", "untracked")
    found = served.execute(served.ask_for())
    assert found["state"]["name"] == "Completed", served.said
    assert found["state"]["message"] == f"committed {tip(tree)[:8]} to {BRANCH}"
    record = tree.trunkline("show", "latest", "--json").data
    assert record["flow"]["id"] == found["id"]
    assert record["flow"]["url"].endswith(f"/runs/flow-run/{found['id']}")
    assert record["flow"]["tasks"] == 3
    assert record["command"] == "deployed run of letters (api)"
    assert found["name"].startswith("letters-api")
    assert {"trunkline", "pipeline:letters", "trigger:api"} <= set(found["tags"])
    assert any(tag.startswith("data:") for tag in found["tags"])
    assert set(served.tasks(found["id"], 3).values()) == {"Completed"}
    first = tip(tree)
    again = served.execute(served.ask_for())
    assert again["state"]["type"] == "COMPLETED"
    assert again["state"]["name"] == "Cached", served.said
    assert again["state"]["message"].startswith("nothing new: ")
    assert set(served.tasks(again["id"], 3).values()) == {"Cached"}
    assert tip(tree) == first
    assert served.marks == []


def test_a_missed_run_is_skipped_where_a_later_one_is_due(served: Deployment) -> None:
    deployment = served.deploy("often", schedules=[{"schedule": {"interval": 2}, "active": True}])
    query = {"deployments": {"id": {"any_": [deployment]}}, "sort": "EXPECTED_START_TIME_ASC", "limit": 5}

    def due() -> list[dict[str, Any]] | None:
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        runs = served.post("/flow_runs/filter", query)
        return [run for run in runs if run["expected_start_time"] < now][1:]

    until(due)
    found = served.execute(served.post("/flow_runs/filter", query)[0]["id"])
    assert (found["state"]["type"], found["state"]["name"]) == ("COMPLETED", "Skipped"), served.said
    assert "(catch_up: latest)" in found["state"]["message"]
    assert found["name"] == "letters-schedule"
    served.api.call("DELETE", f"/deployments/{deployment}")


def test_a_flow_run_that_is_ended_ends_all_that_it_started(served: Deployment, tmp_path: Path) -> None:
    tree = served.tree
    text = tree.read("stages/letters.py")
    mark = tmp_path / "mark"
    slow = "import os, time\n    open(os.environ['MARK'], 'w').write(str(os.getpid()))\n    time.sleep(600)\n"
    tree.write("stages/letters.py", text.replace("    import json\n", f"    {slow}    import json\n"))
    tree.commit("Slow")
    before = tree.git("for-each-ref", *MOVED).out
    run = served.ask_for()
    process = served.start(run, MARK=str(mark))
    try:
        until(lambda: mark.exists() and mark.read_text())
        (named,) = served.marks
        owner = Owner(**json.loads(named.read_text()))
        assert named.stem == run
        assert owner.lives()
        os.kill(owner.pid, signal.SIGTERM)
        said = process.communicate(timeout=PATIENCE)[0]
    finally:
        end(process)
    assert not owner.lives(), said
    assert served.marks == []
    record = tree.trunkline("show", "latest", "--json").data
    assert (record["state"], record["flow"]["id"]) == ("interrupted", run)
    assert served.api.flow_run(run)["state"]["type"] == "CRASHED", said
    assert tree.git("for-each-ref", *MOVED).out == before
