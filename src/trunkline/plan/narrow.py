"""What is left of a plan where only datums that failed are run: `run --only-failed`.

    failed = {"flights.clean": {"5f0c…": Reason(FAILED, run, "", "ValueError: no such day")}}

    stage           plan                       what is left of it
    flights.ingest  run 1 of 365 datums        wait: none of its datums failed
    flights.clean   run 3 of 365, 1 failed     run 1, which failed; 2 wait
    flights.train   wait for flights.clean     the same

A datum that is reused or dropped stays so. A stage of which a datum waits cannot be published; one whose
failed datums succeed can, and what is downstream goes on from there as always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trunkline.model import DatumPlan, Decision, Plan, Reason, ReasonKind, StagePlan

Failed = Mapping[str, Mapping[str, Reason]]  # stage -> datum's id -> that it failed

_LEFT = Reason(ReasonKind.NOT_FAILED)


def narrowed(plan: Plan, failed: Failed) -> Plan:
    """The plan of a run in which only these datums are run."""
    return Plan(tuple(only(stage, failed.get(stage.stage.ref, {})) for stage in plan.stages))


def only(plan: StagePlan, failed: Mapping[str, Reason]) -> StagePlan:
    """One stage's plan where of the datums that would run only these do."""
    if plan.up_to_date or plan.decision is Decision.WAIT:
        return plan
    if not failed:
        return StagePlan(plan.stage, Decision.WAIT, (_LEFT, *plan.reasons), total=plan.total)
    datums = tuple(_only(item, failed) for item in plan.datums)
    waits = any(item.decision is Decision.WAIT for item in datums)
    if waits and not any(item.decision is Decision.RUN for item in datums):
        return StagePlan(plan.stage, Decision.WAIT, (_LEFT, *plan.reasons), datums, plan.total)
    return replace(plan, datums=datums)


def _only(item: DatumPlan, failed: Mapping[str, Reason]) -> DatumPlan:
    if item.decision is not Decision.RUN:
        return item
    if item.datum.id in failed:
        return item._replace(reasons=(failed[item.datum.id], *item.reasons))
    return item._replace(decision=Decision.WAIT, reasons=(_LEFT, *item.reasons))


def is_waiting(reasons: tuple[Reason, ...]) -> bool:
    """Whether a stage was not run because of one above it that was left waiting, and did not fail."""
    return any(reason.kind is ReasonKind.UPSTREAM and reason.new for reason in reasons)


def is_left(reasons: tuple[Reason, ...]) -> bool:
    """Whether a stage was left as it is because none of its datums failed."""
    return _LEFT in reasons
