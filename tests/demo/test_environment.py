from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path

from demo.environment import PACKAGES, differences, present, recorded

ROOT = Path(__file__).resolve().parents[2]


def test_it_names_versions_and_no_places() -> None:
    found = present()
    assert {"python", "system", "blas", "cpu features", *PACKAGES} <= found.keys()
    assert found["python"] == f"CPython {platform.python_version()}"
    assert all(found[name] != "none" for name in PACKAGES)
    text = json.dumps(found)
    assert "/" not in text
    assert socket.gethostname() not in text


def test_it_is_the_same_in_another_process() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo.environment"],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "3"},
        stdout=subprocess.PIPE,
        check=True,
    )
    assert json.loads(done.stdout) == present()


def test_only_what_differs_is_named() -> None:
    before = {"numpy": "2.4.5", "scipy": "1.17.1", "cpu features": "AVX2 FMA3", "gone": "1"}
    now = {"numpy": "2.4.6", "scipy": "1.17.1", "cpu features": "AVX2 SVE", "new": "2"}
    assert differences(before, now) == [
        "numpy: 2.4.5 -> 2.4.6",
        "cpu features: -FMA3 +SVE",
        "gone: 1 -> none",
        "new: none -> 2",
    ]
    assert differences(before, before) == []


def test_no_record_is_no_error(tmp_path: Path) -> None:
    assert recorded(tmp_path) is None
