"""`trunkline run`: bring pipelines up to date."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from trunkline.cli.interrupts import end_orderly
from trunkline.cli.output import Answer
from trunkline.cli.progress import Printer, summary
from trunkline.cli.running import execute, source_paths
from trunkline.errors import UsageError
from trunkline.model import Stage, StageReport
from trunkline.plan import explain, graph
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
        "--engine",
        choices=ENGINES,
        help="prefect: shown as a flow run by Prefect's server, which is started where none runs;"
        " local: without it, with the same results (default: $TRUNKLINE_ENGINE, else prefect)",
    )


def command_run(args: argparse.Namespace) -> Answer:
    """Compile if need be, then run what is not up to date."""
    engine = _engine(args.engine)
    with Project.find() as project:
        stages = project.select(args.targets)
        if args.dry_run:
            plan = project.planner.plan(stages, force=args.force)
            return Answer(explain.plan_data(plan), lambda: explain.plan_text(plan))
        end_orderly()
        printer = Printer([stage.ref for stage in stages], quiet=args.json)
        recorder = execute(
            project,
            stages,
            printer,
            command=" ".join(["trunkline run", *args.targets]),
            force=args.force,
            show=None if engine == "local" else lambda recorder: _as_flow(project, stages, recorder, printer),
        )
    return Answer(_data(recorder.id, recorder.reports), lambda: "")


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


def _data(run_id: str, reports: list[StageReport]) -> dict[str, Any]:
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
                    "total": report.total,
                },
                "seconds": round(report.ended - report.started, 3),
            }
            for report in reports
        ],
    }
