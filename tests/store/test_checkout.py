from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.conftest import Adopt, Contents, write_manifest
from tests.support import Tree
from trunkline.digest import md5_bytes, tree_oid
from trunkline.errors import CorruptData, MissingData, StoreError
from trunkline.model import File, Version
from trunkline.store.store import DvcStore

PATH = "data/p/s"


def there(tree: Tree, path: str = PATH) -> dict[str, bytes]:
    top = tree.root / path
    return {str(p.relative_to(top)): p.read_bytes() for p in top.rglob("*") if p.is_file()}


def version_of(contents: Contents) -> Version:
    oid = tree_oid((name, md5_bytes(data)) for name, data in contents.items())
    return Version(oid, sum(map(len, contents.values())), len(contents))


def inodes(tree: Tree) -> dict[str, int]:
    top = tree.root / PATH
    return {str(p.relative_to(top)): p.stat().st_ino for p in top.rglob("*") if p.is_file()}


OLD = {"a": b"1", "b/c": b"22", "b/d/e": b"", "f": b"333"}
NEW = {"a": b"1", "b/c": b"23", "g/h": b"4"}


def test_from_nothing(tree: Tree, store: DvcStore, adopt: Adopt) -> None:
    assert store.checkout(PATH, adopt(OLD)) == version_of(OLD)
    assert there(tree) == OLD
    linked = (tree.root / PATH / "a").stat()
    assert linked.st_nlink == 2
    assert stat.S_IMODE(linked.st_mode) == 0o444
    assert (tree.root / PATH / "b/d/e").stat().st_nlink == 1
    assert tree.read("data/p/.gitignore") == "/s\n"


def test_only_what_differs_is_touched(tree: Tree, store: DvcStore, adopt: Adopt) -> None:
    store.checkout(PATH, adopt(OLD))
    before = inodes(tree)
    assert store.checkout(PATH, adopt(NEW)) == version_of(NEW)
    assert there(tree) == NEW
    assert inodes(tree)["a"] == before["a"]
    assert not (tree.root / PATH / "b/d").exists()
    before = inodes(tree)
    assert store.checkout(PATH, adopt(NEW)) == version_of(NEW)
    assert inodes(tree) == before


def test_an_edited_file_is_replaced_and_the_cache_unharmed(tree: Tree, store: DvcStore, adopt: Adopt) -> None:
    files = adopt(OLD)
    store.checkout(PATH, files)
    tree.write(f"{PATH}/a", b"edited")
    (tree.root / PATH / "b/d/e").write_bytes(b"no longer empty")
    assert store.checkout(PATH, files) == version_of(OLD)
    assert there(tree) == OLD
    assert store.evicted(files) == set()


def test_the_version_is_known_without_hashing(tree: Tree, store: DvcStore, adopt: Adopt) -> None:
    store.checkout(PATH, adopt({"a": b"1", "b": b""}))
    store.close()
    path = tree.root / PATH / "a"
    before = path.stat()
    path.chmod(0o644)
    path.write_bytes(b"2")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    later = DvcStore(str(tree.root), write_manifest=write_manifest)
    assert later.version(PATH) == version_of({"a": b"1", "b": b""})
    later.close()


@pytest.mark.parametrize("way", ["file", "link", "linked file", "linked directory", "directory for file"])
def test_what_is_in_the_way_goes(tree: Tree, store: DvcStore, adopt: Adopt, way: str) -> None:
    top = tree.root / PATH
    outside = tree.write("outside/x", "precious")
    match way:
        case "file":
            tree.write(PATH, "x")
        case "link":
            top.parent.mkdir(parents=True)
            top.symlink_to(outside.parent)
        case "linked file":
            top.mkdir(parents=True)
            (top / "a").symlink_to(outside)
        case "linked directory":
            top.mkdir(parents=True)
            (top / "b").symlink_to(outside.parent)
        case "directory for file":
            tree.write(f"{PATH}/a/x", "x")
    assert store.checkout(PATH, adopt(OLD)) == version_of(OLD)
    assert there(tree) == OLD
    assert not any(path.is_symlink() for path in (top, *top.rglob("*")))
    assert outside.read_text() == "precious"
    assert os.listdir(outside.parent) == ["x"]


