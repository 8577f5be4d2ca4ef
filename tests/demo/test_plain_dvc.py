from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ruamel.yaml import YAML

from demo.data import HELD_BACK
from demo.plain_dvc.build import measure

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.whole
def test_it_is_a_real_dvc_project_with_the_same_stages(tmp_path: Path) -> None:
    seconds = measure(ROOT, tmp_path, days=1)
    assert seconds.first > 0
    assert seconds.one_more_day > 0
    lock = YAML(typ="safe").load(tmp_path / "dvc.lock")["stages"]
    declared = yaml.safe_load((ROOT / "pipelines" / "flights.yaml").read_text(encoding="utf-8"))["stages"]
    assert set(lock) == set(declared)
    assert lock["train"]["params"]["params.yaml"]["train"] == declared["train"]["params"]
    assert [file.stem for file in sorted((tmp_path / "data/split/train").iterdir())] == [
        "2013-01-01",
        HELD_BACK,
    ]
    metrics = json.loads((tmp_path / "data/evaluate/metrics.json").read_text())
    assert metrics["recent"]["rows"] > 0
