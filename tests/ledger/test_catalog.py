"""The index of the past: brought up to date by what changed, and nothing that is lost with it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from trunkline.ledger.catalog import Catalog, Change, Past
from trunkline.ledger.ids import uuid7
from trunkline.ledger.owner import Owner
from trunkline.ledger.records import RunRecord, StageRecord, to_json
from trunkline.model import Commit, GitState, LockEntry, LockItem, Reason, ReasonKind, Version
from trunkline.store import git


def md5(letter: str) -> str:
    return letter * 32


def entry(out: str, *, dep: str = "d", alpha: float = 0.1) -> LockEntry:
    return LockEntry(
        "trunkline exec p.train",
        (LockItem("data/raw", md5(dep) + ".dir", 1, 1), LockItem("stages/train.py", md5("c"), 1)),
        {"pipelines/p.yaml": {"stages.train": {"params": {"sgd": {"alpha": alpha}}}}},
        (LockItem("data/p/train", md5(out) + ".dir", 1, 1),),
    )


@dataclass
class Project:
    """Records and a lock on disk, git's history in memory."""

    root: Path
    changes: list[Change] = field(default_factory=list)
    locks: dict[str, dict[str, LockEntry]] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.root / ".dvc/tmp/lineage.db"

    def open(self) -> Catalog:
        def contents(blobs: Sequence[str]) -> Iterable[bytes]:
            self.read += blobs
            return [blob.encode() for blob in blobs]

        past = Past(
            tips=lambda: repr(self.changes),
            changes=lambda: self.changes,
            contents=contents,
            lock=lambda text: self.locks[text],
            pointer=lambda text, path: Version(md5(text), 1, 1),
        )
        return Catalog(str(self.file), str(self.root), str(self.root / "runs"), past)

    def record(self, made: LockEntry, run: str = "", *, commit: str = "1", **changes: object) -> str:
        run = run or uuid7()
        time = "2025-11-22T22:28:44.120Z"
        stage = StageRecord("p.train", "done", "run", (), {"run": 1}, entry=made)
        record = RunRecord(
            run, "done", "trunkline", "trunkline run", time, GitState(commit, "main"), Owner(1, "", ""),
            {"python": "3.11.7", "packages": {"numpy": "2.2.6"}},
            stages={"p.train": replace(stage, **changes)},  # type: ignore[arg-type]
        )  # fmt: skip
        (self.root / "runs" / run).mkdir(parents=True, exist_ok=True)
        (self.root / "runs" / run / "run.json").write_text(to_json(record))
        return run


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def outs(catalog: Catalog) -> set[str]:
    return {out.md5[0] for making in catalog.every() for out in making.outs}


def test_what_runs_made_is_known_by_what_they_read_and_made(project: Project) -> None:
    first = project.record(entry("a"))
    second = project.record(entry("a"))
    catalog = project.open()
    (making,) = catalog.with_out("data/p/train", md5("a") + ".dir")
    assert making == catalog.with_dep("stages/train.py", [md5("c")])[0]
    assert making == catalog.with_param("p.train.sgd.alpha", 1e-1)[0]
    assert making.entry == entry("a")
    assert [row.id for row in catalog.runs_of([making.id])] == [second, first]
    assert [row.id for row in catalog.runs_with("numpy", "2.2.6")] == [second, first]
    assert catalog.with_param("p.train.sgd.alpha", "0.1") == []


def test_records_that_are_new_replaced_or_gone(project: Project) -> None:
    run = project.record(entry("a"))
    other = project.record(entry("b"))
    assert outs(project.open()) == {"a", "b"}
    project.record(entry("e", alpha=0.25), run)
    assert outs(project.open()) == {"b", "e"}
    shutil.rmtree(project.root / "runs" / other)
    assert outs(project.open()) == {"e"}
    assert project.open().param_values("p.train.sgd.alpha") == ["0.25"]


def test_a_record_that_cannot_be_read_is_left_out(project: Project) -> None:
    broken = project.record(entry("a"))
    (project.root / "runs" / broken / "run.json").write_text("{")
    (project.root / "runs" / uuid7()).mkdir()
    project.record(entry("b"))
    assert outs(project.open()) == {"b"}


def test_who_accepted_made_nothing(project: Project) -> None:
    run = project.record(
        entry("a"), reasons=(Reason(ReasonKind.ACCEPTED, "Ada", "", ""),), transform="t", datums={"reuse": 1}
    )
    catalog = project.open()
    (row,) = catalog.runs_of([catalog.every()[0].id])
    assert (row.accepted, bool(row.worked)) == ("Ada", False)
    assert catalog.accepted("p.train", "t") == ("Ada", "2025-11-22T22:28:44.120Z", run)
    assert catalog.runs_with("numpy", "2.2.6")[0].accepted == "Ada"


