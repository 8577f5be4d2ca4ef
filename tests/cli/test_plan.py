"""`plan`, `status`, `why`: what would be done, why, and the exit codes that say so."""

from __future__ import annotations

import re
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


def test_a_missing_source_says_what_to_type_and_hides_no_other_stage(letters: Tree, cli: Cli) -> None:
    letters.write("pipelines/other.yaml", "pipeline: other\nstages:\n  one: {cmd: [touch, pfs/out/x]}\n")
    for path in (letters.root / "data/letters_raw").iterdir():
        path.unlink()
    (letters.root / "data/letters_raw").rmdir()
    said = "input `raw` of stage letters.upper, is not there (it reads *.txt of it): type `dvc pull data/"
    for command in (("status",), ("plan",), ("run", "--dry-run")):
        data = cli(*command, "--json", code=3).data
        stages = {stage["stage"]: stage for stage in data["stages"]}
        assert {ref: stage["decision"] for ref, stage in stages.items()} == {
            "letters.upper": "wait",
            "letters.count": "wait",
            "letters.total": "wait",
            "other.one": "run",
        }
        (reason,) = stages["letters.upper"]["reasons"]
        assert (reason["kind"], reason["subject"]) == ("input_missing", "data/letters_raw")
        assert said in cli(*command, code=3).out
    for command in (("why", "letters.upper"), ("datums", "letters.upper")):
        error = cli(*command, code=3).err
        assert "the dataset letters_raw, input `raw` of stage letters.upper, is not there" in error
        assert "dvc pull data/letters_raw.dvc" in error


# ---------------------------------------------------------------- why


def test_why_a_stage_runs(letters: Tree, cli: Cli) -> None:
    edit(letters, "stages/letters.py", "+ suffix", "+ suffix + suffix")
    text = cli("why", "letters.upper").out
    assert text.startswith("letters.upper: run 3 of 3 datums\n")
    assert re.search(
        r"its code stages/letters.py changed \([0-9a-f]{8} -> [0-9a-f]{8}\): the function upper \(line 8\)\n$",
        text,
    )
    of_datum = cli("why", "letters.upper", "--datum", "a", "--json").data["reasons"]
    assert of_datum == cli("why", "letters.upper", "--json").data["reasons"]
    (part,) = of_datum[0]["parts"]
    assert (part["kind"], part["name"], part["line"], part["user"]) == ("function", "upper", 8, "")


def test_the_function_is_named_where_only_git_remembers_the_old_text(letters: Tree, cli: Cli) -> None:
    memo = letters.root / ".dvc/tmp/trunkline/memo.db"
    edit(letters, "stages/helper.py", "text.upper()", "text.upper().strip()")
    memo.unlink()
    assert "): the function shout (line 4), which upper uses\n" in cli("why", "letters.upper").out
    memo.unlink()
    letters.git("checkout", "-q", "--orphan", "nothing-before")
    letters.commit("Start again")
    assert "): what of it is not known, its old text" in cli("why", "letters.upper").out


def test_a_datum_names_its_file_and_what_else_makes_it_run(letters: Tree, cli: Cli) -> None:
    edit(letters, "pipelines/letters.yaml", 'suffix: "!"', 'suffix: "?"')
    letters.write("data/letters_raw/a.txt", "other")
    reasons = cli("why", "letters.upper", "--datum", "a", "--json").data["reasons"]
    assert [(reason["kind"], reason["subject"]) for reason in reasons] == [
        ("file_changed", "letters_raw/a.txt"),
        ("param_changed", "params.suffix"),
    ]
    reasons = cli("why", "letters.upper", "--datum", "b", "--json").data["reasons"]
    assert [reason["text"] for reason in reasons] == ['params.suffix was "!", is "?"']


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