def test_a_single_file(tree: Tree, store: DvcStore, adopt: Adopt) -> None:
    (file,) = adopt({"x": b"1"})
    single = [file._replace(path="")]
    assert store.checkout("data/one", single) == Version(md5_bytes(b"1"), 1, None)
    assert tree.read("data/one") == "1"
    assert store.version("data/one") == Version(md5_bytes(b"1"), 1, None)
    assert store.checkout("data/one", [file]) == version_of({"x": b"1"})
    assert store.checkout("data/one", single) == Version(md5_bytes(b"1"), 1, None)
    assert (tree.root / "data/one").is_file()


def test_a_missing_object_is_named_and_nothing_touched(tree: Tree, store: DvcStore, adopt: Adopt) -> None:
    store.checkout(PATH, adopt(OLD))
    absent = File("new", md5_bytes(b"never"), 5)
    with pytest.raises(MissingData, match="no intact copy of new") as caught:
        store.checkout(PATH, [absent])
    assert caught.value.where == PATH
    assert there(tree) == OLD


def test_a_damaged_object_is_not_linked(tree: Tree, store: DvcStore, adopt: Adopt) -> None:
    files = adopt(OLD)
    path = Path(store.object_path(md5_bytes(b"333")))
    path.chmod(0o644)
    path.write_bytes(b"334")
    with pytest.raises(CorruptData, match="damaged while it was linked"):
        store.checkout(PATH, files)  # fresh objects are not looked at before, but after
    assert not path.exists()
    with pytest.raises(MissingData, match="no intact copy of f"):
        store.checkout(PATH, files)
    assert "f" not in there(tree)
    store.checkout(PATH, adopt(OLD))
    assert there(tree) == OLD


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x"])
def test_a_path_that_leaves_the_dataset_is_refused(store: DvcStore, adopt: Adopt, name: str) -> None:
    (file,) = adopt({"x": b"1"})
    with pytest.raises(StoreError, match="would leave the dataset"):
        store.checkout(PATH, [file._replace(path=name)])


def test_a_file_that_dvc_leaves_out_is_refused(store: DvcStore, adopt: Adopt) -> None:
    with pytest.raises(StoreError, match=r"DVC leaves \.git/config out of a dataset"):
        store.checkout(PATH, adopt({"a": b"1", ".git/config": b"2"}))


def test_a_cache_elsewhere_gives_copies(tree: Tree, adopt: Adopt) -> None:
    folder = Path("/dev/shm", f"trunkline-test-{os.getpid()}")
    if not os.path.isdir("/dev/shm"):
        pytest.skip("needs a second file system")
    tree.write(".dvc/config.local", f"[cache]\n    dir = {folder}\n")
    store = DvcStore(str(tree.root), write_manifest=write_manifest)
    try:
        tree.write("data/raw/a", b"1" * 5000)
        store.save_source("data/raw")
        snapshot = store.snapshot("data/raw")
        assert snapshot is not None
        store.checkout(PATH, snapshot.files)
        assert there(tree) == {"a": b"1" * 5000}
        assert os.access(tree.root / PATH / "a", os.W_OK)
    finally:
        store.close()
        shutil.rmtree(folder, ignore_errors=True)


_NAMES = st.sampled_from(["a", "b", "c", "a/x", "a/y", "b/x/deep", "c/z", "d/e/f", "d/e/g"])
_LISTINGS = st.dictionaries(_NAMES, st.sampled_from([b"", b"1", b"22", b"333"]), max_size=6).filter(
    lambda listing: not any(other.startswith(name + "/") for name in listing for other in listing)
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_LISTINGS, _LISTINGS, st.booleans()), min_size=1, max_size=4))
def test_any_sequence_leaves_exactly_what_is_wanted(
    tree: Tree, store: DvcStore, adopt: Adopt, steps: list[tuple[dict[str, bytes], dict[str, bytes], bool]]
) -> None:
    for wanted, edits, forget in steps:
        for name, data in edits.items():
            path = tree.root / PATH / name
            if not any(parent.is_file() for parent in path.parents) and not path.is_dir():
                tree.write(f"{PATH}/{name}", data)
        if forget:
            store.close()
            (tree.root / ".dvc/tmp/trunkline/memo.db").unlink(missing_ok=True)
        assert store.checkout(PATH, adopt(wanted)) == version_of(wanted)
        assert there(tree) == wanted
        assert not [p for p in (tree.root / PATH).rglob("*") if p.is_dir() and not any(p.iterdir())]
        assert store.version(PATH) == version_of(wanted)
