from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from trunkline.store.memo import Known, Memo, Tree

FILES: Known = {
    "a": (1, 10, 100, "m1"),
    "b/c": (2, 20, 200, "m2"),
    "b/d": (3, 0, 300, "m3"),
    "bb": (4, 1, 1, "m4"),
}
TREE = Tree("signature", "oid.dir", 31, 4)


@pytest.fixture
def memo(tmp_path: Path) -> Memo:
    return Memo(str(tmp_path / "a/b/memo.db"))


def test_a_tree_is_remembered_with_its_files(memo: Memo) -> None:
    assert memo.tree("data/x") is None
    memo.save("data/x", TREE, FILES)
    memo.close()
    assert memo.tree("data/x") == TREE
    assert memo.files("data/x") == FILES
    assert memo.files("data/y") == {}


def test_a_part_of_a_tree(memo: Memo) -> None:
    memo.save("data/x", TREE, FILES)
    assert memo.part("data/x", "b") == {"c": FILES["b/c"], "d": FILES["b/d"]}
    assert memo.part("data/x", "a") == {"": FILES["a"]}


def test_a_change_replaces_and_removes_rows(memo: Memo) -> None:
    memo.save("data/x", TREE, FILES)
    after = {"a": (9, 9, 9, "m9"), "b/c": FILES["b/c"], "new": (5, 5, 5, "m5")}
    memo.save("data/x", Tree("other", "oid2.dir", 1, None), after, (TREE.signature, FILES))
    assert memo.files("data/x") == after
    assert memo.tree("data/x") == Tree("other", "oid2.dir", 1, None)


def test_objects(memo: Memo) -> None:
    stats = {f"{n:032x}": (n, n, n) for n in range(1200)}
    memo.save_objects(stats)
    memo.forget_objects(["0" * 32])
    del stats["0" * 32]
    assert memo.objects([*stats, "0" * 32, "unknown"]) == stats


def test_blobs_are_kept_by_kind_and_the_oldest_go(memo: Memo) -> None:
    memo.put("a", "key", "1")
    memo.put("b", "key", "2")
    memo.put("a", "key", "3")
    assert (memo.get("a", "key"), memo.get("b", "key"), memo.get("c", "key")) == ("3", "2", None)
    for n in range(9300):
        memo.put("many", str(n), "x")
    assert memo.get("many", "0") is None
    assert memo.get("many", "9299") == "x"
    assert memo.get("b", "key") == "2"


@pytest.mark.parametrize("damage", ["text", "cut", "middle", "scheme", "empty", "directory"])
def test_a_damaged_file_costs_only_what_it_knew(memo: Memo, tmp_path: Path, damage: str) -> None:
    for n in range(300):
        memo.put("kind", str(n), "x" * 100)
    memo.save("data/x", TREE, FILES)
    memo.close()
    path = tmp_path / "a/b/memo.db"
    data = path.read_bytes()
    match damage:
        case "text":
            path.write_text("this is not a database, and it is longer than a header of SQLite\n" * 100)
        case "cut":
            path.write_bytes(data[:5000])
        case "middle":
            path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
        case "empty":
            path.write_bytes(b"")
        case "scheme":
            with sqlite3.connect(path) as db:
                db.execute("PRAGMA user_version = 99")
            db.close()
        case "directory":
            path.unlink()
            path.mkdir()
    assert memo.get("kind", "7") is None
    memo.put("kind", "7", "new")
    memo.save("data/x", TREE, FILES)
    assert memo.get("kind", "7") == "new"
    assert memo.files("data/x") == FILES
    memo.close()


def test_deleting_the_file_costs_only_what_it_knew(memo: Memo, tmp_path: Path) -> None:
    memo.put("kind", "key", "x")
    memo.close()
    (tmp_path / "a/b/memo.db").unlink()
    assert memo.get("kind", "key") is None


def test_where_nothing_can_be_written_it_lasts_as_long_as_the_process(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    memo = Memo(str(tmp_path / "file/memo.db"))
    memo.put("kind", "key", "x")
    assert memo.get("kind", "key") == "x"
    memo.close()


_WRITER = """
import sys
from trunkline.store.memo import Memo, Tree
memo = Memo(sys.argv[1])
for n in range(200):
    memo.put("kind", f"{sys.argv[2]}-{n}", "x")
    memo.save("data/x", Tree(sys.argv[2], "o", n, 1), {"f": (n, n, n, "m")}, memo.whole("data/x"))
"""


def test_two_processes_write_at_once(memo: Memo, tmp_path: Path) -> None:
    path = str(tmp_path / "a/b/memo.db")
    writers = [subprocess.Popen([sys.executable, "-c", _WRITER, path, name]) for name in ("one", "two")]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert all(memo.get("kind", f"{name}-{n}") == "x" for name in ("one", "two") for n in range(200))
    assert memo.files("data/x").keys() == {"f"}
