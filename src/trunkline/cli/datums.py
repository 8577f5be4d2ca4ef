"""`trunkline datums`: a stage's datums, with what would become of each, or what became of it in a run.

    id            name        state   tries    time  inputs                      reason
    5f0c2a1be0d4  2013-12-30  failed      3  9.2 ms  flights_raw/2013-12-30.csv  KeyError: 'arr_delay'
    c0de12aa5e01  2013-12-31  run                    flights_raw/2013-12-31.csv  flights_raw/2013-12-31.csv is new
    2 of 365 datums: 1 failed, 1 run

With `--spec` they are those of a pipeline file that need not be in the project; nothing is known of them.

Without a run, `run` is what would run; where it failed or recovered when its stage last ran, that is its
state, and it would be tried again. In a run's record, `run` is what ran and is done.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from trunkline.cli.output import Answer, seconds, table
from trunkline.cli.plan import examined
from trunkline.errors import UsageError
from trunkline.ledger.states import STATES, DatumState, StageStates, States
from trunkline.model import DatumPlan, Decision, Reason, ReasonKind
from trunkline.plan import explain
from trunkline.project import Project

_WOULD = {
    Decision.RUN: "run",
    Decision.REUSE: "reused",
    Decision.DROP: "dropped",
    Decision.WAIT: "waiting",
}


def arguments_datums(parser: argparse.ArgumentParser) -> None:
    """The arguments of `datums`."""
    parser.add_argument("stage", metavar="PIPELINE.STAGE", help="the stage")
    parser.add_argument(
        "--run",
        metavar="ID",
        help="what became of each in this run, also while it is under way: an id, its beginning,"
        " or `latest`, the last one in which the stage had something to do (default: what would become of it)",
    )
    parser.add_argument("--state", choices=STATES, help="only the datums in this state")
    parser.add_argument(
        "--spec",
        metavar="FILE",
        help="the datums that a stage of this pipeline file would have; neither it nor its code need be in the project",
    )


def command_datums(args: argparse.Namespace) -> Answer:
    """A stage's datums: what each is made of, and its state."""
    if args.spec:
        return _of_file(args)
    with Project.find() as project:
        rows = _in_run(project, args.stage, args.run) if args.run else _planned(project, args.stage)
    chosen = [row for row in rows if args.state in (None, row["state"])]
    return Answer(chosen, lambda: _text(chosen, len(rows)))


# ---------------------------------------------------------------- of a file


def _of_file(args: argparse.Namespace) -> Answer:
    if args.run or args.state:
        other = "--run" if args.run else "--state"
        raise UsageError(f"--spec looks at a file, {other} at what ran", hint="choose one of them")
    try:
        with open(args.spec, encoding="utf-8", newline="") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise UsageError(f"{args.spec} cannot be read: {reason}", where=args.spec) from error
    with Project.find() as project:
        stages = {stage.ref: stage for stage in project.drafted(args.spec, text).stages}
        if args.stage not in stages:
            hint = f"there are: {', '.join(stages)}"
            raise UsageError(f"{args.spec} has no stage {args.stage!r}", where=args.spec, hint=hint)
        project.due([stages[args.stage]])
        datums = project.planner.datums(stages[args.stage])
    nothing = {"state": None, "reason": "", "tries": None, "seconds": None, "run": None}
    rows = [{**explain.current_datum_data(datum), **nothing} for datum in datums]
    cells = [(row["id"][:12], row["name"], _inputs(row)) for row in rows]
    some = f"{len(rows)} datum{'s' if len(rows) != 1 else ''}"
    return Answer(rows, lambda: f"{table(('id', 'name', 'inputs'), cells)}\n{some}" if rows else "no datums")


# ---------------------------------------------------------------- what would become of them


def _planned(project: Project, ref: str) -> list[dict[str, Any]]:
    plans = examined(project, ref)
    failed = States(project.home).failed(ref)
    recovered = project.ledger.recovered(ref)
    rows = []
    for item in plans:
        row = {**explain.datum_data(item), **_would(item)}
        if item.decision is Decision.RUN and item.datum.id in failed:
            why = failed[item.datum.id]
            row |= {"state": "failed", "reason": _said((why, *item.reasons)), "run": why.subject}
        elif item.key in recovered and item.decision is not Decision.DROP:
            found = recovered[item.key]
            row |= {
                "state": "recovered",
                "reason": f"it recovered in run {found.run}: {found.reason}",
                "run": found.run,
            }
        rows.append(row)
    return rows


