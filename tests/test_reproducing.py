"""A recorded run is made again elsewhere, and what parts is named with its cause."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

import trunkline
from tests.support import Tree
from tests.test_archive import latest
from trunkline.errors import StageFailed
from trunkline.reproducing import installed

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


def test_only_the_sources_that_were_read_have_to_be_there(dice: Tree) -> None:
    dice.write("new/z.txt", "of no use here")
    dice.trunkline("put", "unread_raw", "new/z.txt")
    dice.trunkline("run", "--force")
    for path, content in dice.contents(".dvc/cache/files").items():
        if content == b"of no use here":
            (dice.root / path).unlink()
    assert "reproduced bit for bit" in dice.trunkline("reproduce", "latest").out


# ---------------------------------------------------------------- the recorded environment


def _wheel(folder: Path, name: str, version: str, needs: str = "") -> Path:
    """A package that says its version, as pip takes it."""
    file, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(path, text)
    return file


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All the packages that pip can have: `dice` in two versions, which says that it needs what is nowhere."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    for version in ("1.0", "2.0"):
        _wheel(tmp_path, "dice", version, "Requires-Dist: nowhere[extra]>=3\n")
    return tmp_path


@pytest.mark.parametrize("lock", ["with hashes", "another since"])
def test_the_recorded_environment_is_built(shelf: Path, tmp_path: Path, lock: str) -> None:
    root = tmp_path / "clone"
    root.mkdir()
    packages = {"dice": "1.0", "trunkline": trunkline.__version__}
    environment: dict[str, Any] = {"python": platform.python_version(), "packages": packages}
    digest = hashlib.sha256((shelf / "dice-1.0-py3-none-any.whl").read_bytes()).hexdigest()
    file = root / "requirements.lock"
    file.write_text(f"dice==1.0 --hash=sha256:{digest}\n")
    environment["locks"] = {file.name: f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"}
    if lock == "another since":
        file.write_text("dice==2.0\n")

    python = installed(str(root), environment)

    said = subprocess.run(
        [python, "-c", "import dice; print(dice.VERSION)"], capture_output=True, text=True, check=True
    )
    assert said.stdout == "1.0\n"


def test_a_recorded_environment_that_cannot_be_built_says_why(shelf: Path, tmp_path: Path) -> None:
    environment = {"python": platform.python_version(), "packages": {"dice": "3.0"}}
    with pytest.raises(StageFailed, match="cannot be built") as failure:
        installed(str(tmp_path), environment)
    assert "dice==3.0" in failure.value.hint
