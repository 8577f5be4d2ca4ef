"""A recorded run is made again elsewhere, and what parts is named with its cause."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.support import Tree
from tests.test_archive import latest

STAGES = '''\
"""Stages that are random in several ways."""

import json
import random
from pathlib import Path

import numpy as np


def seeded(raw: Path, *, seed: int) -> dict[str, bytes]:
    draws = np.random.default_rng(seed).random(5).tolist()
    return {"draws.json": json.dumps({"text": raw.read_text(), "draws": draws}).encode()}


def scaled(draws: Path) -> dict[str, bytes]:
    found = json.loads(draws.read_text())
    return {"model.json": json.dumps([2 * each for each in found["draws"]]).encode()}


def careless(draws: Path) -> dict[str, bytes]:
    return {"luck.json": json.dumps(random.random()).encode()}
'''
PIPELINE = """\
pipeline: dice

stages:
  throw:
    run: stages.dice:seeded
    input: {raw: letters_raw/a.txt}
    params: {seed: 7}
  learn:
    run: stages.dice:scaled
    input: {draws: throw/draws.json}
    model: {name: loaded, path: model.json}
"""
CARELESS = """\
  careless:
    run: stages.dice:careless
    input: {draws: throw/draws.json}
"""


@pytest.fixture(scope="module")
def _dice(_letters: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = Tree(_letters).copy(tmp_path_factory.mktemp("dice") / "project")
    (tree.root / "pipelines/letters.yaml").unlink()
    tree.write("pipelines/dice.yaml", PIPELINE)
    tree.write("stages/dice.py", STAGES)
    tree.trunkline("run")
    tree.commit("Dice")
    return tree.root


@pytest.fixture
def dice(_dice: Path, tmp_path: Path) -> Tree:
    return Tree(_dice).copy(tmp_path / "project")


def everything(tree: Tree) -> tuple[object, ...]:
    """What a reproduction must leave as it is."""
    refs = tree.git("for-each-ref").out, tree.git("status", "--porcelain", "-b").out
    return *refs, tree.contents(".dvc/cache/files"), tree.published(), tree.trunkline("runs", "--json").data


def test_what_is_recorded_comes_out_again_and_nothing_is_touched(dice: Tree) -> None:
    run = latest(dice)
    dice.write("stages/dice.py", STAGES.replace("random(5)", "random(6)"))
    dice.write("data/letters_raw/a.txt", "other")
    (dice.root / f".trunkline/reproduce/1a2b3c4d5e6f-{2**22 + 7}/of/one/that/was/killed").mkdir(parents=True)
    before = everything(dice)
    found = dice.trunkline("reproduce", run, "--json").data
    assert (found["state"], [each["state"] for each in found["stages"]]) == ("identical", ["identical"] * 2)
    assert found["models"] == dict.fromkeys(["data/dice/learn/model.json"], recorded(dice, run))
    assert everything(dice) == before
    assert os.listdir(dice.root / ".trunkline/reproduce") == [".gitignore"]
    assert "reproduced bit for bit" in dice.trunkline("reproduce", "loaded@HEAD").out


def recorded(tree: Tree, run: str) -> str:
    digest: str = json.loads(tree.read(f".trunkline/runs/{run}/run.json"))["stages"]["dice.learn"]["sha256"][
        "data/dice/learn/model.json"
    ]
    return digest


def test_edited_code_is_made_again_as_it_was(dice: Tree) -> None:
    dice.write("stages/dice.py", STAGES.replace("random(5)", "random(6)"))
    dice.trunkline("run")
    edited = latest(dice)
    dice.git("checkout", "-q", "stages/dice.py")
    assert dice.trunkline("reproduce", edited, "--json").data["state"] == "identical"
    share = dice.trunkline("reproduce", "--all")
    assert "2 of 2 runs reproduced: 100 %" in share.out


def test_a_stage_without_a_seed_is_named(dice: Tree) -> None:
    dice.write("pipelines/dice.yaml", PIPELINE + CARELESS)
    dice.trunkline("run")
    found = dice.trunkline("reproduce", "latest", check=False)
    assert found.code == 1
    assert "not reproduced: dice.careless is the first that parts" in found.out
    assert "dice.careless gives another result every time" in found.out
    assert "1 of 2 runs reproduced: 50 %" in dice.trunkline("reproduce", "--all", check=False).out


def test_a_difference_within_the_tolerance_and_one_of_the_environment(dice: Tree) -> None:
    helper = "import os\n\n\ndef near():\n    return float(os.environ.get('NUDGE', 0))\n"
    dice.write("stages/near.py", helper)
    text = (
        STAGES.replace("2 * each", "2 * each * (1 + near())")
        + "\n\nfrom stages.near import near  # noqa: E402\n"
    )
    dice.write("stages/dice.py", text)
    dice.trunkline("run")
    little = dice.trunkline("reproduce", "latest", "--json", NUDGE="1e-9").data
    assert (little["state"], little["parted"]) == ("equal", None)
    (difference,) = little["stages"][1]["differences"]
    assert difference["path"] == "model.json"
    assert 5e-10 < difference["relative"] < 2e-9
    strict = dice.trunkline(
        "reproduce", "latest", "--tolerance", "1e-12", check=False, NUDGE="1e-9", TZ="Asia/Tokyo"
    )
    assert strict.code == 1
    assert "dice.learn is the first that parts" in strict.out
    record = next(
        path for path in dice.contents(".trunkline/runs") if path.endswith(f"{latest(dice)}/run.json")
    )
    dice.write(record, dice.read(record).replace('"numpy": "', '"numpy": "1.'))
    told = dice.trunkline("reproduce", "latest", "--tolerance", "0", check=False, NUDGE="1e-9").out
    assert "the environment: numpy 1." in told


def test_inputs_that_are_gone_and_what_nothing_made(dice: Tree) -> None:
    assert "is a source dataset" in dice.trunkline("reproduce", "letters_raw", check=False).err
    assert "there is no run" in dice.trunkline("reproduce", "nothing", check=False).err
    shutil.rmtree(dice.root / ".dvc/cache/files")
    gone = dice.trunkline("reproduce", "latest", check=False)
    assert gone.code == 3
    assert "of letters_raw is neither in the cache nor in the remote" in gone.err
