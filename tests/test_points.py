from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPT = """
from trunkline.points import Point, reached
for number in (1, 2, 3):
    reached(Point.LOCK_ASIDE)
    reached(Point.LOCK_WRITTEN)
    print(number, flush=True)
"""


def come_by(crash: str) -> tuple[int, str]:
    """The exit code, and how often it came by both points."""
    environment = {"TRUNKLINE_CRASH": crash} if crash else {}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.replace("\n", "")


@pytest.mark.parametrize(
    ("crash", "expected"),
    [
        ("", (0, "123")),
        ("lock-aside", (-9, "")),
        ("lock-written:2", (-9, "1")),
        ("lock-written:4", (0, "123")),
        ("datum-kept", (0, "123")),
    ],
)
def test_a_process_dies_where_it_is_told_to(crash: str, expected: tuple[int, str]) -> None:
    assert come_by(crash) == expected


def test_one_process_alone_dies_where_a_mark_is_named(tmp_path: Path) -> None:
    crash = f"lock-aside:2:{tmp_path}/mark"
    assert [come_by(crash) for _ in range(2)] == [(-9, "1"), (0, "123")]
