"""The records of runs, in `.trunkline/runs/`.

    019aacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e/
        run.json                      what `records` shows
        log.txt                       what was printed
        datums/<stage>.jsonl          what became of each datum: see `states`
        logs/<stage>/<datum>.log      what a datum printed
    .open/<id>                        runs that have not ended: the owner of each
    .lock                             held while a record is changed
    .gitignore                        so that neither git nor DVC looks into any of it

A record is replaced as a whole (written beside, renamed), so that it can be read at every moment;
kill -9 leaves one that says "running" while its owner is gone. `seal` closes those: what they said
they would put into dvc.lock is compared with what is there. Under `dvc repro` each stage is a process
of its own; those with one `dvc` process above them share a record (`session`), and nobody but `seal`
can close it. Losing this directory loses history, no data and no result.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice

from trunkline.errors import LockedError, StoreError, TrunklineError, UsageError
from trunkline.ledger.ids import FOLDER, is_id, run_time, uuid7
from trunkline.ledger.owner import Owner, owner_of
from trunkline.ledger.records import (
    RunRecord,
    Scene,
    StageRecord,
    Texts,
    from_json,
    recording,
    same_entry,
    stage_begun,
    stage_ended,
    to_json,
    utc,
)
from trunkline.model import LockEntry, StagePlan, StageReport
from trunkline.points import Point, reached

__all__ = ["RunLog", "RunRecord", "Runs", "StageRecord"]

_RECORD = "run.json"
_OPEN = ".open"
_Stat = tuple[int, int, int]
_ASIDE = ".tmp"
NO_DIGESTS: Mapping[str, str] = {}
_VERSION = re.compile(rb'"version": "([^"]+)"')


class RunLog:
    """One run while it goes on. Several processes may have the same one open."""

    def __init__(self, folder: str, run_id: str, *, created: bool) -> None:
        self.id = run_id
        self.created = created
        self.directory = os.path.join(folder, run_id)
        self._folder = folder
        self._last: tuple[_Stat, RunRecord] | None = None  # what this process wrote last
        self._texts: Texts = {}

    @classmethod
    def begin(
        cls,
        root: str,
        *,
        command: str,
        scene: Scene,
        runner: str = "trunkline",
        run_id: str = "",
    ) -> RunLog:
        """A new run, owned by this process; under `run_id` where one has been told the user already."""
        folder = os.path.join(root, FOLDER)
        with _locked(folder):
            return _begin(folder, _myself(), runner, command, scene, run_id)

    def stage_started(self, plan: StagePlan) -> None:
        """A stage begins."""
        with recording(self.directory):
            os.makedirs(os.path.join(self.directory, "logs", plan.stage.ref), exist_ok=True)
        begun = stage_begun(plan, time.time())
        self._change(lambda record: _with_stage(record, begun))
        reached(Point.STAGE_BEGUN)

    def stage_finished(self, report: StageReport, sha256: Mapping[str, str] = NO_DIGESTS) -> None:
        """A stage is settled; `sha256` of what it left, by path."""

        def settled(record: RunRecord) -> RunRecord:
            ended = stage_ended(report, committed=record.runner == "trunkline")
            return _with_stage(record, replace(ended, sha256=sha256))

        self._change(settled)

    def flow(self, flow: Mapping[str, object]) -> None:
        """The Prefect flow run that shows this run: id, url, tasks."""
        self._change(lambda record: replace(record, flow=dict(flow)))

    def log(self, text: str) -> None:
        """Append to what was printed."""
        path = os.path.join(self.directory, "log.txt")
        with recording(path), open(path, "a", encoding="utf-8", errors="replace") as stream:
            stream.write(text if text.endswith("\n") else text + "\n")

    def datum_log(self, ref: str, datum_id: str) -> str:
        """The path of the log of a datum of the stage `ref`."""
        return os.path.join(self.directory, "logs", ref, f"{datum_id[:16]}.log")

    def datum_says(self, ref: str, datum_id: str, text: str) -> None:
        """Append a line to the log of a datum of the stage `ref`."""
        path = self.datum_log(ref, datum_id)
        with recording(path), open(path, "a", encoding="utf-8", errors="replace") as stream:
            stream.write(f"{text}\n")

    def finish(self, state: str) -> None:
        """The run is over: done, failed or interrupted."""
        now = time.time()

        def over(record: RunRecord) -> RunRecord:
            stages = {ref: _stopped(stage) for ref, stage in record.stages.items()}
            seconds = max(0.0, round(now - run_time(record.id), 3))
            return replace(record, state=state, stages=stages, ended=utc(now), seconds=seconds)

        self._change(over)
        reached(Point.RUN_ENDED)
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(self._folder, _OPEN, self.id))

    def record(self) -> RunRecord:
        """The record as it is now."""
        return _load(self._folder, self.id)

    def _change(self, change: Callable[[RunRecord], RunRecord]) -> None:
        with _locked(self._folder):
            if self._last is not None and self._last[0] == _stat(self._folder, self.id):
                record = change(self._last[1])
            else:
                record = change(_load(self._folder, self.id))
            _save(self._folder, record, self._texts)
            self._last = (_stat(self._folder, self.id), record)


class Runs:
    """The runs of the project at `root`."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._folder = os.path.join(root, FOLDER)
        self._versions: dict[str, tuple[_Stat, frozenset[bytes]]] = {}

    # ------------------------------------------------------------ read

    def ids(self) -> list[str]:
        """The ids of all runs, newest first."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        return sorted(filter(is_id, names), reverse=True)

    def each(self) -> Iterator[RunRecord]:
        """The runs, newest first, each read when asked for. One that cannot be read is left out."""
        for run_id in self.ids():
            with suppress(TrunklineError):
                yield _load(self._folder, run_id)

    def list(self, limit: int | None = None) -> tuple[RunRecord, ...]:
        """The runs, newest first. A record that cannot be read is left out; `load` says why."""
        return tuple(islice(self.each(), limit))

    def load(self, wanted: str) -> RunRecord:
        """The run with this id, or whose id alone begins so, or the "latest". Raises UsageError."""
        ids = self.ids()
        if wanted == "latest":  # but for one that was killed before it had a record
            begun = (each for each in ids if os.path.exists(os.path.join(self._folder, each, _RECORD)))
            ids = [*islice(begun, 1)]
        if not ids:
            raise UsageError("no run is recorded here yet", hint="type `trunkline run`")
        if wanted == "latest":
            return _load(self._folder, ids[0])
        found = [run_id for run_id in ids if wanted and run_id.startswith(wanted)]
        if not found:
            raise UsageError(f"there is no run {wanted!r}", hint="type `trunkline runs` to see them")
        if len(found) > 1:
            some = ", ".join(found[:3]) + (", …" if len(found) > 3 else "")
            raise UsageError(f"{len(found)} runs begin with {wanted!r}: {some}", hint="type more of the id")
        return _load(self._folder, found[0])

    def of_version(self, oid: str) -> tuple[tuple[RunRecord, StageRecord], ...]:
        """The runs out of which this version of a dataset came, newest first, with the stage."""
        found: list[tuple[RunRecord, StageRecord]] = []
        for run_id in self.ids():
            with suppress(TrunklineError, FileNotFoundError):
                if oid.encode() in self._versions_in(run_id):
                    record = _load(self._folder, run_id)
                    found += [(record, stage) for stage in record.stages.values() if stage.version == oid]
        return tuple(found)

    def _versions_in(self, run_id: str) -> frozenset[bytes]:
        """The versions that a record names: a search in its bytes, which costs a tenth of parsing it."""
        state = _stat(self._folder, run_id)
        known = self._versions.get(run_id)
        if known is None or known[0] != state:
            known = state, frozenset(_VERSION.findall(_read(self._folder, run_id)))
            self._versions[run_id] = known
        return known[1]

    # ------------------------------------------------------------ sessions

    def session(
        self,
        owner_pid: int,
        *,
        command: str,
        describe: Callable[[str], Scene],
    ) -> RunLog:
        """The run that the `dvc` process with this pid owns; begun where it is the first stage.

        `describe` is called for a new one only, with its id. `created` of the answer says which it was.
        """
        owner = owner_of(owner_pid) or _myself()
        with _locked(self._folder):
            for run_id, other in _open_runs(self._folder):
                if other == owner:
                    return RunLog(self._folder, run_id, created=False)
            run_id = uuid7()
            return _begin(self._folder, owner, "dvc", command, describe(run_id), run_id)

    def under_way(self, run_id: str) -> bool:
        """Whether a run goes on: it has not ended, and its owner lives."""
        mine = (owner for name, owner in _open_runs(self._folder) if name == run_id)
        return any(owner is not None and owner.lives() for owner in mine)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Keep new runs waiting. Raises LockedError where one is under way."""
        with _locked(self._folder):
            for run_id, owner in _open_runs(self._folder):
                if owner is not None and owner.lives():
                    raise LockedError(
                        f"the run {run_id} is under way, in process {owner.pid}",
                        where=self._folder,
                        hint="wait until it is done, or end it, and repeat",
                    )
            yield

    def restore(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Make the directory of a run that is over, its record last; a record that is there is replaced."""
        directory = os.path.join(self._folder, run_id)
        with _locked(self._folder):
            for path in sorted(files, key=lambda path: path == _RECORD):
                full = os.path.join(directory, path)
                with recording(full):
                    os.makedirs(os.path.dirname(full), exist_ok=True)
                _replace(full, files[path])

    # ------------------------------------------------------------ seal

    def abandoned(self) -> tuple[str, ...]:
        """The ids of runs that never ended and whose owner is gone. Cheap where there is none."""
        return tuple(
            run_id for run_id, owner in _open_runs(self._folder) if owner is None or not owner.lives()
        )

    def seal(self, lock: Callable[[RunRecord], Mapping[str, LockEntry]]) -> tuple[RunRecord, ...]:
        """Close what is abandoned, comparing it with the entries of its dvc.lock by DVC's stage name."""
        ids = self.abandoned()
        if not ids:
            return ()
        sealed = []
        with _locked(self._folder):
            for run_id in ids:
                record = self._folder_record(run_id)
                if record is not None and record.state == "running":
                    record = self._sealed(record, lock(record))
                    try:
                        _save(self._folder, record)
                    except StoreError:  # a full disk: its mark stays, for another time
                        continue
                    sealed.append(record)
                    reached(Point.RUN_SEALED)
                _clear(self._folder, run_id)
                with suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._folder, _OPEN, run_id))
        return tuple(sealed)

    def _sealed(self, record: RunRecord, lock: Mapping[str, LockEntry]) -> RunRecord:
        later = self._done_after(record.id)
        begun = _locked_by_dvc(record)
        stages = {ref: _judged(stage, lock, later) for ref, stage in begun.items()}
        last = max([record.started, *(stage.ended or stage.started for stage in stages.values())])
        state = _state(record.runner, list(stages.values()))
        stages = {ref: _stopped(stage) for ref, stage in stages.items()}
        return replace(record, state=state, stages=stages, ended=last, seconds=_between(record.started, last))

    def _done_after(self, run_id: str) -> frozenset[str]:
        """The stages that later runs have done."""
        later = [self._folder_record(other) for other in self.ids() if other > run_id]
        return frozenset(
            ref for record in later if record for ref, stage in record.stages.items() if stage.state == "done"
        )

    def _folder_record(self, run_id: str) -> RunRecord | None:
        try:
            return _load(self._folder, run_id)
        except TrunklineError:
            return None


