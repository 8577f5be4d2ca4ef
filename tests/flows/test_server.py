"""`trunkline up` and `down` on a real server: started, found, kept through crashes, stopped without a loss.

One server for the module; the tests follow one another as they are written, and each leaves it running.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path

import pytest

from tests import keeping
from tests.keeping import Kept, kill, listing, until
from trunkline.flows import server
from trunkline.flows.server import Server
from trunkline.flows.state import State


@pytest.fixture(scope="module")
def user(prefect_project: Kept) -> dict[str, int]:
    """The user's own Prefect home as it was before."""
    return listing(prefect_project.root.parent / ".prefect")


@pytest.fixture(scope="module")
def up(prefect_project: Kept, user: dict[str, int]) -> Kept:
    """The project after `trunkline up`."""
    done = prefect_project.up()
    now = prefect_project.state
    assert done.out.splitlines() == [
        "Prefect's server and a worker run for this project",
        f"  pages  {now.pages}",
        f"  API    {now.url}",
        "`trunkline down` stops both",
    ]
    return prefect_project


@pytest.fixture(scope="module")
def deployment(up: Kept) -> str:
    return up.deploy()


def working(tree: Kept) -> State:
    """The state when server and worker work."""

    def look() -> State | None:
        now = tree.answers()
        return now if now is not None and now.worker_ready else None

    return until(look)


def test_the_pages_and_the_api_answer(up: Kept) -> None:
    with urllib.request.urlopen(up.state.pages, timeout=30) as answer:
        assert "<title>Prefect" in answer.read().decode()
    assert up.api.call("GET", "/admin/version") == up.state.prefect


def test_nobody_outside_this_machine_can_reach_it(up: Kept) -> None:
    sockets = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port = f"{up.state.port:04X}"
    listening = [fields[1] for fields in sockets if fields[3] == "0A" and fields[1].endswith(f":{port}")]
    assert listening == [f"0100007F:{port}"]


def test_another_sites_page_may_not_call_it(up: Kept) -> None:
    def allowed(origin: str) -> str | None:
        request = urllib.request.Request(f"{up.state.url}/health", headers={"Origin": origin})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(answer.headers.get("access-control-allow-origin"))

    assert allowed("https://elsewhere.example.org") == "None"
    assert allowed(up.state.pages) == up.state.pages


