"""The benches run, and what they write has the shape that a program can read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.whole
def test_a_quick_bench_writes_a_table_and_json(tmp_path: Path) -> None:
    target = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "nothing", "--quick", "--json", str(target)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "dvc status" in done.stdout
    document = json.loads(target.read_text())
    figures = document["figures"]
    assert {"dvc status", "bare walk"} <= {figure["against"] for figure in figures}
    assert all(figure["values"]["cpu"] > 0 and figure["met"] is None for figure in figures)
