"""`plan`, `status`, `why`, `datums`: what would be done, why, and the exit codes that say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.support import Tree

Here = Callable[[Tree], Tree]


def edit(tree: Tree, path: str, old: str, new: str) -> None:
    text = tree.read(path)
    assert old in text
    tree.write(path, text.replace(old, new))


def decisions(data: Any) -> dict[str, str]:
    return {stage["stage"].partition(".")[2]: stage["decision"] for stage in data["stages"]}


# ---------------------------------------------------------------- plan, status


def test_nothing_to_do_is_0(letters: Tree, cli: Cli) -> None:
    assert cli("status").out == "everything is up to date\n"
    data = cli("status", "--json").data
    assert (data["empty"], data["compiled"]) == (True, True)
    assert cli("plan", "--json").data["empty"]
    assert cli("plan").out.splitlines()[0] == "letters.upper: up to date (3 datums)"


def test_something_to_do_is_1_for_status_and_0_for_plan(letters: Tree, cli: Cli) -> None:
    before = letters.contents("dvc.lock", "data")
    letters.write("data/letters_raw/d.txt", "delta")
    data = cli("status", "--json", code=1).data
    assert decisions(data) == {"upper": "run", "count": "wait", "total": "wait"}
    first = data["stages"][0]
    assert first.keys() == {"stage", "decision", "reasons", "datums"}
    assert first["datums"] == {"run": 1, "reuse": 3, "drop": 0, "wait": 0, "total": 4}
    assert {reason["kind"] for reason in first["reasons"]} == {"dataset_changed"}
    assert cli("plan", "--json").data["stages"] == data["stages"]
    text = cli("plan").out
    assert "letters.upper: run 1 of 4 datums, reuse 3" in text
    assert "d: letters_raw/d.txt is new" in text
    (letters.root / "data/letters_raw/d.txt").unlink()
    assert letters.contents("dvc.lock", "data") == before


def test_a_target_takes_what_it_needs_and_no_more(letters: Tree, cli: Cli) -> None:
    letters.write("data/letters_raw/d.txt", "delta")
    assert decisions(cli("plan", "letters.count", "--json").data) == {"upper": "run", "count": "wait"}
    assert decisions(cli("plan", "letters", "--json").data).keys() == {"upper", "count", "total"}
    assert "did you mean letters.count?" in cli("plan", "letters.conut", code=2).err
    error = cli("status", "nothing", "--json", code=2)
    assert '"code": "usage"' in error.out
    assert error.err == ""


def test_a_stale_dvc_yaml_is_1_though_nothing_would_run(letters: Tree, cli: Cli) -> None:
    edit(letters, "pipelines/letters.yaml", "metrics: [metrics.json]\n", "")
    done = cli("status", code=1)
    assert done.out.startswith("dvc.yaml is older than pipelines/: type `trunkline compile`\n")
    assert not cli("status", "--json", code=1).data["compiled"]
    (letters.root / "schema/pipeline.json").unlink()
    assert "schema/pipeline.json is older than" in cli("status", code=1).out


def test_a_missing_source_says_what_to_type(letters: Tree, cli: Cli) -> None:
    for path in (letters.root / "data/letters_raw").iterdir():
        path.unlink()
    (letters.root / "data/letters_raw").rmdir()
    done = cli("status", code=3)
    assert "the dataset letters_raw, input `raw` of stage letters.upper, is not there" in done.err
    assert "dvc pull data/letters_raw.dvc" in done.err


# ---------------------------------------------------------------- why


def test_why_a_stage_runs(letters: Tree, cli: Cli) -> None:
    edit(letters, "stages/letters.py", "+ suffix", "+ suffix + suffix")
    text = cli("why", "letters.upper").out
    assert text.startswith("letters.upper: run 3 of 3 datums\n")
    assert "its code stages/letters.py changed" in text


def test_why_a_stage_waits_says_for_what_and_why_that_runs(letters: Tree, cli: Cli) -> None:
    letters.write("data/letters_raw/d.txt", "delta")
    assert cli("why", "letters.total").out.splitlines() == [
        "letters.total: wait",
        "    letters.count must run first",
        "letters.upper: run 1 of 4 datums, reuse 3",
        *cli("why", "letters.upper").out.splitlines()[1:],
        "letters.count: wait",
        "    letters.upper must run first",
    ]
    data = cli("why", "letters.total", "--json").data
    assert data["decision"] == "wait"
    assert [stage["stage"] for stage in data["upstream"]] == ["letters.upper", "letters.count"]
    for command in (("why", "letters.count", "--datum", "a"), ("datums", "letters.count")):
        done = cli(*command, code=2)
        assert "the datums of letters.count are not known before letters.upper has run" in done.err


def test_why_an_up_to_date_stage_is_names_the_run_that_made_it(letters: Tree, cli: Cli) -> None:
    run = cli("runs", "--json").data[0]["id"]
    lines = cli("why", "letters.count").out.splitlines()
    assert lines == ["letters.count: up to date (3 datums)", f"    made by run {run}"]
    data = cli("why", "letters.count", "--json").data
    assert (data["decision"], data["run"], data["upstream"]) == ("reuse", run, [])


def test_why_a_result_is_reused_names_the_run_it_is_from(letters: Tree, cli: Cli) -> None:
    first = cli("runs", "--json").data[0]["id"]
    letters.write("data/letters_raw/a.txt", "omega")
    letters.trunkline("run")
    letters.write("data/letters_raw/a.txt", "alpha")
    assert f"a: its result is known from run {first}" in cli("why", "letters.upper").out
    of_datum = cli("why", "letters.upper", "--datum", "a").out
    assert of_datum.count(first) == 1
    assert of_datum.splitlines()[0].endswith("): reuse")


def test_why_a_datum(letters: Tree, cli: Cli) -> None:
    run = cli("runs", "--json").data[0]["id"]
    text = cli("why", "letters.upper", "--datum", "b").out.splitlines()
    assert text[0].startswith("b (")
    assert text[1:] == ["    raw: letters_raw/b.txt", f"    made by run {run}"]
    letters.write("data/letters_raw/b.txt", "other")
    data = cli("why", "letters.upper", "--datum", "b", "--json").data
    assert (data["state"], data["run"]) == ("run", None)
    assert "letters_raw/b.txt changed" in data["reason"]
    assert (
        "no datum of letters.upper is called 'z'" in cli("why", "letters.upper", "--datum", "z", code=2).err
    )


def test_why_of_what_dvc_commit_accepted(letters: Tree, cli: Cli) -> None:
    edit(letters, "stages/letters.py", "+ suffix", "+ suffix + suffix")
    letters.dvc("commit", "--force", "letters-upper")
    data = cli("why", "letters.upper", "--json").data
    assert data["decision"] == "reuse"
    assert data["accepted"].startswith("accepted by dvc commit")
    assert "accepted by dvc commit" in cli("why", "letters.upper").out


# ---------------------------------------------------------------- datums


def test_datums_with_inputs_and_states(letters: Tree, cli: Cli) -> None:
    rows = cli("datums", "letters.upper", "--json").data
    assert [(row["name"], row["state"], row["reason"]) for row in rows] == [
        ("a", "reuse", ""),
        ("b", "reuse", ""),
        ("c", "reuse", ""),
    ]
    assert rows[0].keys() == {"id", "name", "inputs", "state", "reason"}
    (item,) = rows[0]["inputs"]
    assert (item["input"], item["dataset"], item["path"], item["size"]) == ("raw", "letters_raw", "a.txt", 5)
    letters.write("data/letters_raw/d.txt", "delta")
    (letters.root / "data/letters_raw/a.txt").unlink()
    rows = cli("datums", "letters.upper", "--json").data
    states = {row["name"]: row["state"] for row in rows}
    assert states == {"b": "reuse", "c": "reuse", "d": "run", "a": "drop"}
    assert "letters_raw/d.txt" in cli("datums", "letters.upper").out


@pytest.mark.parametrize("command", ["why", "datums"])
def test_an_unknown_stage(letters: Tree, cli: Cli, command: str) -> None:
    done = cli(command, "letters.uper", code=2)
    assert "there is no stage 'letters.uper'" in done.err
    assert "did you mean letters.upper?" in done.err


def test_an_unknown_stage_where_there_is_no_pipeline(tree: Tree, here: Here, cli: Cli) -> None:
    here(tree)
    assert "there is no pipeline in pipelines/ yet" in cli("why", "a.b", code=2).err
    cli("compile")
    assert cli("status").out == "everything is up to date\n"
