"""How the index of the past (`catalog`) is made, and brought up to date by what changed.

    making   every entry of a stage that dvc.lock or a run's record ever had, once; by deps, outs, params
    ran      which run made, or took over, which making         run, environment, package: of the records
    locked   which dvc.lock (by git's name of its content) has which making; "" is the workspace's
    change   the commits that changed dvc.lock or a pointer, newest first;   pointed: versions of pointers
    part     the content of a file or directory inside a version, as far as it was asked for

Records are read by name, mtime and size; git's history when a branch, a tag or HEAD moved, and of that
only contents not seen before. What changed is written in one transaction; a second process waits for it
and then finds nothing to do.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from trunkline.digest import md5_bytes
from trunkline.errors import TrunklineError
from trunkline.ledger.ids import is_id
from trunkline.ledger.makings import declared, digest, flat, parameters
from trunkline.ledger.records import RunRecord, from_json, signature
from trunkline.model import Commit, LockEntry, ReasonKind, Version

SCHEMA = 1
LOCK = "dvc.lock"
_TABLES = """
CREATE TABLE known (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE environment (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
CREATE TABLE package (
    name TEXT, version TEXT, environment INTEGER, PRIMARY KEY (name, version, environment)) WITHOUT ROWID;
CREATE TABLE run (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, mtime INTEGER, size INTEGER, state TEXT, started TEXT,
    at TEXT, parent TEXT, branch TEXT, dirty TEXT, environment INTEGER);
CREATE INDEX run_at ON run (at);
CREATE INDEX run_parent ON run (parent);
CREATE INDEX run_environment ON run (environment);
CREATE TABLE making (
    id INTEGER PRIMARY KEY, signature TEXT NOT NULL UNIQUE, name TEXT NOT NULL, cmd TEXT NOT NULL,
    deps TEXT NOT NULL, outs TEXT NOT NULL, params TEXT NOT NULL, model TEXT, file TEXT);
CREATE TABLE dep (md5 TEXT, path TEXT, making INTEGER, PRIMARY KEY (md5, path, making)) WITHOUT ROWID;
CREATE INDEX dep_path ON dep (path);
CREATE TABLE out (md5 TEXT, path TEXT, making INTEGER, PRIMARY KEY (md5, path, making)) WITHOUT ROWID;
CREATE INDEX out_path ON out (path);
CREATE TABLE param (key TEXT, value TEXT, making INTEGER, PRIMARY KEY (key, value, making)) WITHOUT ROWID;
CREATE TABLE ran (
    run INTEGER, making INTEGER, worked INTEGER, accepted TEXT, transform TEXT, datums TEXT, seconds REAL,
    PRIMARY KEY (run, making)) WITHOUT ROWID;
CREATE INDEX ran_making ON ran (making);
CREATE TABLE locked (lock TEXT, making INTEGER, PRIMARY KEY (lock, making)) WITHOUT ROWID;
CREATE INDEX locked_making ON locked (making);
CREATE TABLE pointed (blob TEXT, path TEXT, oid TEXT, size INTEGER, nfiles INTEGER, PRIMARY KEY (blob, path));
CREATE TABLE change (
    place INTEGER PRIMARY KEY, at TEXT, time TEXT, author TEXT, subject TEXT, path TEXT, blob TEXT);
CREATE INDEX change_path ON change (path);
CREATE INDEX change_blob ON change (blob);
CREATE TABLE part (oid TEXT, inside TEXT, md5 TEXT NOT NULL, PRIMARY KEY (oid, inside)) WITHOUT ROWID;
CREATE INDEX part_md5 ON part (md5);
"""
_WAIT = 10.0  # seconds to wait for another process's transaction
_RECORD = "run.json"


class Change(NamedTuple):
    """A commit that changed `path`; `blob` is git's name of what it was then, "" where it was not there."""

    commit: Commit
    path: str
    blob: str


class Past(NamedTuple):
    """What the index asks of git and of DVC's formats; those that raise, raise TrunklineError.

    `tips` is a text that changes whenever history does; `changes` are those of dvc.lock and of every
    pointer, newest first; `contents` those of blobs; `lock` and `pointer` read DVC's files.
    """

    tips: Callable[[], str]
    changes: Callable[[], Iterable[Change]]
    contents: Callable[[Sequence[str]], Iterable[bytes | None]]
    lock: Callable[[str], Mapping[str, LockEntry]]
    pointer: Callable[[str, str], Version | None]


def connect(path: str) -> sqlite3.Connection:
    """The database at `path`, with its tables."""
    db = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        if db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
            transaction(db, _create)
    except BaseException:
        db.close()
        raise
    return db


def _create(db: sqlite3.Connection) -> None:
    """Make the tables, dropping those of another scheme. Two processes may come here at once."""
    if db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA:
        return
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        db.execute(f'DROP TABLE "{name}"')
    for statement in filter(str.strip, _TABLES.split(";")):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA}")


def transaction(db: sqlite3.Connection, change: Callable[[sqlite3.Connection], object]) -> None:
    """All of a change, or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        change(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def refresh(db: sqlite3.Connection, folder: str, lock: bytes, past: Past) -> None:
    """Bring it up to date with the records in `folder`, the workspace's dvc.lock, and git."""
    tips = past.tips()
    digest_ = md5_bytes(lock)

    def work(db: sqlite3.Connection) -> None:
        """Asked once more under the lock of the database: another process may have been here."""
        if _known(db, "lock") != digest_:
            _learn_lock(db, "", _parsed(lock, past))
            _know(db, "lock", digest_)
        if _known(db, "tips") != tips:
            _learn_history(db, past)
            _know(db, "tips", tips)
        new, gone = _changed(db, folder)
        for run_id, mtime, size in new:
            _learn_run(db, folder, run_id, mtime, size)
        _forget(db, gone)
        _sweep(db)

    if _known(db, "lock") != digest_ or _known(db, "tips") != tips or any(_changed(db, folder)):
        transaction(db, work)


def _known(db: sqlite3.Connection, key: str) -> str:
    row = db.execute("SELECT value FROM known WHERE key = ?", (key,)).fetchone()
    return row[0] if row else "\0"


def _know(db: sqlite3.Connection, key: str, value: str) -> None:
    db.execute("INSERT OR REPLACE INTO known VALUES (?, ?)", (key, value))


def _changed(db: sqlite3.Connection, folder: str) -> tuple[list[tuple[str, int, int]], list[str]]:
    """(name, mtime, size) of the records that are new or replaced; the names of those that are gone."""
    known = {row[0]: row[1:] for row in db.execute("SELECT run, mtime, size FROM run")}
    try:
        names = {name for name in os.listdir(folder) if name in known or is_id(name)}
    except (FileNotFoundError, NotADirectoryError):
        names = set()
    new = []
    for name in names:
        try:
            stat = os.stat(f"{folder}/{name}/{_RECORD}")
        except OSError:
            continue  # begun, and not more
        if known.get(name) != (stat.st_mtime_ns, stat.st_size):
            new.append((name, stat.st_mtime_ns, stat.st_size))
    return sorted(new), [name for name in known if name not in names]


def _forget(db: sqlite3.Connection, runs: Iterable[str]) -> None:
    for name in runs:
        db.execute("DELETE FROM ran WHERE run IN (SELECT id FROM run WHERE run = ?)", (name,))
        db.execute("DELETE FROM run WHERE run = ?", (name,))


def _sweep(db: sqlite3.Connection) -> None:
    """Drop the makings that no record and no lock has any more."""
    orphans = db.execute(
        "SELECT id FROM making WHERE NOT EXISTS (SELECT 1 FROM ran WHERE making = id)"
        " AND NOT EXISTS (SELECT 1 FROM locked WHERE making = id)"
    ).fetchall()
    if orphans:
        db.executemany("DELETE FROM making WHERE id = ?", orphans)
        for table in ("dep", "out", "param"):
            db.execute(f"DELETE FROM {table} WHERE making NOT IN (SELECT id FROM making)")


def _learn_run(db: sqlite3.Connection, folder: str, run_id: str, mtime: int, size: int) -> None:
    """One record; of one that cannot be read, only that it is there."""
    _forget(db, [run_id])
    path = f"{folder}/{run_id}/{_RECORD}"
    try:
        with open(path, "rb") as stream:
            record = from_json(stream.read(), path)
    except (OSError, TrunklineError):
        db.execute("INSERT INTO run (run, mtime, size) VALUES (?, ?, ?)", (run_id, mtime, size))
        return
    git = record.git
    row = db.execute(
        "INSERT INTO run (run, mtime, size, state, started, at, parent, branch, dirty, environment)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (run_id, mtime, size, record.state, record.started, git.commit, record.code.get("parent"), git.branch,
         json.dumps(git.dirty_files), _environment(db, record)),
    )  # fmt: skip
    _learn_stages(db, row.lastrowid or 0, record)


