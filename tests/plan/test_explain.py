"""Golden texts: each kind of reason, and whole plans."""

from __future__ import annotations

import json

import pytest

from tests.plan.values import leaf, stage
from trunkline.model import (
    CodePart,
    Datum,
    DatumPlan,
    Decision,
    Item,
    PartKind,
    Plan,
    Reason,
    ReasonKind,
    Result,
    StagePlan,
)
from trunkline.plan import decide, explain

OLD, NEW = "1f2e3d4c" * 4, "9a8b7c6d" * 4


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason(ReasonKind.NEVER_RAN), "it has never run"),
        (Reason(ReasonKind.NEVER_RAN, "a~b"), "a~b has never run"),
        (Reason(ReasonKind.FORCED), "it was forced"),
        (Reason(ReasonKind.FILE_ADDED, "raw/a.csv", "", NEW), "raw/a.csv is new"),
        (Reason(ReasonKind.FILE_CHANGED, "raw/a.csv", OLD, NEW), "raw/a.csv changed (1f2e3d4c -> 9a8b7c6d)"),
        (Reason(ReasonKind.FILE_DELETED, "raw/a.csv", OLD), "raw/a.csv was deleted"),
        (Reason(ReasonKind.DATASET_CHANGED, "data/raw", OLD, NEW), "data/raw changed (1f2e3d4c -> 9a8b7c6d)"),
        (Reason(ReasonKind.DATASET_CHANGED, "data/raw", "", NEW), "data/raw is a new input"),
        (Reason(ReasonKind.DATASET_CHANGED, "data/raw", OLD, ""), "data/raw is no longer an input"),
        (Reason(ReasonKind.CODE_CHANGED, "s.py", OLD, NEW), "its code s.py changed (1f2e3d4c -> 9a8b7c6d)"),
        (Reason(ReasonKind.CODE_ADDED, "s.py", "", NEW), "s.py now counts as its code"),
        (Reason(ReasonKind.CODE_REMOVED, "s.py", OLD, ""), "s.py no longer counts as its code"),
        (Reason(ReasonKind.PARAM_CHANGED, "params.epochs", "5", "7"), "params.epochs was 5, is 7"),
        (Reason(ReasonKind.PARAM_CHANGED, "params.epochs", "", "7"), "params.epochs is new: 7"),
        (Reason(ReasonKind.PARAM_CHANGED, "params.epochs", "5", ""), "params.epochs was 5 and is gone"),
        (Reason(ReasonKind.COMMAND_CHANGED, "", "a b", "a c"), "its command was `a b`, is `a c`"),
        (
            Reason(ReasonKind.WRITER_CHANGED, "", "1 pyarrow 22.0.0", "1 pyarrow 23.0.0"),
            "what writes its outputs was 1 pyarrow 22.0.0, is 1 pyarrow 23.0.0",
        ),
        (
            Reason(ReasonKind.UPSTREAM_CHANGED, "data/p/s/train", OLD, NEW),
            "what p.s made changed: data/p/s/train (1f2e3d4c -> 9a8b7c6d)",
        ),
        (Reason(ReasonKind.PACKAGE_CHANGED, "numpy", "2.3", "2.4"), "the package numpy was 2.3, is 2.4"),
        (
            Reason(ReasonKind.PACKAGE_CHANGED, "numpy", "", "2.4"),
            "the package numpy (2.4) now counts as its code",
        ),
        (
            Reason(ReasonKind.PACKAGE_CHANGED, "numpy", "2.3", ""),
            "the package numpy (2.3) no longer counts as its code",
        ),
        (
            Reason(ReasonKind.NOT_MADE),
            "its last outputs were accepted, and made by other code or parameters",
        ),
        (Reason(ReasonKind.ACCEPTED, "Ada"), "its outputs were accepted by Ada"),
        (Reason(ReasonKind.ACCEPTED), "its outputs were accepted"),
        (Reason(ReasonKind.OUTPUT_MISSING, "data/p/s", OLD), "its output data/p/s is not there"),
        (
            Reason(ReasonKind.OUTPUT_CHANGED, "data/p/s", OLD, NEW),
            "data/p/s is not what dvc.lock says (1f2e3d4c -> 9a8b7c6d)",
        ),
        (
            Reason(ReasonKind.OUTPUT_CHANGED, "data/p/s", "", NEW),
            "data/p/s is there, but dvc.lock does not know it",
        ),
        (Reason(ReasonKind.RESULT_EVICTED, "a.parquet"), "its result a.parquet is no longer in the cache"),
        (Reason(ReasonKind.RESULT_EVICTED), "its result is no longer in the cache"),
        (Reason(ReasonKind.INPUT_GONE, "raw/a.csv"), "raw/a.csv is gone"),
        (Reason(ReasonKind.UPSTREAM, "p.a"), "p.a must run first"),
        (Reason(ReasonKind.KNOWN_RESULT, "0198c"), "its result is known from run 0198c"),
        (Reason(ReasonKind.KNOWN_RESULT), "its result is known from an earlier version"),
    ],
)
def test_sentences(reason: Reason, text: str) -> None:
    assert explain.sentence(reason) == text


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([CodePart(PartKind.FUNCTION, "clean", 14)], "the function clean (line 14)"),
        (
            [CodePart(PartKind.FUNCTION, "tidy", 3, user="clean")],
            "the function tidy (line 3), which clean uses",
        ),
        (
            [CodePart(PartKind.METHOD, "A.fit", 3, "added", "clean")],
            "the method A.fit (line 3), which clean uses, is new",
        ),
        ([CodePart(PartKind.CLASS, "A", 0, "removed")], "the class A is gone"),
        (
            [CodePart(PartKind.MODULE, "LIMIT", 2), CodePart(PartKind.MODULE, "", 9)],
            "module-level code (LIMIT, line 2); module-level code (line 9)",
        ),
        ([CodePart(PartKind.MODULE, "LIMIT", 0, "removed")], "module-level code (LIMIT) is gone"),
        ([CodePart(PartKind.ORDER)], "only the order of what it defines"),
        ([CodePart(PartKind.COMMENTS)], "only comments, formatting or docstrings"),
        (
            [CodePart(PartKind.UNKNOWN)],
            "what of it is not known, its old text is neither remembered here nor in git",
        ),
        (
            [CodePart(PartKind.FUNCTION, name, 1) for name in "abcdefg"],
            "; ".join(f"the function {name} (line 1)" for name in "abcde") + "; and 2 more",
        ),
    ],
)
def test_parts_of_code(parts: list[CodePart], text: str) -> None:
    reason = Reason(ReasonKind.CODE_CHANGED, "s.py", OLD, NEW, tuple(parts))
    assert explain.sentence(reason) == f"its code s.py changed (1f2e3d4c -> 9a8b7c6d): {text}"
    assert explain.reason_data(reason)["parts"][0] == parts[0]._asdict()


