"""`trunkline run` as a Prefect flow, on a real server that the first run starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.browser import browser, program
from tests.keeping import Kept, kept, until
from tests.support import Tree, letters

SLOW = """\
import os
import time
from pathlib import Path


def slow(raw: Path) -> dict[str, bytes]:
    print("at", raw.name)
    Path(os.environ["MARKS"], f"began-{raw.stem}").touch()
    if raw.read_text().startswith("bad"):
        raise ValueError("a bad file")
    seconds = {"long": 60, "nap": 6}
    time.sleep(seconds.get(raw.read_text().split()[0], 0))
    return {f"{raw.stem}.txt": raw.read_bytes()}


def gather(parts: Path) -> dict[str, object]:
    return {"metrics.json": {"files": len(list(parts.iterdir())), "nested": {"half": 0.5}}}
"""
PIPELINE = """\
pipeline: slow

stages:
  each:
    run: stages.slow:slow
    input: {raw: slow_raw/*}
  whole:
    run: stages.slow:gather
    input: {parts: each}
    metrics: [metrics.json]
"""


class Shown(Kept):
    """A project whose runs are shown by the server that the first of them started."""

    first: dict[str, Any]

    @property
    def marks(self) -> Path:
        """Where stages leave files."""
        return self.root.parent / "marks"


@pytest.fixture(scope="module")
def flows(prefect_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """The project after its first run."""
    top = tmp_path_factory.mktemp("flow")
    for name in ("project", "marks"):
        (top / name).mkdir()
    proxy = "http://127.0.0.1:9"  # the user's, which leads nowhere; the server is on this machine
    told = {"MARKS": str(top / "marks"), "HTTP_PROXY": proxy, "http_proxy": proxy}
    tree = Shown(top / "project", prefect_cache, **told)
    tree.git("init", "-q", "-b", "main")
    tree.dvc("init", "-q")
    tree.write(".gitignore", "/.trunkline/\n__pycache__/\n")
    tree.write("stages/slow.py", SLOW)
    tree.write("pipelines/slow.yaml", PIPELINE)
    tree.write("data/slow_raw/a.txt", "a\n")
    tree.write("data/slow_raw/b.txt", "b\n")
    tree.dvc("add", "-q", "data/slow_raw")
    tree.trunkline("compile")
    tree.commit("Start")
    with kept(tree):
        tree.first = tree.record(tree.run())
        yield tree


def test_a_run_is_a_flow_run_with_a_task_for_each_stage(flows: Shown) -> None:
    record = flows.first
    run = flows.api.flow_run(record["flow"]["id"])
    assert run["state"]["type"] == "COMPLETED"
    assert run["parameters"] == {"run": record["id"], "stages": ["slow.each", "slow.whole"]}
    assert run["name"].startswith("slow-manual-")
    version = flows.read("data/slow_raw.dvc").split("md5: ")[1][:8]
    assert {"trunkline", "pipeline:slow", "trigger:manual", f"data:slow_raw@{version}"} == set(run["tags"])
    tasks = flows.tasks(record)
    assert {name: task["state_name"] for name, task in tasks.items()} == {
        "slow.each": "Completed", "slow.whole": "Completed",
    }  # fmt: skip
    assert record["flow"]["tasks"] == 2
    assert f"  in Prefect: {record['flow']['url']}\n" in flows.trunkline("show", record["id"]).out
    upstream = tasks["slow.whole"]["task_inputs"]["wait_for"]
    assert [each["id"] for each in upstream] == [tasks["slow.each"]["id"]]


def test_datums_metrics_and_what_was_printed_are_there(flows: Shown) -> None:
    record = flows.first
    artifacts = flows.artifacts(record)
    assert artifacts["slow-each-progress"]["data"] == 100
    datums = json.loads(artifacts["slow-each-datums"]["data"])
    assert datums[0]["state"] == "2 run, 0 reused, 0 dropped, 0 failed"
    assert sorted(row["datum"] for row in datums[1:]) == ["a", "b"]
    metrics = json.loads(artifacts["slow-metrics"]["data"])
    assert {(row["metric"], row["value"]) for row in metrics} == {("files", 2), ("nested.half", 0.5)}
    assert any("at a.txt" in line for line in flows.logs(record))


@pytest.mark.skipif(program() is None, reason="there is no browser (Debian: apt install chromium)")
def test_the_pages_show_the_stages_and_what_they_left(flows: Shown, tmp_path: Path) -> None:
    record = flows.first
    with browser(tmp_path / "profile") as page:
        page.open(record["flow"]["url"])
        page.shows("slow-manual-", "Completed", "pipeline:slow", "2 Task runs")
        page.click("Task Runs")
        page.shows("slow.each", "slow.whole")
        page.click("Artifacts")
        page.shows("slow-metrics", "slow-each-datums")


def test_a_server_of_the_user_is_used(flows: Shown, tmp_path: Path) -> None:
    other = letters(_empty(tmp_path / "other"))
    done = other.trunkline("run", TRUNKLINE_ENGINE="prefect", PREFECT_API_URL=flows.api.url)
    assert "being started" not in done.out
    assert "not shown in Prefect" not in done.out
    record = json.loads(next((other.root / ".trunkline/runs").glob("*/run.json")).read_text())
    assert flows.api.flow_run(record["flow"]["id"])["state"]["type"] == "COMPLETED"
    assert not (other.root / ".trunkline/prefect/server.json").exists()


def _empty(root: Path) -> Tree:
    root.mkdir(parents=True)
    tree = Tree(root)
    tree.git("init", "-q", "-b", "main")
    tree.dvc("init", "-q")
    tree.commit("Empty")
    return tree


def test_up_to_date_stages_are_cached_and_local_runs_leave_the_same_bytes(
    flows: Shown, tmp_path: Path
) -> None:
    tree = flows
    tree.write("data/slow_raw/c.txt", "c\n")
    other = tree.copy(tmp_path / "other")
    flows.run("slow.each")
    record = flows.record(flows.run())
    assert {name: task["state_name"] for name, task in flows.tasks(record).items()} == {
        "slow.each": "Cached", "slow.whole": "Completed",
    }  # fmt: skip
    other.trunkline("run", "--engine", "local", MARKS=str(tmp_path))
    assert other.published() == tree.published()


def test_nothing_to_do_imports_no_prefect_and_asks_no_server(flows: Shown) -> None:
    flows.run()
    done = flows.command(
        sys.executable, "-X", "importtime", "-m", "trunkline", "run", TRUNKLINE_ENGINE="prefect"
    )
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert not {name for name in imported if name.partition(".")[0] in ("prefect", "httpx", "pydantic")}
    assert "trunkline.flows.server" not in imported


def test_a_failed_stage_fails_its_task_and_the_flow(flows: Shown) -> None:
    flows.write("data/slow_raw/d.txt", "bad\n")
    done = flows.trunkline("run", check=False)
    assert done.code == 3
    record = flows.records()[0]
    print(done.out, done.err)
    assert flows.api.flow_run(record["flow"]["id"])["state"]["type"] == "FAILED"
    tasks = flows.tasks(record)
    assert tasks["slow.each"]["state"]["message"].startswith("datum d: ValueError: a bad file")
    assert tasks["slow.whole"]["state_name"] == "NotRun"
    (flows.root / "data/slow_raw/d.txt").unlink()


def _cancel_by_api(flows: Shown, process: subprocess.Popen[str], record: dict[str, Any]) -> None:
    flows.api.set_state("flow_runs", record["flow"]["id"], "CANCELLING", "")


def _terminate(flows: Shown, process: subprocess.Popen[str], record: dict[str, Any]) -> None:
    process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("end", [_cancel_by_api, _terminate])
def test_a_cancelled_run_ends_and_says_so(
    flows: Shown, end: Callable[[Shown, subprocess.Popen[str], dict[str, Any]], None]
) -> None:
    flows.write("data/slow_raw/e.txt", f"long {end.__name__}\n")
    with flows.running() as process:
        until(lambda: (flows.marks / "began-e").exists())
        (flows.marks / "began-e").unlink()
        record = until(lambda: flows.shown(process))
        end(flows, process, record)
        assert process.wait(60) == 130
    record = flows.record(record["id"])
    assert record["state"] == "interrupted"
    assert flows.api.flow_run(record["flow"]["id"])["state"]["type"] == "CANCELLED"
    assert flows.tasks(record)["slow.each"]["state"]["type"] == "CANCELLED"
    (flows.root / "data/slow_raw/e.txt").unlink()


def test_a_run_goes_on_when_its_flow_run_is_deleted(flows: Shown) -> None:
    flows.write("data/slow_raw/g.txt", "nap\n")
    with flows.running() as process:
        record = until(lambda: flows.shown(process))
        flows.api.call("DELETE", f"/flow_runs/{record['flow']['id']}")
        assert process.wait(150) == 0, "nor does it wait for ever"
    assert flows.record(record["id"])["state"] == "done"
    assert flows.trunkline("status").code == 0
    (flows.root / "data/slow_raw/g.txt").unlink()


def test_ctrl_c_while_the_run_waits_for_prefect_leaves_it_done(flows: Shown) -> None:
    server = flows.state.server
    assert server is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        flows.write("data/slow_raw/h.txt", "h\n")
        with flows.running() as process:
            record = until(lambda: _worked(flows, process))
            until(lambda: flows.trunkline("status", check=False).code == 0)
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130, "it would have waited for a minute"
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert flows.record(record["id"])["state"] == "done"
    (flows.root / "data/slow_raw/h.txt").unlink()


def _worked(flows: Shown, process: subprocess.Popen[str]) -> dict[str, Any] | None:
    """The record of the run of this process, once its last stage is done."""
    of_it = (record for record in flows.records() if record["owner"]["pid"] == process.pid)
    record: dict[str, Any] = next(of_it, {"stages": {}})
    return record if record["stages"].get("slow.whole", {}).get("state") == "done" else None


def test_a_run_goes_on_when_the_server_dies(flows: Shown) -> None:
    flows.write("data/slow_raw/f.txt", "f\n")
    server = json.loads(flows.read(".trunkline/prefect/server.json"))
    with flows.running() as process:
        os.kill(server["server"]["pid"], signal.SIGKILL)
        assert process.wait(120) == 0
    assert flows.trunkline("status").code == 0
    until(flows.answers)
    (flows.root / "data/slow_raw/f.txt").unlink()
    flows.run()


def test_without_a_server_to_be_had_the_run_goes_on(tmp_path: Path) -> None:
    tree = letters(_empty(tmp_path / "project"))
    done = tree.trunkline("run", TRUNKLINE_ENGINE="prefect", PREFECT_API_URL="http://127.0.0.1:9/api")
    assert "not shown in Prefect" in done.out
    assert tree.trunkline("status").code == 0


def test_an_engine_that_there_is_not(project: Tree) -> None:
    done = project.trunkline("run", check=False, TRUNKLINE_ENGINE="fast")
    assert done.code == 2
    assert "TRUNKLINE_ENGINE" in done.err
