from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from trunkline.errors import LockedError
from trunkline.store.locks import file_lock, holder, is_alive

_HOLDER = """
import sys
from trunkline.store.locks import file_lock
with file_lock(sys.argv[1], hardlink=len(sys.argv) > 2):
    print("held", flush=True)
    sys.stdin.read()
"""


def attempt(path: Path, hardlink: bool) -> None:
    with file_lock(str(path), hardlink=hardlink, patience=0.05):
        pass


@pytest.mark.parametrize("hardlink", [False, True])
def test_another_process_is_named_and_waited_for(tmp_path: Path, hardlink: bool) -> None:
    path = tmp_path / "new/lock"
    argv = [sys.executable, "-c", _HOLDER, str(path), *(["hard"] if hardlink else [])]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"held\n"
    try:
        with pytest.raises(LockedError, match=f"process {process.pid}") as caught:
            attempt(path, hardlink)
        assert caught.value.where == str(path)
        timer = threading.Timer(0.2, process.stdin.close)
        timer.start()
        with file_lock(str(path), hardlink=hardlink, patience=20):
            assert holder(str(path)).startswith(f"process {os.getpid()}")
        timer.join()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


@pytest.mark.parametrize("hardlink", [False, True])
def test_a_killed_holder_holds_no_more(tmp_path: Path, hardlink: bool) -> None:
    path = tmp_path / "lock"
    argv = [sys.executable, "-c", _HOLDER, str(path), *(["hard"] if hardlink else [])]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    with file_lock(str(path), hardlink=hardlink, patience=5):
        assert holder(str(path)).startswith(f"process {os.getpid()}")


def test_the_claim_of_another_machine_holds(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("a|elsewhere|1999999999|2")
    os.utime(path, (2e9 + 3e8, 2e9 + 3e8))
    with pytest.raises(LockedError):
        attempt(path, True)


def test_an_expired_claim_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("a|b|1|2")
    os.utime(path, (1, 1))
    with file_lock(str(path), hardlink=True, patience=5):
        pass
    assert os.listdir(tmp_path) == []


def test_holders_that_cannot_be_told(tmp_path: Path) -> None:
    assert holder(str(tmp_path / "missing")) == "another process"
    (tmp_path / "lock").write_text("nonsense")
    assert holder(str(tmp_path / "lock")) == "another process"


def test_is_alive() -> None:
    assert is_alive(os.getpid())
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    assert not is_alive(int(done.stdout))