def test_history_is_read_again_only_where_it_is_new(project: Project) -> None:
    def change(number: int, path: str, blob: str) -> Change:
        return Change(Commit(str(number), f"2025-11-{number}T00:00:00Z", "Ada", "s"), path, blob)

    project.locks = {"one": {"p-train": entry("a")}, "two": {"p-train": entry("b")}}
    project.changes = [change(10, "dvc.lock", "one"), change(9, "data/raw.dvc", "d")]
    assert outs(project.open()) == {"a"}
    project.changes = [change(12, "dvc.lock", "two"), change(11, "dvc.lock", "one"), *project.changes]
    catalog = project.open()
    assert outs(catalog) == {"a", "b"}
    assert project.read == ["one", "d", "two"]
    (making,) = catalog.with_out("data/p/train", md5("a") + ".dir")
    assert catalog.locked_at(making.id) == ("10", "2025-11-10T00:00:00Z")
    assert catalog.last_commits([making.id]) == {making.id: ("11", "2025-11-11T00:00:00Z")}
    assert [(v.oid, c.commit) for v, c in catalog.pointed("data/raw.dvc")] == [(md5("d"), "9")]
    project.changes = project.changes[:1]  # the others were of a branch that is gone
    assert outs(project.open()) == {"b"}


def test_a_damaged_or_foreign_index_costs_time_only(project: Project) -> None:
    project.record(entry("a"))
    assert outs(project.open()) == {"a"}
    for damage in (b"no database at all, but long enough to be one" * 100, project.file.read_bytes()[:5000]):
        project.file.write_bytes(damage)
        assert outs(project.open()) == {"a"}
    project.file.unlink()
    with sqlite3.connect(project.file) as db:
        db.execute("CREATE TABLE run (x)")
    db.close()
    assert outs(project.open()) == {"a"}


def test_where_nothing_can_be_written_it_answers_all_the_same(project: Project) -> None:
    project.record(entry("a"))
    project.file.parent.mkdir(parents=True)
    project.file.mkdir()  # root may write everywhere, but not into a directory as if it were a file
    catalog = project.open()
    assert outs(catalog) == {"a"}
    catalog.learn([("oid", "x", "content")])
    assert catalog.parts("x", ["oid"]) == {"oid": "content"}


def test_several_processes_may_fill_it_at_once(project: Project) -> None:
    for letter in "abef" * 5:
        project.record(entry(letter))
    script = (
        "import sys; from trunkline.ledger.catalog import Catalog, Past;"
        "past = Past(lambda: '', lambda: [], lambda blobs: [], lambda text: {}, lambda text, path: None);"
        "print(len(Catalog(sys.argv[1], sys.argv[2], sys.argv[2] + '/runs', past).every()))"
    )
    some = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(project.file), str(project.root)], stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    assert [each.communicate(timeout=60)[0].strip() for each in some] == [b"4"] * 3


def test_git_tells_changes_on_every_branch_but_not_those_of_runs(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        who = {f"GIT_{role}_{key}": "a@b" for role in ("AUTHOR", "COMMITTER") for key in ("NAME", "EMAIL")}
        environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull}
        return subprocess.run(
            ["git", *words], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    root = tmp_path / "below"
    root.mkdir()
    run("init", "-q", "-b", "main")
    before = git.tips(str(root))
    assert list(git.changes(str(root), "dvc.lock", "*.dvc")) == []
    for number, (path, branch) in enumerate(
        (("dvc.lock", "main"), ("data/raw.dvc", "other"), ("dvc.lock", "main")), 1
    ):
        run("checkout", "-q", "-B", branch)
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text(str(number))
        run("add", "-A")
        run("commit", "-qm", str(number), "--date", f"2025-11-2{number}T00:00:00Z")
    assert git.tips(str(root)) != before
    (root / "dvc.lock").write_text("a run")
    run("add", "-A")
    tree = run("write-tree")
    tips = git.tips(str(root))
    run("update-ref", "refs/trunkline/runs/2025-11/x", run("commit-tree", tree, "-p", "HEAD", "-m", "a run"))
    assert git.tips(str(root)) == tips
    found = list(git.changes(str(root), "dvc.lock", "*.dvc"))
    assert sorted((each[1], text) for each, text in zip(found, git.blobs(str(root), [b for _, _, b in found]), strict=True)) == [
        ("data/raw.dvc", b"2"), ("dvc.lock", b"1"), ("dvc.lock", b"3"),
    ]  # fmt: skip
    assert [data for _, data in git.history(str(root), "dvc.lock", everywhere=True)] == [b"3", b"1"]
