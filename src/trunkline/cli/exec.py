"""`trunkline exec`: one stage, as dvc.yaml calls it; or one datum of it, to look at.

DVC has deleted the stage's outputs before it calls, and locks and hashes what is there afterwards.
So history comes from dvc.lock and the results index, nothing is written to dvc.lock here, and
whatever goes wrong puts the last locked version back. DVC does not tell its stages that it was asked
for `--force`; its lock on the stage's outputs says by which command it was started, so that does.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import time

from trunkline.cli.output import Answer, seconds
from trunkline.cli.progress import Printer, failure_text
from trunkline.cli.record import Recorder, describe
from trunkline.engine.execute import RunPaths
from trunkline.errors import StageFailed, StaleError, StoreError, UsageError
from trunkline.ledger.ids import uuid7
from trunkline.model import Datum, FailedDatum, Stage
from trunkline.project import Project

TRIES = ".trunkline/tries"  # what single datums wrote when they were run by hand
_FORCE = re.compile(r"--force|-[fikpPRs]*f[ikpPRs]*")


def arguments_exec(parser: argparse.ArgumentParser) -> None:
    """The arguments of `exec`."""
    parser.add_argument("stage", metavar="PIPELINE.STAGE", help="the stage")
    parser.add_argument(
        "--datum", metavar="ID", help="run only this datum (its id's beginning, or its name); publish nothing"
    )


def command_exec(args: argparse.Namespace) -> Answer:
    """Run one stage, or one datum."""
    project = Project.find()
    if args.datum:
        return _one(project, project.stage(args.stage), args.datum)
    try:
        stage = project.stage(args.stage)
        _check_fresh(project, stage)
    except BaseException:
        _put_back(project, args.stage)
        raise
    began = time.monotonic()
    owner = project.store.owner(stage.path)
    printer = Printer([stage.ref], quiet=args.json)
    command = owner[1] if owner else f"trunkline exec {stage.ref}"
    log = project.runs.session(
        owner[0] if owner else os.getpid(), command=command, describe=lambda: describe(project)
    )
    recorder = Recorder(project, command, printer, log=log)
    printer.line(f"run {log.id}")
    state = "failed"
    try:
        with project.engine(RunPaths(log.id, log.directory), recorder, publish=False) as engine:
            engine.run([stage], force=_forced(command))
        state = "done"
    except BaseException:
        _put_back(project, stage.ref)
        raise
    finally:
        printer.close()
        if owner is None:
            recorder.finish(state)
        printer.line(
            f"run {log.id} {'' if state == 'done' else 'FAILED '}in {seconds(time.monotonic() - began)}"
        )
    if owner is None and args.json is False:
        printer.line("dvc.lock is as it was: `dvc commit` records this, `trunkline run` does both")
    return Answer({"id": log.id, "stage": stage.ref}, lambda: "")


def _forced(command: str) -> bool:
    """Whether DVC was asked to run its stages whether or not anything changed."""
    words = command.split()
    return not {"repro", "exp", "experiments"}.isdisjoint(words) and any(map(_FORCE.fullmatch, words))


def _check_fresh(project: Project, stage: Stage) -> None:
    from trunkline import spec

    differences = spec.stale(project.dvc_yaml, stage, project.code.files(stage))
    if differences:
        error = StaleError(
            f"dvc.yaml does not say what {stage.pipeline_file} says of {stage.name}: {'; '.join(differences)}",
            where="dvc.yaml",
            hint="type `trunkline compile && dvc repro`",
        )
        error.exit_code = 2
        raise error


def _put_back(project: Project, ref: str) -> None:
    """Make the workspace show the last locked version again, as far as the cache has it."""
    entry = project.store.lock_entry(ref.replace(".", "-", 1))
    for out in entry.outs if entry is not None else ():
        try:
            project.store.checkout(out.path, project.store.listing(out.md5))
        except StoreError:
            continue  # what the cache no longer has cannot be shown; the failure itself is reported


def _one(project: Project, stage: Stage, wanted: str) -> Answer:
    """Run one datum inline and show what it writes; nothing is recorded or published."""
    from trunkline.runners.worker import execute

    datum = _datum(project, stage, wanted)
    run_id = uuid7()
    folder = os.path.join(project.root, TRIES, run_id)
    paths = RunPaths(run_id, folder)
    log = paths.log(stage, datum.id)
    os.makedirs(os.path.dirname(log))
    with project.engine(paths, Recorder(project, "", Printer([]), run_id=run_id)) as engine:
        work = engine.work(stage, datum)
    outcome = execute(work)
    try:
        printed = _read(log)
        if outcome.failure is not None:
            text = failure_text(stage.ref, FailedDatum(datum, outcome.failure, log)).strip()
            raise StageFailed(f"{printed}{text}", where=stage.ref)
        kept = os.path.join(folder, "out")
        if outcome.files:
            shutil.copytree(os.path.join(outcome.scratch, "pfs", "out"), kept)
    finally:
        shutil.rmtree(outcome.scratch, ignore_errors=True)
    files = [{"path": file.path, "md5": file.md5, "size": file.size} for file in outcome.files]
    lines = [printed.rstrip()] if printed.strip() else []
    lines += [
        f"{os.path.relpath(kept, os.getcwd())}/{file.path}  {file.size} bytes" for file in outcome.files
    ]
    lines.append(f"datum {datum.name} done in {seconds(outcome.seconds)}; nothing was published")
    return Answer({"datum": datum.id, "name": datum.name, "files": files}, lambda: "\n".join(lines))


def _read(path: str) -> str:
    if not os.path.exists(path):
        return ""  # a datum that prints nothing has no log
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def _datum(project: Project, stage: Stage, wanted: str) -> Datum:
    found = [
        datum
        for datum in project.planner.datums(stage)
        if datum.id.startswith(wanted) or datum.name == wanted
    ]
    if len(found) != 1:
        raise UsageError(
            f"{len(found) or 'no'} datum{'s' if len(found) > 1 else ''} of {stage.ref} called {wanted!r}",
            hint=f"`trunkline datums {stage.ref}` lists them",
        )
    return found[0]
