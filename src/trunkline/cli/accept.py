"""`trunkline run --accept`: keep a stage's present outputs for other code, because a person vouches for them."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress

from trunkline.cli.output import Answer
from trunkline.cli.record import describe
from trunkline.engine.accept import Acceptance, Acceptor
from trunkline.errors import TrunklineError, UsageError
from trunkline.ledger.ids import uuid7
from trunkline.ledger.runs import RunLog
from trunkline.model import Decision, Reason, ReasonKind, Stage, StagePlan, StageReport
from trunkline.plan.explain import sentence
from trunkline.project import Project


def accept(args: argparse.Namespace) -> Answer:
    """Look at all of the stages, then accept: nothing where one of them cannot be."""
    if not args.targets:
        raise UsageError("--accept needs the stages", hint="type `trunkline run --accept PIPELINE.STAGE`")
    with Project.find() as project:
        stages = [project.stage(target) for target in dict.fromkeys(args.targets)]
        project.seal()
        acceptor = Acceptor(project.planner, project.store, project.ledger)
        with nullcontext() if args.dry_run else _holding(project, stages):
            found = [acceptance for stage in stages if (acceptance := acceptor.examine(stage)) is not None]
            run = _accepted(project, acceptor, found) if found and not args.dry_run else ""
    data = {"id": run or None, "stages": [_data(acceptance) for acceptance in found]}
    lines = [f"run {run}: nothing ran"] if run else []
    lines += [line for acceptance in found for line in _lines(acceptance)]
    kept = {acceptance.stage.ref for acceptance in found}
    lines += [f"  {stage.ref}  up to date, nothing to accept" for stage in stages if stage.ref not in kept]
    return Answer(data, lambda: "\n".join(lines))


def _holding(project: Project, stages: Sequence[Stage]) -> AbstractContextManager[None]:
    """What is looked at and what is accepted is the same: nobody else works on the stages meanwhile."""
    write = [path for stage in stages for path in (stage.path, stage.manifest_path)]
    read = {leaf.dataset.path for stage in stages for leaf in stage.leaves}.difference(write)
    return project.store.holding("trunkline run --accept", sorted(read), write)


def _accepted(project: Project, acceptor: Acceptor, found: list[Acceptance]) -> str:
    """Accept; the id of the run that says so."""
    from trunkline.store import git

    project.compile()
    refs = " ".join(acceptance.stage.ref for acceptance in found)
    run_id = uuid7()
    scene = describe(project, run_id)
    by = git.author(project.root)
    command = f"trunkline run --accept {refs}"
    log = RunLog.begin(project.home, command=command, scene=scene, run_id=run_id)
    ended = "failed"
    try:
        for acceptance in found:
            _apply(project, acceptor, acceptance, log, by)
        ended = "done"
    except KeyboardInterrupt:
        ended = "interrupted"
        raise
    finally:
        log.finish(ended)
        with suppress(TrunklineError):  # `runs rebuild` tries again
            project.archive.keep(log.record())
    return log.id


def _apply(project: Project, acceptor: Acceptor, acceptance: Acceptance, log: RunLog, by: str) -> None:
    stage, started = acceptance.stage, time.time()
    reasons = (Reason(ReasonKind.ACCEPTED, by), *acceptance.reasons)
    log.stage_started(StagePlan(stage, Decision.RELOCK, reasons, total=len(acceptance.rows)))
    entry = acceptor.apply(acceptance, project.dvc_order())
    log.stage_finished(
        StageReport(
            stage.ref,
            "done",
            Decision.RELOCK,
            reasons=reasons,
            reuse=len(acceptance.rows),
            total=len(acceptance.rows),
            started=started,
            ended=time.time(),
            transform=acceptance.transform,
            entry=entry,
        )
    )


def _data(acceptance: Acceptance) -> dict[str, object]:
    return {
        "stage": acceptance.stage.ref,
        "datums": len(acceptance.rows),
        "accepted": sum(row.made != "" for row in acceptance.rows),
    }


def _lines(acceptance: Acceptance) -> list[str]:
    total = len(acceptance.rows)
    accepted = sum(row.made != "" for row in acceptance.rows)
    datums = f"{total} datum{'s' if total != 1 else ''}"
    said = f"the outputs of {datums} accepted" if accepted == total else f"{accepted} of {datums} accepted"
    return [
        f"  {acceptance.stage.ref}  {said}",
        *(f"    {sentence(reason)}" for reason in acceptance.reasons),
    ]
