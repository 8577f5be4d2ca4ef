"""Owners: the same process is recognised, another one with its pid is not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trunkline.ledger.owner import Owner, _from_ps, owner_of


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])


def test_this_process_lives() -> None:
    me = owner_of(os.getpid())
    assert me is not None
    assert me.pid == os.getpid()
    assert me.lives()
    assert owner_of(os.getpid()) == me


def test_a_killed_process_is_gone_before_and_after_it_is_waited_for() -> None:
    process = sleeper()
    owner = owner_of(process.pid)
    assert owner is not None
    assert owner.lives()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not owner.lives()
    process.wait()
    assert not owner.lives()


def test_another_process_with_the_same_pid_is_not_the_owner() -> None:
    me = owner_of(os.getpid())
    assert me is not None
    assert not me._replace(started="1").lives()
    assert not me._replace(boot="another").lives()


def test_a_name_with_parentheses_does_not_confuse(tmp_path: Path) -> None:
    link = tmp_path / "a) R 1 ("
    link.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(link), "60"])
    try:
        owner = owner_of(process.pid)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not _named(process.pid, "a) R 1 ("):
            time.sleep(0.01)
        assert owner == owner_of(process.pid)
    finally:
        process.kill()
        process.wait()


def _named(pid: int, name: str) -> bool:
    path = Path(f"/proc/{pid}/comm")
    return not path.exists() or path.read_text().strip() == name


def test_ps_says_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    if not _from_ps(os.getpid()):
        pytest.skip("needs ps")
    before = _from_ps(os.getpid())
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert before is not None
    assert _from_ps(os.getpid()) == before
    process = sleeper()
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert _from_ps(process.pid) is None
    process.wait()
    assert _from_ps(process.pid) is None


def test_no_such_pid() -> None:
    assert owner_of(2**22 + 1) is None
    assert not Owner(2**22 + 1, "1", "x").lives()
