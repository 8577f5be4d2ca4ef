from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from tests.plan.values import entry, leaf, snapshot, stage
from trunkline.digest import tree_oid
from trunkline.errors import StageFailed
from trunkline.model import (
    Cross,
    Datum,
    DatumPlan,
    Decision,
    File,
    Group,
    LockItem,
    ManifestRow,
    Reason,
    ReasonKind,
    Result,
    Stage,
    StagePlan,
    Version,
)
from trunkline.plan import decide
from trunkline.plan.datums import datums
from trunkline.plan.keys import datum_keys

STAGE = stage(leaf("raw", "/*"))
OUTS = {"data/p/s": "1.dir", "data/p/.manifests/s": "2.dir"}
LOCKED = entry({"data/raw": "3.dir", "stages/s.py": "4"}, {"run": "stages.s:s", "params": {"a": 1}}, OUTS)
CODE = frozenset({"stages/s.py", "stages/new.py", "notes.txt", "models/weights.bin"})


def kinds(reasons: Iterable[Reason]) -> list[str]:
    return [reason.kind.value for reason in reasons]


# ---------------------------------------------------------------- compare


def test_equal_entries_need_no_look() -> None:
    assert decide.compare(LOCKED, LOCKED, CODE) == ()


def test_a_stage_that_is_not_in_the_lock_never_ran() -> None:
    assert decide.compare(LOCKED, None, CODE) == (Reason(ReasonKind.NEVER_RAN),)


@pytest.mark.parametrize(
    ("deps", "reason"),
    [
        (
            {"data/raw": "9.dir", "stages/s.py": "4"},
            Reason(ReasonKind.DATASET_CHANGED, "data/raw", "3.dir", "9.dir"),
        ),
        ({"stages/s.py": "4"}, Reason(ReasonKind.DATASET_CHANGED, "data/raw", "3.dir", "")),
        ({"data/raw": "3.dir", "stages/s.py": "5"}, Reason(ReasonKind.CODE_CHANGED, "stages/s.py", "4", "5")),
        ({"data/raw": "3.dir"}, Reason(ReasonKind.CODE_REMOVED, "stages/s.py", "4", "")),
        (
            {"data/raw": "3.dir", "stages/s.py": "4", "stages/new.py": "6"},
            Reason(ReasonKind.CODE_ADDED, "stages/new.py", "", "6"),
        ),
        (
            {"data/raw": "3.dir", "stages/s.py": "4", "data/more": "7"},
            Reason(ReasonKind.DATASET_CHANGED, "data/more", "", "7"),
        ),
    ],
)
def test_deps(deps: dict[str, str], reason: Reason) -> None:
    expected = replace(LOCKED, deps=entry(deps).deps)
    assert decide.compare(expected, LOCKED, CODE) == (reason,)


@pytest.mark.parametrize(
    ("path", "nfiles", "kind"),
    [
        ("notes.txt", None, ReasonKind.CODE_REMOVED),
        ("data/raw/part.csv", None, ReasonKind.DATASET_CHANGED),
        ("models", 3, ReasonKind.DATASET_CHANGED),
        ("data/tools.py", None, ReasonKind.CODE_REMOVED),
    ],
)
def test_what_a_dep_was_that_is_gone(path: str, nfiles: int | None, kind: ReasonKind) -> None:
    locked = replace(LOCKED, deps=(LockItem(path, "8", 1, nfiles),))
    expected = replace(LOCKED, deps=())
    assert decide.compare(expected, locked) == (Reason(kind, path, "8", ""),)


def test_sizes_and_modes_of_deps_do_not_matter() -> None:
    deps = tuple(item._replace(size=99, isexec=True) for item in LOCKED.deps)
    assert decide.compare(replace(LOCKED, deps=deps), LOCKED, CODE) == ()