@pytest.mark.parametrize("kind", ReasonKind)
def test_every_kind_has_a_sentence(kind: ReasonKind) -> None:
    assert explain.sentence(Reason(kind))


def datum(name: str, decision: Decision, *reasons: Reason) -> DatumPlan:
    item = Item("x", "raw", f"{name}.csv", NEW, 5, None)
    result = Result("k", (), "r", 0.1) if decision is Decision.REUSE else None
    return DatumPlan(Datum(name.ljust(64, "0"), name, (item,)), "k", decision, reasons, result)


def added(name: str) -> DatumPlan:
    return datum(name, Decision.RUN, Reason(ReasonKind.FILE_ADDED, f"raw/{name}.csv", "", NEW))


def plan(decision: Decision, *datums: DatumPlan, reasons: tuple[Reason, ...] = ()) -> StagePlan:
    return StagePlan(stage(leaf("raw", "/*")), decision, reasons, datums)


CHANGED = (Reason(ReasonKind.DATASET_CHANGED, "data/raw", OLD, NEW),)
KEPT = datum("k", Decision.REUSE)
GONE = datum("g", Decision.DROP, Reason(ReasonKind.INPUT_GONE, "raw/g.csv"))
WAITING = decide.wait(stage(name="t"), ["p.s"])


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        (decide.up_to_date(stage()), ["p.s: up to date"]),
        (decide.up_to_date(stage(), 1), ["p.s: up to date (1 datum)"]),
        (WAITING, ["p.t: wait", "    p.s must run first"]),
        (
            plan(Decision.RUN, added("a"), KEPT, GONE, reasons=CHANGED),
            [
                "p.s: run 1 of 2 datums, reuse 1, drop 1",
                "    data/raw changed (1f2e3d4c -> 9a8b7c6d)",
                "    a: raw/a.csv is new",
                "    g: raw/g.csv is gone",
            ],
        ),
        (
            plan(
                Decision.RUN,
                datum("a", Decision.RUN, Reason(ReasonKind.NEVER_RAN, "a")),
                reasons=(Reason(ReasonKind.NEVER_RAN),),
            ),
            ["p.s: run 1 of 1 datum", "    it has never run"],
        ),
        (
            plan(Decision.RUN, *map(added, "abcdefg"), reasons=CHANGED),
            [
                "p.s: run 7 of 7 datums",
                "    data/raw changed (1f2e3d4c -> 9a8b7c6d)",
                *(f"    {name}: raw/{name}.csv is new" for name in "abcde"),
                "    … and 2 datums more",
            ],
        ),
        (plan(Decision.DROP, KEPT, GONE), ["p.s: drop 1 datum, reuse 1", "    g: raw/g.csv is gone"]),
        (
            plan(Decision.RELOCK, KEPT, reasons=(Reason(ReasonKind.CODE_CHANGED, "s.py", OLD, NEW),)),
            ["p.s: relock, nothing runs (1 datum)", "    its code s.py changed (1f2e3d4c -> 9a8b7c6d)"],
        ),
        (
            plan(Decision.REUSE, KEPT, reasons=(Reason(ReasonKind.OUTPUT_MISSING, "data/p/s"),)),
            ["p.s: reuse 1 datum", "    its output data/p/s is not there"],
        ),
    ],
)
def test_stage_text(given: StagePlan, lines: list[str]) -> None:
    assert explain.stage_text(given).split("\n") == lines


