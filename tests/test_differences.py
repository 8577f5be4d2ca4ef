"""What differs between two runs, decided from values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trunkline.differences import Reads, Side, between
from trunkline.ledger.owner import Owner
from trunkline.ledger.records import RunRecord
from trunkline.model import File, GitState, LockEntry, LockItem

LISTINGS = {
    "a.dir": (File("1", "x", 1), File("2", "y", 1)),
    "b.dir": (File("2", "z", 1), File("3", "w", 1), File("m.json", "m2", 1)),
    "c.dir": (File("m.json", "m1", 1),),
}
TEXTS = {
    "m1": b'{"auc": 0.5, "by": {"day": 1}, "ok": true}',
    "m2": b'{"auc": 0.75, "by": {"day": 1}, "ok": false}',
}


def side(
    entry: LockEntry | None,
    *,
    tree: str = "",
    environment: Mapping[str, Any] | None = None,
    dirty: bool = False,
) -> Side:
    git = GitState("c" * 40, "main", ("stages/s.py",) if dirty else ())
    run = RunRecord("run", "done", "trunkline", "", "", git, Owner(1, "", ""), environment or {})
    return Side(run, {"p-s": entry} if entry else {}, tree)


def entry(source: str, out: str, code: str = "k", **params: object) -> LockEntry:
    declared = {"metrics": ["m.json", {"n.json": None}], "params": params}
    deps = (LockItem("data/raw", source, 1, 2), LockItem("stages/s.py", code, 1))
    outs = (LockItem("data/p/.manifests/s", f"{out}m", 1), LockItem("data/p/s", out, 1, 2))
    return LockEntry("trunkline exec p.s", deps, {"pipelines/p.yaml": {"stages.s": declared}}, outs)


def compared(one: Side, two: Side, code: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return between(one, two, Reads(LISTINGS.get, TEXTS.get, lambda old, new: code))


def test_each_kind_of_difference() -> None:
    old = side(
        entry("a.dir", "c.dir", lr=1, kept=0),
        tree="t1",
        environment={"cpu": {"features": ["avx", "fma"]}, "python": "3"},
    )
    new = side(
        entry("b.dir", "b.dir", "l", lr=2, kept=0),
        tree="t2",
        environment={"cpu": {"features": ["fma"]}, "python": "3"},
    )
    found = compared(old, new, [{"path": "stages/s.py"}])
    assert found["data"]["sources"] == [
        {
            "path": "data/raw",
            "was": "a.dir",
            "now": "b.dir",
            "files": {"added": 2, "removed": 1, "changed": 1},
        }
    ]
    assert [(each["stage"], each["files"]) for each in found["data"]["outputs"]] == [
        ("p.s", {"added": 2, "removed": 0, "changed": 1})
    ]
    assert found["code"] == {
        "basis": "trees", "from": "t1", "to": "t2", "files": [{"path": "stages/s.py"}],
        "read": [{"path": "stages/s.py", "was": "k", "now": "l"}], "not_recorded": [],
    }  # fmt: skip
    assert found["params"] == [{"stage": "p.s", "name": "params.lr", "was": 1, "now": 2}]
    assert found["environment"] == [{"name": "cpu.features.avx", "was": True, "now": None}]
    assert [(each["name"], each["difference"]) for each in found["metrics"]] == [("auc", 0.25), ("ok", None)]


def test_what_is_not_known_is_not_made_up() -> None:
    old, new = side(entry("a.dir", "gone.dir"), dirty=True), side(entry("gone.dir", "b.dir"), tree="t2")
    found = compared(old, new)
    assert [each["files"] for each in found["data"]["sources"]] == [None]
    assert (found["code"]["basis"], found["code"]["files"]) == ("unknown", [])
    assert found["code"]["not_recorded"] == [{"run": "run", "files": ["stages/s.py"]}]
    assert compared(old, new, [])["code"]["basis"] == "commits"
    left_out = {"tree": "t2", "left_out": [{"path": "stages/big.bin", "reason": "large"}]}
    kept = Side(replace(new.run, code=left_out), new.entries, "t2")
    assert (
        compared(kept, kept, [])["code"]["not_recorded"] == [{"run": "run", "files": ["stages/big.bin"]}] * 2
    )
    assert {each["was"] for each in found["metrics"]} == {None}


def test_a_stage_that_only_one_run_had() -> None:
    found = compared(side(None), side(entry("a.dir", "c.dir")), [])
    assert found["data"]["outputs"][0] == {
        "stage": "p.s", "was": None, "now": "c.dir", "files": {"added": 1, "removed": 0, "changed": 0}
    }  # fmt: skip
    same = side(entry("a.dir", "c.dir"))
    assert all(
        not each or each == {"sources": [], "outputs": []}
        for name, each in compared(same, same, []).items()
        if name not in ("runs", "code")
    )