@pytest.mark.parametrize(
    ("old", "new", "reasons"),
    [
        ({"params": {"a": 1}}, {"params": {"a": 2}}, [("params.a", "1", "2")]),
        ({"params": {"a": 1}}, {"params": {"a": 1, "b": "x"}}, [("params.b", "", '"x"')]),
        ({"params": {"a": 1}}, {"params": {}}, [("params.a", "1", "")]),
        ({"params": {"a": 1}}, {}, [("params.a", "1", "")]),
        ({}, {"params": {}}, [("params", "", "{}")]),
        ({"params": {"a": 1}}, {"params": {"a": {"b": 1}}}, [("params.a", "1", '{"b": 1}')]),
        ({"params": {"a": {}}}, {"params": {"a": {"b": 1}}}, [("params.a.b", "", "1")]),
        ({"params": {"a": [1]}}, {"params": {"a": [1, 2]}}, [("params.a", "[1]", "[1, 2]")]),
        ({"params": {"a": 1}}, {"params": {"a": 1.0}}, [("params.a", "1", "1.0")]),
        ({"params": {"a": 1}}, {"params": {"a": True}}, [("params.a", "1", "true")]),
        ({"params": {"a": [0]}}, {"params": {"a": [False]}}, [("params.a", "[0]", "[false]")]),
        ({"params": {"a": None}}, {"params": {"a": "null"}}, [("params.a", "null", '"null"')]),
        ({"params": {"a": ""}}, {"params": {}}, [("params.a", '""', "")]),
        ({"run": "a:b", "params": {"x": 1}}, {"run": "a:c", "params": {"x": 2}},
         [("params.x", "1", "2"), ("run", '"a:b"', '"a:c"')]),
        ({"a": "é" * 100}, {"a": "b"}, [("a", '"' + "é" * 58 + "…", '"b"')]),
    ],
)  # fmt: skip
def test_params_down_to_leaves(
    old: dict[str, Any], new: dict[str, Any], reasons: list[tuple[str, str, str]]
) -> None:
    found = decide.compare(entry(params=new), entry(params=old))
    assert found == tuple(Reason(ReasonKind.PARAM_CHANGED, *reason) for reason in reasons)


