"""`runs`, `show`, `logs`: the records of runs."""

from __future__ import annotations

import json
import os

from tests.cli.conftest import Cli
from tests.support import Tree

LOUD = 'print("working on", raw.name)\n    return {f"{raw.stem}.txt"'


def test_the_runs_newest_first(letters: Tree, cli: Cli) -> None:
    letters.write("stages/letters.py", letters.read("stages/letters.py").replace("characters", "letters"))
    letters.trunkline("run")
    rows = cli("runs", "--json").data
    assert [row["state"] for row in rows] == ["done", "done"]
    assert [row["dirty"] for row in rows] == [True, False]
    assert rows[0]["id"] > rows[1]["id"]
    assert rows[1]["commit"] == letters.git("rev-parse", "HEAD~1").out.strip()
    keys = {"id", "pipelines", "state", "runner", "started", "seconds", "commit", "dirty"}
    assert all(row.keys() == keys for row in rows)
    assert rows[0]["pipelines"] == ["letters"]
    lines = cli("runs", "-n", "1").out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith(rows[0]["id"])
    assert lines[1].endswith("(dirty)")


def test_a_run_by_its_id_the_beginning_of_it_or_as_the_latest(letters: Tree, cli: Cli) -> None:
    data = cli("show", "--json").data
    for name in ("latest", data["id"], data["id"][:13]):
        assert cli("show", name, "--json").data == data
    stages = {stage["stage"]: stage for stage in data["stages"]}
    assert list(stages) == ["letters.upper", "letters.count", "letters.total"]
    counts = {"run": 3, "reuse": 0, "drop": 0, "failed": 0, "recovered": 0, "wait": 0, "total": 3}
    assert stages["letters.upper"]["datums"] == counts
    assert stages["letters.upper"]["version"].endswith(".dir")
    assert stages["letters.total"]["outcome"] == "committed"
    assert data["environment"]["python"].count(".") == 2
    text = cli("show").out
    assert text.startswith(f"run {data['id']}: done\n  trunkline run, at ")
    assert "letters.upper  done   3 run" in text
    assert "there is no run 'zzz'" in cli("show", "zzz", code=2).err


def test_a_prefix_of_two_runs_says_so(letters: Tree, cli: Cli) -> None:
    letters.write("data/letters_raw/d.txt", "delta")
    letters.trunkline("run")
    assert "2 runs begin with '0'" in cli("show", "0", code=2).err


def test_a_failed_run_names_datum_error_and_log(letters: Tree, cli: Cli) -> None:
    code = letters.read("stages/letters.py").replace('return {f"{raw.stem}.txt"', LOUD)
    letters.write(
        "stages/letters.py",
        code.replace('return {f"{texts.stem}', 'raise KeyError(texts.stem)\n    return {f"{texts.stem}'),
    )
    assert letters.trunkline("run", check=False).code == 3
    data = cli("show", "--json").data
    assert data["state"] == "failed"
    count = next(stage for stage in data["stages"] if stage["stage"] == "letters.count")
    assert count["datums"]["failed"] == 3
    assert {failure["kind"] for failure in count["failures"]} == {"KeyError"}
    text = cli("show").out
    assert "letters.count, datum a: KeyError: " in text
    logs = cli("logs", "--json").data
    assert logs["id"] == data["id"]
    assert "FAILED" in logs["log"]
    of_stage = cli("logs", "--stage", "letters.upper", "--json").data["logs"]
    assert sorted(of_stage.values()) == ["working on a.txt\n", "working on b.txt\n", "working on c.txt\n"]
    path = min(of_stage)
    stem = os.path.basename(path).removesuffix(".log")
    one = cli("logs", "latest", "--datum", stem[:9]).out
    assert one == f"==> {path}\n{of_stage[path].rstrip()}\n"


def test_logs_of_what_printed_nothing_and_of_what_was_not_there(letters: Tree, cli: Cli) -> None:
    assert "letters.upper  3 run" in cli("logs").out
    assert cli("logs", "--stage", "letters.upper").out == "no datum of this kind printed anything\n"
    assert cli("logs", "--stage", "letters.upper", "--json").data["logs"] == {}
    assert "is not among the stages of run" in cli("logs", "--stage", "letters.lower", code=2).err


def test_nothing_is_recorded_yet(project: Tree, cli: Cli, here: object) -> None:
    assert callable(here)
    here(project)
    assert cli("runs").out == "no run is recorded here yet\n"
    assert cli("runs", "--json").data == []
    assert "type `trunkline run`" in cli("show", code=2).err


def test_one_dvc_repro_is_one_run_and_sealed_by_the_next_command(letters: Tree, cli: Cli) -> None:
    letters.write("data/letters_raw/d.txt", "delta")
    letters.dvc("repro")
    record = sorted((letters.root / ".trunkline/runs").glob("0*"))[-1] / "run.json"
    assert json.loads(record.read_text())["state"] == "running", "nobody has looked yet"
    letters.write("pipelines/letters.yaml", "pipeline: [")  # reading the past does not need the present
    rows = cli("runs", "--json").data
    assert [(row["runner"], row["state"]) for row in rows] == [("dvc", "done"), ("trunkline", "done")]
    data = cli("show", "--json").data
    assert data["command"].endswith("repro")
    assert [(stage["stage"], stage["outcome"]) for stage in data["stages"]] == [
        ("letters.upper", "committed"),
        ("letters.count", "committed"),
        ("letters.total", "committed"),
    ]
    assert data["stages"][0]["datums"]["run"] == 1
    states = cli("datums", "letters.upper", "--run", data["id"], "--json").data
    assert [row["state"] for row in states] == ["reused", "reused", "reused", "run"]


def test_a_lock_in_conflict_judges_no_run(letters: Tree, cli: Cli) -> None:
    letters.write("data/letters_raw/d.txt", "delta")
    letters.trunkline("exec", "letters.upper")
    run = cli("runs", "--json").data[0]["id"]
    record = letters.root / ".trunkline/runs" / run / "run.json"
    letters.write(str(record), record.read_text().replace('"state": "done"', '"state": "running"'))
    letters.write(f".trunkline/runs/.open/{run}", json.dumps({"pid": 1, "started": "0", "boot": "0"}))
    lock = letters.read("dvc.lock")
    letters.write("dvc.lock", "<<<<<<< HEAD\n" + lock)
    assert cli("runs", "--json").data[0]["state"] == "running"
    letters.write("dvc.lock", lock)
    assert cli("runs", "--json").data[0]["state"] != "running"
