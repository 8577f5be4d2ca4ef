"""Plans in words and as data.

    flights.ingest: run 1 of 365 datums, reuse 364
        data/flights_raw changed (1f2e3d4c -> 9a8b7c6d)
        2013-12-31: flights_raw/2013-12-31.csv is new
    flights.clean: wait
        flights.ingest must run first
    flights.train: up to date (1 datum)

`data` of `plan --json`:

    {"empty": false,
     "stages": [{"stage": "flights.ingest", "decision": "run",
                 "reasons": [{"kind": "dataset_changed", "subject": "data/flights_raw",
                              "old": "1f2e…", "new": "9a8b…", "text": "data/flights_raw changed (…)"}],
                 "datums": {"run": 1, "reuse": 364, "drop": 0, "wait": 0, "total": 365}}]}

A stage that waits has `wait` and `total` null: how many datums it will have is not known yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trunkline.model import CodePart, Datum, DatumPlan, Decision, PartKind, Plan, Reason, StagePlan
from trunkline.model import ReasonKind as Kind

_SHOWN = 5  # datums of a stage whose reasons the text names, and parts of a code file


# ---------------------------------------------------------------- reasons


def sentence(reason: Reason) -> str:
    """One reason as one sentence, without a full stop."""
    return _SENTENCES[reason.kind](reason)


def reason_data(reason: Reason) -> dict[str, Any]:
    """One reason as data, its sentence included; `parts` where a code file changed."""
    parts = [part._asdict() for part in reason.parts]
    return {
        "kind": reason.kind.value,
        "subject": reason.subject,
        "old": reason.old,
        "new": reason.new,
        **({"parts": parts} if parts else {}),
        "text": sentence(reason),
    }


def _hashes(reason: Reason) -> str:
    return f" ({reason.old[:8]} -> {reason.new[:8]})" if reason.old and reason.new else ""


def _dataset(reason: Reason) -> str:
    if not reason.old:
        return f"{reason.subject} is a new input"
    if not reason.new:
        return f"{reason.subject} is no longer an input"
    return f"{reason.subject} changed{_hashes(reason)}"


def _upstream(reason: Reason) -> str:
    """`data/<pipeline>/<stage>`, or a part of it."""
    stage = ".".join(reason.subject.split("/")[1:3])
    return f"what {stage} made changed: {reason.subject}{_hashes(reason)}"


def _code(reason: Reason) -> str:
    said = f"its code {reason.subject} changed{_hashes(reason)}"
    if not reason.parts:
        return said
    parts = [_part(part) for part in reason.parts[:_SHOWN]]
    rest = len(reason.parts) - _SHOWN
    return f"{said}: {'; '.join(parts)}" + (f"; and {rest} more" if rest > 0 else "")


def _part(part: CodePart) -> str:
    match part.kind:
        case PartKind.COMMENTS:
            return "only comments, formatting or docstrings"
        case PartKind.ORDER:
            return "only the order of what it defines"
        case PartKind.UNKNOWN:
            return "what of it is not known, its old text is neither remembered here nor in git"
        case PartKind.MODULE:
            name, place = "module-level code", part.name
        case _:
            name, place = f"the {part.kind} {part.name}", ""
    line = f"line {part.line}" if part.line else ""
    where = ", ".join(filter(None, (place, line)))
    said = f"{name} ({where})" if where else name
    said += f", which {part.user} uses" if part.user else ""
    if part.change == "changed":
        return said
    return f"{said}{',' if part.user else ''} is {'new' if part.change == 'added' else 'gone'}"


def _package(reason: Reason) -> str:
    if not reason.old:
        return f"the package {reason.subject} ({reason.new}) now counts as its code"
    if not reason.new:
        return f"the package {reason.subject} ({reason.old}) no longer counts as its code"
    return f"the package {reason.subject} was {reason.old}, is {reason.new}"


def _param(reason: Reason) -> str:
    if not reason.old:
        return f"{reason.subject} is new: {reason.new}"
    if not reason.new:
        return f"{reason.subject} was {reason.old} and is gone"
    return f"{reason.subject} was {reason.old}, is {reason.new}"


def _never(reason: Reason) -> str:
    return f"{reason.subject} has never run" if reason.subject else "it has never run"


def _output(reason: Reason) -> str:
    if not reason.old:
        return f"{reason.subject} is there, but dvc.lock does not know it"
    return f"{reason.subject} is not what dvc.lock says{_hashes(reason)}"


def _known(reason: Reason) -> str:
    """A result that was learnt from a manifest, as after a clone, has no run."""
    return f"its result is known from {f'run {reason.subject}' if reason.subject else 'an earlier version'}"


def _evicted(reason: Reason) -> str:
    return f"its result {reason.subject} is no longer in the cache".replace("  ", " ")


def _failed(reason: Reason) -> str:
    return f"it failed in run {reason.subject}" + (f": {reason.new}" if reason.new else "")


def _recovered(reason: Reason) -> str:
    """Of one datum, with its run; or of a stage, `new` of whose datums it is said of."""
    if not reason.subject:
        return f"{_datums(int(reason.new or 0))} of it recovered, and may be tried again"
    return f"it recovered in run {reason.subject}" + (f": {reason.new}" if reason.new else "")


_SENTENCES: dict[Kind, Callable[[Reason], str]] = {
    Kind.NEVER_RAN: _never,
    Kind.FORCED: lambda reason: "it was forced",
    Kind.FILE_ADDED: lambda reason: f"{reason.subject} is new",
    Kind.FILE_CHANGED: lambda reason: f"{reason.subject} changed{_hashes(reason)}",
    Kind.FILE_DELETED: lambda reason: f"{reason.subject} was deleted",
    Kind.DATASET_CHANGED: _dataset,
    Kind.UPSTREAM_CHANGED: _upstream,
    Kind.CODE_CHANGED: _code,
    Kind.CODE_ADDED: lambda reason: f"{reason.subject} now counts as its code",
    Kind.CODE_REMOVED: lambda reason: f"{reason.subject} no longer counts as its code",
    Kind.PARAM_CHANGED: _param,
    Kind.COMMAND_CHANGED: lambda reason: f"its command was `{reason.old}`, is `{reason.new}`",
    Kind.WRITER_CHANGED: lambda reason: f"what writes its outputs was {reason.old}, is {reason.new}",
    Kind.PACKAGE_CHANGED: _package,
    Kind.NOT_MADE: lambda reason: "its last outputs were accepted, and made by other code or parameters",
    Kind.ACCEPTED: lambda reason: (
        f"its outputs were accepted{f' by {reason.subject}' if reason.subject else ''}"
    ),
    Kind.OUTPUT_MISSING: lambda reason: f"its output {reason.subject} is not there",
    Kind.OUTPUT_CHANGED: _output,
    Kind.RESULT_EVICTED: _evicted,
    Kind.INPUT_GONE: lambda reason: f"{reason.subject} is gone",
    Kind.INPUT_MISSING: lambda reason: reason.new or f"{reason.subject} is not there",
    Kind.UPSTREAM: lambda reason: f"{reason.subject} must run first",
    Kind.KNOWN_RESULT: _known,
    Kind.FAILED: _failed,
    Kind.RECOVERED: _recovered,
    Kind.EVERY_JOB: lambda reason: "it is run every time (`reprocess_spec: every_job`)",
    Kind.NOT_FAILED: lambda reason: "it did not fail, and only what failed is run",
}


# ---------------------------------------------------------------- plans


def plan_text(plan: Plan) -> str:
    """Every stage with its decision and reasons, one thing a line."""
    return "\n".join(map(stage_text, plan.stages))


def plan_data(plan: Plan) -> dict[str, Any]:
    """`data` of `plan --json`."""
    return {"empty": plan.empty, "stages": [stage_data(stage) for stage in plan.stages]}


def stage_text(plan: StagePlan) -> str:
    """One stage: its decision, then its reasons, then those of its first few datums."""
    own = [sentence(reason) for reason in plan.reasons]
    return "\n    ".join([f"{plan.stage.ref}: {_headline(plan)}", *own, *_datum_lines(plan.datums)])


def stage_data(plan: StagePlan) -> dict[str, Any]:
    """One stage; the reasons of single datums are those of `datum_data`."""
    waits = plan.decision is Decision.WAIT
    run, reuse, drop = (plan.count(kind) for kind in (Decision.RUN, Decision.REUSE, Decision.DROP))
    total = _total(plan)
    return {
        "stage": plan.stage.ref,
        "decision": plan.decision.value,
        "reasons": [reason_data(reason) for reason in plan.reasons],
        "datums": {
            "run": run,
            "reuse": reuse if plan.datums or not plan.up_to_date else total or 0,
            "drop": drop,
            "wait": total if waits else 0,
            "total": total,
        },
    }


def _total(plan: StagePlan) -> int | None:
    if plan.total is None and plan.datums:
        return plan.count(Decision.RUN) + plan.count(Decision.REUSE)
    return plan.total


def _headline(plan: StagePlan) -> str:
    total = _total(plan)
    reuse, drop = plan.count(Decision.REUSE), plan.count(Decision.DROP)
    if plan.up_to_date:
        return "up to date" if total is None else f"up to date ({_datums(total)})"
    if plan.decision is Decision.RUN:
        parts = [f"run {plan.count(Decision.RUN)} of {_datums(total or 0)}"]
        parts += [f"reuse {reuse}"] if reuse else []
        return ", ".join(parts + ([f"drop {drop}"] if drop else []))
    if plan.decision is Decision.DROP:
        return f"drop {_datums(drop)}, reuse {reuse}"
    if plan.decision is Decision.RELOCK:
        return f"relock, nothing runs ({_datums(total or 0)})"
    return f"reuse {_datums(total or 0)}" if plan.decision is Decision.REUSE else "wait"


def _datums(count: int) -> str:
    return f"{count} datum" if count == 1 else f"{count} datums"


def _datum_lines(datums: Sequence[DatumPlan]) -> list[str]:
    telling = [plan for plan in datums if _tells(plan)]
    lines = [f"{plan.datum.name}: {'; '.join(map(sentence, plan.reasons))}" for plan in telling[:_SHOWN]]
    rest = len(telling) - _SHOWN
    return [*lines, f"… and {_datums(rest)} more"] if rest > 0 else lines


def _tells(plan: DatumPlan) -> bool:
    """Whether a datum's reasons say more than its stage's: all datums of a new stage are new."""
    return any(reason.kind is not Kind.NEVER_RAN for reason in plan.reasons)


# ---------------------------------------------------------------- datums


def datum_text(plan: DatumPlan) -> str:
    """One datum: its decision, its inputs, its reasons."""
    inputs = [f"{item.input}: {item.dataset}/{item.path}".rstrip("/") for item in plan.datum.items]
    why = [sentence(reason) for reason in plan.reasons]
    return "\n    ".join([f"{plan.datum.name} ({plan.datum.id[:12]}): {plan.decision.value}", *inputs, *why])


def datum_data(plan: DatumPlan) -> dict[str, Any]:
    """One element of `datums --json`; `state` is the decision, `reason` all reasons as one text."""
    reason = "; ".join(map(sentence, plan.reasons))
    return {**current_datum_data(plan.datum), "state": plan.decision.value, "reason": reason}


def current_datum_data(datum: Datum) -> dict[str, Any]:
    """The same for a datum of a stage that is up to date."""
    inputs = [
        {
            "input": item.input,
            "dataset": item.dataset,
            "path": item.path,
            "hash": item.oid,
            "size": item.size,
            "nfiles": item.nfiles,
        }
        for item in datum.items
    ]
    return {"id": datum.id, "name": datum.name, "inputs": inputs, "state": Decision.REUSE.value, "reason": ""}
