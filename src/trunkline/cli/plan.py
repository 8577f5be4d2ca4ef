"""`trunkline plan`, `status`, `why`: what would be done, and why. Changes nothing."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trunkline.cli.options import pick
from trunkline.cli.output import Answer
from trunkline.errors import UsageError
from trunkline.model import DatumPlan, Decision, Plan, Reason, ReasonKind, Stage, StagePlan
from trunkline.plan import decide, explain, graph
from trunkline.project import Project

if TYPE_CHECKING:
    from trunkline.lineage import Accepted
    from trunkline.ticking import Due

_OTHERWISE = " with other code or parameters"


def arguments_plan(parser: argparse.ArgumentParser) -> None:
    """The arguments of `plan`."""
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="pipelines or PIPELINE.STAGE (default: all)"
    )


arguments_status = arguments_plan


def arguments_why(parser: argparse.ArgumentParser) -> None:
    """The arguments of `why`."""
    parser.add_argument("stage", metavar="PIPELINE.STAGE", help="the stage")
    parser.add_argument("--datum", metavar="ID", help="one datum, by the beginning of its id or by its name")


def command_plan(args: argparse.Namespace) -> Answer:
    """What `run` would do."""
    with Project.find() as project:
        stages = project.select(args.targets)
        due = project.due(stages)
        plan = project.planner.plan(stages)
    return plan_answer(plan, due)


def plan_answer(plan: Plan, due: Sequence[Due]) -> Answer:
    """A plan, and the ticks that are written before it is run."""
    data = {**explain.plan_data(plan), "ticks": _ticks_data(due)}
    return Answer(data, lambda: "\n".join([*_ticks(due), explain.plan_text(plan)]), 3 if plan.missing else 0)


def _ticks(due: Sequence[Due]) -> list[str]:
    if not due:
        return []
    from trunkline.ticking import told

    return list(map(told, due))


def _ticks_data(due: Sequence[Due]) -> list[dict[str, Any]]:
    return [{"dataset": each.dataset.name, "new": list(each.new)} for each in due]


def command_status(args: argparse.Namespace) -> Answer:
    """What is not up to date; exit 1 if anything."""
    with Project.find() as project:
        stale = project.stale()
        stages = project.select(args.targets)
        due = project.due(stages)
        plan = project.planner.plan(stages)
    lines = [f"{path} is older than pipelines/: type `trunkline compile`" for path in stale]
    lines += _ticks(due)
    data = {**explain.plan_data(plan), "ticks": _ticks_data(due), "compiled": not stale}

    def text() -> str:
        if not plan.empty:
            return "\n".join([*lines, explain.plan_text(plan)])
        return "\n".join(lines) or "everything is up to date"

    return Answer(data, text, 3 if plan.missing else 0 if plan.empty and not stale else 1)


def command_why(args: argparse.Namespace) -> Answer:
    """Why a stage, or one of its datums, is decided as it is."""
    with Project.find() as project:
        return _why_datum(project, args) if args.datum else _why_stage(project, args.stage)


def _why_stage(project: Project, ref: str) -> Answer:
    plans = _plans(project, ref)
    plan = plans[ref]
    _check_inputs(project, plan)
    accepted = project.planner.accepted(plan.stage) if plan.up_to_date else ""
    run = _made_by(project, plan.stage) if plan.up_to_date and not accepted else ""
    vouched = _vouched(project, plan.stage) if plan.up_to_date and not accepted else None
    accepted = _accepted_text(vouched, plan.total) if vouched else accepted
    awaited = _awaited(plan, plans)
    data = {
        **explain.stage_data(plan),
        "accepted": accepted,
        "run": run or None,
        "upstream": [explain.stage_data(other) for other in awaited],
    }
    lines = [explain.stage_text(plan)]
    made = f"made by run {run}{_OTHERWISE if vouched and vouched.datums == plan.total else ''}"
    lines += [f"    {line}" for line in (accepted, run and made) if line]
    lines += [explain.stage_text(other) for other in awaited]
    return Answer(data, lambda: "\n".join(lines))


def _why_datum(project: Project, args: argparse.Namespace) -> Answer:
    plan = _plans(project, args.stage)[args.stage]
    found = {item.datum.id: item for item in examined(project, args.stage)}
    item = found[pick(args.datum, (plan.datum for plan in found.values()), args.stage).id]
    reasons = (*item.reasons, *_of_stage(plan, item))
    item = item._replace(reasons=reasons)
    run = item.result.run if item.result is not None else ""
    made = item.result is not None and item.result.made
    accepted = _accepted_text(_vouched(project, plan.stage)) if made else ""
    said = any(run and run == reason.subject for reason in reasons)
    lines = [explain.datum_text(item), *([f"    {accepted}"] if accepted else [])]
    lines += [f"    made by run {run}{_OTHERWISE if made else ''}"] if run and (made or not said) else []
    data = {
        **explain.datum_data(item),
        "reasons": [explain.reason_data(reason) for reason in reasons],
        "accepted": accepted,
        "run": run or None,
    }
    return Answer(data, lambda: "\n".join(lines))


def _of_stage(plan: StagePlan, item: DatumPlan) -> list[Reason]:
    """Those reasons of a stage for which this datum runs, whatever its own inputs are."""
    if item.decision is not Decision.RUN:
        return []
    return [reason for reason in plan.reasons if decide.concerns_all(reason)]


def _vouched(project: Project, stage: Stage) -> Accepted | None:
    """Who accepted what of the stage's present outputs."""
    facts = project.planner.facts(stage)
    entry = project.store.lock_entry(stage.dvc_name) if facts is not None and facts.accepted else None
    outs = entry.outs if entry is not None else ()
    manifest = next((out.md5 for out in outs if out.path == stage.manifest_path), "")
    return project.history().accepted(stage.ref, manifest) if manifest else None


