"""The environment of a run: versions, and nothing that anyone could want to hide."""

from __future__ import annotations

import json
import os
import sys

import pytest

from trunkline.ledger import environment


def test_versions_are_those_installed() -> None:
    found = environment.capture()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    packages = found["packages"]
    assert isinstance(packages, dict)
    assert packages["dvc"] == pytest.importorskip("dvc").__version__
    assert list(environment.capture(("pytest", "no-such-package"))["packages"]) == ["pytest"]  # type: ignore[call-overload]


def test_no_secret_and_no_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-value")
    monkeypatch.setenv("MY_TOKEN", "hidden-value")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    text = json.dumps(environment.capture())
    assert "hidden-value" not in text
    assert json.dumps(os.uname().nodename) not in text
    assert '"OMP_NUM_THREADS": "3"' in text
