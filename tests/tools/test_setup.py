"""tools/setup.sh: what a machine lacks is said, and an environment that is ready costs nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with what the set-up reads, and no environment."""
    folder = tmp_path / "checkout"
    shutil.copytree(ROOT / "tools", folder / "tools")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder that is all of PATH: what setup.sh itself needs, git, and no Python."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "cat", "cksum", "dirname"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    _program(folder / "git", "exit 0")
    return folder


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def _set_up(checkout: Path, programs: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [str(programs / "sh"), "tools/setup.sh", *arguments]
    home = str(checkout.parent)
    return subprocess.run(
        command,
        cwd=checkout,
        env={"PATH": str(programs), "HOME": home, **env},
        capture_output=True,
        text=True,
    )


def test_without_git_it_says_how_to_get_it(checkout: Path, programs: Path) -> None:
    (programs / "git").unlink()
    done = _set_up(checkout, programs)
    assert done.returncode == 2
    assert "git is needed" in done.stderr
    assert "apt install git" in done.stderr


def test_without_python_it_says_which_one_is_needed(checkout: Path, programs: Path) -> None:
    done = _set_up(checkout, programs)
    assert done.returncode == 2
    assert "Python 3.11, 3.12 or 3.13 is needed" in done.stderr
    assert "nothing" in done.stderr


@pytest.mark.parametrize("answer", ["is Python 3.10", "is Python 3.14"])
def test_a_python_out_of_range_is_named(checkout: Path, programs: Path, answer: str) -> None:
    _program(programs / "python3", f"echo {answer}")
    done = _set_up(checkout, programs)
    assert done.returncode == 2
    assert f"python3 {answer}" in done.stderr


def test_the_probe_refuses_a_version_that_was_not_asked_for(checkout: Path, programs: Path) -> None:
    have = f"{sys.version_info.major}.{sys.version_info.minor}"
    other = next(version for version in ("3.11", "3.12") if version != have)
    (programs / "python3").symlink_to(sys.executable)
    done = _set_up(checkout, programs, ".venv", other)
    assert done.returncode == 2
    assert f"is Python {have}" in done.stderr


def test_a_python_that_does_not_run_is_an_error(checkout: Path, programs: Path) -> None:
    done = _set_up(checkout, programs, PYTHON="no-such-python")
    assert done.returncode == 2
    assert "PYTHON=no-such-python" in done.stderr


def test_the_interpreter_below_an_environment_is_taken(checkout: Path, programs: Path) -> None:
    """`python3` on PATH may be the very environment that is rebuilt; it would delete itself."""
    _program(programs / "python3", "echo ok " + str(programs / "base"))
    _program(programs / "base", 'echo "base: $1 $2"')
    done = _set_up(checkout, programs)
    assert done.stdout == "base: tools/setup.py .venv\n"


def test_a_ready_environment_runs_nothing(checkout: Path, programs: Path) -> None:
    _ready(checkout, programs)
    _program(programs / "python3", "echo started; exit 1")
    done = _set_up(checkout, programs)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_change_of_what_it_was_made_from_begins_a_set_up(checkout: Path, programs: Path, name: str) -> None:
    _ready(checkout, programs)
    _program(programs / "python3", "echo ok " + str(programs / "base"))
    _program(programs / "base", "echo started")
    with (checkout / name).open("a") as stream:
        stream.write("# changed\n")
    assert _set_up(checkout, programs).stdout == "started\n"


def test_a_moved_checkout_begins_a_set_up(checkout: Path, programs: Path) -> None:
    _ready(checkout, programs)
    _program(programs / "python3", "echo ok " + str(programs / "base"))
    _program(programs / "base", "echo started")
    moved = checkout.rename(checkout.parent / "moved")
    assert _set_up(moved, programs).stdout == "started\n"


def test_another_directory_is_not_deleted(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "mine.txt").write_text("precious")
    done = subprocess.run(
        [sys.executable, "tools/setup.py", ".venv", "key"],
        cwd=checkout,
        env=dict(os.environ),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3
    assert "move it away" in done.stderr
    assert (checkout / ".venv" / "mine.txt").read_text() == "precious"


def _ready(checkout: Path, programs: Path) -> None:
    """Leave what a finished set-up leaves: an interpreter, and `ready` as setup.py is told to write it."""
    (checkout / ".venv" / "bin").mkdir(parents=True)
    _program(checkout / ".venv" / "bin" / "python", "exit 0")
    _program(programs / "python3", "echo ok " + str(programs / "writer"))
    _program(programs / "writer", 'printf %s "$3" > "$2/ready"')
    assert _set_up(checkout, programs).returncode == 0
