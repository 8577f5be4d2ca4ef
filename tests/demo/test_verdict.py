from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from demo.environment import RECORD, present
from demo.verdict import ORDER, verdict

Lock = dict[str, dict[str, Any]]
Write = Callable[[Lock], None]


def lock() -> Lock:
    """Five stages, each reading what the one before it wrote."""
    stages: Lock = {}
    for before, name in zip(("source", *ORDER), ORDER, strict=False):
        stages[name] = {
            "cmd": f"trunkline exec {name}",
            "deps": [{"path": before, "md5": f"{before}-1"}, {"path": f"{name}.py", "md5": "code-1"}],
            "params": {"pipelines/flights.yaml": {f"stages.{name}": {"params": {"epochs": 5}}}},
            "outs": [{"path": name, "md5": f"{name}-1"}, {"path": f"data/.manifests/{name}", "md5": "m-1"}],
        }
    return stages


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose HEAD has the lock above."""
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": lock()}))
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.invalid", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "dvc.lock"], ["commit", "-qm", "lock"]):
        subprocess.run([*git, *arguments], cwd=tmp_path, check=True)
    return tmp_path


@pytest.fixture
def write(root: Path) -> Write:
    def replace(stages: Lock) -> None:
        (root / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))

    return replace


def record(root: Path, **changed: str) -> None:
    (root / RECORD).parent.mkdir()
    (root / RECORD).write_text(json.dumps(present() | changed))


def test_the_same_model(root: Path, write: Write) -> None:
    stages = lock()
    stages["flights-train"]["outs"][1]["md5"] = "another manifest"
    write(stages)
    assert verdict(root).startswith("the model is the one that dvc.lock in git (")
    assert verdict(root).endswith("names, byte for byte")


def test_another_environment(root: Path, write: Write) -> None:
    stages = lock()
    stages["flights-train"]["outs"][0]["md5"] = "other"
    write(stages)
    assert "is not recorded in demo/environment.json" in verdict(root)
    record(root, numpy="1.0")
    lines = verdict(root).splitlines()
    assert lines[0].startswith("the model is not the one that dvc.lock in git (")
    assert lines[1:] == [
        "  flights-train is the first stage to differ; its data, code and parameters are the same",
        f"  numpy: 1.0 -> {present()['numpy']}",
    ]


def test_no_cause_is_said_to_be_none(root: Path, write: Write) -> None:
    stages = lock()
    stages["flights-train"]["outs"][0]["md5"] = "other"
    write(stages)
    record(root)
    assert verdict(root).endswith("and so is every recorded item of the environment")


def test_the_first_stage_to_differ_and_what_it_reads(root: Path, write: Write) -> None:
    stages = lock()
    for name in ORDER[2:]:
        stages[name]["outs"][0]["md5"] = "other"
    clean = stages["flights-clean"]
    clean["deps"][1]["md5"] = "code-2"
    clean["params"]["pipelines/flights.yaml"]["stages.flights-clean"]["params"]["epochs"] = 6
    write(stages)
    assert verdict(root).splitlines()[1:] == [
        "  flights-clean is the first stage to differ, because these do:",
        "    flights-clean.py",
        "    pipelines/flights.yaml.stages.flights-clean.params.epochs: 5 -> 6",
    ]


def test_nothing_to_compare_with(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": lock()}))
    assert verdict(tmp_path) == "there is no dvc.lock in git yet that names a model to compare with"
