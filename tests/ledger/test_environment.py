"""The environment of a run: versions, and nothing that anyone could want to hide."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import sys
from pathlib import Path

import pytest

from trunkline.ledger import environment


def test_versions_are_those_installed() -> None:
    found = environment.capture()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    installed = {
        re.sub(r"[-_.]+", "-", each.name).lower(): each.version for each in importlib.metadata.distributions()
    }
    assert found["packages"] == installed


def test_what_decides_about_numbers_is_there() -> None:
    found = environment.capture()
    libraries = found["libraries"]
    assert isinstance(libraries, list)
    assert any("openblas" in name for name in libraries)
    cpu = found["cpu"]
    assert isinstance(cpu, dict)
    if os.path.exists("/proc/cpuinfo"):
        words = set(Path("/proc/cpuinfo").read_text().split())
        assert cpu["features"]
        assert words.issuperset(cpu["features"])


def test_lock_files_are_named_by_their_digest(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("numpy==2.0\n")
    digest = hashlib.sha256(b"numpy==2.0\n").hexdigest()
    assert environment.capture(str(tmp_path))["locks"] == {"requirements.lock": f"sha256:{digest}"}


def test_no_secret_and_no_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-value")
    monkeypatch.setenv("MY_TOKEN", "hidden-value")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    text = json.dumps(environment.capture())
    assert "hidden-value" not in text
    assert json.dumps(os.uname().nodename) not in text
    assert '"OMP_NUM_THREADS": "3"' in text
