"""`trunkline plan`, `status`, `why`, `datums`: what would be done, and why. Changes nothing."""

from __future__ import annotations

import argparse
from typing import Any

from trunkline.cli.options import pick
from trunkline.cli.output import Answer, table
from trunkline.errors import UsageError
from trunkline.model import DatumPlan, Decision, Stage, StagePlan
from trunkline.plan import explain, graph
from trunkline.project import Project


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


def arguments_datums(parser: argparse.ArgumentParser) -> None:
    """The arguments of `datums`."""
    parser.add_argument("stage", metavar="PIPELINE.STAGE", help="the stage")


def command_plan(args: argparse.Namespace) -> Answer:
    """What `run` would do."""
    with Project.find() as project:
        plan = project.planner.plan(project.select(args.targets))
    return Answer(explain.plan_data(plan), lambda: explain.plan_text(plan))


def command_status(args: argparse.Namespace) -> Answer:
    """What is not up to date; exit 1 if anything."""
    with Project.find() as project:
        stale = project.stale()
        plan = project.planner.plan(project.select(args.targets))
    lines = [f"{path} is older than pipelines/: type `trunkline compile`" for path in stale]
    data = {**explain.plan_data(plan), "compiled": not stale}

    def text() -> str:
        if not plan.empty:
            return "\n".join([*lines, explain.plan_text(plan)])
        return "\n".join(lines) or "everything is up to date"

    return Answer(data, text, exit_code=0 if plan.empty and not stale else 1)


def command_why(args: argparse.Namespace) -> Answer:
    """Why a stage, or one of its datums, is decided as it is."""
    with Project.find() as project:
        return _why_datum(project, args) if args.datum else _why_stage(project, args.stage)


def command_datums(args: argparse.Namespace) -> Answer:
    """A stage's datums: what each is made of, and what would become of it."""
    with Project.find() as project:
        rows = [explain.datum_data(item) for item in _examined(project, args.stage)]
    cells = [(row["id"][:12], row["name"], row["state"], _inputs(row)) for row in rows]
    return Answer(rows, lambda: table(("id", "name", "state", "inputs"), cells) if cells else "no datums")


def _why_stage(project: Project, ref: str) -> Answer:
    plans = _plans(project, ref)
    plan = plans[ref]
    accepted = project.planner.accepted(plan.stage) if plan.up_to_date else ""
    run = _made_by(project, plan.stage) if plan.up_to_date and not accepted else ""
    awaited = _awaited(plan, plans)
    data = {
        **explain.stage_data(plan),
        "accepted": accepted,
        "run": run or None,
        "upstream": [explain.stage_data(other) for other in awaited],
    }
    lines = [explain.stage_text(plan)]
    lines += [f"    {line}" for line in (accepted, run and f"made by run {run}") if line]
    lines += [explain.stage_text(other) for other in awaited]
    return Answer(data, lambda: "\n".join(lines))


def _why_datum(project: Project, args: argparse.Namespace) -> Answer:
    found = {item.datum.id: item for item in _examined(project, args.stage)}
    item = found[pick(args.datum, (plan.datum for plan in found.values()), args.stage).id]
    run = item.result.run if item.result is not None else ""
    said = any(run and run == reason.subject for reason in item.reasons)
    lines = [explain.datum_text(item), *([f"    made by run {run}"] if run and not said else [])]
    return Answer({**explain.datum_data(item), "run": run or None}, lambda: "\n".join(lines))


def _plans(project: Project, ref: str) -> dict[str, StagePlan]:
    """The plans of all that a stage needs, its own last. Raises UsageError."""
    stages = graph.select(project.stages, [project.stage(ref).ref])
    return {plan.stage.ref: plan for plan in project.planner.plan(stages).stages}


def _awaited(plan: StagePlan, plans: dict[str, StagePlan]) -> list[StagePlan]:
    """The stages for which a stage waits, upstream first."""
    refs = {plan.stage.ref}
    for other in reversed(plans.values()):
        if other.stage.ref in refs and other.decision is Decision.WAIT:
            refs.update(reason.subject for reason in other.reasons)
    return [other for other in plans.values() if other is not plan and other.stage.ref in refs]


def _examined(project: Project, ref: str) -> tuple[DatumPlan, ...]:
    """A stage's datums, each with its decision. Raises UsageError where they are not known yet."""
    plan = _plans(project, ref)[ref]
    if plan.decision is Decision.WAIT:
        waiting = " and ".join(reason.subject for reason in plan.reasons)
        raise UsageError(
            f"the datums of {ref} are not known before {waiting} has run",
            hint=f"type `trunkline run {ref}`; `trunkline why {ref}` says what is to be done",
        )
    return project.planner.examine(plan.stage, plan)


def _made_by(project: Project, stage: Stage) -> str:
    """The run that made the stage's present outputs, "" where no record says so."""
    entry = project.store.lock_entry(stage.dvc_name)
    run = project.history().run_of(stage.ref, entry) if entry is not None else None
    return run.id if run is not None else ""


def _inputs(row: dict[str, Any]) -> str:
    return ", ".join(f"{item['dataset']}/{item['path']}".rstrip("/") for item in row["inputs"])
