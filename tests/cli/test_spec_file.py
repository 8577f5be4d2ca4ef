"""`datums --spec FILE`: the datums of a pipeline file, before it or its code are in the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.support import Tree

FILE = """\
pipeline: draft
stages:
  pairs:
    run: not_there.yet:pairs
    code: [nor/this.sql]
    input:
      a: letters.upper/[ab]*
      b: letters_raw/*
  next:
    run: not_there.yet:next
    input: {all: pairs}
  clock:
    run: not_there.yet:clock
    input: {cron: {name: tick, spec: "@every 40000h", start: "2020-01-01"}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "some.yaml"
    path.write_text(FILE)
    return path


def test_the_datums_of_a_file_that_is_in_no_project(letters: Tree, cli: Cli, file: Path) -> None:
    before = letters.contents("data", "dvc.lock", "dvc.yaml")
    done = cli("datums", "draft.pairs", "--spec", str(file))
    assert [line.split()[1:] for line in done.out.splitlines()[1:3]] == [
        ["a~a", "letters.upper/a.txt,", "letters_raw/a.txt"],
        ["a~b", "letters.upper/a.txt,", "letters_raw/b.txt"],
    ]
    assert done.out.splitlines()[-1] == "6 datums"
    rows = cli("datums", "draft.pairs", "--spec", os.path.relpath(file), "--json").data
    assert [row["name"] for row in rows] == ["a~a", "a~b", "a~c", "b~a", "b~b", "b~c"]
    assert {row["state"] for row in rows} == {None}
    assert letters.git("status", "--porcelain").out == ""
    assert letters.contents("data", "dvc.lock", "dvc.yaml") == before


def test_a_clock_of_a_file_shows_what_it_would_tick(letters: Tree, cli: Cli, file: Path) -> None:
    rows = cli("datums", "draft.clock", "--spec", str(file), "--json").data
    assert rows[0]["name"] == "2024-07-24T16:00:00Z"
    assert not (letters.root / "data/draft_tick").exists()


def test_a_file_may_be_another_version_of_a_pipeline_that_is_there(
    letters: Tree, cli: Cli, tmp_path: Path
) -> None:
    text = letters.read("pipelines/letters.yaml").replace("letters_raw/*.txt", "letters_raw/a*")
    (tmp_path / "new.yaml").write_text(text)
    rows = cli("datums", "letters.upper", "--spec", str(tmp_path / "new.yaml"), "--json").data
    assert [row["name"] for row in rows] == ["a"]
    assert len(cli("datums", "letters.upper", "--json").data) == 3


def test_what_cannot_be_listed_says_why(letters: Tree, cli: Cli, file: Path) -> None:
    assert "the dataset draft.pairs, input `all` of stage draft.next, is not there" in (
        cli("datums", "draft.next", "--spec", str(file), code=3).err
    )
    assert "has no stage 'draft.other'" in cli("datums", "draft.other", "--spec", str(file), code=2).err
    assert (
        "choose one of them"
        in cli("datums", "draft.pairs", "--spec", str(file), "--run", "latest", code=2).err
    )
    assert "cannot be read: No such file" in cli("datums", "draft.pairs", "--spec", "none.yaml", code=2).err


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[ab]*", "[ab*", ":7:24: 'letters.upper/[ab*' is no pattern: '[' is never closed"),
        ("pipeline: draft", "description: x", "a pipeline file has no 'pipeline'"),
        ("pipeline: draft", "pipeline: letters_raw", ":1:11: 'letters_raw' is also a source dataset"),
        ("pipeline: draft", "pipeline: [", "some.yaml:"),
    ],
)
def test_a_problem_names_the_file_as_it_was_given(
    letters: Tree, cli: Cli, file: Path, old: str, new: str, message: str
) -> None:
    file.write_text(FILE.replace(old, new))
    done = cli("datums", "draft.pairs", "--spec", str(file), code=2)
    assert message in done.err
    assert str(file) in done.err
    assert "pipelines/" not in done.err.replace("the pipeline files", "")
