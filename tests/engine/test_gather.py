"""Datasets and their parts, each looked at once, and remembered by content."""

from __future__ import annotations

from tests.engine.world import Facts, Store, remembered
from tests.plan.values import snapshot, source
from trunkline import listing
from trunkline.engine.gather import Gather
from trunkline.model import Snapshot, Version

RAW = source("raw")
FILES = {"train/a": "1", "train/b": "2", "test/a": "3", "model": "4"}


def made() -> tuple[Store, Facts, Version]:
    store = Store()
    return store, Facts(), store.fill("data/raw", FILES)


def test_a_path_is_looked_at_once() -> None:
    store, facts, whole = made()
    gather = Gather(store, facts)
    assert gather.version("data/raw") == gather.version("data/raw") == whole
    assert gather.version("data/none") is None
    assert gather.version("data/none") is None
    assert store.looked == ["data/raw", "data/none"]


def test_a_part_is_what_it_would_be_by_itself() -> None:
    store, facts, whole = made()
    gather = Gather(store, facts)
    assert gather.part(RAW, "") == whole
    assert gather.part(RAW, "train") == snapshot({"a": "1", "b": "2"}).version
    assert gather.part(RAW, "model") == Version(snapshot({"model": "4"}).files[0].md5, 1, None)
    assert gather.part(RAW, "nothing") is None
    assert gather.part(source("none"), "train") is None


def test_a_part_is_remembered_by_content_also_that_there_is_none() -> None:
    store, facts, _ = made()
    first = Gather(store, facts)
    parts = [first.part(RAW, prefix) for prefix in ("train", "nothing")]
    again = Gather(store, facts)
    store.listings.clear()
    known, store.datasets["data/raw"] = (
        store.datasets["data/raw"],
        Snapshot(first.version("data/raw") or Version("", 0, 0), ()),
    )
    assert [again.part(RAW, prefix) for prefix in ("train", "nothing")] == parts
    assert known.files


def test_what_changes_between_two_looks_is_not_remembered() -> None:
    store, facts, _ = made()
    gather = Gather(store, facts)
    gather.version("data/raw")
    store.fill("data/raw", {"other": "5"})
    assert gather.part(RAW, "train") is None
    assert remembered(facts, "part") == []


def test_what_vanishes_between_two_looks_is_not_remembered() -> None:
    store, facts, _ = made()
    gather = Gather(store, facts)
    gather.version("data/raw")
    kept = store.datasets.pop("data/raw")
    assert gather.part(RAW, "train") is None
    store.datasets["data/raw"] = kept
    assert Gather(store, facts).part(RAW, "train") == listing.part(kept.files, "train")


def test_settle_says_what_is_there_from_now_on() -> None:
    store, facts, _ = made()
    gather = Gather(store, facts)
    gather.snapshot(RAW)
    version, files = snapshot({"train/c": "6"})
    gather.settle("data/raw", version, files)
    assert gather.version("data/raw") == version
    assert gather.snapshot(RAW) == Snapshot(version, files)
    assert gather.part(RAW, "train") == snapshot({"c": "6"}).version
    gather.settle("data/raw", None)
    assert gather.version("data/raw") is None
    assert gather.part(RAW, "train") is None
    gather.settle("data/raw", store.datasets["data/raw"].version)
    assert gather.snapshot(RAW) == store.datasets["data/raw"], "read again"
