"""What is decided for stages, from coarse to fine, and what is opened on the way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.world import World
from tests.plan.values import leaf, staged
from trunkline import listing
from trunkline.engine.manifests import ManifestFacts
from trunkline.engine.packages import version
from trunkline.errors import MissingData
from trunkline.model import (
    Dataset,
    DatasetKind,
    Decision,
    Function,
    Leaf,
    LockItem,
    Reason,
    ReasonKind,
    Recovered,
    Snapshot,
    Stage,
    Version,
)
from trunkline.plan import explain

CODE = "def {0}(x):\n    return x\n"
FIRST = Stage("p", "first", Function("stages.first", "first"), leaf("raw", "/*"))
SECOND = Stage("p", "second", Function("stages.second", "second"), Leaf("x", staged("p", "first"), "/*"))
PART = Stage("p", "part", Function("stages.part", "part"), Leaf("x", staged("p", "first"), "/a.txt"))
ALL = (FIRST, SECOND, PART)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three stages, run once."""
    world = World(tmp_path)
    for stage in ALL:
        world.write(f"stages/{stage.name}.py", CODE.format(stage.name))
    world.store.fill("data/raw", {"a": "1", "b": "2"})
    world.run(*ALL)
    return world


def kinds(reasons: tuple[Reason, ...]) -> list[ReasonKind]:
    return [reason.kind for reason in reasons]


# ---------------------------------------------------------------- nothing to do


def test_after_a_run_there_is_nothing_to_do_and_nothing_is_opened(world: World) -> None:
    world.plan(*ALL)
    world.opened.clear()
    world.store.looked.clear()
    plans = world.plan(*ALL)
    assert all(plan.up_to_date for plan in plans.values())
    assert [plan.total for plan in plans.values()] == [2, 2, 1]
    assert world.opened == []
    assert len(world.store.looked) == len(set(world.store.looked)), "each path is looked at once"


def test_a_stage_without_a_manifest_in_the_cache_is_up_to_date_of_unknown_size(world: World) -> None:
    world.facts.known.clear()
    world.store.gone.update(world.manifests)
    plans = world.plan(*ALL)
    assert all(plan.up_to_date for plan in plans.values())
    assert {plan.total for plan in plans.values()} == {None}


# ---------------------------------------------------------------- something to do


def test_before_anything_ran(tmp_path: Path) -> None:
    world = World(tmp_path)
    for stage in ALL:
        world.write(f"stages/{stage.name}.py", CODE.format(stage.name))
    world.store.fill("data/raw", {"a": "1", "b": "2"})
    plans = world.plan(*ALL)
    assert [plan.decision for plan in plans.values()] == [Decision.RUN, Decision.WAIT, Decision.WAIT]
    assert plans["first"].reasons == (Reason(ReasonKind.NEVER_RAN),)
    assert plans["second"].reasons == (Reason(ReasonKind.UPSTREAM, "p.first"),)


def test_an_added_file_runs_one_datum_and_what_is_below_waits(world: World) -> None:
    world.store.fill("data/raw", {"a": "1", "b": "2", "c": "3"})
    plans = world.plan(*ALL)
    assert [plan.decision for plan in plans.values()] == [Decision.RUN, Decision.WAIT, Decision.WAIT]
    assert plans["first"].count(Decision.RUN) == 1
    assert plans["first"].count(Decision.REUSE) == 2
    (reason,) = plans["first"].reasons
    assert (reason.kind, reason.subject) == (ReasonKind.DATASET_CHANGED, "data/raw")


def test_known_results_let_the_plan_go_on_below(world: World) -> None:
    """Back to an earlier state: every output is known before anything runs."""
    world.store.fill("data/raw", {"a": "1", "b": "2", "c": "3"})
    world.run(*ALL, number=2)
    world.store.fill("data/raw", {"a": "1", "b": "2"})
    assert world.decisions(*ALL) == {"first": "drop", "second": "drop", "part": "reuse"}
    world.run(*ALL)
    world.store.fill("data/raw", {"a": "1", "b": "2", "c": "3"})
    plans = world.plan(*ALL)
    assert [plan.decision.value for plan in plans.values()] == ["reuse", "reuse", "reuse"]
    assert not plans["second"].up_to_date, "its input will be another one"
    assert plans["part"].up_to_date, "its part of the input will not"
    c = next(item for item in plans["second"].datums if item.datum.name == "c")
    assert c.reasons == (Reason(ReasonKind.KNOWN_RESULT, "run 2"),)


def test_a_dropped_file_is_seen_by_the_stage_below(world: World) -> None:
    world.store.fill("data/raw", {"b": "2"})
    plans = world.plan(*ALL)
    assert [plan.decision.value for plan in plans.values()] == ["drop", "drop", "wait"]
    (reason,) = plans["part"].reasons
    assert "input `x` of stage p.part, is not there (it reads a.txt of it)" in explain.sentence(reason)


def test_a_comment_relocks(world: World) -> None:
    world.write("stages/first.py", "# why\n" + CODE.format("first"))
    assert world.decisions(*ALL) == {"first": "relock", "second": "reuse", "part": "reuse"}
    assert world.plan(*ALL)["second"].up_to_date


