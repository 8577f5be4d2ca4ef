"""The record of a run as values, and as the JSON that lies in its directory.

    {"schema": 1, "id": "019aacb5-…", "state": "done", "runner": "trunkline", "command": "trunkline run",
     "started": "2025-11-22T22:28:44.120Z", "ended": "2025-11-22T22:29:25.320Z", "seconds": 41.2,
     "git": {"commit": "1a2b3c…", "branch": "main", "dirty": true, "dirty_files": ["stages/clean.py"]},
     "environment": {"python": "3.11.7", …}, "owner": {"pid": 4242, "started": "257268", "boot": "…"},
     "flow": {"id": "3f1c…", "url": "http://127.0.0.1:4200/runs/flow-run/3f1c…", "tasks": 6},
     "code": {"tree": "8c1d…", "parent": "1a2b3c…", "left_out": [{"path": "stages/big.bin", "reason": "…"}],
              "sources": {"data/flights_raw": "2bb1….dir"}},
     "stages": {"flights.clean": {
        "state": "done", "decision": "run", "outcome": "committed",
        "reasons": [{"kind": "file_added", "subject": "2013-12-31.parquet", "old": "", "new": ""}],
        "datums": {"run": 1, "reuse": 364, "drop": 0, "failed": 0, "recovered": 0, "wait": 0, "total": 365},
        "started": "…", "ended": "…", "seconds": 0.4, "transform": "…",
        "version": "5d41….dir", "manifest": "7d79….dir",
        "entry": {"cmd": "…", "deps": [{"path": "…", "md5": "…", "size": 1, "nfiles": 2}], "params": {…}, "outs": […]},
        "sha256": {"data/flights/train/model.onnx": "9f2c…"},
        "failures": [{"datum": "…", "name": "…", "inputs": […], "kind": "ValueError", "message": "…", …}]}}}

A reader ignores what it does not know and refuses a higher `schema`. States of a run: running, done,
failed, interrupted, superseded (what it made was never seen in dvc.lock, because a later run made the
same stages). `code` is the working tree as a tree of git (`snapshots`) and the versions of the source datasets, with `experiment` where `dvc exp`
made it beside the workspace. `sha256` is of the models and metrics, and of the manifest: of the lines that
`sha256sum` prints for its files, sorted by name. `flow` is the Prefect flow run, {} where there was none. A deployed run's `git` has one key
more, the "worktree" that it worked in; its `branch` is the one that it tracks. `outcome` of a stage:
committed, superseded, uncommitted, "" while it is not known.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from trunkline.errors import CorruptData, ProjectError, StoreError
from trunkline.ledger.owner import Owner
from trunkline.model import (
    CodePart,
    Decision,
    FailedDatum,
    GitState,
    LockEntry,
    LockItem,
    Reason,
    StagePlan,
    StageReport,
)

SCHEMA = 1
MANY = 100  # of what can be long, a record keeps so many; counts are of all


class Scene(NamedTuple):
    """What a run begins in: what is checked out, the environment, and the code as `RunRecord.code` has it."""

    git: GitState
    environment: Mapping[str, object]
    code: Mapping[str, object] = {}  # nobody changes it


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage of a run. `state`: running, done, failed, waiting, up_to_date, skipped, interrupted."""

    stage: str
    state: str
    decision: str
    reasons: tuple[Reason, ...] = ()
    datums: Mapping[str, int] = field(default_factory=dict)
    started: str = ""
    ended: str = ""
    seconds: float = 0.0
    transform: str = ""
    entry: LockEntry | None = None
    failures: tuple[Mapping[str, Any], ...] = ()
    error: str = ""
    outcome: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The version of the dataset that came out, "" where none did."""
        return _out(self.entry, self.stage, "")

    @property
    def manifest(self) -> str:
        """The version of the manifest that came out, "" where none did."""
        return _out(self.entry, self.stage, ".manifests/")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run. Times are UTC texts, "" where not known; `ended` of a run that was sealed is its last sign of life."""

    id: str
    state: str
    runner: str
    command: str
    started: str
    git: GitState
    owner: Owner
    environment: Mapping[str, Any] = field(default_factory=dict)
    ended: str = ""
    seconds: float = 0.0
    flow: Mapping[str, Any] = field(default_factory=dict)
    stages: Mapping[str, StageRecord] = field(default_factory=dict)
    code: Mapping[str, Any] = field(default_factory=dict)

    @property
    def experiment(self) -> str:
        """The directory in which `dvc exp run` made it, by its name; "" for any other run."""
        return str(self.code.get("experiment", ""))

    @property
    def pipelines(self) -> tuple[str, ...]:
        """The pipelines whose stages took part."""
        return tuple(sorted({ref.partition(".")[0] for ref in self.stages}))


