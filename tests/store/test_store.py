from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.store.conftest import write_manifest
from tests.support import Tree
from trunkline.digest import md5_bytes, tree_oid
from trunkline.errors import LockedError, MissingData, StoreError
from trunkline.model import File, LockEntry, Version
from trunkline.ports import Facts, Store
from trunkline.store.locks import file_lock
from trunkline.store.store import DvcStore


def test_it_is_the_port(store: DvcStore) -> None:
    port: Store = store
    facts: Facts = store.memo
    assert (port, facts) == (store, store.memo)


# ---------------------------------------------------------------- sources


def test_a_source_comes_into_the_cache_as_a_copy(tree: Tree, store: DvcStore) -> None:
    path = tree.write("data/x/a", b"1")
    tree.write("data/x/deep/b", b"1")
    version = store.save_source("data/x").version
    assert version == Version(tree_oid([("a", md5_bytes(b"1")), ("deep/b", md5_bytes(b"1"))]), 2, 2)
    assert store.pointer("data/x.dvc") == version
    assert path.stat().st_nlink == 1
    assert Path(store.object_path(md5_bytes(b"1"))).read_bytes() == b"1"
    assert [file.path for file in store.listing(version.oid)] == ["a", "deep/b"]
    assert tree.read("data/.gitignore") == "/x\n"


def test_an_unchanged_source_is_not_touched(tree: Tree, store: DvcStore) -> None:
    tree.write("data/x/a", b"1")
    store.save_source("data/x")
    before = (tree.root / "data/x.dvc").stat()
    with file_lock(str(tree.root / ".dvc/tmp/lock")):  # not even the lock is needed
        store.save_source("data/x")
    assert (tree.root / "data/x.dvc").stat() == before
    tree.write("data/x/a", b"2")
    with file_lock(str(tree.root / ".dvc/tmp/lock")), pytest.raises(LockedError):
        store.save_source("data/x")


def test_objects_that_are_gone_come_back_with_the_next_version(tree: Tree, store: DvcStore) -> None:
    tree.write("data/x/a", b"1")
    tree.write("data/x/b", b"2")
    store.save_source("data/x")
    path = Path(store.object_path(md5_bytes(b"1")))
    path.unlink()
    tree.write("data/x/c", b"3")
    store.save_source("data/x")
    assert path.read_bytes() == b"1"


def test_a_source_that_is_not_there(store: DvcStore) -> None:
    with pytest.raises(MissingData, match="there is no data/x") as caught:
        store.save_source("data/x")
    assert "dvc pull data/x.dvc" in caught.value.hint


# ---------------------------------------------------------------- inputs


def test_inputs_that_are_not_in_the_cache_come_from_the_workspace(tree: Tree, store: DvcStore) -> None:
    tree.write("data/x/a", b"1")
    tree.write("data/x/b", b"2")
    tree.write("data/one", b"3")
    for path in ("data/x", "data/one"):
        snapshot = store.snapshot(path)
        assert snapshot is not None
        store.ensure_inputs([(path, snapshot.files)])
        assert store.evicted(snapshot.files) == set()


def test_an_input_that_changed_or_went_is_an_error(tree: Tree, store: DvcStore) -> None:
    tree.write("data/x/a", b"1")
    old = File("a", md5_bytes(b"0"), 1)
    with pytest.raises(MissingData, match="content of data/x/a is neither in the cache nor in the workspace"):
        store.ensure_inputs([("data/x", [old])])
    with pytest.raises(MissingData, match="content of data/y/a is neither"):
        store.ensure_inputs([("data/y", [old])])
    assert store.evicted([old]) == {old.md5}


# ---------------------------------------------------------------- manifests, small acts


def test_a_manifest_is_a_dataset(tree: Tree, store: DvcStore) -> None:
    version = store.save_manifest("data/p/.manifests/s", [], "transform")
    assert tree.read("data/p/.manifests/s/manifest.txt") == "transform 0"
    assert store.version("data/p/.manifests/s") == version
    assert [file.path for file in store.listing(version.oid)] == ["manifest.txt"]
    again = store.save_manifest("data/p/.manifests/s", [], "transform")
    assert again == version
    assert tree.read("data/p/.manifests/.gitignore") == "/s\n"


