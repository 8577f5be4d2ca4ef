"""`trunkline runs`, `show`, `logs`: what happened."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from trunkline.cli.output import Answer, seconds, table
from trunkline.errors import UsageError
from trunkline.ledger.records import RunRecord, StageRecord, to_json
from trunkline.ledger.runs import FOLDER
from trunkline.project import Project


def arguments_runs(parser: argparse.ArgumentParser) -> None:
    """The arguments of `runs`."""
    parser.add_argument("-n", "--limit", type=int, default=20, help="how many (default: 20)")


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
    project = Project.find()
    project.seal()
    records = project.runs.list(args.limit)
    data = [
        {
            "id": record.id,
            "pipelines": list(record.pipelines),
            "state": record.state,
            "runner": record.runner,
            "started": record.started,
            "seconds": record.seconds,
            "commit": record.git.commit,
            "dirty": record.git.dirty,
        }
        for record in records
    ]
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
    return Answer(data, lambda: table(header, cells) if cells else "no run is recorded here yet")


def command_show(args: argparse.Namespace) -> Answer:
    """One run, whole."""
    project = Project.find()
    project.seal()
    record = project.runs.load(args.run)
    data: dict[str, Any] = json.loads(to_json(record))
    data["stages"] = [{"stage": ref, **stage} for ref, stage in data["stages"].items()]
    return Answer(data, lambda: _text(record))


def command_logs(args: argparse.Namespace) -> Answer:
    """What a run printed: the run itself, or its datums."""
    project = Project.find()
    record = project.runs.load(args.run)
    folder = os.path.join(project.root, FOLDER, record.id)
    if not args.stage and not args.datum:
        text = _read(os.path.join(folder, "log.txt"))
        return Answer({"id": record.id, "log": text}, text.rstrip)
    found = {
        path: _read(os.path.join(folder, "logs", path))
        for path in _datum_logs(os.path.join(folder, "logs"))
        if (not args.stage or path.startswith(f"{args.stage}/"))
        and (not args.datum or os.path.basename(path).startswith(args.datum[:16]))
    }
    if not found:
        raise UsageError(
            f"no datum of this kind printed anything in run {record.id}",
            hint=f"`trunkline show {record.id}` shows its stages",
        )
    return Answer(
        {"id": record.id, "logs": found},
        lambda: "\n".join(f"==> {path}\n{text.rstrip()}" for path, text in found.items()),
    )


def _datum_logs(folder: str) -> list[str]:
    found = []
    for place, _, names in os.walk(folder):
        found += [os.path.relpath(os.path.join(place, name), folder) for name in names]
    return sorted(found)


def _read(path: str) -> str:
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def _text(record: RunRecord) -> str:
    git = record.git
    dirty = f", with changes in {', '.join(git.dirty_files[:5])}" if git.dirty else ""
    lines = [
        f"run {record.id}: {record.state}",
        f"  {record.command}, at {record.started[:19].replace('T', ' ')} UTC, {seconds(record.seconds)}",
        f"  commit {(git.commit or 'none')[:8]} on {git.branch or 'no branch'}{dirty}",
    ]
    rows = [
        (f"  {stage.stage}", stage.state, _counts(stage), seconds(stage.seconds), stage.version[:8])
        for stage in record.stages.values()
    ]
    if rows:
        lines += ["", table(("  stage", "state", "datums", "took", "version"), rows)]
    for stage in record.stages.values():
        for failure in stage.failures:
            lines += [
                "",
                f"  {stage.stage}, datum {failure['name']}: {failure['kind']}: {failure['message']}",
            ]
            lines.append(f"    log: {failure['log']}")
        if stage.error:
            lines += ["", f"  {stage.stage}: {stage.error}"]
    return "\n".join(lines)


def _counts(stage: StageRecord) -> str:
    words = (("run", "run"), ("reuse", "reused"), ("drop", "dropped"), ("failed", "failed"))
    return ", ".join(f"{stage.datums[key]} {word}" for key, word in words if stage.datums.get(key)) or "none"
