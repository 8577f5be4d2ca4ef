"""Records of runs: readable at every moment, and honest about runs that nobody ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from trunkline.errors import CorruptData, ProjectError, StoreError, UsageError
from trunkline.ledger.records import Scene
from trunkline.ledger.runs import RunLog, RunRecord, Runs
from trunkline.model import (
    Datum,
    DatumPlan,
    Decision,
    FailedDatum,
    Failure,
    Function,
    GitState,
    Item,
    LockEntry,
    LockItem,
    Reason,
    ReasonKind,
    Stage,
    StagePlan,
    StageReport,
)

GIT = GitState("a" * 40, "main", ("stages/clean.py",))
STAGE = Stage("flights", "clean", Function("stages.clean", "clean"))


def entry(version: str = "1", rate: object = 0.5) -> LockEntry:
    return LockEntry(
        cmd="trunkline exec flights.clean",
        deps=(LockItem("data/flights/ingest", "c" * 32 + ".dir", 10, 2),),
        params={
            "pipelines/flights.yaml": {"stages.clean": {"params": {"rate": rate, "since": date(2013, 1, 1)}}}
        },
        outs=(
            LockItem("data/flights/.manifests/clean", "d" * 32 + ".dir", 10, 1),
            LockItem("data/flights/clean", version * 32 + ".dir", 10, 2),
        ),
    )


def begin(root: Path, **changes: str) -> RunLog:
    return RunLog.begin(str(root), command="trunkline run", scene=Scene(GIT, {"python": "3.11.7"}), **changes)


def plan() -> StagePlan:
    datums = tuple(
        DatumPlan(Datum(str(number), f"d{number}", ()), "key", decision)
        for number, decision in enumerate((Decision.RUN, Decision.REUSE, Decision.REUSE, Decision.DROP))
    )
    return StagePlan(STAGE, Decision.RUN, (Reason(ReasonKind.FILE_ADDED, "2013-12-31.parquet"),), datums)


def report(state: str = "done", made: LockEntry | None = None, **changes: object) -> StageReport:
    facts: dict[str, object] = {
        "run": 1, "reuse": 2, "drop": 1, "total": 3, "started": 1000.0, "ended": 1002.5, "transform": "f" * 64,
        "reasons": plan().reasons,
    }  # fmt: skip
    return StageReport("flights.clean", state, Decision.RUN, entry=made, **{**facts, **changes})  # type: ignore[arg-type]


def failed_report() -> StageReport:
    datum = Datum("b" * 64, "2013-01-01", (Item("raw", "flights_raw", "2013-01-01.csv", "e" * 32, 9, None),))
    failure = Failure("ValueError", "no such column", "Traceback …")
    return report("failed", failures=(FailedDatum(datum, failure, "logs/x.log"),), run=0)


# ---------------------------------------------------------------- one run


def test_a_run_from_begin_to_end(tmp_path: Path) -> None:
    log = begin(tmp_path)
    log.stage_started(plan())
    running = log.record()
    assert running.state == "running"
    assert running.owner.lives()
    assert running.stages["flights.clean"].state == "running"
    assert running.stages["flights.clean"].datums == {
        "run": 1,
        "reuse": 2,
        "drop": 1,
        "failed": 0,
        "recovered": 0,
        "wait": 0,
        "total": 3,
    }
    log.stage_finished(report(made=entry()))
    log.finish("done")
    record = Runs(str(tmp_path)).load("latest")
    assert record.id == log.id
    assert (record.state, record.runner, record.command) == ("done", "trunkline", "trunkline run")
    assert record.git == GIT
    assert record.environment == {"python": "3.11.7"}
    assert record.pipelines == ("flights",)
    assert record.started <= record.ended
    stage = record.stages["flights.clean"]
    assert (stage.state, stage.outcome, stage.seconds) == ("done", "committed", 2.5)
    assert (stage.version, stage.manifest) == ("1" * 32 + ".dir", "d" * 32 + ".dir")
    assert stage.reasons == (Reason(ReasonKind.FILE_ADDED, "2013-12-31.parquet"),)
    assert stage.started == "1970-01-01T00:16:40.000Z"
    assert stage.entry is not None
    assert stage.entry.outs == entry().outs


def test_the_file_says_what_the_format_says(tmp_path: Path) -> None:
    log = begin(tmp_path)
    log.stage_finished(failed_report())
    log.finish("failed")
    data = json.loads((tmp_path / ".trunkline/runs" / log.id / "run.json").read_text())
    assert data["schema"] == 1
    assert data["git"] == {
        "commit": "a" * 40, "branch": "main", "dirty": True, "dirty_files": ["stages/clean.py"],
    }  # fmt: skip
    assert data["stages"]["flights.clean"]["failures"] == [
        {
            "datum": "b" * 64,
            "name": "2013-01-01",
            "inputs": [{"name": "raw", "dataset": "flights_raw", "path": "2013-01-01.csv"}],
            "kind": "ValueError",
            "message": "no such column",
            "traceback": "Traceback …",
            "log": "logs/x.log",
        }
    ]
    assert data["stages"]["flights.clean"]["datums"]["failed"] == 1


def test_logs(tmp_path: Path) -> None:
    log = begin(tmp_path)
    log.log("one")
    log.log("two\n")
    log.stage_started(plan())
    path = Path(log.datum_log("flights.clean", "b" * 64))
    path.write_text("it said this")
    folder = tmp_path / ".trunkline/runs" / log.id
    assert (folder / "log.txt").read_text() == "one\ntwo\n"
    assert path == folder / "logs/flights.clean" / ("b" * 16 + ".log")


def test_what_is_long_is_capped_and_counted(tmp_path: Path) -> None:
    names = tuple(f"stages/{number}.py" for number in range(500))
    log = RunLog.begin(str(tmp_path), command="x", scene=Scene(GitState(None, None, names), {}))
    failed = failed_report().failures * 500
    log.stage_finished(report("failed", failures=failed))
    record = log.record()
    assert len(record.git.dirty_files) == 100
    assert len(record.stages["flights.clean"].failures) == 100
    assert record.stages["flights.clean"].datums["failed"] == 500


def test_git_and_dvc_do_not_look_inside(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    begin(tmp_path)
    out = subprocess.run(
        ["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert out.stdout == ""


def test_a_record_is_whole_at_every_moment(tmp_path: Path) -> None:
    log = begin(tmp_path)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            log.stage_finished(report(made=entry()))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        states = [Runs(str(tmp_path)).load(log.id).state for _ in range(300)]
    finally:
        stop.set()
        thread.join()
    assert set(states) == {"running"}


# ---------------------------------------------------------------- many runs


def test_the_list_is_newest_first(tmp_path: Path) -> None:
    assert Runs(str(tmp_path)).list() == ()
    ids = [begin(tmp_path).id for _ in range(3)]
    assert [record.id for record in Runs(str(tmp_path)).list()] == ids[::-1]
    assert [record.id for record in Runs(str(tmp_path)).list(2)] == ids[:0:-1]


def test_a_run_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    runs = Runs(str(tmp_path))
    with pytest.raises(UsageError, match="no run is recorded"):
        runs.load("latest")
    first, second = begin(tmp_path).id, begin(tmp_path).id
    assert runs.load(first).id == first
    assert runs.load("latest").id == second
    pairs = enumerate(zip(first, second, strict=True))  # in one millisecond much of them is equal
    differ = next(place for place, (one, other) in pairs if one != other)
    assert runs.load(second[: differ + 1]).id == second
    with pytest.raises(UsageError, match="2 runs begin with '0'"):
        runs.load("0")
    with pytest.raises(UsageError, match="no run 'zzz'"):
        runs.load("zzz")
    with pytest.raises(UsageError, match="no run ''"):
        runs.load("")


def test_a_damaged_record_does_not_hide_the_others(tmp_path: Path) -> None:
    good, bad, newer = (begin(tmp_path).id for _ in range(3))
    folder = tmp_path / ".trunkline/runs"
    (folder / bad / "run.json").write_text('{"schema": 1, "id"')
    (folder / newer / "run.json").write_text('{"schema": 2}')
    runs = Runs(str(tmp_path))
    assert [record.id for record in runs.list()] == [good]
    with pytest.raises(CorruptData, match="cannot be read"):
        runs.load(bad)
    with pytest.raises(ProjectError, match="newer trunkline"):
        runs.load(newer)
    (folder / bad / "run.json").unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        runs.load(bad)


def test_runs_by_the_version_that_came_out(tmp_path: Path) -> None:
    first, second, third = begin(tmp_path), begin(tmp_path), begin(tmp_path)
    first.stage_finished(report(made=entry("1")))
    second.stage_finished(report(made=entry("2")))
    third.stage_finished(report(made=entry("1")))
    found = Runs(str(tmp_path)).of_version("1" * 32 + ".dir")
    assert [(record.id, stage.stage) for record, stage in found] == [
        (third.id, "flights.clean"),
        (first.id, "flights.clean"),
    ]
    assert Runs(str(tmp_path)).of_version("c" * 32 + ".dir") == ()


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ".trunkline").write_text("in the way")
    with pytest.raises(StoreError, match="runs cannot be recorded"):
        begin(tmp_path)


# ---------------------------------------------------------------- sessions and sealing

_STAGE_PROCESS = """
import sys, time
from trunkline.ledger.records import Scene
from trunkline.ledger.runs import RunLog, Runs
from trunkline.model import Decision, GitState, StageReport