def _accepted_text(vouched: Accepted | None, total: int | None = None) -> str:
    some = "" if vouched is None or vouched.datums == (total or vouched.datums) else _some(vouched, total)
    if vouched is None or not vouched.run:
        return f"{some}accepted; by whom is not recorded here"
    when = f"{vouched.time[:10]} {vouched.time[11:19]} UTC"
    return f"{some}accepted by {vouched.by or 'nobody whom git knows'} on {when} (run {vouched.run})"


def _some(vouched: Accepted, total: int | None) -> str:
    return f"{vouched.datums} of {total} datums "


def _plans(project: Project, ref: str) -> dict[str, StagePlan]:
    """The plans of all that a stage needs, its own last. Raises UsageError."""
    stages = graph.select(project.stages, [project.stage(ref).ref])
    project.due(stages)
    return {plan.stage.ref: plan for plan in project.planner.plan(stages).stages}


def _awaited(plan: StagePlan, plans: dict[str, StagePlan]) -> list[StagePlan]:
    """The stages for which a stage waits, upstream first."""
    refs = {plan.stage.ref}
    for other in reversed(plans.values()):
        if other.stage.ref in refs and other.decision is Decision.WAIT:
            refs.update(reason.subject for reason in other.reasons)
    return [other for other in plans.values() if other is not plan and other.stage.ref in refs]


def examined(project: Project, ref: str) -> tuple[DatumPlan, ...]:
    """A stage's datums, each with its decision. Raises UsageError where they are not known yet."""
    plan = _plans(project, ref)[ref]
    _check_inputs(project, plan)
    if plan.decision is Decision.WAIT:
        waiting = " and ".join(reason.subject for reason in plan.reasons)
        raise UsageError(
            f"the datums of {ref} are not known before {waiting} has run",
            hint=f"type `trunkline run {ref}`; `trunkline why {ref}` says what is to be done",
        )
    return project.planner.examine(plan.stage, plan)


def _check_inputs(project: Project, plan: StagePlan) -> None:
    """Raise MissingData where an input of the stage is not there."""
    if any(reason.kind is ReasonKind.INPUT_MISSING for reason in plan.reasons):
        project.planner.stage(plan.stage)


def _made_by(project: Project, stage: Stage) -> str:
    """The run that made the stage's present outputs, "" where no record says so."""
    entry = project.store.lock_entry(stage.dvc_name)
    run = project.history().run_of(stage.ref, entry) if entry is not None else None
    return run.id if run is not None else ""