def _learn_stages(db: sqlite3.Connection, run: int, record: RunRecord) -> None:
    for ref, stage in record.stages.items():
        if stage.entry is None:
            continue
        making = _learn_making(db, ref.replace(".", "-", 1), stage.entry)
        first = next(iter(stage.reasons), None)
        vouched = stage.state == "done" and first is not None and first.kind == ReasonKind.ACCEPTED
        worked = bool(stage.datums.get("run") or stage.datums.get("drop")) and not vouched
        db.execute(
            "INSERT OR REPLACE INTO ran VALUES (?, ?, ?, ?, ?, ?, ?)",
            (run, making, worked, first.subject if vouched and first else None, stage.transform,
             json.dumps(stage.datums), stage.seconds),
        )  # fmt: skip


def _environment(db: sqlite3.Connection, record: RunRecord) -> int | None:
    if not record.environment:
        return None
    text = json.dumps(record.environment, default=str)
    row = db.execute("SELECT id FROM environment WHERE text = ?", (text,)).fetchone()
    if row is not None:
        return int(row[0])
    id_ = db.execute("INSERT INTO environment (text) VALUES (?)", (text,)).lastrowid or 0
    packages = record.environment.get("packages") or {}
    rows = [(name, str(version), id_) for name, version in packages.items()]
    db.executemany("INSERT OR IGNORE INTO package VALUES (?, ?, ?)", rows)
    return id_


