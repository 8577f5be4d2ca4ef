"""`versions`: a dataset's history as git tells it."""

from __future__ import annotations

from collections.abc import Callable

from tests.cli.conftest import Cli
from tests.support import Tree

POINTER = "data/letters_raw.dvc"


def test_newest_first_each_with_the_commit_that_introduced_it(
    letters: Tree, cli: Cli, new_files: Callable[..., list[str]]
) -> None:
    first = cli("versions", "letters_raw", "--json").data
    cli("put", "letters_raw", *new_files(d="delta"), "-m", "A fourth")
    letters.write(POINTER, letters.read(POINTER) + "desc: words\n")
    letters.commit("Say what it is: the same version")
    cli("rm", "letters_raw", "d.txt", "-m", "Back again")
    rows = cli("versions", "letters_raw", "--json").data
    assert [row["subject"] for row in rows] == ["Back again", "A fourth", "Start"]
    assert [row["files"] for row in rows] == [3, 4, 3]
    assert [row["present"] for row in rows] == [True, False, True], "the first one is there again"
    assert rows[2] == first[0]
    assert rows[0].keys() == {
        "version", "files", "size", "commit", "date", "author", "subject", "run", "present", "purged",
    }  # fmt: skip
    assert rows[1]["commit"] == letters.git("rev-parse", "HEAD~2").out.strip()
    assert rows[1]["author"] == "A Tester"
    assert rows[1]["date"].endswith("Z")
    lines = cli("versions", "letters_raw", "-n", "2").out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(rows[0]["version"][:8])
    assert lines[1].endswith("Back again (in the workspace)")
    assert not lines[2].endswith("(in the workspace)")


def test_of_a_stage(letters: Tree, cli: Cli) -> None:
    letters.write("data/letters_raw/d.txt", "delta")
    letters.trunkline("run")
    text = cli("versions", "letters.upper").out
    run, old = cli("versions", "letters.upper", "--json").data
    assert text.splitlines()[1].endswith(f"run {run['run']}, not committed (in the workspace)")
    assert (run["files"], run["commit"], run["present"], old["subject"], old["run"]) == (
        4,
        None,
        True,
        "Run",
        None,
    )
    letters.write("data/letters_raw/d.txt", "")
    (letters.root / "data/letters_raw/d.txt").unlink()
    letters.trunkline("run")
    assert cli("versions", "letters.upper", "--json").data == [
        {**run, "present": False},
        {**old, "present": True},
    ]
    letters.write("data/letters_raw/d.txt", "delta")
    letters.trunkline("run")
    letters.write("dvc.lock", "<<<<<<< HEAD\n" + letters.read("dvc.lock"))
    letters.commit("A conflict, committed")
    letters.write("dvc.lock", letters.read("dvc.lock").removeprefix("<<<<<<< HEAD\n"))
    letters.commit("Four")
    rows = cli("versions", "letters.upper", "--json").data
    assert [(row["subject"], row["files"]) for row in rows] == [("Four", 4), ("Run", 3)]


def test_of_a_model_by_its_name(letters: Tree, cli: Cli) -> None:
    """Of the file alone: a new version of the dataset around it is none of the model."""
    code = letters.read("stages/letters.py").replace(
        'return {"metrics.json"', 'return {"model.bin": counts[0].read_bytes(), "metrics.json"'
    )
    letters.write("stages/letters.py", code)
    pipeline = letters.read("pipelines/letters.yaml")
    letters.write("pipelines/letters.yaml", pipeline + "    model: {name: counter, path: model.bin}\n")
    for subject, text in (("First", "alpha"), ("More data, same model", "delta"), ("Second", "longer")):
        letters.write(f"data/letters_raw/{'d' if text == 'delta' else 'a'}.txt", text)
        letters.trunkline("run")
        if subject == "Second":
            (row, *_) = cli("versions", "counter", "--json").data
            assert (row["commit"], row["run"] is not None, row["present"]) == (None, True, True)
        letters.commit(subject)
    rows = cli("versions", "counter", "--json").data
    assert [(row["subject"], row["present"]) for row in rows] == [("Second", True), ("First", False)]
    model = letters.root / "data/letters/total/model.bin"
    assert (rows[0]["files"], rows[0]["size"]) == (1, model.stat().st_size)
    assert len(cli("versions", "letters.total", "--json").data) == 4


def test_of_what_is_not_there(letters: Tree, cli: Cli) -> None:
    assert "there is no source dataset 'nothing'" in cli("versions", "nothing", code=2).err
    assert "did you mean letters.upper?" in cli("versions", "letters.uper", code=2).err
    assert "not a number from 1" in cli("versions", "letters_raw", "-n", "-1", code=2).err


def test_of_a_dataset_that_was_never_committed(letters: Tree, cli: Cli) -> None:
    letters.write("data/more/a.txt", "a")
    letters.dvc("add", "-q", "data/more")
    text = cli("versions", "more").out
    assert "no version is committed yet" in text
    assert "1 file, which is not among these" in text
