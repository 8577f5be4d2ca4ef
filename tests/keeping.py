"""A project with a real Prefect server: what one does with it, what that server says, and that nothing stays.

`prefect_project` is a module's own: the project `letters` in a directory of its own, with its server (no
worker: `kept.up()` starts one). Its user's home holds a Prefect profile that leads nowhere; see `test_server`.
What is asked goes through our own client, which asks a busy server again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tests.support import Done, Tree
from trunkline.flows.api import FINAL, Api
from trunkline.flows.deployments import project_name
from trunkline.flows.home import Home
from trunkline.flows.state import State, read_state
from trunkline.ledger.owner import Owner, owner_of

T = TypeVar("T")
PATIENCE = 90.0  # seconds; a server that starts on a busy machine takes its time
PROFILE = 'active = "mine"\n\n[profiles.mine]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'

FLOW = '''\
"""A flow as short as can be that behaves like a deployed run: says who it is, ends in an orderly way."""

import os
import signal
import time
from pathlib import Path

from prefect import flow, task
from prefect.runtime import flow_run

from trunkline.flows.state import mark_flow
from trunkline.ledger.owner import owner_of


@task
def step(number: int) -> int:
    return number


@flow(name="throwaway")
def throwaway(seconds: float = 0.0, tasks: int = 1) -> None:
    mark_flow(os.environ["TRUNKLINE_HOME"], str(flow_run.id), owner_of(os.getpid()))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for number in range(tasks):
        step(number)
    Path(f"began-{flow_run.id}").touch()
    try:
        time.sleep(seconds)
    finally:
        Path(f"ended-{flow_run.id}").touch()
'''


class Kept(Tree):
    """A project and its Prefect server. No variable of the tester's own Prefect reaches it."""

    def __init__(self, root: Path, cache: Path, **variables: str) -> None:
        super().__init__(root)
        self.variables = {"XDG_CACHE_HOME": str(cache), "TRUNKLINE_ENGINE": "prefect", **variables}
        self.home = Home(str(root))

    def environment(self, **extra: str) -> dict[str, str]:
        mine = {**super().environment(), **self.variables, **extra}
        ours = {name: value for name, value in mine.items() if not name.startswith("PREFECT_")}
        return {**ours, **{name: value for name, value in {**self.variables, **extra}.items() if value}}

    # ------------------------------------------------------------ the server

    def up(self, **extra: str) -> Done:
        """`trunkline up`."""
        return self.trunkline("up", check=True, **extra)

    def down(self) -> Done:
        """`trunkline down`."""
        return self.trunkline("down")

    def start(self) -> State:
        """A server without a worker, kept, as a run would start it."""
        lines = "import sys; from trunkline.flows import server; "
        lines += "print(server.begin(sys.argv[1], keep=True).wait().url)"
        self.command(sys.executable, "-c", lines, str(self.root))
        return self.state

    @property
    def state(self) -> State:
        """What server.json says."""
        return read_state(self.home)

    @property
    def api(self) -> Api:
        """The server's API."""
        return Api(self.variables.get("PREFECT_API_URL") or self.state.url, environ=self.variables)

    def answers(self) -> State | None:
        """The state of a server that answers, if it does."""
        now = self.state
        return now if now.state == "running" and self.api.healthy() else None

    # ------------------------------------------------------------ runs of it

    def deploy(self, name: str = "trunkline") -> str:
        """A deployment of the flow above, in the pool of `trunkline up` and the project's queue; its id."""
        self.write("throwaway.py", FLOW)
        flow = self.api.post("/flows/", {"name": "throwaway"})
        step = "prefect.deployments.steps.set_working_directory"
        deployment = {
            "name": name,
            "flow_id": flow["id"],
            "entrypoint": "throwaway.py:throwaway",
            "path": str(self.root),
            "work_pool_name": "trunkline",
            "work_queue_name": project_name(str(self.root)),
            "tags": ["trunkline"],
            "pull_steps": [{step: {"directory": str(self.root)}}],
            "enforce_parameter_schema": False,
        }
        return str(self.api.post("/deployments/", deployment)["id"])

    def submit(self, deployment: str, **parameters: object) -> str:
        """A flow run of the deployment; its id."""
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return str(self.api.post(f"/deployments/{deployment}/create_flow_run", body)["id"])

    def began(self, flow_run: str) -> Owner | None:
        """The process of a flow run that is at work."""
        if not (self.root / f"began-{flow_run}").exists():
            return None
        mark = json.loads((Path(self.home.flows) / f"{flow_run}.json").read_text())
        return Owner(**mark)

    def final(self, flow_run: str) -> str:
        """The type of a flow run's final state, "" while it has none."""
        state = str(self.api.flow_run(flow_run)["state_type"])
        return state if state in FINAL else ""

    # ------------------------------------------------------------ runs of the project

    def run(self, *targets: str) -> str:
        """`trunkline run`; the run's id."""
        return self.trunkline("run", *targets).out.split()[1]

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """A `trunkline run` that is under way; killed where the test forgets it."""
        with process(self, sys.executable, "-m", "trunkline", "run", output=subprocess.DEVNULL) as started:
            yield started

    def records(self) -> list[dict[str, Any]]:
        """The runs' records, newest first."""
        paths = sorted((self.root / ".trunkline/runs").glob("*/run.json"), reverse=True)
        return [json.loads(path.read_text()) for path in paths]

    def record(self, run: str) -> dict[str, Any]:
        """A run's record."""
        return next(record for record in self.records() if record["id"] == run)

    def shown(self, process: subprocess.Popen[str]) -> dict[str, Any] | None:
        """The record of the run of this process, once it says which flow run shows it."""
        of_it = (record for record in self.records() if record["owner"]["pid"] == process.pid)
        return next((record for record in of_it if record["flow"]), None)

    def tasks(self, record: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The task runs of a recorded run by name, once the server has digested all of them."""
        flow_run, many = record["flow"]["id"], record["flow"]["tasks"]
        until(lambda: self.api.count_task_runs(flow_run) == many)
        return {task["name"]: task for task in self._of("/task_runs/filter", flow_run)}

    def artifacts(self, record: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The artifacts of a recorded run by key."""
        return {each["key"]: each for each in self._of("/artifacts/filter", record["flow"]["id"])}

    def logs(self, record: dict[str, Any]) -> list[str]:
        """The lines logged for a recorded run."""
        query = {"logs": {"flow_run_id": {"any_": [record["flow"]["id"]]}}}
        return [line["message"] for line in self.api.each("/logs/filter", query)]

    def _of(self, path: str, flow_run: str) -> Iterator[dict[str, Any]]:
        return self.api.each(path, {"flow_runs": {"id": {"any_": [flow_run]}}})

    # ------------------------------------------------------------ processes

    def processes(self) -> dict[int, str]:
        """Every living process that works in the project's directory, and its command line."""
        found = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                with suppress(OSError):
                    folder = os.readlink(entry / "cwd").removesuffix(" (deleted)")
                    inside = folder == str(self.root) or folder.startswith(f"{self.root}/")
                    if inside and owner_of(int(entry.name)) is not None:
                        words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                        found[int(entry.name)] = words
        return found

    def kill_all(self) -> None:
        """SIGKILL to everything of it; returns when nothing is left."""
        until(lambda: not self._killed())

    def _killed(self) -> dict[int, str]:
        left = self.processes()
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left


@contextmanager
def kept(tree: Kept) -> Iterator[Kept]:
    """This project; in the end its server is stopped, and no process is left, whatever happened."""
    try:
        yield tree
        tree.down()
        left = tree.processes()
        assert not left, f"left running: {left}"
    finally:
        tree.kill_all()


def make(template: Path, root: Path, cache: Path, **variables: str) -> Kept:
    """A copy of a project, whose user has a Prefect home and profile of his own."""
    tree = Kept(Path(shutil.copytree(template, root)), cache, **variables)
    profile = root.parent / ".prefect/profiles.toml"
    profile.parent.mkdir(exist_ok=True)
    profile.write_text(PROFILE)
    return tree


def until(look: Callable[[], T | None], patience: float = PATIENCE) -> T:
    """What `look` finds, looked for until it is there."""
    deadline = time.monotonic() + patience
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"nothing after {patience} seconds")
        time.sleep(0.1)


def kill(owner: Owner | None) -> None:
    """SIGKILL to a process; returns when it is gone."""
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    until(lambda: not owner.lives())


@contextmanager
def process(tree: Kept, *argv: str, output: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A command that is under way in the project; killed where the test forgets it."""
    with subprocess.Popen(argv, cwd=tree.root, env=tree.environment(), stdout=output, text=True) as started:
        try:
            yield started
        finally:
            started.kill()


def listing(folder: Path) -> dict[str, Any]:
    """Everything below a folder with the time of its last change."""
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}
