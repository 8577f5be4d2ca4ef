"""`trunkline runs`, `show`: what happened."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

from trunkline.cli.options import count
from trunkline.cli.output import Answer, plural, seconds, table
from trunkline.ledger import records
from trunkline.ledger.records import RunRecord, StageRecord, to_json
from trunkline.model import GitState, ReasonKind
from trunkline.project import Project

_LEFT_OUT = 3


def arguments_runs(parser: argparse.ArgumentParser) -> None:
    """The arguments of `runs`."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=("rebuild", "forget"),
        metavar="rebuild|forget",
        help="make the records here from those in git, and those in git from these, where some are missing;"
        " or forget the runs that are named: their records and logs, not yet their data",
    )
    parser.add_argument("names", nargs="*", metavar="RUN", help="with forget: an id, or its beginning")
    parser.add_argument("--everywhere", action="store_true", help="with forget: at origin, too")
    parser.add_argument("-n", "--limit", type=count, default=20, help="how many (default: 20)")


def arguments_show(parser: argparse.ArgumentParser) -> None:
    """The arguments of `show`."""
    parser.add_argument(
        "run", nargs="?", default="latest", help="an id, its beginning, or `latest` (the default)"
    )
    parser.add_argument("--schema", action="store_true", help="the JSON Schema of a record instead")


def command_runs(args: argparse.Namespace) -> Answer:
    """The runs, newest first; or make what is missing of them."""
    with Project.find() as project:
        project.seal()
        if args.action == "rebuild":
            return _rebuilt(project)
        if args.action == "forget":
            return _forgotten(project, args.names, args.everywhere)
        found = project.runs.list(args.limit)
    return Answer([_row(record) for record in found], lambda: _table(found))


def command_show(args: argparse.Namespace) -> Answer:
    """One run, whole."""
    if args.schema:
        with open(
            os.path.join(os.path.dirname(records.__file__), "run.schema.json"), encoding="utf-8"
        ) as stream:
            schema = stream.read()
        return Answer(json.loads(schema), lambda: schema.rstrip())
    with Project.find() as project:
        project.seal()
        record = project.runs.load(args.run)
    data: dict[str, Any] = json.loads(to_json(record))
    data["stages"] = [{"stage": ref, **stage} for ref, stage in data["stages"].items()]
    return Answer(data, lambda: _text(record))


# ---------------------------------------------------------------- runs


def _rebuilt(project: Project) -> Answer:
    done = project.archive.rebuild(project.runs)
    text = f"{done.restored} runs restored from git, {done.kept} brought into it"
    return Answer(done._asdict(), lambda: text)


def _forgotten(project: Project, names: Sequence[str], everywhere: bool) -> Answer:
    found = project.collector.forget(names, everywhere=everywhere)
    lines = [f"forgotten: {run}" for run in found.runs]
    lines.append("their data stay until `trunkline gc`, as far as nothing else needs them")
    if found.at_origin:
        lines.append(
            f"origin still has {plural(len(found.at_origin), 'record')} of these, and `trunkline pull` brings "
            "them back: `trunkline runs forget … --everywhere` deletes them there"
        )
    if found.unknown:
        lines.append(f"whether origin has them is not known: {found.unknown}")
    if found.bundles:
        lines.append(
            f"{plural(found.bundles, 'bundle')} of records in the DVC remote may hold them: a bundle cannot lose "
            "one record"
        )
    return Answer(found._asdict(), lambda: "\n".join(lines))


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
        *_kept(record),
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


def _kept(record: RunRecord) -> Iterator[str]:
    """Where its code is, and what of it is not there."""
    if record.code.get("tree") and record.state != "running":
        from trunkline.store.snapshots import RUNS, name_of

        yield f"  its code: {RUNS}/{name_of(record.id)}"
    left_out = record.code.get("left_out", ())
    for each in left_out[:_LEFT_OUT]:
        yield f"    without {each['path']}: {each['reason']}"
    if len(left_out) > _LEFT_OUT:
        yield f"    and {plural(len(left_out) - _LEFT_OUT, 'file')} more"
    if record.code.get("error"):
        yield f"  its code was not kept: {record.code['error']}"


def _counts(stage: StageRecord) -> str:
    accepted = any(reason.kind == ReasonKind.ACCEPTED for reason in stage.reasons[:1])
    words = (
        ("run", "run"),
        ("reuse", "accepted" if accepted else "reused"),
        ("drop", "dropped"),
        ("recovered", "recovered"),
        ("failed", "failed"),
        ("wait", "left waiting"),
    )
    return ", ".join(f"{stage.datums[key]} {word}" for key, word in words if stage.datums.get(key)) or "none"


def _failures(stage: StageRecord) -> Iterator[str]:
    for failure in stage.failures:
        yield ""
        yield f"  {stage.stage}, datum {failure['name']}: {failure['kind']}: {failure['message']}"
        yield f"    log: {failure['log']}"
    if stage.error:
        yield ""
        yield f"  {stage.stage}: {stage.error}"