def test_it_is_found(up: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    os.utime(up.home.wanted("used"), (1000, 1000))
    now = up.state
    assert server.find(str(up.root)) == Server(now.url, now.pages, ours=True)
    assert os.stat(up.home.wanted("used")).st_mtime > 1000
    assert server.find(str(up.root.parent)) is None


def test_up_a_second_time_changes_nothing(up: Kept) -> None:
    before = working(up)
    data = up.trunkline("up", "--json").data
    assert data == {
        "url": before.url,
        "pages": before.pages,
        "ours": True,
        "started": False,
        "missed": [],
    }
    assert up.state == before


def test_the_keepers_memory_is_small(up: Kept) -> None:
    assert up.state.keeper is not None
    modules = Path(f"/proc/{up.state.keeper.pid}/maps").read_text()
    assert "pydantic" not in modules


def test_prefects_own_commands_work_with_it(up: Kept) -> None:
    """They send `null` where they mean nothing, which a newer FastAPI refuses."""
    for command in (("flow-run", "ls"), ("deployment", "ls"), ("work-pool", "ls")):
        up.command(sys.executable, "-m", "prefect", *command, check=True, PREFECT_API_URL=up.state.url)


def test_a_deployed_run_is_executed(up: Kept, deployment: str) -> None:
    flow_run = up.submit(deployment, tasks=3)
    assert until(lambda: up.final(flow_run)) == "COMPLETED"
    until(lambda: up.api.count_task_runs(flow_run) == 3)


def test_a_killed_server_comes_back_at_the_same_address(up: Kept) -> None:
    before = working(up)
    kill(before.server)
    assert (
        up.api.call("GET", "/admin/version", timeout=60) == before.prefect
    )  # waits, instead of being refused
    now = working(up)
    assert (now.url, now.keeper) == (before.url, before.keeper)
    assert now.server != before.server


def test_a_killed_worker_comes_back(up: Kept) -> None:
    before = working(up)
    kill(before.worker)
    until(lambda: up.state.worker not in (None, before.worker))
    now = working(up)
    assert now.server == before.server


def test_a_run_whose_process_is_killed_does_not_look_alive(up: Kept, deployment: str) -> None:
    flow_run = up.submit(deployment, seconds=300)
    owner = until(lambda: up.began(flow_run))
    kill(up.state.worker)  # which would say so
    kill(owner)
    assert until(lambda: up.final(flow_run)) == "CRASHED"
    working(up)


def test_a_killed_keeper_takes_server_and_worker_with_it_but_no_run(up: Kept, deployment: str) -> None:
    before = working(up)
    flow_run = up.submit(deployment, seconds=300)
    owner = until(lambda: up.began(flow_run))
    kill(before.keeper)
    until(lambda: set(up.processes()) == {owner.pid})
    assert owner.lives()
    up.up()
    now = working(up)
    assert now.url == before.url
    assert now.keeper != before.keeper
    assert up.final(flow_run) == ""
    kill(owner)
    assert until(lambda: up.final(flow_run)) == "CRASHED"


def test_up_ends_the_orphans_of_a_killed_keeper(up: Kept) -> None:
    before = working(up)
    kill(before.keeper)
    up.up()  # the server has seconds left to write down what it was told
    now = working(up)
    assert now.url == before.url
    assert before.server is not None
    assert not before.server.lives()


def test_two_ups_at_once_start_one_server(up: Kept) -> None:
    up.down()
    argv = (sys.executable, "-m", "trunkline", "up", "--json")
    with keeping.process(up, *argv) as one, keeping.process(up, *argv) as other:
        answers = [json.loads(started.communicate()[0])["data"] for started in (one, other)]
    assert answers[0]["url"] == answers[1]["url"] == up.state.url
    keepers = [words for words in up.processes().values() if "trunkline.flows.keeper" in words]
    assert len(keepers) == 1


@pytest.fixture
def written(up: Kept) -> str:
    """A flow run of two hundred tasks that ended a moment ago, with its record."""
    script = up.write(
        "many.py",
        "import sys\n"
        "from prefect import flow, task\n"
        "from prefect.runtime import flow_run\n"
        "from trunkline.ledger.records import Scene\n"
        "from trunkline.ledger.runs import RunLog\n"
        "from trunkline.model import GitState\n"
        "step = task(lambda n: n, name='step')\n"
        "@flow\n"
        "def many():\n"
        "    log = RunLog.begin('.', command='many', scene=Scene(GitState('', '', ()), {}))\n"
        "    for n in range(200):\n"
        "        step(n)\n"
        "    log.flow({'id': str(flow_run.id), 'url': sys.argv[1] + '/runs', 'tasks': 200})\n"
        "    log.finish('done')\n"
        "    return str(flow_run.id)\n"
        "print(many(), flush=True)\n",
    )
    told = {
        "PREFECT_API_URL": up.state.url,
        "PREFECT_HOME": up.home.prefect,
        "PREFECT_LOGGING_LEVEL": "ERROR",
    }
    done = up.command(sys.executable, str(script), up.state.pages, check=True, **told)
    return done.out.split()[-1]


def test_down_loses_no_state_that_was_told(up: Kept, written: str) -> None:
    assert up.api.count_task_runs(written) < 200, "too slow a flow to show anything"
    stopped = up.trunkline("down", "--json").data
    assert stopped == {"stopped": True, "ours": True, "interrupted": [], "undrained": 0}
    assert not up.processes()
    up.up()
    assert up.api.count_task_runs(written) == 200


def test_down_interrupts_a_deployed_run(up: Kept, deployment: str) -> None:
    flow_run = up.submit(deployment, seconds=300)
    until(lambda: up.began(flow_run))
    name = up.api.flow_run(flow_run)["name"]
    done = up.down()
    assert done.out.splitlines() == [
        f"interrupted: {name}; what it has done is kept",
        "Prefect's server and its worker have stopped",
    ]
    assert (up.root / f"ended-{flow_run}").exists()
    assert not up.processes()
    assert up.down().out == "nothing of Prefect runs for this project\n"
    up.up()
    assert up.final(flow_run) in ("CRASHED", "CANCELLED")
    later = up.submit(deployment)  # the pool is open again
    assert until(lambda: up.final(later)) == "COMPLETED"


def test_the_users_own_prefect_was_not_touched(up: Kept, user: dict[str, int]) -> None:
    assert listing(up.root.parent / ".prefect") == user
    assert not [
        path for path in up.root.parent.iterdir() if path.name.startswith(".") and path.name != ".prefect"
    ]
    assert ".trunkline" not in up.git("status", "--porcelain", "--untracked-files=all").out


def test_a_project_that_is_deleted_takes_its_server_with_it(up: Kept, tmp_path: Path) -> None:
    os.rename(up.home.folder, tmp_path / "gone")
    try:
        until(lambda: not up.processes())
    finally:
        os.rename(tmp_path / "gone", up.home.folder)
