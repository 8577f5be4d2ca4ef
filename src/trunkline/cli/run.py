"""`trunkline run`: bring pipelines up to date."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

from trunkline.cli.interrupts import end_orderly
from trunkline.cli.output import Answer, seconds
from trunkline.cli.progress import Printer
from trunkline.cli.record import Recorder
from trunkline.engine.execute import RunPaths
from trunkline.errors import TrunklineError
from trunkline.ledger.ids import uuid7
from trunkline.model import DatasetKind, Stage, StageReport
from trunkline.plan import explain
from trunkline.project import Project


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
        choices=("local",),
        default="local",
        help="where it runs (default: local, in this process)",
    )


def command_run(args: argparse.Namespace) -> Answer:
    """Compile if need be, then run what is not up to date."""
    with Project.find() as project:
        stages = project.select(args.targets)
        if args.dry_run:
            plan = project.planner.plan(stages, force=args.force)
            return Answer(explain.plan_data(plan), lambda: explain.plan_text(plan))
        end_orderly()
        return _run(project, stages, args)


def _run(project: Project, stages: Sequence[Stage], args: argparse.Namespace) -> Answer:
    began = time.monotonic()
    project.seal()
    compiled = project.compile()
    run_id = uuid7()
    printer = Printer([stage.ref for stage in stages], quiet=args.json)
    recorder = Recorder(project, " ".join(["trunkline run", *args.targets]), printer, run_id=run_id)
    printer.line(f"run {run_id}")
    for path in compiled:
        printer.line(f"  wrote {path}")
    state = "failed"
    try:
        for path in _version_sources(project, stages):
            printer.line(f"  wrote {path}")
        with project.engine(RunPaths(run_id, recorder.directory), recorder) as engine:
            engine.run(stages, force=args.force, order=project.dvc_order())
        state = "done"
        project.store.complete([stage.dvc_name for stage in stages])
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    except TrunklineError as error:
        if recorder.log is not None and not error.hint:
            error.hint = f"type `trunkline show {run_id}` to see it again"
        raise
    finally:
        recorder.finish(state)
        printer.close()
        said = {"done": "done", "failed": "FAILED", "interrupted": "interrupted"}[state]
        more = "; what was done is kept" if state == "interrupted" else ""
        printer.line(f"run {run_id} {said} in {seconds(time.monotonic() - began)}{more}")
    return Answer(_data(run_id, recorder.reports), lambda: "")


def _version_sources(project: Project, stages: Sequence[Stage]) -> Iterator[str]:
    """Version what is there of these stages' sources, as `dvc repro` does; the pointers that changed.

    A pointer may be wrong where every stage is up to date: git took it to another commit, or what
    changed is a part of the dataset that no stage reads. Or its data are not in the cache: they came
    by another way than DVC.
    """
    leaves = [leaf.dataset for stage in stages for leaf in stage.leaves]
    for path in sorted({dataset.path for dataset in leaves if dataset.kind is DatasetKind.SOURCE}):
        pointer = f"{path}.dvc"
        present, named = project.gather.version(path), project.store.pointer(pointer)
        if present is None or named is None:
            continue
        if present != named or not os.path.exists(project.store.object_path(present.oid)):
            with project.store.holding("trunkline run", [path], []):
                project.gather.settle(path, *project.store.save_source(path))
            if present != named:
                yield pointer


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
