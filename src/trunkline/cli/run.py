"""`trunkline run`: bring pipelines up to date."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trunkline.cli.interrupts import end_orderly
from trunkline.cli.output import Answer
from trunkline.cli.plan import plan_answer
from trunkline.cli.progress import Printer, summary
from trunkline.cli.running import Asked, execute, source_paths
from trunkline.errors import UsageError
from trunkline.model import Stage, StageReport
from trunkline.plan import graph
from trunkline.plan.narrow import narrowed
from trunkline.project import Project

if TYPE_CHECKING:
    from trunkline.cli.record import Recorder, Show
    from trunkline.flows.flow import Facts

ENGINES = ("prefect", "local")


def arguments_run(parser: argparse.ArgumentParser) -> None:
    """The arguments of `run`."""
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help="pipelines or PIPELINE.STAGE (default: all)"
    )
    parser.add_argument("-n", "--dry-run", action="store_true", help="print the plan and do nothing")
    parser.add_argument(
        "-f", "--force", action="store_true", help="run every datum, also where results are known"
    )
    parser.add_argument(
        "--only-failed",
        action="store_true",
        help="of what has changed, run only the datums that failed when their stage last ran",
    )
    parser.add_argument(
        "--retry-recovered",
        action="store_true",
        help="also try datums again that failed and were recovered, and stages with reprocess_spec: every_job",
    )
    parser.add_argument(
        "--accept",
        action="store_true",
        help="run nothing: keep the present outputs of these stages for the code and parameters as they are,"
        " because you vouch for them",
    )
    parser.add_argument(
        "--no-ticks",
        action="store_true",
        help="let no clock of a cron input tick: take the ticks that are there",
    )
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        help="prefect: shown as a flow run by Prefect's server, which is started where none runs;"
        " local: without it, with the same results (default: $TRUNKLINE_ENGINE, else prefect)",
    )


def command_run(args: argparse.Namespace) -> Answer:
    """Compile if need be, then run what is not up to date."""
    if args.accept:
        return _accept(args)
    engine = _engine(args.engine)
    with Project.find() as project:
        stages = project.select(args.targets)
        asked = _asked(project, stages, args)
        if args.dry_run:
            due = [] if args.no_ticks else project.due(stages)
            plan = project.planner.plan(stages, asked.force, asked.pending)
            if asked.failed is not None:
                plan = narrowed(plan, asked.failed)
            return plan_answer(plan, due)
        if asked.failed is not None and not any(asked.failed.values()):
            return Answer(_data(None, []), lambda: "no datum failed when its stage last ran: nothing to do")
        end_orderly()
        printer = Printer([stage.ref for stage in stages], quiet=args.json)
        recorder = execute(
            project,
            stages,
            printer,
            command=" ".join(["trunkline run", *args.targets, *_options(asked)]),
            asked=asked,
            show=None if engine == "local" else lambda recorder: _as_flow(project, stages, recorder, printer),
        )
    return Answer(_data(recorder.id, recorder.reports), lambda: "")


def _asked(project: Project, stages: Sequence[Stage], args: argparse.Namespace) -> Asked:
    """What the options say. Raises UsageError for options that contradict each other."""
    if not args.only_failed:
        return Asked(args.force, args.retry_recovered, ticks=not args.no_ticks)
    if args.force or args.retry_recovered:
        other = "--force" if args.force else "--retry-recovered"
        raise UsageError(
            f"--only-failed runs less than what changed, {other} more", hint="choose one of them"
        )
    from trunkline.ledger.states import States

    states = States(project.home)
    return Asked(failed={stage.ref: states.failed(stage.ref) for stage in stages}, ticks=not args.no_ticks)


def _accept(args: argparse.Namespace) -> Answer:
    from trunkline.cli.accept import accept

    others = (args.force, "--force"), (args.only_failed, "--only-failed")
    for given, name in (*others, (args.retry_recovered, "--retry-recovered")):
        if given:
            raise UsageError(f"--accept runs nothing, {name} does", hint="choose one of them")
    return accept(args)


def _options(asked: Asked) -> list[str]:
    """The options that ask for more, or less, than what changed, as one types them."""
    options = (
        ("--force", asked.force),
        ("--retry-recovered", asked.pending),
        ("--only-failed", asked.failed is not None),
        ("--no-ticks", not asked.ticks),
    )
    return [option for option, given in options if given]


def _engine(asked: str | None) -> str:
    engine = asked or os.environ.get("TRUNKLINE_ENGINE") or ENGINES[0]
    if engine not in ENGINES:
        raise UsageError(f"TRUNKLINE_ENGINE is {engine!r}", hint=f"it can be: {', '.join(ENGINES)}")
    return engine


def _as_flow(project: Project, stages: Sequence[Stage], recorder: Recorder, printer: Printer) -> Show:
    """Show the run as a Prefect flow run. Prefect itself is imported when a stage begins."""
    from trunkline.flows.flow import AsFlow, Handlers

    handlers = Handlers(printer.line, recorder.shown, summary, recorder.paths.log)
    return AsFlow(project.home, flow_facts(project, stages, recorder.id, "manual"), handlers)


def flow_facts(project: Project, stages: Sequence[Stage], run_id: str, trigger: str) -> Facts:
    """What a flow run says of a run: its pipelines, what started it, the versions of the data."""
    from trunkline.flows.flow import Facts

    pipelines = list(dict.fromkeys(stage.pipeline for stage in stages))
    versions = {path: project.gather.version(path) for path in source_paths(stages)}
    known = {os.path.basename(path): version.oid for path, version in versions.items() if version}
    data = hashlib.md5("\n".join(sorted(known.values())).encode()).hexdigest()
    name = "+".join(pipelines)
    return Facts(
        run_id=run_id,
        flow=name,
        name=f"{name}-{trigger}-{data[:8]}",
        tags=(
            "trunkline",
            f"trigger:{trigger}",
            *(f"pipeline:{pipeline}" for pipeline in pipelines),
            *(f"data:{dataset}@{oid[:8]}" for dataset, oid in sorted(known.items())),
        ),
        upstream={stage.ref: graph.upstream(stage) for stage in stages},
    )


def _data(run_id: str | None, reports: list[StageReport]) -> dict[str, Any]:
    return {
        "id": run_id,
        "stages": [
            {
                "stage": report.stage,
                "state": report.state,
                "decision": report.decision.value,
                "datums": {
                    "run": report.run,
                    "reuse": report.reuse,
                    "drop": report.drop,
                    "failed": len(report.failures),
                    "recovered": len(report.recovered),
                    "wait": report.wait,
                    "total": report.total,
                },
                "seconds": round(report.ended - report.started, 3),
            }
            for report in reports
        ],
    }
