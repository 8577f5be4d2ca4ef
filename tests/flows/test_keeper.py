"""A server that a run started goes when it is idle; one that cannot start says why. Each starts its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import keeping
from tests.keeping import Kept, until
from trunkline.errors import ServerError
from trunkline.flows import server, state
from trunkline.flows.home import Home
from trunkline.flows.state import State, mark_flow, write_state
from trunkline.ledger.owner import Owner, owner_of

IDLE = 3.0


@pytest.fixture
def fresh(_letters: Path, prefect_cache: Path, tmp_path: Path) -> Iterator[Kept]:
    """A project without a server; in the end nothing of one is left."""
    with keeping.kept(keeping.make(_letters, tmp_path / "project", prefect_cache)) as tree:
        yield tree


def begin(tree: Kept, **variables: str) -> None:
    """What `trunkline run` does: a server for as long as it is used."""
    call = "import sys; from trunkline.flows import server; server.begin(sys.argv[1]).wait()"
    tree.command(sys.executable, "-c", call, str(tree.root), check=True, **variables)


def idle_for(tree: Kept, seconds: float) -> None:
    """Return when nobody has used the server for so long."""
    until(lambda: time.time() - state.used(tree.home) > seconds)


def test_a_server_that_a_run_started_goes_when_nobody_uses_it(fresh: Kept) -> None:
    fresh.home.make()
    state.wish(fresh.home, state.KEPT)  # until there is a run
    begin(fresh, TRUNKLINE_PREFECT_IDLE=str(IDLE))
    first = fresh.state
    flow = fresh.api.post("/flows/", {"name": "long"})
    body = {"flow_id": flow["id"], "tags": ["trunkline"], "state": {"type": "RUNNING"}}
    run = fresh.api.post("/flow_runs/", body)["id"]
    with keeping.process(fresh, "sleep", "600") as at_work:
        owner = owner_of(at_work.pid)
        assert owner is not None
        mark_flow(str(fresh.root), run, owner)
        state.unwish(fresh.home, state.KEPT)
        idle_for(fresh, 2 * IDLE + 1)
        until(lambda: not fresh.state.kept)
        assert fresh.state.server == first.server, "a run is under way"
        assert fresh.answers()
        fresh.api.set_state("flow_runs", run, "COMPLETED", "")
    until(lambda: not fresh.processes())
    assert fresh.state.state == "stopped"

    # The next one gets another port where its own is taken, and stays where somebody says `up`.
    state.wish(fresh.home, state.KEPT)
    with socket.create_server(("127.0.0.1", first.port)):
        begin(fresh, TRUNKLINE_PREFECT_IDLE=str(IDLE))
    assert fresh.state.port != first.port
    assert fresh.api.flow_run(run)["state_type"] == "COMPLETED", "history is kept"
    idle_for(fresh, 2 * IDLE + 1)
    until(lambda: fresh.state.kept)
    assert fresh.answers()

    keeper = fresh.state.keeper
    assert keeper is not None
    os.kill(keeper.pid, signal.SIGTERM)  # as when the machine shuts down
    until(lambda: not fresh.processes())
    assert fresh.state.state == "stopped"
    assert state.wished(fresh.home, state.KEPT)


def test_a_server_that_dies_at_once_says_why(fresh: Kept) -> None:
    fresh.home.make()
    Path(fresh.home.database, "prefect.db").write_text("not a database, as long as it may be " * 100)
    done = fresh.trunkline("up", check=False)
    assert done.code == 3
    assert "error: " in done.err
    assert "the Prefect server ended with exit code 3" in done.err
    assert "file is not a database" in done.err, "the end of its log"
    assert "`trunkline run --engine local` does without Prefect" in done.err
    assert not fresh.processes()
    assert fresh.state.state == "failed"
    assert fresh.down().out == "nothing of Prefect runs for this project\n"


@contextmanager
def disk(place: Path, options: str) -> Iterator[None]:
    """A small file system at this place."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting needs root, and Linux")
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    if (done := subprocess.run(command, capture_output=True, check=False)).returncode:
        pytest.skip(f"cannot mount: {done.stderr.decode()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(
    ("options", "why"), [("size=3m", "the disk is full"), ("ro", "Read-only file system")]
)
def test_where_there_is_no_room_nothing_is_started(tmp_path: Path, options: str, why: str) -> None:
    home = Home(str(tmp_path))
    with disk(Path(home.folder), options):
        with pytest.raises(ServerError, match=why) as raised:
            server.begin(str(tmp_path))
        assert raised.value.where == home.folder
        assert "--engine local" in raised.value.hint
        assert server.stop(str(tmp_path)) is None


def test_down_leaves_alone_what_somebody_has_started_since(tmp_path: Path) -> None:
    """`up` right after the old keeper has ended: its server and worker are not those that were to stop."""
    home = Home(str(tmp_path))
    home.make()
    with subprocess.Popen(["sleep", "600"]) as worker, subprocess.Popen(["sleep", "600"]) as keeper:
        try:
            now = State(state="running", keeper=owner_of(keeper.pid), worker=owner_of(worker.pid))
            write_state(home, now)
            server._stop_keeper(home, Owner(2**22 + 1, "0", ""))
            assert (worker.poll(), keeper.poll()) == (None, None)
        finally:
            worker.kill()
            keeper.kill()


def test_nothing_runs_where_nothing_was_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    assert server.find(str(tmp_path)) is None
    assert server.stop(str(tmp_path)) is None
    assert not server.runs(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
