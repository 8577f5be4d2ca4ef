from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import Tree
from trunkline.digest import md5_bytes, tree_oid
from trunkline.errors import StoreError
from trunkline.model import File, Snapshot, Version
from trunkline.store.store import DvcStore


def oid_of(contents: dict[str, bytes]) -> str:
    return tree_oid((name, md5_bytes(data)) for name, data in contents.items())


def fill(tree: Tree, contents: dict[str, bytes]) -> None:
    for name, data in contents.items():
        tree.write(f"data/x/{name}", data)


def keep_stat(path: Path, data: bytes) -> None:
    """Another content under the same stat: only a hash could tell."""
    before = path.stat()
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CONTENTS = {"b": b"1", "a/z": b"22", "a-b": b"", "ü": b"4444"}


def test_versions_of_directories_files_and_nothing(tree: Tree, store: DvcStore) -> None:
    fill(tree, CONTENTS)
    assert store.version("data/x") == Version(oid_of(CONTENTS), 7, 4)
    assert store.version("data/x/a") == Version(oid_of({"z": b"22"}), 2, 1)
    assert store.version("data/x/b") == Version(md5_bytes(b"1"), 1, None)
    assert store.version("data/y") is None
    (tree.root / "data/empty").mkdir()
    assert store.version("data/empty") == Version(oid_of({}), 0, 0)


def test_a_snapshot_lists_the_files_sorted(tree: Tree, store: DvcStore) -> None:
    fill(tree, CONTENTS)
    files = tuple(File(name, md5_bytes(data), len(data)) for name, data in sorted(CONTENTS.items()))
    expected = Snapshot(Version(oid_of(CONTENTS), 7, 4), files)
    assert store.snapshot("data/x") == expected
    assert store.snapshot("data/x") == expected
    single = Snapshot(Version(md5_bytes(b"1"), 1, None), (File("", md5_bytes(b"1"), 1),))
    assert store.snapshot("data/x/b") == single
    assert store.snapshot("data/y") is None


def test_what_did_not_change_is_not_read_again(tree: Tree, store: DvcStore) -> None:
    fill(tree, CONTENTS)
    before = store.version("data/x")
    keep_stat(tree.root / "data/x/b", b"9")
    assert store.version("data/x") == before  # the signature agrees
    tree.write("data/x/new", b"new")
    after = store.version("data/x")
    assert after is not None
    assert after.oid == oid_of({**CONTENTS, "new": b"new"})  # and row by row, b was not read either
    os.utime(tree.root / "data/x/b")
    assert store.version("data/x") == Version(oid_of({**CONTENTS, "new": b"new", "b": b"9"}), 10, 5)


def test_what_is_known_of_a_dataset_serves_for_a_part_of_it(tree: Tree, store: DvcStore) -> None:
    fill(tree, CONTENTS)
    store.version("data/x")
    keep_stat(tree.root / "data/x/a/z", b"99")
    keep_stat(tree.root / "data/x/b", b"9")
    assert store.version("data/x/a") == Version(oid_of({"z": b"22"}), 2, 1)
    assert store.version("data/x/b") == Version(md5_bytes(b"1"), 1, None)


def test_the_memo_lasts_and_its_loss_costs_only_time(tree: Tree, store: DvcStore) -> None:
    fill(tree, CONTENTS)
    before = store.version("data/x")
    store.close()
    keep_stat(tree.root / "data/x/b", b"9")
    assert store.version("data/x") == before
    store.close()
    (tree.root / ".dvc/tmp/trunkline/memo.db").unlink()
    assert store.version("data/x") == Version(oid_of({**CONTENTS, "b": b"9"}), 7, 4)


def test_a_file_becomes_a_directory_and_back(tree: Tree, store: DvcStore) -> None:
    path = tree.write("data/x", b"1")
    assert store.version("data/x") == Version(md5_bytes(b"1"), 1, None)
    path.unlink()
    fill(tree, {"y": b"1"})
    assert store.version("data/x") == Version(oid_of({"y": b"1"}), 1, 1)
    (tree.root / "data/x/y").unlink()
    (tree.root / "data/x").rmdir()
    tree.write("data/x", b"1")
    assert store.version("data/x") == Version(md5_bytes(b"1"), 1, None)


def test_an_edit_right_after_hashing_is_seen(tree: Tree, store: DvcStore) -> None:
    path = tree.write("data/x/a", b"0")
    for number in range(1, 8):
        store.version("data/x")
        path.write_bytes(b"%d" % number)
        found = store.version("data/x")
        assert found is not None
        assert found.oid == oid_of({"a": b"%d" % number})


def test_a_name_that_is_not_text_is_refused(tree: Tree, store: DvcStore) -> None:
    fill(tree, CONTENTS)
    Path(os.fsdecode(os.fsencode(tree.root / "data/x") + b"/\xff")).touch()
    with pytest.raises(StoreError, match="is not UTF-8"):
        store.version("data/x")
