"""`trunkline plan`, `status`, `why`, `datums`: what would be done, and why. Changes nothing."""

from __future__ import annotations

import argparse
from typing import Any

from trunkline.cli.output import Answer, table
from trunkline.errors import UsageError
from trunkline.model import DatumPlan, Plan, StagePlan
from trunkline.plan import explain
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
    plan = _plan(Project.find(), args.targets)
    return Answer(explain.plan_data(plan), lambda: explain.plan_text(plan))


def command_status(args: argparse.Namespace) -> Answer:
    """What is not up to date; exit 1 if anything."""
    project = Project.find()
    stale = project.stale()
    plan = _plan(project, args.targets)
    data = {**explain.plan_data(plan), "compiled": not stale}
    lines = [f"{path} is older than pipelines/: type `trunkline compile`" for path in stale]

    def text() -> str:
        body = "everything is up to date" if plan.empty else explain.plan_text(plan)
        return "\n".join([*lines, body] if not (lines and plan.empty) else lines)

    return Answer(data, text, exit_code=0 if plan.empty and not stale else 1)


def command_why(args: argparse.Namespace) -> Answer:
    """Why a stage, or one of its datums, is decided as it is."""
    project = Project.find()
    stage = project.stage(args.stage)
    found = next(item for item in _plan(project, [args.stage]).stages if item.stage == stage)
    if args.datum:
        datum = _datum(found, args.datum)
        return Answer(explain.datum_data(datum), lambda: explain.datum_text(datum))
    accepted = project.planner.accepted(stage) if found.up_to_date else ""
    data = {**explain.stage_data(found), "accepted": accepted}
    return Answer(data, lambda: "\n".join(filter(None, (explain.stage_text(found), accepted))))


def command_datums(args: argparse.Namespace) -> Answer:
    """A stage's datums: what each is made of, and what would become of it."""
    project = Project.find()
    stage = project.stage(args.stage)
    found = next(item for item in _plan(project, [args.stage]).stages if item.stage == stage)
    rows: list[dict[str, Any]]
    if found.datums:
        rows = [explain.datum_data(item) for item in found.datums]
    elif found.up_to_date:
        rows = [explain.current_datum_data(datum) for datum in project.planner.datums(stage)]
    else:
        waiting = ", ".join(reason.subject for reason in found.reasons)
        raise UsageError(
            f"the datums of {stage.ref} are not known before {waiting} has run", hint="type `trunkline run`"
        )
    cells = [(row["id"][:12], row["name"], row["state"], _inputs(row)) for row in rows]
    return Answer(rows, lambda: table(("id", "name", "state", "inputs"), cells) if cells else "no datums")


def _plan(project: Project, targets: list[str]) -> Plan:
    return project.planner.plan(project.select(targets))


def _datum(plan: StagePlan, wanted: str) -> DatumPlan:
    found = [item for item in plan.datums if item.datum.id.startswith(wanted) or item.datum.name == wanted]
    if len(found) == 1:
        return found[0]
    if plan.up_to_date:
        raise UsageError(f"{plan.stage.ref} is up to date: all of its datums are reused")
    count = "no datum" if not found else f"{len(found)} datums"
    raise UsageError(
        f"{count} of {plan.stage.ref} {'is' if not found else 'are'} called {wanted!r}",
        hint=f"`trunkline datums {plan.stage.ref}` lists them",
    )


def _inputs(row: dict[str, Any]) -> str:
    return ", ".join(f"{item['dataset']}/{item['path']}".rstrip("/") for item in row["inputs"])