def test_changed_code_runs_everything_of_its_stage(world: World) -> None:
    world.write("stages/second.py", "def second(x):\n    return x + x\n")
    plans = world.plan(*ALL)
    assert [plan.decision.value for plan in plans.values()] == ["reuse", "run", "reuse"]
    assert plans["second"].count(Decision.RUN) == 2


def test_what_of_the_code_changed_is_named(world: World) -> None:
    world.write("stages/second.py", "def second(x):\n    return helper(x)\n\ndef helper(x):\n    return x\n")
    world.run(SECOND, number=2)
    world.write("stages/second.py", "def second(x):\n    return helper(x)\n\ndef helper(x):\n    return 1\n")
    (reason,) = world.plan(SECOND)["second"].reasons
    assert explain.sentence(reason).endswith("): the function helper (line 4), which second uses")
    world.write("stages/first.py", "# why\n" + CODE.format("first"))
    (reason,) = world.plan(FIRST)["first"].reasons
    assert explain.sentence(reason).endswith("): only comments, formatting or docstrings")


def test_an_upstream_stage_is_named(world: World) -> None:
    world.store.fill("data/raw", {"a": "1", "b": "3"})
    world.run(FIRST, number=2, content="{name} again")
    (reason,) = world.plan(SECOND)["second"].reasons
    assert explain.sentence(reason).startswith("what p.first made changed: data/p/first (")
    assert world.plan(PART)["part"].up_to_date, "its part is as it was"


def test_another_writer_is_a_reason_of_its_own(world: World) -> None:
    for name, (facts, rows) in world.manifests.items():
        world.manifests[name] = ManifestFacts(facts.transform, "trunkline/1 pyarrow/0", facts.total), rows
    world.facts.known.clear()
    reason = world.plan(FIRST)["first"].reasons[-1]
    assert reason == Reason(ReasonKind.WRITER_CHANGED, "", "trunkline/1 pyarrow/0", "trunkline/1 pyarrow/1")


def test_another_version_of_a_package_that_counts_as_code(world: World) -> None:
    stage = replace(FIRST, fingerprint=("numpy",))
    world.run(stage)
    assert world.plan(stage)["first"].up_to_date
    for name, (facts, rows) in world.manifests.items():
        world.manifests[name] = facts._replace(packages={"numpy": "0.1", "gone": "2"}), rows
    world.facts.known.clear()
    found = world.plan(stage)["first"].reasons
    assert [(reason.kind, reason.subject, reason.old, reason.new) for reason in found] == [
        ("package_changed", "gone", "2", ""),
        ("package_changed", "numpy", "0.1", version("numpy")),
    ]


def test_a_package_that_counts_as_code_is_part_of_every_key(world: World) -> None:
    plain = world.planner().keyed(FIRST)[1]
    assert world.planner().keyed(replace(FIRST, fingerprint=("numpy",)))[1] != plain
    assert world.planner().keyed(replace(FIRST, fingerprint=("numpy", "dvc")))[1] != plain


def test_force_runs_what_is_known(world: World) -> None:
    plan = world.planner().plan([FIRST], force=True).stages[0]
    assert plan.decision is Decision.RUN
    assert kinds(plan.reasons) == [ReasonKind.FORCED]
    assert plan.count(Decision.RUN) == 2


def test_an_evicted_result_runs_again(world: World) -> None:
    lost = world.store.datasets["data/p/first"].files[0].md5
    world.store.gone.add(lost)
    del world.store.datasets["data/p/first"]
    plan = world.plan(FIRST)["first"]
    assert plan.decision is Decision.RUN
    assert {item.datum.name: kinds(item.reasons) for item in plan.datums} == {
        "a": [ReasonKind.RESULT_EVICTED],
        "b": [],
    }


def test_an_output_that_is_gone_is_put_back_without_running(world: World) -> None:
    del world.store.datasets["data/p/first"]
    plan = world.plan(FIRST)["first"]
    assert plan.decision is Decision.REUSE
    assert kinds(plan.reasons) == [ReasonKind.OUTPUT_MISSING]


# ---------------------------------------------------------------- the ledger learns


def test_a_manifest_is_learnt_once_where_the_ledger_forgot(world: World) -> None:
    """A fresh clone: the lock names the manifest, the cache has it, the ledger is empty."""
    world.ledger.known.clear()
    world.ledger.learnt.clear()
    world.store.fill("data/raw", {"a": "1", "b": "2", "c": "3"})
    plan = world.plan(FIRST)["first"]
    assert (plan.count(Decision.RUN), plan.count(Decision.REUSE)) == (1, 2)
    world.opened.clear()
    world.plan(FIRST)
    assert len(world.opened) == 1, "for its rows, which say what changed"


# ---------------------------------------------------------------- lock entries


