from __future__ import annotations

import json
import os
from contextlib import ExitStack

import pytest

from tests.support import Tree
from trunkline.errors import LockedError
from trunkline.store.store import DvcStore


def held(tree: Tree) -> dict[str, object]:
    found: dict[str, object] = json.loads((tree.root / ".dvc/tmp/rwlock").read_text())
    return found


def attempt(store: DvcStore, command: str, read: list[str], write: list[str]) -> None:
    with store.holding(command, read, write):
        pass


def test_the_file_is_dvcs(tree: Tree, store: DvcStore) -> None:
    info = {"pid": os.getpid(), "cmd": "one"}
    root = os.path.realpath(tree.root)
    with store.holding("one", ["data/a", "data/a"], ["data/b"]):
        assert held(tree) == {"write": {f"{root}/data/b": info}, "read": {f"{root}/data/a": [info]}}
    assert held(tree) == {}


def test_who_may_hold_what_beside_whom(store: DvcStore) -> None:
    with store.holding("one", ["data/a"], ["data/b"]):
        attempt(store, "two", ["data/a"], ["data/c"])
        attempt(store, "two", [], ["data/bb"])
        for read, write in ((["data/b"], []), ([], ["data/a"]), ([], ["data/b/below"]), (["data"], [])):
            with pytest.raises(LockedError) as caught:
                attempt(store, "two", read, write)
            assert f"by process {os.getpid()}: one" in caught.value.message
    attempt(store, "two", ["data/b"], ["data/a"])


def test_messages(store: DvcStore) -> None:
    with store.holding("dvc repro", ["data/a"], ["data/b"]):
        with pytest.raises(LockedError) as caught:
            attempt(store, "two", ["data/b/x"], [])
        assert caught.value.message == f"data/b/x is being written by process {os.getpid()}: dvc repro"
        assert caught.value.where == "data/b"
        with pytest.raises(LockedError) as caught:
            attempt(store, "two", [], ["data/a"])
        assert caught.value.message == f"data/a is being read by process {os.getpid()}: dvc repro"


def test_what_one_owner_takes_twice_is_kept_until_given_up_twice(store: DvcStore) -> None:
    with ExitStack() as outer, ExitStack() as inner:
        outer.enter_context(store.holding("one", ["data/a"], ["data/b"]))
        inner.enter_context(store.holding("one", ["data/a"], ["data/b"]))
        inner.close()
        for read, write in ((["data/b"], []), ([], ["data/a"])):
            with pytest.raises(LockedError):
                attempt(store, "two", read, write)


def test_locks_are_given_up_after_an_error(tree: Tree, store: DvcStore) -> None:
    with pytest.raises(ZeroDivisionError), store.holding("one", ["data/a"], ["data/b"]):
        raise ZeroDivisionError
    assert held(tree) == {}


def test_the_dead_lose_their_locks_also_where_they_are_in_nobodys_way(tree: Tree, store: DvcStore) -> None:
    dead = {"pid": 2**22 + 7, "cmd": "dvc repro"}  # above any process id
    living = {"pid": os.getpid(), "cmd": "dvc repro"}
    text = json.dumps(
        {"write": {"/x/a": dead, "/x/b": living}, "read": {"/x/c": [dead, living], "/x/d": [dead]}}
    )
    tree.write(".dvc/tmp/rwlock", text)
    attempt(store, "one", [], ["data/a"])
    assert held(tree) == {"write": {"/x/b": living}, "read": {"/x/c": [living]}}


def test_the_owner_of_a_path(store: DvcStore) -> None:
    assert store.owner("data/b") is None
    with store.holding("one", ["data/a"], ["data/b"]):
        assert store.owner("data/b/below") == (os.getpid(), "one")
        assert store.owner("data") == (os.getpid(), "one")
        assert store.owner("data/a") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"write": {"a": 1}}', '{"read": {"a": {"pid": 1}}}'])
def test_a_file_that_cannot_be_read(tree: Tree, store: DvcStore, text: str) -> None:
    tree.write(".dvc/tmp/rwlock", text)
    with pytest.raises(LockedError, match="cannot be read") as caught:
        attempt(store, "one", [], ["data/a"])
    assert caught.value.where.endswith(".dvc/tmp/rwlock")