def _learn_making(db: sqlite3.Connection, name: str, entry: LockEntry) -> int:
    signed = mark(name, entry)
    row = db.execute("SELECT id FROM making WHERE signature = ?", (signed,)).fetchone()
    if row is not None:
        return int(row[0])
    model = declared(name, entry).model or (None, None)
    id_ = db.execute(
        "INSERT INTO making (signature, name, cmd, deps, outs, params, model, file)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (signed, name, entry.cmd, json.dumps(entry.deps), json.dumps(entry.outs),
         json.dumps(entry.params, default=str), *model),
    ).lastrowid or 0  # fmt: skip
    for table, items in (("dep", entry.deps), ("out", entry.outs)):
        rows = [(item.md5, item.path, id_) for item in items]
        db.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?)", rows)
    params = flat(parameters(name, entry), declared(name, entry).ref)
    db.executemany("INSERT OR IGNORE INTO param VALUES (?, ?, ?)", [(*pair, id_) for pair in params])
    return id_


def mark(name: str, entry: LockEntry) -> str:
    """What identifies a making: by way of JSON, as a record has it."""
    return digest([name, signature(entry)])


def _learn_lock(db: sqlite3.Connection, lock: str, entries: Mapping[str, LockEntry]) -> None:
    db.execute("DELETE FROM locked WHERE lock = ?", (lock,))
    for name, entry in entries.items():
        db.execute("INSERT OR IGNORE INTO locked VALUES (?, ?)", (lock, _learn_making(db, name, entry)))


def _learn_history(db: sqlite3.Connection, past: Past) -> None:
    """Git's history, as it is now; contents that were read before are not read again."""
    changes = list(past.changes())
    db.execute("DELETE FROM change")
    db.executemany(
        "INSERT INTO change VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (place, each.commit.commit, each.commit.time, each.commit.author, each.commit.subject, each.path,
             each.blob)
            for place, each in enumerate(changes)
        ],
    )  # fmt: skip
    pairs = dict.fromkeys((each.blob, each.path) for each in changes if each.blob)
    read = {tuple(row) for row in db.execute("SELECT blob, path FROM pointed")}
    new = [pair for pair in pairs if pair not in read]
    contents = past.contents([blob for blob, _ in new])
    for (blob, path), data in zip(new, contents, strict=True):
        version = None
        if path == LOCK:
            _learn_lock(db, blob, _parsed(data or b"", past))
        else:
            with suppress(TrunklineError, ValueError):
                version = past.pointer((data or b"").decode("utf-8", "replace"), path)
        db.execute("INSERT INTO pointed VALUES (?, ?, ?, ?, ?)", (blob, path, *(version or (None,) * 3)))
    db.execute("DELETE FROM pointed WHERE blob NOT IN (SELECT blob FROM change)")
    db.execute("DELETE FROM locked WHERE lock != '' AND lock NOT IN (SELECT blob FROM change)")


def _parsed(text: bytes, past: Past) -> Mapping[str, LockEntry]:
    """The entries of a lock; none where it is no lock (an old format, a conflict)."""
    with suppress(TrunklineError, ValueError):
        return past.lock(text.decode("utf-8", "replace")) if text else {}
    return {}
