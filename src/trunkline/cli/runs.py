"""`trunkline runs`, `show`, `logs`: what happened."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from typing import Any

from trunkline.cli.options import count
from trunkline.cli.output import Answer, seconds, table
from trunkline.errors import UsageError
from trunkline.ledger.records import RunRecord, StageRecord, to_json
from trunkline.ledger.runs import FOLDER
from trunkline.model import GitState
from trunkline.project import Project


def arguments_runs(parser: argparse.ArgumentParser) -> None:
    """The arguments of `runs`."""
    parser.add_argument("-n", "--limit", type=count, default=20, help="how many (default: 20)")


def arguments_show(parser: argparse.ArgumentParser) -> None:
    """The arguments of `show`."""
    parser.add_argument(
        "run", nargs="?", default="latest", help="an id, its beginning, or `latest` (the default)"
    )


def arguments_logs(parser: argparse.ArgumentParser) -> None:
    """The arguments of `logs`."""
    arguments_show(parser)
    parser.add_argument("--stage", metavar="PIPELINE.STAGE", help="only this stage's datums")
    parser.add_argument("--datum", metavar="ID", help="only this datum, by the beginning of its id")


def command_runs(args: argparse.Namespace) -> Answer:
    """The runs, newest first."""
    with Project.find() as project:
        project.seal()
        records = project.runs.list(args.limit)
    return Answer([_row(record) for record in records], lambda: _table(records))


def command_show(args: argparse.Namespace) -> Answer:
    """One run, whole."""
    with Project.find() as project:
        project.seal()
        record = project.runs.load(args.run)
    data: dict[str, Any] = json.loads(to_json(record))
    data["stages"] = [{"stage": ref, **stage} for ref, stage in data["stages"].items()]
    return Answer(data, lambda: _text(record))


def command_logs(args: argparse.Namespace) -> Answer:
    """What a run printed: the run itself, or its datums."""
    with Project.find() as project:
        record = project.runs.load(args.run)
        folder = os.path.join(project.home, FOLDER, record.id)
    if not args.stage and not args.datum:
        text = _read(os.path.join(folder, "log.txt"))
        return Answer({"id": record.id, "log": text}, lambda: text.rstrip() or "nothing was printed")
    if args.stage and args.stage not in record.stages:
        hint = f"`trunkline show {record.id}` lists them"
        raise UsageError(f"{args.stage} is not among the stages of run {record.id}", hint=hint)
    logs = os.path.join(folder, "logs")
    found = {path: _read(os.path.join(logs, path)) for path in sorted(_chosen(logs, args.stage, args.datum))}
    return Answer({"id": record.id, "logs": found}, lambda: _logs(found))


# ---------------------------------------------------------------- runs


def _row(record: RunRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "pipelines": list(record.pipelines),
        "state": record.state,
        "runner": record.runner,
        "started": record.started,
        "seconds": record.seconds,
        "commit": record.git.commit,
        "dirty": record.git.dirty,
    }


def _table(records: tuple[RunRecord, ...]) -> str:
    cells = [
        (
            record.id,
            record.state,
            record.runner,
            ",".join(record.pipelines),
            record.started[:16].replace("T", " "),
            seconds(record.seconds),
            (record.git.commit or "none")[:8] + (" (dirty)" if record.git.dirty else ""),
        )
        for record in records
    ]
    header = ("run", "state", "by", "pipelines", "started (UTC)", "took", "commit")
    return table(header, cells) if cells else "no run is recorded here yet"


# ---------------------------------------------------------------- show


def _text(record: RunRecord) -> str:
    lines = [
        f"run {record.id}: {record.state}",
        f"  {record.command}, at {record.started[:19].replace('T', ' ')} UTC, {seconds(record.seconds)}",
        f"  {_commit(record.git)}",
        *([f"  in Prefect: {record.flow['url']}"] if record.flow.get("url") else []),
    ]
    rows = [
        (f"  {stage.stage}", stage.state, _counts(stage), seconds(stage.seconds), stage.version[:8])
        for stage in record.stages.values()
    ]
    if rows:
        lines += ["", table(("  stage", "state", "datums", "took", "version"), rows)]
    for stage in record.stages.values():
        lines += _failures(stage)
    return "\n".join(lines)


def _commit(git: GitState) -> str:
    dirty = f", with changes in {', '.join(git.dirty_files[:5])}" if git.dirty else ""
    place = f", in the worktree of the deployment {git.worktree}" if git.worktree else ""
    return f"commit {(git.commit or 'none')[:8]} on {git.branch or 'no branch'}{dirty}{place}"


def _counts(stage: StageRecord) -> str:
    words = (("run", "run"), ("reuse", "reused"), ("drop", "dropped"), ("failed", "failed"))
    return ", ".join(f"{stage.datums[key]} {word}" for key, word in words if stage.datums.get(key)) or "none"


def _failures(stage: StageRecord) -> Iterator[str]:
    for failure in stage.failures:
        yield ""
        yield f"  {stage.stage}, datum {failure['name']}: {failure['kind']}: {failure['message']}"
        yield f"    log: {failure['log']}"
    if stage.error:
        yield ""
        yield f"  {stage.stage}: {stage.error}"


# ---------------------------------------------------------------- logs


def _chosen(folder: str, stage: str | None, datum: str | None) -> Iterator[str]:
    """The logs of datums below a run's `logs/`: <stage>/<the first 16 digits of the id>.log."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.relpath(os.path.join(place, name), folder)
            if (not stage or path.startswith(f"{stage}/")) and (not datum or name.startswith(datum[:16])):
                yield path


def _logs(found: dict[str, str]) -> str:
    printed = (f"==> {path}\n{text.rstrip()}" for path, text in found.items() if text.strip())
    return "\n".join(printed) or "no datum of this kind printed anything"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