def test_the_expected_entry_is_the_one_that_dvc_would_write(world: World) -> None:
    world.write("run.sh", "#!/bin/sh\n")
    stage = replace(PART, code=("run.sh",), declaration={"run": "stages.part:part"})
    entry = world.planner().expected(stage)
    part = world.store.datasets["data/p/first"].files[0]
    assert entry.cmd == "trunkline exec p.part"
    assert [(dep.path, dep.isexec) for dep in entry.deps] == [
        ("data/p/first/a.txt", False),
        ("run.sh", True),
        ("stages/part.py", False),
    ]
    assert entry.deps[0] == LockItem("data/p/first/a.txt", part.md5, part.size, None)
    assert entry.params == {"pipelines/p.yaml": {"stages.part": {"run": "stages.part:part"}}}
    assert [out.path for out in entry.outs] == ["data/p/.manifests/part", "data/p/part"]


@pytest.mark.parametrize(
    ("dataset", "hint"),
    [
        (Dataset("none", "data/none", DatasetKind.SOURCE), "trunkline put none"),
        (Dataset("q.s", "data/q/s", DatasetKind.STAGE), "trunkline run q.s"),
        (Dataset("models/base", "models/base", DatasetKind.FOREIGN), "dvc repro"),
    ],
)
def test_a_missing_input_says_what_brings_it(world: World, dataset: Dataset, hint: str) -> None:
    stage = replace(FIRST, input=Leaf("raw", dataset))
    with pytest.raises(MissingData) as raised:
        world.planner().stage(stage)
    assert hint in raised.value.hint
    assert raised.value.where == dataset.path
    plan = world.planner().plan([stage])
    assert plan.missing
    assert plan.stages[0].decision.value == "wait"
    (reason,) = plan.stages[0].reasons
    assert (reason.kind, reason.subject) == (ReasonKind.INPUT_MISSING, dataset.path)
    assert reason.new == f"{raised.value.message}: {raised.value.hint}"


# ---------------------------------------------------------------- examine, accepted


def test_examine_looks_at_the_datums_of_an_up_to_date_stage(world: World) -> None:
    planner = world.planner()
    plan = planner.stage(FIRST)
    found = planner.examine(FIRST, plan)
    assert plan.datums == ()
    assert [(item.datum.name, item.decision.value) for item in found] == [("a", "reuse"), ("b", "reuse")]
    assert {item.result.run for item in found if item.result} == {"run 1"}
    world.store.fill("data/raw", {"a": "1"})
    planner = world.planner()
    plan = planner.stage(FIRST)
    examined = planner.examine(FIRST, plan)
    assert [item[:4] for item in examined] == [item[:4] for item in plan.datums] != []
    assert {item.result.run for item in examined if item.result} == {"run 1"}


def test_a_recovered_datum_is_not_taken_for_accepted(world: World) -> None:
    entry = world.store.lock[FIRST.dvc_name]
    manifest = world.store.datasets[FIRST.manifest_path].files[0].md5
    facts, rows = world.manifests[manifest]
    recovered, row = rows
    world.manifests[manifest] = facts._replace(total=1), (row,)
    left = replace(entry, outs=(entry.outs[0], LockItem("data/p/first", *listing.version(row.files))))
    world.store.lock[FIRST.dvc_name] = left
    assert "other inputs" in world.planner().accepted(FIRST)
    world.ledger.forget([recovered.key])
    world.ledger.recover(FIRST.ref, [Recovered(recovered.key, "run 1", "bad")])
    assert world.planner().accepted(FIRST) == ""


def test_what_was_accepted_and_never_made_runs_for_that_reason(world: World) -> None:
    """As after `dvc commit`: the lock has the new code, the manifest the old one's keys."""
    world.write("stages/first.py", "def first(x):\n    return x + x\n")
    entry = world.store.lock[FIRST.dvc_name]
    world.store.lock[FIRST.dvc_name] = replace(entry, deps=world.planner().expected(FIRST).deps)
    world.store.fill("data/raw", {"a": "1", "b": "2", "c": "3"})
    plan = world.plan(FIRST)["first"]
    assert kinds(plan.reasons) == [ReasonKind.DATASET_CHANGED, ReasonKind.NOT_MADE]
    assert plan.count(Decision.RUN) == 3


def test_accepted_is_what_dvc_commit_took_over(world: World) -> None:
    assert world.planner().accepted(FIRST) == ""
    world.write("stages/first.py", "def first(x):\n    return x + x\n")
    entry = world.store.lock[FIRST.dvc_name]
    world.store.lock[FIRST.dvc_name] = replace(entry, deps=world.planner().expected(FIRST).deps)
    assert world.plan(FIRST)["first"].up_to_date
    assert "other code or parameters" in world.planner().accepted(FIRST)
    world.write("stages/first.py", CODE.format("first"))
    files = world.store.datasets["data/p/first"].files
    edited = Version("e" * 32 + ".dir", 1, 2)
    world.store.datasets["data/p/first"] = Snapshot(edited, files)
    outs = (entry.outs[0], LockItem("data/p/first", *edited))
    world.store.lock[FIRST.dvc_name] = replace(entry, outs=outs)
    assert "edited after they had been made" in world.planner().accepted(FIRST)