def test_is_executable(tree: Tree, store: DvcStore) -> None:
    tree.write("code.py", "").chmod(0o755)
    tree.write("other.py", "").chmod(0o644)
    assert [store.is_executable(name) for name in ("code.py", "other.py", "none.py")] == [True, False, False]


def test_write_text_and_move(tree: Tree, store: DvcStore) -> None:
    store.write_text("new/folder/x", "tëxt\n")
    assert tree.read("new/folder/x") == "tëxt\n"
    scratch = Path(store.scratch())
    scratch.write_text("moved")
    store.move(str(scratch), str(tree.root / "new/y"))
    assert tree.read("new/y") == "moved"
    assert not scratch.exists()


def test_what_the_file_system_refuses_is_an_error_of_ours(tree: Tree, store: DvcStore) -> None:
    tree.write("file", "")
    with pytest.raises(StoreError, match="the file system refused") as caught:
        store.write_text("file/below", "x")
    assert caught.value.where.endswith("/file")


def test_without_scm_nothing_is_ignored(tree: Tree) -> None:
    tree.write(".dvc/config", "[core]\n    no_scm = true\n")
    store = DvcStore(str(tree.root), write_manifest=write_manifest)
    store.ignore("data/x")
    store.close()
    assert not (tree.root / "data").exists()


# ---------------------------------------------------------------- two at once, and none left


_WORKER = """
import os, sys
from trunkline.digest import md5_bytes
from trunkline.model import File, LockEntry, LockItem
from trunkline.store.store import DvcStore
root, name = sys.argv[1:]
store = DvcStore(root, write_manifest=lambda *_: ())
print("ready", flush=True)
for turn in range(int(1e9) if name == "endless" else 15):
    files = []
    scratch = store.scratch()
    os.makedirs(scratch)
    for number in range(20):
        data = b"%d %d" % (turn, number % 10)
        with open(f"{scratch}/{number}", "wb") as stream:
            stream.write(data)
        files.append(File(str(number), md5_bytes(data), len(data)))
    store.adopt(scratch, files)
    path = f"data/p/{name}"
    version = store.checkout(path, files)
    store.write_lock(f"p-{name}", LockEntry(str(turn), (), {}, (LockItem(path, *version),)))
store.close()
"""


def worker(tree: Tree, name: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(tree.root), name], stdout=subprocess.PIPE, env=tree.environment()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_two_processes_publish_side_by_side(tree: Tree, store: DvcStore) -> None:
    workers = [worker(tree, name) for name in ("one", "two")]
    assert [process.wait() for process in workers] == [0, 0]
    for process in workers:
        assert process.stdout is not None
        process.stdout.close()
    for name in ("one", "two"):
        entry = store.lock_entry(f"p-{name}")
        assert entry is not None
        assert (entry.cmd, entry.outs[0].md5) == ("14", store.version(f"data/p/{name}").oid)  # type: ignore[union-attr]
        assert store.evicted(store.listing(entry.outs[0].md5)) == set()


def test_a_kill_leaves_nothing_that_reads_as_valid_but_is_not(tree: Tree) -> None:
    for pause in (0.02, 0.05, 0.08, 0.11):
        process = worker(tree, "endless")
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        store = DvcStore(str(tree.root), write_manifest=write_manifest, patience=1)
        for path in Path(store.cache_dir, "files/md5").rglob("*"):
            if path.is_file():
                assert path.parent.name + path.name == md5_bytes(path.read_bytes()) + path.suffix
        entry: LockEntry | None = store.lock_entry("p-endless")
        if entry is not None:
            files = store.listing(entry.outs[0].md5)
            assert store.evicted(files) == set()
            assert store.checkout("data/p/endless", files).oid == entry.outs[0].md5
        store.scratch()
        assert len(os.listdir(os.path.join(store.cache_dir, "trunkline/scratch"))) == 1
        store.close()