def test_plan_text_is_that_of_its_stages() -> None:
    given = Plan((decide.up_to_date(stage()), WAITING))
    assert explain.plan_text(given) == "p.s: up to date\np.t: wait\n    p.s must run first"
    assert explain.plan_text(Plan(())) == ""


def test_plan_data() -> None:
    given = Plan(
        (
            plan(Decision.RUN, added("a"), KEPT, GONE, reasons=CHANGED),
            WAITING,
            decide.up_to_date(stage(name="u"), 4),
        )
    )
    assert json.loads(json.dumps(explain.plan_data(given))) == {
        "empty": False,
        "stages": [
            {
                "stage": "p.s",
                "decision": "run",
                "reasons": [
                    {
                        "kind": "dataset_changed",
                        "subject": "data/raw",
                        "old": OLD,
                        "new": NEW,
                        "text": "data/raw changed (1f2e3d4c -> 9a8b7c6d)",
                    }
                ],
                "datums": {"run": 1, "reuse": 1, "drop": 1, "wait": 0, "total": 2},
            },
            {
                "stage": "p.t",
                "decision": "wait",
                "reasons": [
                    {"kind": "upstream", "subject": "p.s", "old": "", "new": "", "text": "p.s must run first"}
                ],
                "datums": {"run": 0, "reuse": 0, "drop": 0, "wait": None, "total": None},
            },
            {
                "stage": "p.u",
                "decision": "reuse",
                "reasons": [],
                "datums": {"run": 0, "reuse": 4, "drop": 0, "wait": 0, "total": 4},
            },
        ],
    }


def test_an_empty_plan_says_so() -> None:
    data = explain.plan_data(Plan((decide.up_to_date(stage(), 4),)))
    assert data["empty"] is True


def test_a_stage_that_runs_over_nothing() -> None:
    given = plan(Decision.REUSE, reasons=CHANGED)
    assert explain.stage_text(given).startswith("p.s: reuse 0 datums\n")
    assert explain.stage_data(given)["datums"] == {"run": 0, "reuse": 0, "drop": 0, "wait": 0, "total": None}


def test_datum_text_and_data() -> None:
    given = datum("a", Decision.RUN, *CHANGED, Reason(ReasonKind.FILE_ADDED, "raw/a.csv"))
    assert explain.datum_text(given).split("\n") == [
        "a (a00000000000): run",
        "    x: raw/a.csv",
        "    data/raw changed (1f2e3d4c -> 9a8b7c6d)",
        "    raw/a.csv is new",
    ]
    inputs = [{"input": "x", "dataset": "raw", "path": "a.csv", "hash": NEW, "size": 5, "nfiles": None}]
    assert explain.datum_data(given) == {
        "id": "a" + "0" * 63,
        "name": "a",
        "inputs": inputs,
        "state": "run",
        "reason": "data/raw changed (1f2e3d4c -> 9a8b7c6d); raw/a.csv is new",
    }
    assert explain.current_datum_data(given.datum) == {
        **explain.datum_data(given),
        "state": "reuse",
        "reason": "",
    }
