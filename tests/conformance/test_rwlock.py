"""Our locks and DVC's are the same locks: whichever comes second is refused, and told by whom."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dvc.lock import HardlinkLock, Lock, LockError

from tests.support import Tree
from trunkline.errors import LockedError
from trunkline.store.locks import file_lock
from trunkline.store.store import DvcStore


def open_store(tree: Tree) -> DvcStore:
    return DvcStore(str(tree.root), write_manifest=lambda *_: (), patience=0.2)


def test_dvc_refuses_what_we_write_and_works_beside_it(tree: Tree) -> None:
    tree.write("data/a/x", "1")
    tree.write("data/b/x", "2")
    store = open_store(tree)
    with store.holding("trunkline run p.s", ["data/b"], ["data/a"]):
        refused = tree.dvc("add", "data/a/x", check=False)
        assert refused.code != 0
        assert f"(PID {os.getpid()}): trunkline run p.s" in refused.err
        assert tree.dvc("add", "data/b", check=False).code != 0
        assert store.owner("data/a/x") == (os.getpid(), "trunkline run p.s")
    tree.dvc("add", "data/a", "data/b")
    assert store.owner("data/a") is None


def test_we_refuse_what_dvc_writes_and_work_beside_it(tree: Tree) -> None:
    wait = "while [ ! -e go ]; do sleep 0.02; done; mkdir data/out; echo 1 > data/out/x"
    tree.write("dvc.yaml", f"stages:\n  s:\n    cmd: '{wait}'\n    deps: [dep]\n    outs: [data/out]\n")
    tree.write("dep", "1")
    (tree.root / "data").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "-q"], cwd=tree.root, env=tree.environment()
    )
    store = open_store(tree)
    try:
        while store.owner("data/out") is None:
            assert process.poll() is None
            time.sleep(0.02)
        pid, command = store.owner("data/out") or (0, "")
        assert pid == process.pid
        assert command.endswith("repro -q")
        for read, write in (([], ["data/out"]), (["data/out/x"], []), ([], ["data"]), ([], ["dep"])):
            with (
                pytest.raises(LockedError, match=f"by process {pid}: .*repro -q"),
                store.holding("us", read, write),
            ):
                pass
        with store.holding("us", ["dep"], ["data/other"]):
            (tree.root / "go").touch()
            assert process.wait() == 0
    finally:
        process.kill()
        process.wait()
    with store.holding("us", [], ["data/out"]):
        pass


def test_a_dead_owner_is_passed_over_by_both(tree: Tree) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    dead = f'{{"pid": {int(done.stdout)}, "cmd": "gone"}}'
    path = tree.root / "data/a"
    tree.write("data/a/x", "1")
    text = f'{{"write": {{"{path}": {dead}}}, "read": {{"{path}": [{dead}]}}}}'
    rwlock = tree.write(".dvc/tmp/rwlock", text)
    with open_store(tree).holding("us", [], ["data/a"]):
        pass
    assert "gone" not in rwlock.read_text()
    rwlock.write_text(text)
    assert open_store(tree).owner("data/a") is None
    tree.dvc("add", "-q", "data/a")


def enter(path: str, hardlink: bool) -> None:
    with file_lock(path, hardlink=hardlink, patience=0.05):
        pass


@pytest.mark.parametrize("hardlink", [False, True])
def test_the_repo_lock_excludes_both_ways(tmp_path: Path, hardlink: bool) -> None:
    path = str(tmp_path / "lock")
    theirs = HardlinkLock(path, tmp_dir=str(tmp_path)) if hardlink else Lock(path)
    owner = "another process" if hardlink else f"process {os.getpid()} "
    with theirs, pytest.raises(LockedError, match=f"locked by {owner}"):
        enter(path, hardlink)
    with file_lock(path, hardlink=hardlink), pytest.raises(LockError):
        theirs.lock()
    with file_lock(path, hardlink=hardlink), pytest.raises(LockedError, match=f"process {os.getpid()} "):
        enter(path, hardlink)
    with theirs:
        pass
    if hardlink:
        assert os.listdir(tmp_path) == []
