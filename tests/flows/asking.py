"""A project whose runs are shown by a real Prefect server, and what that server says of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.support import Done, Tree
from trunkline.flows import server

T = TypeVar("T")
PATIENCE = 90.0  # seconds; a server that starts on a busy machine takes its time


class Prefect:
    """A project, its server, and questions to both. `marks` is where stages leave files."""

    def __init__(self, tree: Tree, marks: Path) -> None:
        self.tree = tree
        self.marks = marks
        self.first = ""

    # ------------------------------------------------------------ the project

    def trunkline(self, *arguments: str, check: bool = True) -> Done:
        """`trunkline …` with Prefect."""
        return self.tree.trunkline(*arguments, check=check, TRUNKLINE_ENGINE="prefect", MARKS=str(self.marks))

    def run(self, *targets: str) -> str:
        """`trunkline run`; the run's id."""
        return self.trunkline("run", *targets).out.split()[1]

    def down(self) -> None:
        """Stop the server, whatever is left of it."""
        server.stop(str(self.tree.root))

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """A `trunkline run` that is under way; killed where the test forgets it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "trunkline", "run"],
            cwd=self.tree.root,
            env=self.tree.environment(TRUNKLINE_ENGINE="prefect", MARKS=str(self.marks)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def latest(self) -> str:
        """The id of the newest recorded run."""
        return max(path.parent.name for path in (self.tree.root / ".trunkline/runs").glob("*/run.json"))

    def record(self, run: str) -> dict[str, Any]:
        """A run's record."""
        record: dict[str, Any] = json.loads(self.tree.read(f".trunkline/runs/{run}/run.json"))
        return record

    def shown(self, process: subprocess.Popen[str]) -> dict[str, Any] | None:
        """The record of the run of this process, once it says which flow run shows it."""
        record = self.record(self.latest())
        return record if record["owner"]["pid"] == process.pid and record["flow"] else None

    # ------------------------------------------------------------ the server

    @property
    def url(self) -> str:
        """Its API."""
        url: str = json.loads(self.tree.read(".trunkline/prefect/server.json"))["url"]
        return url

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def ask(self, path: str, body: object = None, method: str | None = None) -> Any:
        """One call of its API: GET, or POST of a body, or another method."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def flow_run(self, record: dict[str, Any]) -> dict[str, Any]:
        """The flow run that shows this run."""
        found: dict[str, Any] = self.ask(f"/flow_runs/{record['flow']['id']}")
        return found

    def tasks(self, record: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The task runs of this run by name, once the server has digested all of them."""
        query = {"flow_runs": {"id": {"any_": [record["flow"]["id"]]}}}
        final = {"COMPLETED", "FAILED", "CANCELLED", "CRASHED"}

        def look() -> dict[str, dict[str, Any]] | None:
            tasks = self.ask("/task_runs/filter", query)
            over = [task for task in tasks if task["state_type"] in final]
            return {task["name"]: task for task in tasks} if len(over) == record["flow"]["tasks"] else None

        return self.until(look)

    def artifacts(self, record: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The artifacts of this run by key."""
        query = {"flow_runs": {"id": {"any_": [record["flow"]["id"]]}}}
        return {artifact["key"]: artifact for artifact in self.ask("/artifacts/filter", query)}

    def logs(self, record: dict[str, Any]) -> list[str]:
        """The lines logged for this run."""
        query = {"logs": {"flow_run_id": {"any_": [record["flow"]["id"]]}}}
        return [line["message"] for line in self.ask("/logs/filter", query)]

    def set_state(self, record: dict[str, Any], kind: str) -> None:
        """What the button of the page does."""
        body = {"state": {"type": kind, "name": kind.capitalize()}}
        self.ask(f"/flow_runs/{record['flow']['id']}/set_state", body)

    def until(self, look: Callable[[], T | None]) -> T:
        """What `look` finds, looked for until it is there."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = look()
            if found:
                return found
            time.sleep(0.2)
        raise AssertionError(f"nothing after {PATIENCE} seconds")
