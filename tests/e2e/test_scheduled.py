"""A model that retrains itself: days of real flights arrive while a schedule runs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.data import files_by_day
from tests.keeping import Kept, kept, until
from tests.support import Tree

ROOT = Path(__file__).parents[2]
SCHEDULE = """
schedules: [{interval: 5}]
"""
DAYS = ["2013-01-01", "2013-01-02", "2013-01-03", "2013-12-03", "2013-12-04"]
MORE = ["2013-01-04", "2013-01-05"]
DAILY = ("ingest", "weather", "clean", "split")
BRANCH = "trunkline/flights"


@pytest.fixture(scope="module")
def flights(prefect_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """The reference pipeline over a few days, committed and not run, with a schedule of seconds."""
    top = tmp_path_factory.mktemp("scheduled")
    root = top / "project"
    root.mkdir()
    tree = Kept(root, prefect_cache)
    tree.git("init", "-q", "-b", "main")
    tree.dvc("init", "-q")
    tree.write(".gitignore", "/.trunkline/\n__pycache__/\n")
    shutil.copytree(ROOT / "stages", root / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    declared = (ROOT / "pipelines/flights.yaml").read_text().partition("\nschedules:")[0]
    tree.write("pipelines/flights.yaml", declared + SCHEDULE)
    for name in ("flights_raw", "weather_raw"):
        for day in DAYS:
            tree.write(f"data/{name}/{day}.csv", files_by_day(name)[day])
        tree.dvc("add", "-q", f"data/{name}")
    tree.trunkline("compile")
    tree.commit("Start")
    with kept(tree):
        yield tree


def runs(tree: Kept) -> list[dict[str, Any]]:
    """The finished flow runs, in the order of their end."""
    query = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}}
    found: list[dict[str, Any]] = tree.api.post("/flow_runs/filter", query)
    return sorted(found, key=lambda run: str(run["end_time"]))


def trained(tree: Kept, seen: int) -> list[dict[str, Any]] | None:
    """All finished flow runs, once more than `seen` of them have done something."""
    found = runs(tree)
    assert all(run["state_type"] == "COMPLETED" for run in found), found
    return found if len([run for run in found if run["state_name"] == "Completed"]) > seen else None


def test_days_arrive_and_the_model_follows(flights: Kept) -> None:
    tree = flights
    tree.write("notes.txt", "not committed\n")
    tree.up()
    tree.trunkline("deploy")
    until(lambda: trained(tree, 0), 180)
    models = [_model(tree)]
    for number, day in enumerate(MORE, 1):
        for name in ("flights_raw", "weather_raw"):
            path = tree.root.parent / f"{day}.csv"
            path.write_bytes(files_by_day(name)[day])
            tree.trunkline("put", name, str(path))
        _wait_for(tree, len(DAYS) + number)
        models.append(_model(tree))
    assert len(set(models)) == len(models), "each day changes the model"
    _one_datum_each(tree)
    found = until(lambda: _cached(tree), 120)
    assert any("nothing new" in run["state"]["message"] for run in found)
    assert tree.git("status", "--short").out == "?? notes.txt\n", "the user's own tree is left alone"
    assert {path.rpartition("/")[2] for path in tree.contents("data/flights")} == {".gitignore"}
    _commits(tree)
    _lineage(tree)
    tree.down()
    assert not tree.processes(), "nothing is left behind"


def _wait_for(tree: Kept, days: int) -> None:
    """Until the result branch has so many days in the first and the last of the daily stages."""

    def look() -> bool:
        lock = tree.git("show", f"{BRANCH}:dvc.lock").out
        return lock.count(f"nfiles: {days}\n") >= len(DAILY)

    until(look, 180)


def _model(tree: Kept) -> str:
    """The hash of the model that the result branch names."""
    import yaml

    lock = yaml.safe_load(tree.git("show", f"{BRANCH}:dvc.lock").out)
    outs = {out["path"]: out["md5"] for out in lock["stages"]["flights-train"]["outs"]}
    return str(outs["data/flights/train"])


def _one_datum_each(tree: Kept) -> None:
    """No run after the first has computed more than one day in a daily stage, and each day once."""
    records = sorted((tree.root / ".trunkline/runs").glob("*/run.json"))
    later = [json.loads(path.read_text()) for path in records][1:]
    computed = [record["stages"][f"flights.{name}"]["datums"]["run"] for record in later for name in DAILY
                if f"flights.{name}" in record["stages"]]  # fmt: skip
    assert max(computed) == 1
    assert sum(record["stages"]["flights.split"]["datums"]["run"] for record in later
               if "flights.split" in record["stages"]) == len(MORE)  # fmt: skip


def _cached(tree: Kept) -> list[dict[str, Any]] | None:
    found = [run for run in runs(tree) if run["state_name"] == "Cached"]
    return found or None


def _commits(tree: Kept) -> None:
    """One commit a run that did something; the last of them is whole: DVC agrees, lineage leads back."""
    clone = Tree(tree.root.parent / "clone")
    Tree(tree.root.parent).git("clone", "-q", "-b", BRANCH, str(tree.root), str(clone.root))
    clone.dvc("config", "--local", "cache.dir", str(tree.root / ".dvc/cache"))
    clone.dvc("checkout", "-q")
    assert "up to date" in clone.dvc("status").out
    assert clone.trunkline("status").code == 0
    metrics = json.loads(clone.read("data/flights/evaluate/metrics.json"))
    assert metrics
    model = clone.root / "data/flights/train/model.onnx"
    digest = hashlib.md5(model.read_bytes()).hexdigest()
    again = clone.trunkline(
        "reproduce", "flights_late@HEAD", "--json",
        TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="77", OMP_NUM_THREADS="1",
    ).data  # fmt: skip
    assert {each["state"] for each in again["stages"]} == {"identical"}, again
    text = tree.trunkline("lineage", str(model)).out
    assert digest[:8] in text
    assert "data/flights_raw" in text


def _lineage(tree: Kept) -> None:
    """Each run has left what Prefect's pages draw: where its model comes from."""
    query = {"artifacts": {"key": {"any_": ["lineage-flights-late"]}}}
    told = [str(artifact["data"]) for artifact in tree.api.each("/artifacts/filter", query)]
    assert len(told) > len(MORE)
    for words in (
        "trunkline lineage data/flights/train/model.onnx",
        "```mermaid\nflowchart",
        "data/flights_raw",
    ):
        assert all(words in text for text in told)