root, kind, name = sys.argv[1:4]
if kind == "session":
    log = Runs(root).session(
        int(sys.argv[4]), command="dvc repro", describe=lambda _: Scene(GitState(None, None), {"python": "3"})
    )
else:
    log = RunLog.begin(root, command="trunkline run", scene=Scene(GitState(None, None), {}))
log.stage_finished(StageReport(f"p.{name}", "done", Decision.RUN))
print(log.id, log.created, flush=True)
if kind == "killed":
    time.sleep(60)
"""


def stage_process(root: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _STAGE_PROCESS, str(root), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def dvc() -> subprocess.Popen[bytes]:
    """Stands for a `dvc repro`: nothing of it is asked but whether it lives."""
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])


def session(root: Path, owner: subprocess.Popen[bytes]) -> RunLog:
    return Runs(str(root)).session(owner.pid, command="dvc repro", describe=lambda _: Scene(GIT, {}))


def test_processes_of_one_session_share_a_record(tmp_path: Path, dvc: subprocess.Popen[bytes]) -> None:
    processes = [stage_process(tmp_path, "session", name, str(dvc.pid)) for name in "abcd"]
    said = [process.communicate()[0].split() for process in processes]
    assert len({run_id for run_id, _ in said}) == 1
    assert [created for _, created in said].count("True") == 1
    record = Runs(str(tmp_path)).load("latest")
    assert set(record.stages) == {"p.a", "p.b", "p.c", "p.d"}
    assert (record.runner, record.state, record.owner.pid) == ("dvc", "running", dvc.pid)
    assert Runs(str(tmp_path)).abandoned() == ()
    end(dvc)


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def sealed(root: Path, lock: dict[str, LockEntry]) -> RunRecord:
    (record,) = Runs(str(root)).seal(lambda _: lock)
    assert Runs(str(root)).load(record.id) == record
    assert Runs(str(root)).seal(lambda _: lock) == ()
    return record


def test_another_dvc_is_another_session(tmp_path: Path, dvc: subprocess.Popen[bytes]) -> None:
    first = session(tmp_path, dvc)
    end(dvc)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    second = session(tmp_path, other)
    assert first.id != second.id
    assert Runs(str(tmp_path)).abandoned() == (first.id,)
    end(other)


def test_a_session_whose_entries_are_in_the_lock_is_done(
    tmp_path: Path, dvc: subprocess.Popen[bytes]
) -> None:
    session(tmp_path, dvc).stage_finished(report(made=entry()))
    assert Runs(str(tmp_path)).seal(lambda _: {"flights-clean": entry()}) == ()
    end(dvc)
    record = sealed(tmp_path, {"flights-clean": entry()})
    assert record.state == "done"
    assert record.stages["flights.clean"].outcome == "committed"
    assert record.ended


def test_a_session_that_dvc_never_locked_is_interrupted(tmp_path: Path, dvc: subprocess.Popen[bytes]) -> None:
    session(tmp_path, dvc).stage_finished(report(made=entry()))
    end(dvc)
    record = sealed(tmp_path, {"flights-clean": entry("2")})
    assert record.state == "interrupted"
    assert record.stages["flights.clean"].outcome == "uncommitted"


def test_a_stage_that_another_followed_was_locked_whatever_the_lock_says_now(
    tmp_path: Path, dvc: subprocess.Popen[bytes]
) -> None:
    log = session(tmp_path, dvc)
    log.stage_finished(report(made=entry()))
    log.stage_finished(replace(report(made=entry("5")), stage="flights.split"))
    end(dvc)
    record = sealed(tmp_path, {"flights-clean": entry("2"), "flights-split": entry("5")})
    assert record.state == "done"
    assert record.stages["flights.clean"].outcome == "committed"


def test_a_session_overtaken_by_a_later_run_is_superseded(
    tmp_path: Path, dvc: subprocess.Popen[bytes]
) -> None:
    session(tmp_path, dvc).stage_finished(report(made=entry(rate=0.5)))
    end(dvc)
    later = begin(tmp_path)
    later.stage_finished(report(made=entry(rate=0.6)))
    later.finish("done")
    record = sealed(tmp_path, {"flights-clean": entry(rate=0.6)})
    assert record.state == "superseded"
    assert record.stages["flights.clean"].outcome == "superseded"


def test_a_session_with_a_failed_stage_has_failed(tmp_path: Path, dvc: subprocess.Popen[bytes]) -> None:
    session(tmp_path, dvc).stage_finished(failed_report())
    end(dvc)
    assert sealed(tmp_path, {}).state == "failed"


def test_a_session_killed_within_a_stage_is_interrupted(tmp_path: Path, dvc: subprocess.Popen[bytes]) -> None:
    session(tmp_path, dvc).stage_started(plan())
    end(dvc)
    record = sealed(tmp_path, {})
    assert record.state == "interrupted"
    assert record.stages["flights.clean"].state == "interrupted"


def test_a_killed_run_is_interrupted(tmp_path: Path) -> None:
    process = stage_process(tmp_path, "killed", "a")
    assert process.stdout is not None
    run_id = process.stdout.readline().split()[0]
    assert Runs(str(tmp_path)).abandoned() == ()
    process.kill()
    process.communicate()
    assert Runs(str(tmp_path)).load(run_id).state == "running"
    assert sealed(tmp_path, {}).state == "interrupted"


def test_a_run_that_was_taken_for_dead_still_ends_as_it_says(tmp_path: Path) -> None:
    log = begin(tmp_path)
    mark = tmp_path / ".trunkline/runs/.open" / log.id
    mark.write_text('{"pid": 1, "started": "0", "boot": "another machine"}')
    assert sealed(tmp_path, {}).state == "interrupted"
    log.stage_finished(report(made=entry()))
    log.finish("done")
    assert log.record().state == "done"


def test_a_mark_without_a_record_is_taken_away(tmp_path: Path) -> None:
    log = begin(tmp_path)
    folder = tmp_path / ".trunkline/runs"
    os.unlink(folder / log.id / "run.json")
    (folder / ".open" / log.id).write_text("no JSON")
    assert Runs(str(tmp_path)).abandoned() == (log.id,)
    assert Runs(str(tmp_path)).seal(lambda _: {}) == ()
    assert Runs(str(tmp_path)).abandoned() == ()


def test_nothing_to_seal_creates_nothing(tmp_path: Path) -> None:
    assert Runs(str(tmp_path)).abandoned() == ()
    assert Runs(str(tmp_path)).seal(lambda _: {}) == ()
    assert list(tmp_path.iterdir()) == []


def test_a_thousand_runs_are_searched_at_the_pace_of_reading_them(tmp_path: Path) -> None:
    log = begin(tmp_path)
    log.stage_finished(report(made=entry()))
    source = tmp_path / ".trunkline/runs" / log.id / "run.json"
    text = source.read_text()
    for number in range(400):
        other = log.id[:-3] + f"{number:03x}"
        if other != log.id:
            (source.parent.parent / other).mkdir()
            (source.parent.parent / other / "run.json").write_text(text)
    runs = Runs(str(tmp_path))

    def cost(oid: str) -> float:
        started = time.process_time()
        runs.of_version(oid)
        return time.process_time() - started

    runs.of_version("nowhere")
    assert cost("nowhere") < cost("1" * 32 + ".dir")


_DEAD = {"pid": 2**22 + 7, "started": "1", "boot": "another"}  # above any process id


def abandoned(root: Path) -> Path:
    """The directory of a run, newer than one that is done, whose owner was killed before there was a record."""
    begin(root).finish("done")
    folder, run_id = root / ".trunkline/runs", "fffaacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e"
    (folder / ".open" / run_id).write_text(json.dumps(_DEAD))
    (folder / run_id).mkdir()
    return folder / run_id


def test_a_run_that_came_to_no_record_is_removed(tmp_path: Path) -> None:
    directory = abandoned(tmp_path)
    (directory / "run.json.812.tmp").write_text("{")
    assert Runs(str(tmp_path)).load("latest").state == "done"
    assert Runs(str(tmp_path)).seal(lambda _: {}) == ()
    assert not directory.exists()
    assert Runs(str(tmp_path)).abandoned() == ()


def test_what_the_dead_were_writing_is_removed(tmp_path: Path) -> None:
    folder = abandoned(tmp_path).parent
    for name in (".gitignore.812.tmp", ".open/019aacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e.812.tmp"):
        (folder / name).write_text("")
    begin(tmp_path)
    assert not [path for path in folder.rglob("*") if path.name.endswith(".tmp")]


def test_a_record_that_cannot_be_sealed_is_sealed_another_time(tmp_path: Path) -> None:
    log = begin(tmp_path)
    (tmp_path / ".trunkline/runs/.open" / log.id).write_text(json.dumps(_DEAD))
    in_the_way = Path(log.directory, f"run.json.{os.getpid()}.tmp")  # as a full disk would be
    in_the_way.mkdir()
    assert Runs(str(tmp_path)).seal(lambda _: {}) == ()
    assert Runs(str(tmp_path)).abandoned() == (log.id,)
    in_the_way.rmdir()
    assert [record.state for record in Runs(str(tmp_path)).seal(lambda _: {})] == ["interrupted"]