def _said(reasons: Sequence[Reason], first: str = "") -> str:
    """What went wrong, and why it runs; of one that failed, not that it never ran."""
    failed = bool(first) or any(reason.kind is ReasonKind.FAILED for reason in reasons)
    told = (reason for reason in reasons if not (failed and reason.kind is ReasonKind.NEVER_RAN))
    return "; ".join(filter(None, (first, *map(explain.sentence, told))))


def _would(item: DatumPlan) -> dict[str, Any]:
    result = item.result
    seconds = result.seconds if result is not None and result.run else None
    run = result.run if result is not None and result.run else None
    return {"state": _WOULD[item.decision], "tries": None, "seconds": seconds, "run": run}


# ---------------------------------------------------------------- what became of them


def _in_run(project: Project, ref: str, wanted: str) -> list[dict[str, Any]]:
    found = _states(project, ref, wanted)
    rows = [_row(found.run, state) for state in found.rows]
    rows += _reused(project, found)
    for row in rows:
        gone = [hole.sentence for item in row["inputs"] for hole in project.holes(item["hash"])]
        row["reason"] = "; ".join(filter(None, (row["reason"], *gone)))
    return sorted(rows, key=lambda row: (row["name"], row["id"]))


def _states(project: Project, ref: str, wanted: str) -> StageStates:
    """The record of a stage's datums in a run. Raises UsageError where there is none."""
    states = States(project.home)
    if wanted == "latest":
        found, run = states.last(ref), "any run"
    else:
        run = project.runs.load(wanted).id
        found = states.of(run, ref)
    if found is not None:
        return found
    project.stage(ref)
    why = (
        f"{ref} had nothing to do in run {run}, or did not begin" if run != "any run" else f"{ref} never ran"
    )
    raise UsageError(why, hint=f"`trunkline datums {ref}` says what would become of its datums")


def _row(run: str, state: DatumState) -> dict[str, Any]:
    said = _said(state.reasons, first=state.message)
    return {
        **explain.current_datum_data(state.datum),
        "state": state.state,
        "reason": said,
        "tries": state.tries,
        "seconds": state.seconds,
        "run": _made_in(state) if state.state == "reused" else run,
    }


def _made_in(state: DatumState) -> str | None:
    """The run from which a result was taken that was not the last one; None where nobody knows."""
    return next((reason.subject for reason in state.reasons), "") or None


def _reused(project: Project, found: StageStates) -> Iterator[dict[str, Any]]:
    """The datums that stayed as the stage's manifest had them."""
    if not found.reused:
        return
    named = {state.datum.id for state in found.rows}
    manifest = project.manifest(found.manifest)
    if manifest is None:
        many = f"{found.reused} datum{'s were' if found.reused > 1 else ' was'}"
        print(f"{many} reused, and what names them is no longer in the cache", file=sys.stderr)
        return
    rows = [row for row in manifest if row.datum.id not in named]
    results = project.ledger.results([row.key for row in rows])
    for row in rows:
        state = DatumState(row.datum, "reused")
        result = results.get(row.key)
        yield {**_row(found.run, state), "run": result.run or None if result is not None else None}


# ---------------------------------------------------------------- text


def _text(rows: list[dict[str, Any]], total: int) -> str:
    if not rows:
        return "no datums" if not total else f"none of {total} datums"
    cells = [
        (
            row["id"][:12],
            row["name"],
            row["state"],
            str(row["tries"] or ""),
            _took(row["seconds"]) if row["seconds"] else "",
            _inputs(row),
            row["reason"],
        )
        for row in rows
    ]
    counts = Counter(row["state"] for row in rows)
    said = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    some = (
        f"{len(rows)} of {total} datums" if len(rows) < total else f"{total} datum{'s' if total > 1 else ''}"
    )
    header = ("id", "name", "state", "tries", "time", "inputs", "reason")
    return f"{table(header, cells)}\n{some}: {said}"


def _took(value: float) -> str:
    return f"{value * 1000:.3g} ms" if value < 0.9995 else seconds(value)


def _inputs(row: dict[str, Any]) -> str:
    return ", ".join(f"{item['dataset']}/{item['path']}".rstrip("/") for item in row["inputs"])
