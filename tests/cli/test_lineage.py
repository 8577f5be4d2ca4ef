"""`lineage`: from a file, a copy of it, a directory, a name, back to the sources."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.cli.conftest import Cli
from tests.support import Tree

METRICS = "data/letters/total/metrics.json"
TYPES = {"dataset", "file", "stage", "code", "params", "environment", "run", "model"}


def test_from_a_file_back_to_the_sources(letters: Tree, cli: Cli) -> None:
    text = cli("lineage", METRICS).out
    lines = text.splitlines()
    assert lines[0].startswith(f"{METRICS}  ")
    for stage, function in (("total", "total"), ("count", "count"), ("upper", "upper")):
        assert f"made by letters.{stage} (stages.letters:{function})" in text
    assert "suffix: !" in text
    assert "stages/helper.py" in text
    assert "nothing uncommitted" in text
    assert "datums  3: 3 run, 0 reused" in text
    commit = letters.git("rev-parse", "--short=8", "HEAD~1").out.strip()
    assert lines[-1].strip().endswith(f"as {commit} by A Tester: Start")


def test_a_copy_elsewhere_is_the_same_artifact(letters: Tree, cli: Cli, tmp_path: Path) -> None:
    copy = tmp_path / "metrics copied.json"
    shutil.copy(letters.root / METRICS, copy)
    text = cli("lineage", str(copy)).out
    assert f"{copy} is a copy of it" in text
    assert text.splitlines()[0].startswith(f"{METRICS}  ")
    assert "made by letters.total" in text


def test_json_is_a_graph_of_typed_nodes_and_edges(letters: Tree, cli: Cli) -> None:
    data = cli("lineage", METRICS, "--json").data
    nodes = {node["id"]: node for node in data["nodes"]}
    assert data["found"]
    assert data["root"] in nodes
    assert len(nodes) == len(data["nodes"])
    kinds = {node["type"] for node in nodes.values()}
    assert kinds <= TYPES
    assert kinds == {"dataset", "file", "stage", "code", "params", "environment", "run"}
    roles = {(nodes[e["from"]]["type"], nodes[e["to"]]["type"], e["role"]) for e in data["edges"]}
    assert roles == {
        ("code", "stage", "code"),
        ("params", "stage", "params"),
        ("run", "stage", "run"),
        ("environment", "run", "environment"),
        ("dataset", "stage", "input"),
        ("stage", "dataset", "output"),
        ("dataset", "file", "contains"),
    }
    stages = sorted(node["name"] for node in nodes.values() if node["type"] == "stage")
    assert stages == ["letters.count", "letters.total", "letters.upper"]


def test_of_directories_and_names(letters: Tree, cli: Cli, tmp_path: Path) -> None:
    of_path = cli("lineage", "data/letters/upper/").out
    assert "data/letters/upper, version" in of_path
    assert "made by letters.upper" in of_path
    assert cli("lineage", "letters.upper").out == of_path
    shutil.copytree(letters.root / "data/letters/upper", tmp_path / "upper")
    assert "made by letters.upper" in cli("lineage", str(tmp_path / "upper")).out
    shutil.rmtree(letters.root / "data")
    assert cli("lineage", "letters.upper").out == of_path, "the lock knows it without its data"


def test_of_a_source(letters: Tree, cli: Cli) -> None:
    dataset = cli("lineage", "letters_raw").out
    assert "source dataset, committed" in dataset
    assert "3 files" in dataset
    file = cli("lineage", "data/letters_raw/a.txt").out
    assert "of data/letters_raw, version" in file
    assert "by A Tester: Start" in file


def test_a_link_into_the_cache_is_where_it_stands(letters: Tree, cli: Cli) -> None:
    path = letters.root / METRICS
    target = letters.root / "elsewhere.json"
    shutil.move(path, target)
    path.symlink_to(target)
    assert "is a copy" not in cli("lineage", METRICS).out


def test_the_run_says_what_was_edited(letters: Tree, cli: Cli) -> None:
    letters.write("stages/letters.py", letters.read("stages/letters.py") + "\n\nX = 1\n")
    letters.trunkline("run")
    assert "with uncommitted changes in stages/letters.py" in cli("lineage", METRICS).out


def test_what_nobody_knows_is_the_answer_no(letters: Tree, cli: Cli, tmp_path: Path) -> None:
    strange = tmp_path / "strange.bin"
    strange.write_bytes(b"\0strange")
    assert "unknown: no lock, run or commit" in cli("lineage", str(strange), code=1).out
    data = cli("lineage", str(strange), "--json", code=1).data
    assert (data["found"], data["edges"]) == (False, [])


def test_what_cannot_be_asked(letters: Tree, cli: Cli) -> None:
    assert "there is no dataset, stage, model or file 'nope'" in cli("lineage", "nope", code=2).err
    for place in (".", "..", ""):
        assert "more than one dataset" in cli("lineage", place, code=2).err
    os.symlink("nowhere", "broken")
    assert "there is no file broken" in cli("lineage", "broken", code=2).err


# ---------------------------------------------------------------- forward, datums, versions


def test_by_name_at_a_commit_at_a_run_and_by_content(letters: Tree, cli: Cli) -> None:
    now = cli("lineage", "letters.total").out
    version = cli("lineage", "letters.total", "--json").data["root"].rpartition("@")[2]
    run = letters.trunkline("runs", "--json").data[0]["id"]
    for name in (
        "letters.total@HEAD",
        f"letters.total@{run}",
        "letters.total@latest",
        f"letters.total@{version[:9]}",
    ):
        assert cli("lineage", name).out == now
    assert cli("lineage", version[:12]).out == now
    assert "is no commit, no run and no version" in cli("lineage", "letters.total@nope", code=2).err


def test_forward_from_everything_that_can_be_named(letters: Tree, cli: Cli) -> None:
    every = {"letters.upper", "letters.count", "letters.total"}
    python = cli("lineage", METRICS, "--json").data["nodes"]
    (packages,) = [node["attributes"]["packages"] for node in python if node["type"] == "environment"]
    for thing, expected in {
        "letters_raw": every,
        "letters_raw@HEAD": every,
        "data/letters_raw/a.txt": every,
        "letters.count": {"letters.total"},
        "stages/helper.py": every,
        "stages/helper.py@HEAD": every,
        'letters.upper.suffix="!"': every,
        "letters.upper.suffix='!'": every,
        "commit:HEAD~1": every,
        f"numpy=={packages['numpy']}": every,
    }.items():
        data = cli("lineage", thing, "--down", "--json").data
        found = {node["name"] for node in data["nodes"] if node["type"] == "stage"}
        assert found == expected, thing
    commit = letters.git("rev-parse", "--short=9", "HEAD~1").out.strip()
    assert f"commit {commit[:8]}\nwent into 3 stages" in cli("lineage", commit, "--down").out
    assert 'there was: "!"' in cli("lineage", "letters.upper.suffix=?", "--down", code=1).out
    assert "there is no dataset" in cli("lineage", "nope", "--down", code=2).err


def test_every_version_of_a_file(letters: Tree, cli: Cli) -> None:
    letters.write("data/letters_raw/b.txt", "other")
    letters.trunkline("run")
    letters.commit()

    def versions(*words: str) -> int:
        nodes = cli("lineage", "data/letters_raw/a.txt", "--down", "--json", *words).data["nodes"]
        return sum(node["type"] == "dataset" and node["name"] == "data/letters/upper" for node in nodes)

    assert (versions(), versions("--all")) == (1, 2)


def test_datums_in_both_directions(letters: Tree, cli: Cli) -> None:
    forward = cli("lineage", "data/letters_raw/a.txt", "--down", "--datums", "--json").data
    files = {node["name"] for node in forward["nodes"] if node["type"] == "file"}
    assert {"data/letters/upper/a.txt", METRICS} <= files
    assert "data/letters/upper/b.txt" not in files
    back = cli("lineage", "data/letters/upper/a.txt", "--datums", "--json").data
    assert [node["name"] for node in back["nodes"] if node["type"] == "datum"] == ["a"]
    assert "datums  1: a" in cli("lineage", "data/letters/upper/a.txt", "--datums").out
    assert "--datums asks of data" in cli("lineage", "numpy==1", "--down", "--datums", code=2).err
