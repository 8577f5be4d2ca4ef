"""A server that the user has: used as it is, never started, never stopped. What the how-to types, runs."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from tests import keeping
from tests.keeping import Kept, until
from trunkline.flows.api import Api, ApiError

PAGE = Path(__file__).parents[2] / "docs/how-to/prefect-server.md"
LOGIN = "admin:secret"


@pytest.fixture(scope="module")
def theirs(
    prefect_project: Kept, prefect_cache: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server that somebody started himself, and that asks who calls."""
    home = tmp_path_factory.mktemp("theirs")
    template = prefect_cache / "trunkline" / f"prefect-{version('prefect')}"
    for name in ("prefect.db", "memo_store.toml"):
        shutil.copy(template / name, home / name)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    settings = {
        "PREFECT_HOME": str(home), "PREFECT_SERVER_API_AUTH_STRING": LOGIN, "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }  # fmt: skip
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with open(home / "log", "wb") as log:
        started = subprocess.Popen(
            command, cwd=home, env={**environment, **settings}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        until(lambda: Api(f"http://127.0.0.1:{port}/api", environ={}).healthy())
        yield f"http://127.0.0.1:{port}/api"
    finally:
        started.terminate()
        try:
            started.wait(30)
        finally:
            started.kill()
            started.wait()


@pytest.fixture(scope="module")
def user(
    _letters: Path, prefect_cache: Path, theirs: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kept]:
    """A project whose user has set PREFECT_API_URL."""
    told = {"PREFECT_API_URL": theirs, "PREFECT_API_AUTH_STRING": LOGIN}
    root = tmp_path_factory.mktemp("user") / "project"
    with keeping.kept(keeping.make(_letters, root, prefect_cache, **told)) as tree:
        yield tree


@pytest.fixture
def neighbour(_letters: Path, prefect_cache: Path, theirs: str, tmp_path: Path) -> Iterator[Kept]:
    """Another project with the same server."""
    told = {"PREFECT_API_URL": theirs, "PREFECT_API_AUTH_STRING": LOGIN}
    with keeping.kept(keeping.make(_letters, tmp_path / "neighbour", prefect_cache, **told)) as tree:
        yield tree


def api(tree: Kept) -> Api:
    return Api(tree.variables["PREFECT_API_URL"], environ=tree.variables)


def test_it_asks_who_calls(theirs: str) -> None:
    with pytest.raises(ApiError, match="401"):
        Api(theirs, environ={}).post("/flow_runs/filter", {})


def test_up_starts_a_worker_for_it_and_down_stops_that(user: Kept, theirs: str) -> None:
    done = user.up()
    assert done.out.splitlines() == [
        "a worker runs for the server that PREFECT_API_URL names",
        f"  pages  {theirs.removesuffix('/api')}",
        f"  API    {theirs}",
        "`trunkline down` stops the worker",
    ]
    assert done.err == f"a worker is being started: {theirs.removesuffix('/api')}\n"
    assert (user.state.server, user.state.ours) == (None, False)
    assert not Path(user.home.database, "prefect.db").exists()

    user.write("throwaway.py", keeping.FLOW)
    again = user.up().out
    assert "already" in again
    done = user.command(
        sys.executable, "-c", "import sys; from trunkline.flows import server; print(server.find(sys.argv[1]))",
        str(user.root),
    )  # fmt: skip
    assert "ours=False" in done.out

    other = user.trunkline("up", check=False, PREFECT_API_URL="")
    assert other.code == 3
    assert "a worker for another server runs, and PREFECT_API_URL is not set" in other.err
    second = user.trunkline("up", check=False, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert second.code == 3
    assert (
        f"{theirs}: a worker for another server runs, and PREFECT_API_URL is http://127.0.0.1:9" in second.err
    )
    assert "or set PREFECT_API_URL to that server" in second.err

    assert user.down().out == "the worker has stopped\n"
    assert not user.processes()
    assert api(user).healthy()
    assert user.down().out == "nothing of Prefect runs for this project\n"


def test_down_stops_the_worker_and_interrupts_its_run(user: Kept) -> None:
    user.up()
    flow_run = user.submit(user.deploy(), seconds=300)
    until(lambda: user.began(flow_run))
    name = api(user).flow_run(flow_run)["name"]
    assert user.down().out.splitlines() == [
        f"interrupted: {name}; what it has done is kept",
        "the worker has stopped",
    ]
    assert (user.root / f"ended-{flow_run}").exists()
    assert until(lambda: user.final(flow_run)) in ("CRASHED", "CANCELLED")


def test_projects_that_share_it_take_their_own_runs(user: Kept, neighbour: Kept) -> None:
    """Of two runs that are due the worker takes its project's, though the other one was there first."""
    theirs = neighbour.submit(neighbour.deploy("next door"))
    user.up()
    mine = user.submit(user.deploy())
    assert until(lambda: user.final(mine)) == "COMPLETED"
    assert user.api.flow_run(theirs)["state_type"] == "SCHEDULED"
    user.down()
    neighbour.up()
    assert until(lambda: neighbour.final(theirs)) == "COMPLETED"
    neighbour.down()


def test_one_that_does_not_answer(user: Kept) -> None:
    done = user.trunkline("up", check=False, PREFECT_API_URL="http://127.0.0.1:9/api")
    assert done.code == 3
    assert "http://127.0.0.1:9/api: the server that PREFECT_API_URL names does not answer" in done.err
    user.down()


def test_the_projects_own_comes_first(prefect_project: Kept, theirs: str) -> None:
    done = prefect_project.trunkline("up", check=False, PREFECT_API_URL=theirs)
    assert done.code == 3
    assert "PREFECT_API_URL is set, and the project's own server runs" in done.err


# ---------------------------------------------------------------- the how-to


def typed(title: str) -> list[str]:
    """What a section says to type."""
    section = PAGE.read_text().split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@contextmanager
def shell(tree: Kept, lines: str) -> Iterator[subprocess.CompletedProcess[str]]:
    yield subprocess.run(
        ["bash", "-euc", lines],
        cwd=tree.root,
        env=tree.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_how_to_for_the_projects_own(prefect_project: Kept) -> None:
    up, down, address = typed("The project's own")
    with shell(prefect_project, f"{up}\n{address}\nunset PREFECT_API_URL\n{down}") as done:
        assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0] == "Prefect's server and a worker run for this project"
    assert "Deployments" in done.stdout
    assert said[-1] == "Prefect's server and its worker have stopped"
    prefect_project.start()


def test_the_how_to_for_a_server_that_you_have(user: Kept, theirs: str) -> None:
    (up,) = typed("A server that you have")
    assert "http://127.0.0.1:4200/api" in up
    with shell(user, up.replace("http://127.0.0.1:4200/api", theirs)) as done:
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a worker runs for the server that PREFECT_API_URL names\n")
    user.down()
