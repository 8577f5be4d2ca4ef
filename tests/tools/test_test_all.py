"""tools/test-all.sh: a Python that is missing or fails makes the whole fail, after the others have run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Stands in for the set-up: no Python 3.13 on this machine, and what breaks is told by a file.
SETUP = """\
[ "$2" != "3.13" ] || [ ! -e no-3.13 ] || exit 2
mkdir -p "$1/bin"
printf '#!/bin/sh\\necho "tests under %s: $*"; [ ! -e fails-%s ]\\n' "$2" "$2" >"$1/bin/python"
chmod +x "$1/bin/python"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    shutil.copy(ROOT / "tools" / "test-all.sh", tmp_path / "tools" / "test-all.sh")
    (tmp_path / "tools" / "setup.sh").write_text(SETUP)
    return tmp_path


def _run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", "tools/test-all.sh", *arguments]
    return subprocess.run(command, cwd=checkout, capture_output=True, text=True)


def test_all_three_run_with_the_arguments(checkout: Path) -> None:
    done = _run(checkout, "-k", "globs")
    assert done.returncode == 0
    for version in ("3.11", "3.12", "3.13"):
        assert (
            f"tests under {version}: -m pytest -n auto --dist loadfile --no-loadscope-reorder -k globs"
            in done.stdout
        )


def test_a_missing_python_is_said_after_the_others_have_run(checkout: Path) -> None:
    (checkout / "no-3.13").touch()
    done = _run(checkout)
    assert done.returncode == 1
    assert "tests under 3.12" in done.stdout
    assert "not run, there is no interpreter for Python 3.13" in done.stdout


def test_a_failure_is_kept_while_the_others_run(checkout: Path) -> None:
    (checkout / "fails-3.11").touch()
    done = _run(checkout)
    assert done.returncode == 1
    assert "tests under 3.13" in done.stdout
    assert "failed under Python 3.11" in done.stdout


def test_the_first_environment_serves_for_its_own_version(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python3.12").touch(mode=0o755)
    done = _run(checkout)
    assert "== Python 3.12 (.venv)" in done.stdout
    assert "== Python 3.13 (.venv-3.13)" in done.stdout