# ---------------------------------------------------------------- what becomes of an abandoned run


def _locked_by_dvc(record: RunRecord) -> dict[str, StageRecord]:
    """The stages of a record, with those that `dvc` must have locked: it did so before the next began."""
    stages = dict(record.stages)
    if record.runner == "dvc":
        for ref in list(stages)[:-1]:
            if stages[ref].entry is not None:
                stages[ref] = replace(stages[ref], outcome="committed")
    return stages


def _judged(stage: StageRecord, lock: Mapping[str, LockEntry], later: frozenset[str]) -> StageRecord:
    if stage.entry is None or stage.outcome:
        return stage
    if same_entry(stage.entry, lock.get(stage.stage.replace(".", "-", 1))):
        return replace(stage, outcome="committed")
    return replace(stage, outcome="superseded" if stage.stage in later else "uncommitted")


def _state(runner: str, stages: list[StageRecord]) -> str:
    """What became of a run whose owner went away without a word.

    trunkline always says goodbye unless it is killed; `dvc` never does, so there the lock decides.
    """
    if any(stage.state == "failed" for stage in stages):
        return "failed"
    unfinished = any(
        stage.state in ("running", "interrupted") or stage.outcome == "uncommitted" for stage in stages
    )
    if runner == "trunkline" or unfinished or not stages:
        return "interrupted"
    return "superseded" if any(stage.outcome == "superseded" for stage in stages) else "done"


