from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.one_more_day import Counts, NotYetError, counts_text, last_run, one_more_day


def record(root: Path, run: str, stages: dict[str, tuple[str, int, int]]) -> None:
    file = root / ".trunkline" / "runs" / run / "run.json"
    file.parent.mkdir(parents=True)
    content = {
        name: {"state": state, "datums": {"run": ran, "reuse": reused, "drop": 0, "total": ran + reused}}
        for name, (state, ran, reused) in stages.items()
    }
    file.write_text(json.dumps({"stages": content}))


def test_the_newest_run_counts(tmp_path: Path) -> None:
    record(tmp_path, "019aacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e", {"flights.clean": ("done", 364, 0)})
    stages = {"flights.clean": ("done", 1, 364), "flights.weather": ("up_to_date", 0, 0)}
    record(tmp_path, "019aacb7-0000-7d33-b0c4-8f1f0b2f6a9e", stages)
    (tmp_path / ".trunkline" / "runs" / ".open").mkdir()
    found = last_run(tmp_path)
    assert found == [Counts("flights.clean", 1, 364, False), Counts("flights.weather", 0, 0, True)]
    assert counts_text(found) == (
        "  flights.clean       1 run   364 reused\n"  #
        "  flights.weather  up to date"
    )


def test_it_wants_a_first_run(tmp_path: Path) -> None:
    with pytest.raises(NotYetError, match="make run"):
        one_more_day(tmp_path)