def _out(entry: LockEntry | None, ref: str, folder: str) -> str:
    pipeline, _, stage = ref.partition(".")
    path = f"data/{pipeline}/{folder}{stage}"
    outs = entry.outs if entry is not None else ()
    return next((out.md5 for out in outs if out.path == path), "")


# ---------------------------------------------------------------- made


def stage_begun(plan: StagePlan, now: float) -> StageRecord:
    """The record of a stage that begins; its counts are the plan's."""
    counts = {
        decision.value: plan.count(decision) for decision in (Decision.RUN, Decision.REUSE, Decision.DROP)
    }
    wait = plan.count(Decision.WAIT)
    total = counts["run"] + counts["reuse"] + wait if plan.datums else plan.total or 0
    return StageRecord(
        stage=plan.stage.ref,
        state="running",
        decision=plan.decision.value,
        reasons=plan.reasons[:MANY],
        datums={**counts, "failed": 0, "recovered": 0, "wait": wait, "total": total},
        started=utc(now),
    )


def stage_ended(report: StageReport, committed: bool) -> StageRecord:
    """The record of a stage that is settled."""
    return StageRecord(
        stage=report.stage,
        state=report.state,
        decision=report.decision.value,
        reasons=report.reasons[:MANY],
        datums={
            "run": report.run,
            "reuse": report.reuse,
            "drop": report.drop,
            "failed": len(report.failures),
            "recovered": len(report.recovered),
            "wait": report.wait,
            "total": report.total,
        },
        started=utc(report.started) if report.started else "",
        ended=utc(report.ended) if report.ended else "",
        seconds=round(report.ended - report.started, 3),
        transform=report.transform,
        entry=report.entry,
        failures=tuple(_failure(failed) for failed in report.failures[:MANY]),
        error=report.error,
        outcome="committed" if committed and report.entry is not None else "",
    )


def _failure(failed: FailedDatum) -> dict[str, Any]:
    return {
        "datum": failed.datum.id,
        "name": failed.datum.name,
        "inputs": [
            {"name": item.input, "dataset": item.dataset, "path": item.path} for item in failed.datum.items
        ],
        "kind": failed.failure.kind,
        "message": failed.failure.message,
        "traceback": failed.failure.traceback,
        "log": failed.log,
    }


def utc(seconds: float) -> str:
    """A moment as text: 2025-11-22T22:28:44.120Z."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{thousandths:03d}Z"


# ---------------------------------------------------------------- compared


def same_entry(one: LockEntry, other: LockEntry | None) -> bool:
    """Whether two lock entries name the same command, parameters and contents."""
    return other is not None and signature(one) == signature(other)


def signature(entry: LockEntry) -> str:
    """A text that lock entries share which name the same command, parameters and contents."""
    items = [[(item.path, item.md5) for item in some] for some in (entry.deps, entry.outs)]
    return json.dumps([entry.cmd, items, entry.params], sort_keys=True, default=str)


# ---------------------------------------------------------------- written and read


@contextmanager
def recording(where: str) -> Iterator[None]:
    """Turn what the operating system refuses while a record is written into an error that says so."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"runs cannot be recorded: {error.strerror}", where=where) from error


Texts = dict[str, tuple[StageRecord, str]]


def to_json(record: RunRecord, texts: Texts | None = None) -> str:
    """The text of run.json. `texts` keeps that of each stage, for the next time."""
    head = _head_json(record)[: -len("\n}")]
    known = {} if texts is None else texts
    parts = []
    for ref, stage in record.stages.items():
        if ref not in known or known[ref][0] is not stage:
            text = json.dumps(_stage_json(stage), indent=1, default=str).replace("\n", "\n  ")
            known[ref] = (stage, f"\n  {json.dumps(ref)}: {text}")
        parts.append(known[ref][1])
    stages = f"{{{','.join(parts)}\n }}" if parts else "{}"
    return f'{head},\n "stages": {stages}\n}}\n'