def _between(started: str, ended: str) -> float:
    return round((datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds(), 3)


def _stopped(stage: StageRecord) -> StageRecord:
    return replace(stage, state="interrupted") if stage.state == "running" else stage


def _with_stage(record: RunRecord, stage: StageRecord) -> RunRecord:
    return replace(record, stages={**record.stages, stage.stage: stage})


# ---------------------------------------------------------------- files


def _myself() -> Owner:
    return owner_of(os.getpid()) or Owner(os.getpid(), "", "")


@contextmanager
def _locked(folder: str) -> Iterator[None]:
    """Hold the lock of the records, the directory made where it is missing."""
    with recording(folder):
        os.makedirs(os.path.join(folder, _OPEN), exist_ok=True)
        handle = os.open(os.path.join(folder, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _begin(
    folder: str,
    owner: Owner,
    runner: str,
    command: str,
    scene: Scene,
    run_id: str = "",
) -> RunLog:
    ignore = os.path.join(folder, ".gitignore")
    if not os.path.exists(ignore):
        _replace(ignore, "*\n")
    for directory in (folder, os.path.join(folder, _OPEN)):
        for name in os.listdir(directory):
            if name.endswith(_ASIDE):  # whoever was writing it is dead: we hold the lock
                os.unlink(os.path.join(directory, name))
    run_id = run_id or uuid7()
    # first the mark: a record without one would be "running" for ever
    _replace(os.path.join(folder, _OPEN, run_id), json.dumps(owner._asdict()))
    reached(Point.RUN_MARKED)
    with recording(folder):
        os.mkdir(os.path.join(folder, run_id))
    reached(Point.RUN_FOLDER)
    started = utc(run_time(run_id))
    record = RunRecord(run_id, "running", runner, command, started, scene.git, owner, scene.environment)
    _save(folder, replace(record, code=scene.code))
    reached(Point.RUN_BEGUN)
    return RunLog(folder, run_id, created=True)


def _clear(folder: str, run_id: str) -> None:
    """Remove what was never more than begun: half a record; a run that came to none."""
    directory = os.path.join(folder, run_id)
    with suppress(FileNotFoundError):
        for name in os.listdir(directory):
            if name.startswith(f"{_RECORD}.") and name.endswith(_ASIDE):
                os.unlink(os.path.join(directory, name))
    with suppress(OSError):  # it holds something
        os.rmdir(directory)


def _open_runs(folder: str) -> Iterator[tuple[str, Owner | None]]:
    """The runs that have not ended, each with its owner; None where the mark says nothing."""
    try:
        names = sorted(os.listdir(os.path.join(folder, _OPEN)))
    except FileNotFoundError:
        return
    for name in filter(is_id, names):
        try:
            with open(os.path.join(folder, _OPEN, name), encoding="utf-8") as stream:
                yield name, Owner(**json.load(stream))
        except FileNotFoundError:
            continue
        except (ValueError, TypeError):
            yield name, None


def _read(folder: str, run_id: str) -> bytes:
    with open(os.path.join(folder, run_id, _RECORD), "rb") as stream:
        return stream.read()


def _load(folder: str, run_id: str) -> RunRecord:
    path = os.path.join(folder, run_id, _RECORD)
    try:
        return from_json(_read(folder, run_id), path)
    except OSError as error:
        raise StoreError(f"the record of this run cannot be read: {error.strerror}", where=path) from error


def _stat(folder: str, run_id: str) -> _Stat:
    """What changes whenever a record is replaced."""
    stat = os.stat(os.path.join(folder, run_id, _RECORD))
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _save(folder: str, record: RunRecord, texts: Texts | None = None) -> None:
    _replace(os.path.join(folder, record.id, _RECORD), to_json(record, texts))


def _replace(path: str, data: str | bytes) -> None:
    """Write a file as a whole, so that nobody sees half of it."""
    beside = f"{path}.{os.getpid()}{_ASIDE}"
    with recording(path):
        with open(beside, "wb") as stream:
            stream.write(data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape"))
        reached(Point.RECORD_ASIDE)
        os.replace(beside, path)