@pytest.mark.parametrize(
    ("old", "new"),
    [({"a": [1, 2]}, {"a": (1, 2)}), ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ({"a": {}}, {"a": {}})],
)
def test_params_that_are_the_same(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert decide.compare(entry(params=new), entry(params=old)) == ()


def test_params_that_no_mapping_holds_are_named_by_their_key() -> None:
    old = replace(entry(), params={"pipelines/p.yaml": {"stages.s": "text"}})
    assert decide.compare(entry(), old) == (Reason(ReasonKind.PARAM_CHANGED, "stages.s", '"text"', "{}"),)


@pytest.mark.parametrize(
    ("outs", "reasons"),
    [
        ({}, [("output_missing", "data/p/.manifests/s"), ("output_missing", "data/p/s")]),
        ({**OUTS, "data/p/s": "9.dir"}, [("output_changed", "data/p/s")]),
        ({**OUTS, "data/p/t": "9.dir"}, [("output_changed", "data/p/t")]),
    ],
)
def test_outs(outs: dict[str, str], reasons: list[tuple[str, str]]) -> None:
    found = decide.compare(replace(LOCKED, outs=entry(outs=outs).outs), LOCKED, CODE)
    assert [(reason.kind.value, reason.subject) for reason in found] == reasons


def test_every_difference_is_found_and_in_order() -> None:
    other = entry({"data/raw": "9", "stages/s.py": "9"}, {"params": {"a": 2}}, {}, cmd="other")
    assert kinds(decide.compare(other, LOCKED, CODE)) == [
        "command_changed", "dataset_changed", "code_changed", "param_changed", "param_changed",
        "output_missing", "output_missing",
    ]  # fmt: skip


# ---------------------------------------------------------------- datums


def formed(files: dict[str, str], transform: str = "t") -> tuple[tuple[Datum, ...], list[str]]:
    found = datums(STAGE, {"raw": snapshot(files)})
    return found, datum_keys(found, transform)


def ran(files: dict[str, str], transform: str = "t") -> tuple[dict[str, Result], dict[str, ManifestRow]]:
    """The results and the manifest that a run over these files leaves."""
    found, keys = formed(files, transform)
    results = {
        key: Result(key, (File(f"{datum.name}.out", key[:32], 1),), "r1", 0.1)
        for datum, key in zip(found, keys, strict=True)
    }
    rows = {
        datum.id: ManifestRow(datum, key, results[key].files) for datum, key in zip(found, keys, strict=True)
    }
    return results, rows


def decided(
    files: dict[str, str],
    known: dict[str, Result],
    rows: dict[str, ManifestRow] | None,
    evicted: frozenset[str] = frozenset(),
    transform: str = "t",
) -> list[tuple[str, str, tuple[Reason, ...]]]:
    found, keys = formed(files, transform)
    plans = decide.decide_datums(found, keys, known, evicted, rows)
    return [(plan.datum.name, plan.decision.value, plan.reasons) for plan in plans]


def test_nothing_changed() -> None:
    known, rows = ran({"a": "1", "b": "2"})
    assert decided({"a": "1", "b": "2"}, known, rows) == [("a", "reuse", ()), ("b", "reuse", ())]


@pytest.mark.parametrize("rows", [None, {}])
def test_without_a_manifest_every_datum_never_ran(rows: dict[str, ManifestRow] | None) -> None:
    assert decided({"a": "1"}, {}, rows) == [("a", "run", (Reason(ReasonKind.NEVER_RAN, "a"),))]


def test_one_file_added_changed_and_deleted() -> None:
    known, rows = ran({"a": "1", "b": "2", "c": "3"})
    old, new = (formed({"b": content})[0][0].items[0].oid for content in "29")
    added = formed({"d": "4"})[0][0].items[0].oid
    assert decided({"a": "1", "b": "9", "d": "4"}, known, rows) == [
        ("a", "reuse", ()),
        ("b", "run", (Reason(ReasonKind.FILE_CHANGED, "raw/b", old, new),)),
        ("d", "run", (Reason(ReasonKind.FILE_ADDED, "raw/d", "", added),)),
        ("c", "drop", (Reason(ReasonKind.INPUT_GONE, "raw/c"),)),
    ]


def test_another_transform_is_a_reason_of_the_stage_not_of_its_datums() -> None:
    known, rows = ran({"a": "1"})
    assert decided({"a": "1"}, known, rows, transform="u") == [("a", "run", ())]


def test_going_back_reuses_an_earlier_result() -> None:
    earlier, _ = ran({"a": "1"})
    now, rows = ran({"a": "2"})
    assert decided({"a": "1"}, earlier | now, rows) == [
        ("a", "reuse", (Reason(ReasonKind.KNOWN_RESULT, "r1"),))
    ]


def test_an_evicted_result_runs_again() -> None:
    known, rows = ran({"a": "1", "b": "2"})
    lost = next(iter(known.values())).files[0]
    assert decided({"a": "1", "b": "2"}, known, rows, frozenset({lost.md5})) == [
        ("a", "run", (Reason(ReasonKind.RESULT_EVICTED, "a.out"),)),
        ("b", "reuse", ()),
    ]


def test_a_result_comes_with_the_plan() -> None:
    known, rows = ran({"a": "1"})
    found, keys = formed({"a": "1"})
    [plan] = decide.decide_datums(found, keys, known, (), rows)
    assert plan == DatumPlan(found[0], keys[0], Decision.REUSE, (), known[keys[0]])


def decided_for(
    declared: Stage, before: dict[str, dict[str, str]], now: dict[str, dict[str, str]]
) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """By datum: its decision and its reasons, where it ran with `before` and is looked at with `now`."""
    old = datums(declared, {name: snapshot(files) for name, files in before.items()})
    new = datums(declared, {name: snapshot(files) for name, files in now.items()})
    keys = datum_keys(old, "t", declared.leaves)
    rows = {datum.id: ManifestRow(datum, key, ()) for datum, key in zip(old, keys, strict=True)}
    known = {key: Result(key, (), "r", 1.0) for key in keys}
    references = {leaf.name for leaf in declared.leaves if leaf.reference}
    plans = decide.decide_datums(new, datum_keys(new, "t", declared.leaves), known, (), rows, references)
    return {
        plan.datum.name: (plan.decision.value, [(each.kind.value, each.subject) for each in plan.reasons])
        for plan in plans
        if plan.decision is not Decision.DROP
    }


def test_a_changed_reference_is_told_and_runs_nothing() -> None:
    by_reference = replace(leaf("base"), reference=True)
    declared = stage(Cross((leaf("raw", "/*"), by_reference)))
    before = {"raw": {"a": "1", "b": "1"}, "base": {"x": "1"}}
    assert decided_for(declared, before, {**before, "base": {"x": "2"}}) == {
        "a": ("reuse", [("file_changed", "base")]),
        "b": ("reuse", [("file_changed", "base")]),
    }
    assert decided_for(declared, before, {"raw": {"a": "1", "b": "2"}, "base": {"x": "2"}}) == {
        "a": ("reuse", [("file_changed", "base")]),
        "b": ("run", [("file_changed", "raw/b")]),
    }
    assert decided_for(declared, before, before) == {"a": ("reuse", []), "b": ("reuse", [])}


def test_of_a_group_the_files_are_named_that_came_changed_or_went() -> None:
    declared = stage(Group((leaf("raw", "/(?)*", group_by="$1"),)))
    before = {"raw": {"a1": "1", "a2": "1", "b1": "1", "b2": "1", "c1": "1"}}
    now = {"raw": {"a1": "1", "a2": "2", "b1": "1", "c1": "1", "c2": "1"}}
    assert decided_for(declared, before, now) == {
        "a": ("run", [("file_changed", "raw/a2")]),
        "b": ("run", [("file_deleted", "raw/b2")]),
        "c": ("run", [("file_added", "raw/c2")]),
    }


def test_a_new_combination_names_only_the_new_file() -> None:
    both = stage(Cross((leaf("x", "/*"), leaf("y", "/*"))))

    def combined(**contents: list[str]) -> tuple[Datum, ...]:
        return datums(both, {name: snapshot(files) for name, files in contents.items()})

    before = combined(x=["a"], y=["1"])
    now = combined(x=["a", "b"], y=["1"])
    rows = {datum.id: ManifestRow(datum, "k", ()) for datum in before}
    plans = decide.decide_datums(now, datum_keys(now, "t"), {}, (), rows)
    assert [[reason.subject for reason in plan.reasons] for plan in plans] == [[], ["x/b"]]
    gone = decide.decide_datums(
        before, ["k"], {}, (), {datum.id: ManifestRow(datum, "k", ()) for datum in now}
    )
    assert [reason.subject for reason in gone[-1].reasons] == ["x/b"]


def test_files_that_never_met_before() -> None:
    both = stage(Cross((leaf("x", "/*"), leaf("y", "/*"))))
    files = {"x": snapshot(["a", "b"]), "y": snapshot(["1", "2"])}
    four = datums(both, files)
    rows = {datum.id: ManifestRow(datum, "k", ()) for datum in (four[0], four[3])}
    plans = decide.decide_datums(four[1:2], ["k"], {}, (), rows)
    assert plans[0].reasons == (Reason(ReasonKind.NEVER_RAN, "a~2"),)
    assert [plan.decision for plan in plans] == [Decision.RUN, Decision.DROP, Decision.DROP]
    assert {plan.datum.name for plan in plans[1:]} == {"a~1", "b~2"}


# ---------------------------------------------------------------- conclude

DATUM = Datum("1" * 64, "a", ())
RESULT = Result("k", (File("a.out", "5" * 32, 1),), "r1", 0.1)
REUSED = DatumPlan(DATUM, "k", Decision.REUSE, (), RESULT)
FOUND = REUSED._replace(reasons=(Reason(ReasonKind.KNOWN_RESULT, "r1"),))
RUNS = DatumPlan(DATUM, "k", Decision.RUN)
DROPPED = DatumPlan(DATUM, "k", Decision.DROP)
SAME = Version("1.dir", 1, 1)
COSMETIC = (Reason(ReasonKind.CODE_CHANGED, "stages/s.py", "4", "5"),)
MISSING = (Reason(ReasonKind.OUTPUT_MISSING, "data/p/s", "1.dir"),)


@pytest.mark.parametrize(
    ("reasons", "plans", "outputs", "decision"),
    [
        (COSMETIC, (REUSED, RUNS, DROPPED), None, Decision.RUN),
        (COSMETIC, (REUSED, DROPPED), SAME, Decision.DROP),
        (COSMETIC, (REUSED,), SAME, Decision.RELOCK),
        (COSMETIC, (), SAME, Decision.RELOCK),
        (COSMETIC, (REUSED,), SAME._replace(oid="9.dir"), Decision.REUSE),
        (COSMETIC, (REUSED, FOUND), SAME, Decision.REUSE),
        (COSMETIC + MISSING, (REUSED,), SAME, Decision.REUSE),
    ],
)
def test_conclude(
    reasons: tuple[Reason, ...], plans: tuple[DatumPlan, ...], outputs: Version | None, decision: Decision
) -> None:
    plan = decide.conclude(STAGE, reasons, plans, outputs, LOCKED)
    assert (plan.decision, plan.reasons, plan.datums) == (decision, reasons, plans)
    assert plan.total == sum(item.decision is not Decision.DROP for item in plans)
    assert not plan.up_to_date


def test_nothing_is_relocked_that_is_in_no_lock() -> None:
    assert decide.conclude(STAGE, COSMETIC, (REUSED,), SAME, None).decision is Decision.REUSE
    without_manifest = entry(outs={"data/p/s": "1.dir"})
    assert decide.conclude(STAGE, COSMETIC, (REUSED,), SAME, without_manifest).decision is Decision.REUSE


def test_up_to_date_and_wait() -> None:
    assert decide.up_to_date(STAGE, 3) == StagePlan(STAGE, Decision.REUSE, total=3)
    assert decide.up_to_date(STAGE).up_to_date
    plan = decide.wait(STAGE, ["p.b", "p.a", "p.b"])
    assert [reason.subject for reason in plan.reasons] == ["p.b", "p.a"]
    assert (plan.decision, kinds(plan.reasons)) == (Decision.WAIT, ["upstream", "upstream"])


# ---------------------------------------------------------------- outputs


def files(*paths: str) -> tuple[File, ...]:
    return tuple(File(path, "5" * 32, 1) for path in paths)


def test_outputs_are_merged_and_sorted() -> None:
    assert decide.merge([("b", files("b", "d/1")), ("a", files("a", "d/2"))]) == files("a", "b", "d/1", "d/2")
    assert decide.merge([]) == ()


def test_the_listing_of_plans_leaves_dropped_datums_out() -> None:
    dropped = DROPPED._replace(result=None)
    assert decide.outputs([REUSED, dropped]) == RESULT.files


@pytest.mark.parametrize(
    ("first", "second", "path"),
    [
        (files("x", "a"), files("a"), "a"),
        (files("a"), files("a/b"), "a"),
        (files("a/b/c"), files("a"), "a"),
        (files("a/b"), files("a/b/c/d"), "a/b"),
    ],
)
def test_two_datums_that_write_one_path(first: tuple[File, ...], second: tuple[File, ...], path: str) -> None:
    with pytest.raises(decide.OutputCollision) as caught:
        decide.merge([("one", first), ("two", second)], "p.s")
    assert caught.value.path == path
    assert set(caught.value.datums) == {"one", "two"}
    assert isinstance(caught.value, StageFailed)


def test_the_message_of_a_collision_names_path_and_datums() -> None:
    with pytest.raises(decide.OutputCollision) as caught:
        decide.merge([("2013-01-01", files("a.parquet")), ("2013-01-02", files("a.parquet"))], "p.s")
    assert caught.value.message == "two datums of stage p.s write a.parquet: 2013-01-01 and 2013-01-02"
    assert caught.value.hint.startswith("nothing was published")


def test_similar_names_do_not_collide() -> None:
    merged = decide.merge([("1", files("a", "a-b/c", "a.b")), ("2", files("ab/c", "b"))])
    assert [file.path for file in merged] == ["a", "a-b/c", "a.b", "ab/c", "b"]
    assert tree_oid(file[:2] for file in merged).endswith(".dir")
