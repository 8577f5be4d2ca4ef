"""`trunkline reproduce`: is what was recorded what comes out?"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import Any

from trunkline.cli.output import Answer, plural, table
from trunkline.errors import TrunklineError, UsageError
from trunkline.ledger.ids import is_id
from trunkline.project import Project
from trunkline.reproducing import TOLERANCE, Reproduction, Wanted, of_commit, of_run, reproduce
from trunkline.store import git


def arguments_reproduce(parser: argparse.ArgumentParser) -> None:
    """The arguments of `reproduce`."""
    parser.add_argument(
        "what",
        nargs="?",
        default="",
        metavar="RUN|ARTIFACT",
        help="a run (its id, the beginning of it, `latest`), or a model, dataset or file, also at a time:"
        " NAME@COMMIT, NAME@RUN",
    )
    parser.add_argument(
        "--all", action="store_true", help="every recorded run that ended well, and the share of them"
    )
    parser.add_argument(
        "--environment",
        choices=("present", "recorded"),
        default="present",
        help="recorded: build the recorded Python and packages for it (default: as it is here)",
    )
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=TOLERANCE,
        metavar="X",
        help=f"the relative difference up to which numbers are called equal (default: {TOLERANCE:g})",
    )


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is no number", hint="for instance --tolerance 1e-9") from error
    if not 0 <= value < 1:
        raise UsageError(f"a tolerance is between 0 and 1, not {text}", hint="0 wants every bit to be equal")
    return value


def command_reproduce(args: argparse.Namespace) -> Answer:
    """Make it again. Exit 1 where something else comes out."""
    if args.all == bool(args.what):
        raise UsageError("reproduce what?", hint="type a run, an artifact, or --all")
    with Project.find() as project:
        project.seal()
        if args.all:
            return _all(project, args)
        found = _one(project, _wanted(project, args.what), args)
    return Answer(_data(found), lambda: _text(found), exit_code=int(found.state == "different"))


def _one(project: Project, wanted: Wanted, args: argparse.Namespace) -> Reproduction:
    return reproduce(project, wanted, recorded=args.environment == "recorded", tolerance=args.tolerance)


def _wanted(project: Project, given: str) -> Wanted:
    """What is meant: a run, or what made an artifact. Raises UsageError."""
    try:
        return of_run(project, project.runs.load(given))
    except UsageError as error:
        try:
            named = project.artifacts.find(given)
        except UsageError:
            raise error from None
    if not named.stage:
        raise UsageError(
            f"{given} is a source dataset: nothing made it", hint="name a run, a stage or a model"
        )
    if is_id(named.when):
        return of_run(project, project.runs.load(named.when), named.stage)
    run = project.history().run_of(named.stage, named.entry) if named.entry is not None else None
    if run is not None and run.exact:
        return of_run(project, project.runs.load(run.id), named.stage)
    return of_commit(project, git.resolve(project.root, named.when or "HEAD"), named.stage)


# ---------------------------------------------------------------- all of them


def _all(project: Project, args: argparse.Namespace) -> Answer:
    rows: list[dict[str, Any]] = []
    for record in project.runs.each():
        if record.state in ("done", "superseded") and any(stage.entry for stage in record.stages.values()):
            try:
                found = _one(project, of_run(project, record), args)
                rows.append({"run": record.id, "state": found.state, "reason": "; ".join(_reasons(found))})
            except TrunklineError as error:
                rows.append({"run": record.id, "state": "failed", "reason": error.message})
    good = sum(row["state"] in ("identical", "equal") for row in rows)
    share = 100 * good / len(rows) if rows else 100.0
    said = f"{good} of {plural(len(rows), 'run')} reproduced: {share:.0f} %"
    data = {"runs": rows, "reproduced": good, "percent": share}
    cells = [(row["run"], row["state"], row["reason"]) for row in rows]
    text = (
        f"{table(('run', 'verdict', 'why'), cells)}\n{said}" if rows else "no run is recorded that ended well"
    )
    return Answer(data, lambda: text, exit_code=int(good < len(rows)))


def _reasons(found: Reproduction) -> Iterator[str]:
    if found.parted is not None:
        yield f"{found.parted.stage} parts"
        yield from found.causes[:1]


# ---------------------------------------------------------------- shown


def _data(found: Reproduction) -> dict[str, Any]:
    parted = found.parted
    return {
        "what": found.wanted.name,
        "commit": found.wanted.commit,
        "state": found.state,
        "tolerance": found.tolerance,
        "stages": [
            {
                "stage": each.stage,
                "state": each.state,
                "then": each.then,
                "now": each.now,
                "differences": [
                    {
                        "path": one.path,
                        "relative": one.apart if math.isfinite(one.apart) else None,
                        "what": one.what,
                    }
                    for one in each.differences
                ],
            }
            for each in found.verdicts
        ],
        "models": dict(found.models),
        "parted": None if parted is None else parted.stage,
        "causes": list(found.causes),
        "environment": list(found.environment),
    }


def _text(found: Reproduction) -> str:
    cells = [(f"  {each.stage}", each.state, each.then[:8], each.now[:8]) for each in found.verdicts]
    lines = [f"{found.wanted.name}, made again from {found.wanted.commit[:8]}"]
    lines += [table(("  stage", "verdict", "then", "now"), cells)]
    lines += [f"  {path}  sha256 {digest}" for path, digest in found.models.items()]
    for each in found.verdicts:
        lines += [f"  {each.stage}/{one.path}: {_apart(one.apart)}{one.what}" for one in each.differences]
        lines += [f"  {each.stage}: and {plural(each.more, 'file')} more"] if each.more else []
    lines.append(_verdict(found))
    lines += [f"  {cause}" for cause in found.causes]
    if found.environment and not found.causes:
        lines.append(f"  though the environment is another: {'; '.join(found.environment[:5])}")
    return "\n".join(lines)


def _apart(relative: float) -> str:
    return f"{relative:.2g} apart in " if math.isfinite(relative) else ""


def _verdict(found: Reproduction) -> str:
    if found.parted is not None:
        return f"not reproduced: {found.parted.stage} is the first that parts. Likely cause:"
    if found.state == "equal":
        return f"reproduced, within {found.tolerance:g}"
    return "reproduced bit for bit"
