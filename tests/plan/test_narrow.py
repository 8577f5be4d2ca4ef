"""What is left of a plan where only datums that failed are run."""

from __future__ import annotations

import pytest

from tests.plan.values import stage
from trunkline.model import Datum, DatumPlan, Decision, Plan, Reason, ReasonKind, StagePlan
from trunkline.plan.narrow import is_left, narrowed, only

RUN, REUSE, DROP, WAIT = Decision.RUN, Decision.REUSE, Decision.DROP, Decision.WAIT
STAGE = stage()
FAILED = Reason(ReasonKind.FAILED, "run 1", "", "ValueError: no")
CHANGED = Reason(ReasonKind.DATASET_CHANGED, "data/raw", "1", "2")


def plan(**decisions: Decision) -> StagePlan:
    datums = tuple(
        DatumPlan(Datum(name, name, ()), f"key of {name}", decision) for name, decision in decisions.items()
    )
    return StagePlan(STAGE, RUN, (CHANGED,), datums, len(datums))


@pytest.mark.parametrize(
    ("failed", "stage_decision", "decisions"),
    [
        ("a", RUN, [RUN, WAIT, REUSE, DROP]),
        ("ab", RUN, [RUN, RUN, REUSE, DROP]),
        ("c", WAIT, [WAIT, WAIT, REUSE, DROP]),  # what failed has a result by now: there is nothing to run
    ],
)
def test_what_failed_runs_and_what_would_run_beside_it_waits(
    failed: str, stage_decision: Decision, decisions: list[Decision]
) -> None:
    whole = plan(a=RUN, b=RUN, c=REUSE, d=DROP)
    left = only(whole, dict.fromkeys(failed, FAILED))
    assert left.decision is stage_decision
    assert [item.decision for item in left.datums] == decisions
    assert left.total == whole.total
    for item in left.datums:
        kinds = [reason.kind for reason in item.reasons]
        assert (ReasonKind.FAILED in kinds) == (item.decision is RUN)
        assert (ReasonKind.NOT_FAILED in kinds) == (item.decision is WAIT)
    assert is_left(left.reasons) == (stage_decision is WAIT)


def test_what_failed_and_is_gone_leaves_a_stage_that_can_be_published() -> None:
    left = only(plan(a=REUSE, b=DROP), {"b": FAILED})
    assert [item.decision for item in left.datums] == [REUSE, DROP]
    assert not is_left(left.reasons)


def test_other_stages_are_left_unless_they_are_up_to_date_or_wait_anyway() -> None:
    up_to_date = StagePlan(STAGE, REUSE)
    waits = StagePlan(STAGE, WAIT, (Reason(ReasonKind.UPSTREAM, "p.other"),))
    left = narrowed(Plan((up_to_date, waits, plan(a=RUN))), {}).stages
    assert left[:2] == (up_to_date, waits)
    assert (left[2].decision, left[2].datums) == (WAIT, ())
    assert is_left(left[2].reasons)
    assert CHANGED in left[2].reasons
