"""The digests of today are the digests of tomorrow, under every Python that we support.

A digest that changes makes every recorded result unknown, and what one Python recorded useless to
another. Where a change is meant, `trunkline.digest.SCHEME` is raised with it.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.golden.digests import examples

HERE = Path(__file__).parent / "digests"
SOURCE = Path(__file__).parents[2] / "src"
FROZEN = {kind: json.loads((HERE / f"{kind}.json").read_text()) for kind in ("modules", "records")}


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("kind", ["modules", "records"])
def test_digests_are_the_same_under_every_python(kind: str, version: str) -> None:
    assert _computed(version)[kind] == FROZEN[kind]


@pytest.mark.parametrize("name", examples.SOURCES)
def test_frozen_module(name: str) -> None:
    assert examples.modules()[name] == FROZEN["modules"][name]


@pytest.mark.parametrize("name", FROZEN["records"])
def test_frozen_record(name: str) -> None:
    assert examples.records()[name] == FROZEN["records"][name]


@pytest.mark.parametrize("kind", ["modules", "records"])
def test_no_two_examples_share_a_digest(kind: str) -> None:
    frozen = FROZEN[kind]
    same = {"empty", "only a comment", "only a docstring"}
    different = [digest for name, digest in frozen.items() if name not in same]
    assert len(set(different)) == len(different)
    assert len({frozen.get(name) for name in same}) == 1


@functools.cache
def _computed(version: str) -> Any:
    """What the interpreter of that version computes, without any installed package."""
    python = _interpreter(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed")
    command = [python, "-S", str(HERE / "examples.py")]
    done = subprocess.run(
        command,
        env={"PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _interpreter(version: str) -> str | None:
    candidates = [sys.executable, shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += [str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python"))]
    return next((path for path in candidates if path and _version(path) == version), None)


def _version(python: str) -> str:
    """The version of an interpreter, "" where it does not start (a pyenv shim may not)."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    return subprocess.run([python, "-S", "-c", program], capture_output=True, text=True).stdout.strip()
