"""The short form: every point once. `make torture N=1000` is the long one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from trunkline.points import Point

ROOT = Path(__file__).parents[2]
MEMORY = (
    "/dev/shm"  # a disk that others write to would be waited for at every stage; a kill is the same on both
)


@pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc, and is the reaper of orphans")
def test_killed_at_every_point(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else tmp_path) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "tests.torture", "--short", "--seed", "7"],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_what_holds_is_written_down_for_every_point() -> None:
    text = (ROOT / "docs/design/crash-safety.md").read_text()
    assert re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE) == list(Point)
