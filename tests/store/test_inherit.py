"""With which dvc.lock a deployed run begins, entry by entry."""

from __future__ import annotations

import pytest

from trunkline.store import inherit
from trunkline.store.inherit import entries

HEAD = "schema: '2.0'\nstages:\n"


def lock(**versions: str) -> str:
    """A dvc.lock in which each stage has put out this version."""
    blocks = (
        f"  {name}:\n    cmd: trunkline exec p.{name}\n    outs:\n"
        f"    - path: data/p/{name}\n      hash: md5\n      md5: {version}\n      size: 1\n"
        for name, version in versions.items()
    )
    return HEAD + "".join(blocks)


def begun(ours: str, base: str, theirs: str, *stages: str) -> dict[str, str]:
    """The versions that a run of `stages` begins with."""
    text = inherit.lock(ours, base, theirs, stages or ("a", "b"))
    found = entries(text)
    assert found is not None
    return {name: entry.outs[0].md5 for name, entry in found.items()}


def test_entries_that_people_left_alone_are_those_of_the_last_run() -> None:
    assert begun(lock(a="v1"), lock(a="v1"), lock(a="v2", b="v2")) == {"a": "v2", "b": "v2"}


def test_entries_that_people_changed_are_theirs() -> None:
    assert begun(lock(a="v3", b="v1"), lock(a="v1", b="v1"), lock(a="v2", b="v2")) == {"a": "v3", "b": "v2"}
    assert begun(lock(b="v1"), lock(a="v1", b="v1"), lock(a="v2", b="v2")) == {"b": "v2"}, "a was taken out"


def test_entries_of_other_stages_are_those_of_the_tracked_commit() -> None:
    assert begun(lock(a="v1", x="v5"), lock(a="v1", x="v1"), lock(a="v2", x="v2", y="v2")) == {
        "a": "v2",
        "x": "v5",
    }


def test_without_a_common_past_what_there_is_wins() -> None:
    assert begun(lock(a="v1"), "", lock(a="v2", b="v2")) == {"a": "v1", "b": "v2"}
    assert begun("", "", lock(a="v2")) == {"a": "v2"}


@pytest.mark.parametrize("broken", ["<<<<<<< HEAD\n", "schema: '2.0'\nstages: [1]\n", "stages: {a: 1}\n"])
def test_a_lock_that_cannot_be_read_gives_nothing(broken: str) -> None:
    assert entries(broken) is None
    assert inherit.lock(lock(a="v1"), lock(a="v1"), broken, ["a"]) == lock(a="v1")
    assert inherit.lock(broken, lock(a="v1"), lock(a="v2"), ["a"]) == broken
    assert begun(lock(a="v1"), broken, lock(a="v2", b="v2")) == {"a": "v1", "b": "v2"}


def test_what_stays_keeps_every_byte() -> None:
    ours = lock(a="v1", x="v5")
    assert inherit.lock(ours, lock(a="v1"), lock(a="v1"), ["a"]) == ours
    assert inherit.lock(ours, lock(a="v1"), lock(a="v2"), ["a"]) == lock(a="v2", x="v5")
