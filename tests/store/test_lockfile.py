from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from tests.support import Tree
from trunkline.errors import LockedError, SpecError, StoreError
from trunkline.model import LockEntry, LockItem
from trunkline.store import lockfile
from trunkline.store.locks import file_lock
from trunkline.store.store import DvcStore

ENTRY = LockEntry(
    "trunkline exec p.s",
    (LockItem("code.py", "c" * 32, 4, None, True), LockItem("data/x", "d" * 32 + ".dir", 5, 6)),
    {"pipelines/p.yaml": {"stages.s": {"rate": 1e-05, "on": [None, True]}}},
    (LockItem("data/p/.manifests/s", "e" * 32 + ".dir", 7, 8), LockItem("data/p/s", "f" * 32 + ".dir", 0, 0)),
)
BARE = LockEntry("x", (), {}, ())
TEXT = f"""\
schema: '2.0'
stages:
  p-s:
    cmd: trunkline exec p.s
    deps:
    - path: code.py
      hash: md5
      md5: {"c" * 32}
      size: 4
      isexec: true
    - path: data/x
      hash: md5
      md5: {"d" * 32}.dir
      size: 5
      nfiles: 6
    params:
      pipelines/p.yaml:
        stages.s:
          rate: 1e-05
          on:
          -{" "}
          - true
    outs:
    - path: data/p/.manifests/s
      hash: md5
      md5: {"e" * 32}.dir
      size: 7
      nfiles: 8
    - path: data/p/s
      hash: md5
      md5: {"f" * 32}.dir
      size: 0
      nfiles: 0
"""


def names(tree: Tree) -> list[str]:
    return list(lockfile.parse(tree.read("dvc.lock")))


def test_written_as_dvc_lays_it_out_and_read_back(tree: Tree, store: DvcStore) -> None:
    assert store.lock_entry("p-s") is None
    store.write_lock("p-s", ENTRY)
    assert tree.read("dvc.lock") == TEXT
    assert store.lock_entry("p-s") == ENTRY
    assert store.lock_entry("p-t") is None
    store.close()
    later = DvcStore(str(tree.root), write_manifest=lambda *_: ())
    for _ in range(2):  # the second time from the memo
        assert later.lock_entry("p-s") == ENTRY
        later.close()


def test_items_and_files_are_sorted() -> None:
    entry = LockEntry(
        "x", ENTRY.deps[::-1], {"b": {"z": 1, "a": 2}, "params.yaml": {"x": 1}, "a": {}}, ENTRY.outs[::-1]
    )
    data = lockfile.as_data(entry)
    assert [item["path"] for item in data["deps"]] == ["code.py", "data/x"]
    assert [item["path"] for item in data["outs"]] == ["data/p/.manifests/s", "data/p/s"]
    assert list(data["params"]) == ["params.yaml", "a", "b"]
    assert list(data["params"]["b"]) == ["a", "z"]
    assert lockfile.as_data(BARE) == {"cmd": "x"}


def test_in_whatever_order_stages_finish_the_file_is_that_of_a_run_one_by_one(tree: Tree) -> None:
    order = ["p-a", "p-b", "p-c", "p-d"]
    for finished in itertools.permutations(order):
        (tree.root / "dvc.lock").write_text(
            "schema: '2.0'\nstages:\n  p-c:\n    cmd: old\n  other:\n    cmd: y\n"
        )
        store = DvcStore(str(tree.root), write_manifest=lambda *_: ())
        for name in finished:
            store.write_lock(name, BARE, order)
        store.close()
        assert names(tree) == ["p-c", "other", "p-a", "p-b", "p-d"]


@pytest.mark.parametrize(("completed", "found"), [(["p-b"], ["p-b", "p-a"]), (["other"], ["p-a", "p-b"])])
def test_a_run_appends_to_what_one_before_it_completed_and_goes_on_with_what_it_left(
    tree: Tree, completed: list[str], found: list[str]
) -> None:
    order = ["p-a", "p-b"]
    first = DvcStore(str(tree.root), write_manifest=lambda *_: ())
    first.write_lock("p-b", BARE, order)
    first.complete(completed)
    first.close()
    second = DvcStore(str(tree.root), write_manifest=lambda *_: ())
    second.write_lock("p-a", BARE, order)
    second.complete(order)
    second.close()
    assert names(tree) == found
    assert not (tree.root / ".dvc/tmp/trunkline/young.json").exists()


def test_what_others_wrote_meanwhile_is_kept(tree: Tree, store: DvcStore) -> None:
    store.write_lock("p-s", ENTRY)
    tree.write("dvc.lock", tree.read("dvc.lock") + "  other:\n    cmd: y\n")
    store.write_lock("p-s", BARE)
    assert tree.read("dvc.lock") == "schema: '2.0'\nstages:\n  p-s:\n    cmd: x\n  other:\n    cmd: y\n"


def test_nothing_is_written_where_nothing_changes(tree: Tree, store: DvcStore) -> None:
    store.write_lock("p-s", ENTRY)
    before = (tree.root / "dvc.lock").stat()
    store.write_lock("p-s", ENTRY)
    assert (tree.root / "dvc.lock").stat() == before


def test_under_dvcs_lock(tree: Tree, store: DvcStore) -> None:
    with (
        file_lock(str(tree.root / ".dvc/tmp/lock")),
        pytest.raises(LockedError, match="project is locked by process"),
    ):
        store.write_lock("p-s", ENTRY)
    assert not (tree.root / "dvc.lock").exists()


def test_numbers_as_keys_stay_numbers(tree: Tree) -> None:
    tree.write("dvc.lock", "stages:\n  p-s:\n    cmd: x\n    params:\n      p.yaml:\n        k: {1: a}\n")
    for _ in range(2):
        store = DvcStore(str(tree.root), write_manifest=lambda *_: ())
        entry = store.lock_entry("p-s")
        assert entry is not None
        assert entry.params == {"p.yaml": {"k": {1: "a"}}}
        store.close()


def test_entries_of_other_stages() -> None:
    text = "stages:\n  a: {cmd: [x, y], deps: [{path: s3://b/k, etag: e, size: 3}], outs: [{path: o}]}\n"
    entry = lockfile.parse(text)["a"]
    assert entry == LockEntry("x\ny", (LockItem("s3://b/k", "e", 3),), {}, (LockItem("o", "", 0),))
    assert lockfile.parse("") == {}
    assert lockfile.parse("[]\n") == {}
    assert lockfile.parse("schema: '2.0'\n") == {}


@pytest.mark.parametrize("text", ["stages: []\n", "stages: {a: 1}\n", "stages: {a: {deps: []}}\n"])
def test_files_that_are_no_lock_are_refused(text: str) -> None:
    with pytest.raises(StoreError) as caught:
        lockfile.parse(text)
    assert caught.value.where == "dvc.lock"


def test_a_merge_conflict_is_shown(tree: Tree, store: DvcStore) -> None:
    store.write_lock("p-s", ENTRY)
    text = tree.read("dvc.lock")
    tree.write("dvc.lock", text.replace("      size: 4\n", "<<<<<<< HEAD\n      size: 4\n=======\n"))
    with pytest.raises(SpecError, match=r"dvc\.lock:\d+"):
        store.lock_entry("p-s")
    Path(tree.root, "dvc.lock").write_bytes(b"\xff")
    with pytest.raises(StoreError, match="not UTF-8"):
        store.lock_entry("p-s")
