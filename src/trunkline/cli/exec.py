"""`trunkline exec`: one stage, as dvc.yaml calls it; or one datum of it, to look at.

DVC has deleted the stage's outputs before it calls, and locks and hashes what is there afterwards.
So history comes from dvc.lock and the results index, nothing is written to dvc.lock here, and
whatever goes wrong puts the last locked version back. DVC does not tell its stages that it was asked
for `--force`; its lock on the stage's outputs says by which command it was started, so that does.
Called by hand, nobody holds that lock for us, and we take it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace

from trunkline.cli.interrupts import end_orderly, end_with
from trunkline.cli.options import pick
from trunkline.cli.output import Answer, seconds
from trunkline.cli.progress import Printer, input_lines
from trunkline.cli.record import Recorder, describe
from trunkline.engine.publish import put_back
from trunkline.engine.works import RunPaths
from trunkline.errors import StageFailed, StaleError, UsageError
from trunkline.ledger.ids import uuid7
from trunkline.model import Command, FailedDatum, Outcome, Stage, Work
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
    end_orderly()
    with Project.find() as project:
        if args.datum:
            return _one(project, project.stage(args.stage), args)
        owner = _owner(project, args.stage)
        with _putting_back(project, args.stage):
            if owner is not None:
                end_with(owner[0])
            elif _under_dvc():
                raise KeyboardInterrupt  # the `dvc` that called us has been killed meanwhile
            stage = project.stage(args.stage)
            _check_fresh(project, stage)
            with nullcontext() if owner is not None else _lock(project, stage):
                return _stage(project, stage, owner, args.json)


def _stage(project: Project, stage: Stage, owner: tuple[int, str] | None, as_json: bool) -> Answer:
    """Run one stage for `owner`, the `dvc` process above us, or for ourselves."""
    began = time.monotonic()
    printer = Printer([stage.ref], quiet=as_json)
    command = owner[1] if owner else f"trunkline exec {stage.ref}"
    log = project.runs.session(
        owner[0] if owner else os.getpid(), command=command, describe=lambda run_id: describe(project, run_id)
    )
    recorder = Recorder(project, command, printer, log=log)
    printer.line(f"run {log.id}")
    state = "failed"
    try:
        with project.engine(RunPaths(log.id, log.directory), recorder, publish=False) as engine:
            engine.run([stage], force=_forced(command))
        state = "done"
    except KeyboardInterrupt:
        state = "interrupted"
        raise
    finally:
        printer.close()
        if owner is None:
            recorder.finish(state)
        said = {"done": "", "failed": "FAILED ", "interrupted": "interrupted "}[state]
        printer.line(f"run {log.id} {said}in {seconds(time.monotonic() - began)}")
    if owner is None and not as_json:
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


def _owner(project: Project, ref: str) -> tuple[int, str] | None:
    """The `dvc` process above us, which holds the stage's locks: its pid and command."""
    if not _under_dvc():
        return None  # whoever holds them is none of ours
    return project.store.owner(f"data/{ref.replace('.', '/', 1)}")


def _under_dvc() -> bool:
    return "DVC_STAGE" in os.environ


def _lock(project: Project, stage: Stage) -> AbstractContextManager[None]:
    read = sorted({leaf.dataset.path for leaf in stage.leaves})
    return project.store.holding(f"trunkline exec {stage.ref}", read, [stage.path, stage.manifest_path])


@contextmanager
def _putting_back(project: Project, ref: str) -> Iterator[None]:
    """Where DVC has deleted the outputs: let an error bring back the last ones."""
    try:
        yield
    except BaseException:
        if _under_dvc():
            put_back(project.store, ref.replace(".", "-", 1))
        raise


def _one(project: Project, stage: Stage, args: argparse.Namespace) -> Answer:
    """Run one datum inline and show what it writes; nothing is recorded or published."""
    if args.debug:
        _check_debugger(stage, args)
    datum = pick(args.datum, project.planner.datums(stage), stage.ref)
    run_id = uuid7()
    folder = os.path.join(project.root, TRIES, run_id)
    paths = RunPaths(run_id, folder)
    log = paths.log(stage, datum.id)
    os.makedirs(os.path.dirname(log))
    with project.engine(paths, Recorder(project, "", Printer([]), run_id=run_id)) as engine:
        work = engine.work(stage, datum)
    outcome = _debugged(work) if args.debug else _executed(work)
    if outcome is None:
        shutil.rmtree(folder)
        return Answer({}, lambda: f"left datum {datum.name} in the debugger; nothing was published")
    try:
        printed = _read(log)
        if outcome.failure is not None:
            print(printed.rstrip(), file=sys.stderr)
            if args.debug:
                shutil.rmtree(folder)
            raise _failed(stage, FailedDatum(datum, outcome.failure, "" if args.debug else log))
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


def _executed(work: Work) -> Outcome:
    from trunkline.runners.worker import execute

    return execute(work)


def _debugged(work: Work) -> Outcome | None:
    """The datum under the debugger, as long as that takes; None where somebody left it."""
    from trunkline.runners.debugger import Left, debug

    try:
        return debug(replace(work, timeout=None, err_cmd=None))
    except Left:
        shutil.rmtree(work.scratch, ignore_errors=True)
        return None


def _check_debugger(stage: Stage, args: argparse.Namespace) -> None:
    """Raise UsageError where no debugger can be opened."""
    if isinstance(stage.run, Command):
        raise UsageError(
            f"{stage.ref} runs a command, and --debug opens Python's debugger",
            hint=f"`trunkline exec {stage.ref} --datum {args.datum}` shows what it says",
        )
    if args.json:
        raise UsageError("--debug talks with a person, --json with a program", hint="choose one of them")


def _failed(stage: Stage, failed: FailedDatum) -> StageFailed:
    """What went wrong, after what the datum itself has said (its traceback among it)."""
    reason = f"{failed.failure.kind}: {failed.failure.message}"
    where = [*input_lines(failed), *([f"log: {failed.log}"] if failed.log else [])]
    return StageFailed(f"datum {failed.datum.name} failed: {reason}", where=stage.ref, hint="\n".join(where))


def _read(path: str) -> str:
    if not os.path.exists(path):
        return ""  # a datum that prints nothing has no log
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()
