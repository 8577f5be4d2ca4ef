from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from trunkline.store.scratch import Scratch

_OWNER = """
import os, sys
from trunkline.store.scratch import Scratch
path = Scratch(sys.argv[1]).path()
os.makedirs(path)
print(path, flush=True)
sys.stdin.read()
"""


def owner(folder: Path) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_paths_are_new_and_their_parent_is_there(tmp_path: Path) -> None:
    scratch = Scratch(str(tmp_path / "scratch"))
    one, two = Path(scratch.path()), Path(scratch.path())
    assert one != two
    assert not one.exists()
    assert one.parent.is_dir()
    assert str(os.getpid()) in one.parent.name
    one.mkdir()
    scratch.close()
    assert os.listdir(tmp_path / "scratch") == []


def test_two_of_one_process_do_not_meet(tmp_path: Path) -> None:
    one, two = Scratch(str(tmp_path)), Scratch(str(tmp_path))
    assert one.path() != two.path()
    one.close()
    assert Path(two.path()).parent.is_dir()
    two.close()


def test_what_a_dead_process_left_is_removed_and_the_living_left_alone(tmp_path: Path) -> None:
    killed, left = owner(tmp_path)
    living, kept = owner(tmp_path)
    try:
        assert left.is_dir()
        end(killed)
        scratch = Scratch(str(tmp_path))
        scratch.path()
        assert not left.parent.exists()
        assert kept.is_dir()
        scratch.close()
    finally:
        end(living)