def _head_json(record: RunRecord) -> str:
    """All but the stages, of which there may be hundreds."""
    git = record.git
    data = {
        "schema": SCHEMA,
        "id": record.id,
        "state": record.state,
        "runner": record.runner,
        "command": record.command,
        "started": record.started,
        "ended": record.ended,
        "seconds": record.seconds,
        "git": {
            "commit": git.commit,
            "branch": git.branch,
            "dirty": git.dirty,
            "dirty_files": git.dirty_files[:MANY],
            **({"worktree": git.worktree} if git.worktree else {}),
        },
        "environment": dict(record.environment),
        "owner": record.owner._asdict(),
        "flow": dict(record.flow),
        "code": dict(record.code),
    }
    return json.dumps(data, indent=1, default=str)


def _stage_json(stage: StageRecord) -> dict[str, Any]:
    return {
        "state": stage.state,
        "decision": stage.decision,
        "outcome": stage.outcome,
        "reasons": [reason._asdict() for reason in stage.reasons],
        "datums": dict(stage.datums),
        "started": stage.started,
        "ended": stage.ended,
        "seconds": stage.seconds,
        "transform": stage.transform,
        "version": stage.version,
        "manifest": stage.manifest,
        "entry": None if stage.entry is None else _entry_json(stage.entry),
        "failures": [dict(failure) for failure in stage.failures],
        "error": stage.error,
        "sha256": dict(stage.sha256),
    }


def _entry_json(entry: LockEntry) -> dict[str, Any]:
    return {
        "cmd": entry.cmd,
        "deps": [item._asdict() for item in entry.deps],
        "params": {file: dict(values) for file, values in entry.params.items()},
        "outs": [item._asdict() for item in entry.outs],
    }


def from_json(text: bytes | str, where: str) -> RunRecord:
    """The record in the text of run.json. Raises CorruptData, ProjectError."""
    try:
        data = json.loads(text)
        if data["schema"] > SCHEMA:
            raise ProjectError(
                f"this run was recorded by a newer trunkline (format {data['schema']})",
                where=where,
                hint="upgrade trunkline",
            )
        return _record(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptData(
            "the record of this run cannot be read", where=where, hint="delete its directory"
        ) from error


def _record(data: Mapping[str, Any]) -> RunRecord:
    git = data["git"]
    return RunRecord(
        id=data["id"],
        state=data["state"],
        runner=data["runner"],
        command=data["command"],
        started=data["started"],
        ended=data["ended"],
        seconds=data["seconds"],
        git=GitState(git["commit"], git["branch"], tuple(git["dirty_files"]), git.get("worktree", "")),
        environment=data["environment"],
        owner=Owner(data["owner"]["pid"], data["owner"]["started"], data["owner"]["boot"]),
        flow=data.get("flow", {}),
        code=data.get("code", {}),
        stages={ref: _stage(ref, stage) for ref, stage in data["stages"].items()},
    )


def _stage(ref: str, data: Mapping[str, Any]) -> StageRecord:
    from_fields = (
        "state",
        "decision",
        "datums",
        "started",
        "ended",
        "seconds",
        "transform",
        "error",
        "outcome",
    )
    entry = data["entry"]
    return StageRecord(
        stage=ref,
        reasons=tuple(map(_reason, data["reasons"])),
        entry=None if entry is None else _entry(entry),
        failures=tuple(data["failures"]),
        sha256=data.get("sha256", {}),
        **{name: data[name] for name in from_fields},
    )


def _reason(data: Mapping[str, Any]) -> Reason:
    parts = tuple(CodePart(*part) for part in data.get("parts", ()))
    return Reason(data["kind"], data["subject"], data["old"], data["new"], parts)


def _entry(data: Mapping[str, Any]) -> LockEntry:
    return LockEntry(data["cmd"], _items(data["deps"]), data["params"], _items(data["outs"]))


def _items(data: Sequence[Mapping[str, Any]]) -> tuple[LockItem, ...]:
    return tuple(
        LockItem(item["path"], item["md5"], item["size"], item["nfiles"], item["isexec"]) for item in data
    )
