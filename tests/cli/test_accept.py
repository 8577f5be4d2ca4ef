"""`run --accept`: present outputs are kept for other code, and everything afterwards says so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.support import Tree

UPPER = "letters.upper"


def edit(tree: Tree, path: str, old: str, new: str) -> None:
    text = tree.read(path)
    assert old in text
    tree.write(path, text.replace(old, new))


def other_code(tree: Tree) -> None:
    edit(tree, "stages/letters.py", "+ suffix", "+ suffix[:9]")


def first_run(cli: Cli) -> str:
    return str(cli("runs", "--json").data[-1]["id"])


@pytest.fixture
def accepted(letters: Tree, cli: Cli) -> Tree:
    """The project `letters`, whose stages were run, then their code edited and the outputs accepted."""
    other_code(letters)
    cli("run", "--accept", UPPER, "letters.count", "letters.total")
    return letters


def test_nothing_runs_and_both_runners_have_nothing_to_do(letters: Tree, cli: Cli) -> None:
    other_code(letters)
    before = letters.contents("data/letters/upper")
    assert cli("run", "--accept", UPPER, "--dry-run").out.startswith(
        "  letters.upper  the outputs of 3 datums"
    )
    assert cli("status", code=1).out
    data = cli("run", "--accept", UPPER, "letters.count", "letters.total", "--json").data
    assert data["stages"][0] == {"stage": UPPER, "datums": 3, "accepted": 3}
    assert cli("status").out == "everything is up to date\n"
    assert letters.dvc("status").out == "Data and pipelines are up to date.\n"
    assert letters.contents("data/letters/upper") == before
    shown = cli("show", data["id"], "--json").data
    assert [stage["reasons"][0]["subject"] for stage in shown["stages"]] == ["A Tester"] * 3
    assert cli("show", data["id"]).out.count("3 accepted") == 2
    assert cli("run", "--accept", UPPER).out == "  letters.upper  up to date, nothing to accept\n"


def test_it_is_said_who_accepted_and_which_run_made_it(accepted: Tree, cli: Cli) -> None:
    run, by = first_run(cli), cli("runs", "--json").data[0]["id"]
    lines = cli("why", UPPER).out.splitlines()
    assert re.fullmatch(rf"    accepted by A Tester on [0-9-]+ [0-9:]+ UTC \(run {by}\)", lines[1])
    assert lines[2:] == [f"    made by run {run} with other code or parameters"]
    of_datum = cli("why", UPPER, "--datum", "b").out.splitlines()
    assert of_datum[2:] == lines[1:]
    tree = cli("lineage", UPPER).out
    assert f"run     {run}" in tree
    assert re.search(
        rf"3 accepted by A Tester, [0-9-]+ [0-9:]+ UTC, in run {by}: other code or parameters made them", tree
    )


def test_afterwards_results_are_reused_datum_by_datum(accepted: Tree, cli: Cli, tmp_path: Path) -> None:
    accepted.write("data/letters_raw/b.txt", "other")
    for path in (accepted.root / ".dvc/cache/trunkline").glob("results.db*"):
        path.unlink()
    other = accepted.copy(tmp_path / "other")
    accepted.trunkline("run")
    assert accepted.counts()[UPPER] == (1, 2, 0), "from the manifest alone: the index of results was lost"
    assert "    2 of 3 datums accepted by A Tester" in cli("why", UPPER).out
    assert "accepted" not in cli("why", UPPER, "--datum", "b").out
    assert "accepted by A Tester" in cli("why", UPPER, "--datum", "a").out
    other.dvc("repro")
    assert other.published() == accepted.published()


def test_back_to_the_code_that_made_it_nothing_is_marked(accepted: Tree, cli: Cli) -> None:
    edit(accepted, "stages/letters.py", "+ suffix[:9]", "+ suffix")
    data = cli("run", "--accept", UPPER, "--json").data
    assert data["stages"] == [{"stage": UPPER, "datums": 3, "accepted": 0}]
    assert cli("why", UPPER).out.splitlines()[1:] == [f"    made by run {first_run(cli)}"]


def test_a_parameter_and_what_dvc_commit_took_over(letters: Tree, cli: Cli) -> None:
    edit(letters, "pipelines/letters.yaml", 'suffix: "!"', 'suffix: "?"')
    letters.dvc("commit", "--force", "letters-upper")
    assert "accepted by dvc commit" in cli("why", UPPER).out
    cli("run", "--accept", UPPER)
    assert "    accepted by A Tester on " in cli("why", UPPER).out
    letters.write("data/letters_raw/d.txt", "delta")
    assert cli("plan", "--json").data["stages"][0]["datums"]["run"] == 1


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("data/letters_raw/b.txt", "other", "data/letters_raw changed ("),
        ("data/letters_raw/d.txt", "more", "data/letters_raw changed ("),
        ("data/letters/upper/a.txt", "mine", "data/letters/upper is not what dvc.lock says ("),
    ],
)
def test_what_cannot_be_vouched_for(letters: Tree, cli: Cli, path: str, text: str, said: str) -> None:
    other_code(letters)
    letters.write(path, text)
    before = letters.contents("dvc.lock", ".trunkline/runs")
    error = cli("run", "--accept", UPPER, code=2).err
    assert f"the outputs of letters.upper cannot be accepted: {said}" in error
    assert letters.contents("dvc.lock", ".trunkline/runs") == before


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("data/letters_raw/b.txt", "letters_raw/b.txt changed"),
        (
            "data/letters/upper/a.txt",
            "the outputs in data/letters/upper were edited after they had been made",
        ),
    ],
)
def test_nor_what_dvc_commit_took_over_of_it(letters: Tree, cli: Cli, path: str, said: str) -> None:
    other_code(letters)
    letters.write(path, "other")
    letters.dvc("commit", "--force")
    assert f"cannot be accepted: {said}\n" in cli("run", "--accept", UPPER, code=2).err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--accept needs the stages"),
        (("letters",), "there is no stage 'letters'"),
        ((UPPER, "--force"), "--accept runs nothing, --force does"),
        ((UPPER, "--only-failed"), "--accept runs nothing, --only-failed does"),
    ],
)
def test_what_makes_no_sense(letters: Tree, cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    assert said in cli("run", "--accept", *arguments, code=2).err
