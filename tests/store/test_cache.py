from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from tests.store.conftest import Adopt
from tests.support import Tree
from trunkline.digest import md5_bytes, tree_bytes, tree_oid
from trunkline.errors import CorruptData, MissingData
from trunkline.model import File
from trunkline.store.store import DvcStore


def damage(path: Path, data: bytes) -> None:
    """Write into an object as root, or one's owner, can."""
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


def object_of(store: DvcStore, data: bytes) -> Path:
    return Path(store.object_path(md5_bytes(data)))


def test_object_paths_are_dvcs(tree: Tree, store: DvcStore) -> None:
    assert store.cache_dir == str(tree.root / ".dvc/cache")
    assert store.object_path("abcdef.dir") == str(tree.root / ".dvc/cache/files/md5/ab/cdef.dir")


def test_adopted_files_are_protected_objects(store: DvcStore, adopt: Adopt) -> None:
    files = adopt({"a": b"one", "deep/b": b"", "same": b"one"})
    for data in (b"one", b""):
        path = object_of(store, data)
        assert path.read_bytes() == data
        assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert store.evicted(files) == set()


def test_an_object_that_is_there_stays(store: DvcStore, adopt: Adopt) -> None:
    adopt({"a": b"one"})
    inode = object_of(store, b"one").stat().st_ino
    adopt({"b": b"one"})
    assert object_of(store, b"one").stat().st_ino == inode


@pytest.mark.parametrize("wrong", [b"tornoff", b"tw0"])
def test_an_object_of_unknown_worth_is_replaced(store: DvcStore, adopt: Adopt, wrong: bytes) -> None:
    path = object_of(store, b"two")
    path.parent.mkdir(parents=True)
    path.write_bytes(wrong)
    path.chmod(0o444)
    adopt({"a": b"two"})
    assert path.read_bytes() == b"two"


def test_a_link_is_copied_not_adopted(tree: Tree, store: DvcStore) -> None:
    outside = tree.write("outside", b"mine")
    scratch = Path(store.scratch())
    scratch.mkdir()
    (scratch / "symbolic").symlink_to(outside)
    os.link(outside, scratch / "hard")
    for name in ("symbolic", "hard"):
        store.adopt(str(scratch), [File(name, md5_bytes(b"mine"), 4)])
        path = object_of(store, b"mine")
        assert path.is_file()
        assert not path.is_symlink()
        assert path.stat().st_ino != outside.stat().st_ino
    assert stat.S_IMODE(outside.stat().st_mode) != 0o444


def test_a_file_that_changed_after_it_was_hashed_is_refused(store: DvcStore) -> None:
    scratch = Path(store.scratch())
    scratch.mkdir()
    (scratch / "a").write_bytes(b"longer")
    with pytest.raises(CorruptData, match="changed after it was hashed"):
        store.adopt(str(scratch), [File("a", md5_bytes(b"short"), 5)])
    with pytest.raises(MissingData, match="vanished before it was kept: b"):
        store.adopt(str(scratch), [File("b", md5_bytes(b"short"), 5)])
    assert not object_of(store, b"short").exists()


def test_missing_and_damaged_objects_are_evicted_and_damaged_ones_put_aside(
    store: DvcStore, adopt: Adopt
) -> None:
    files = adopt({"gone": b"1", "cut": b"222", "changed": b"333", "good": b"444"})
    object_of(store, b"1").unlink()
    damage(object_of(store, b"222"), b"2")
    damage(object_of(store, b"333"), b"334")
    assert store.evicted(iter(files)) == {md5_bytes(b"1"), md5_bytes(b"222"), md5_bytes(b"333")}
    aside = Path(store.cache_dir, "trunkline/quarantine")
    assert sorted(path.read_bytes() for path in aside.iterdir()) == [b"2", b"334"]
    assert not object_of(store, b"222").exists()
    files = adopt({"changed": b"333"})
    assert store.evicted(files) == set()


def test_damage_is_seen_by_a_later_process_too(tree: Tree, store: DvcStore, adopt: Adopt) -> None:
    files = adopt({"a": b"111", "b": b"222"})
    store.checkout("data/p/s", files)
    store.save_manifest("data/p/.manifests/s", [], "t")  # settles
    store.close()
    damage(object_of(store, b"111"), b"112")
    later = DvcStore(str(tree.root), write_manifest=lambda *_: ())
    assert later.evicted(files) == {md5_bytes(b"111")}
    later.close()


def test_an_object_whose_stat_is_unknown_is_hashed_once(tree: Tree, store: DvcStore, adopt: Adopt) -> None:
    files = adopt({"a": b"111"})
    store.close()  # nothing was settled: the memo does not know the object
    path = object_of(store, b"111")
    later = DvcStore(str(tree.root), write_manifest=lambda *_: ())
    assert later.evicted(files) == set()
    before = path.stat()
    damage(path, b"112")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert later.evicted(files) == set()  # the same stat: not read again
    later.close()


def test_quarantine_takes_objects_only(tree: Tree, store: DvcStore, adopt: Adopt) -> None:
    files = adopt({"a": b"1"})
    outside = tree.write("precious", "x")
    store.quarantine([store.object_path(files[0].md5), str(outside), store.object_path("0" * 32)])
    assert outside.exists()
    assert store.evicted(files) == {files[0].md5}


def test_listings(store: DvcStore, adopt: Adopt) -> None:
    contents = {"b": b"1", "a/ü": b"22"}
    version = store.checkout("data/p/s", adopt(contents))
    path = Path(store.object_path(version.oid))
    pairs = [(name, md5_bytes(data)) for name, data in contents.items()]
    assert path.read_bytes() == tree_bytes(pairs)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert store.listing(version.oid) == tuple(File(name, md5, -1) for name, md5 in sorted(pairs))


def test_a_damaged_listing_is_refused_and_put_aside(store: DvcStore, adopt: Adopt) -> None:
    version = store.checkout("data/p/s", adopt({"a": b"1"}))
    path = Path(store.object_path(version.oid))
    damage(path, path.read_bytes()[:-1])
    with pytest.raises(CorruptData, match="listing of a directory is damaged"):
        store.listing(version.oid)
    with pytest.raises(MissingData, match="is not in the cache"):
        store.listing(version.oid)


@pytest.mark.parametrize("relpath", ["../x", "/x", "a/../../x"])
def test_a_listing_that_leaves_the_dataset_is_refused(store: DvcStore, relpath: str) -> None:
    data = json.dumps([{"md5": "0" * 32, "relpath": relpath}]).encode()
    path = Path(store.object_path(md5_bytes(data) + ".dir"))
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    with pytest.raises(CorruptData):
        store.listing(md5_bytes(data) + ".dir")


def test_a_directory_that_dvc_removed_is_made_again(store: DvcStore, adopt: Adopt) -> None:
    adopt({"a": b"1"})
    path = object_of(store, b"1")
    path.unlink()
    path.parent.rmdir()
    adopt({"a": b"1"})
    assert path.exists()


def test_an_empty_directory_has_a_listing(store: DvcStore) -> None:
    assert store.checkout("data/p/s", []) == (tree_oid([]), 0, 0)
    assert store.listing(tree_oid([])) == ()
