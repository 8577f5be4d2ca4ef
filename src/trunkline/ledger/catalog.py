"""An index of what runs, dvc.lock and git say of the past, so that lineage need not read all of it.

    making   every entry of a stage that dvc.lock or a run's record ever had, once; by deps, outs, params
    ran      which run made, or took over, which making         run, environment, package: of the records
    locked   which dvc.lock (by git's name of its content) has which making; "" is the workspace's
    change   the commits that changed dvc.lock or a pointer, newest first;   pointed: versions of pointers
    part     the content of a file or directory inside a version, as far as it was asked for

`refresh` brings it up to date: records by name, mtime and size, git's history when a branch, a tag or
HEAD moved, and of that only contents not seen before. One SQLite database per workspace,
`.dvc/tmp/trunkline/lineage.db`. Deleting it costs time only: a damaged or foreign one is made anew, and
where nothing can be written the index lasts as long as the process. What changed is written in one
transaction; a second process waits for it and then finds nothing to do.

Measured at 10,000 runs of 5 stages: filling takes 6 s, looking whether anything changed 50 ms, most of
it one `stat` for each record.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

from trunkline.digest import md5_bytes
from trunkline.errors import TrunklineError
from trunkline.ledger.ids import is_id
from trunkline.ledger.makings import Making, canonical, declared, digest, flat, parameters
from trunkline.ledger.records import RunRecord, from_json, signature
from trunkline.model import Commit, LockEntry, LockItem, ReasonKind, Version

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
_CHUNK = 500  # values in one statement
_RECORD = "run.json"
_MAKING = "making.id, name, cmd, deps, outs, params, model, file"

T = TypeVar("T")


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


class RunRow(NamedTuple):
    """A run that made a making. `worked`: it computed something of it; `accepted`: by whom nothing was made."""

    making: int
    id: str
    state: str
    started: str
    commit: str | None
    branch: str | None
    dirty: str
    environment: int
    worked: bool
    accepted: str | None
    datums: str
    seconds: float


class Catalog:
    """The index at `path` of the runs in `runs`, the dvc.lock in `root`, and of git's history."""

    def __init__(self, path: str, root: str, runs: str, past: Past) -> None:
        self._path = path
        self._root = root
        self._runs = runs
        self._past = past
        self._connection: sqlite3.Connection | None = None
        self._fresh = False

    def close(self) -> None:
        """Close the database; the next question opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._fresh = False

    def __del__(self) -> None:
        self.close()

    # ------------------------------------------------------------ makings

    def of_entry(self, name: str, entry: LockEntry) -> list[int]:
        """The id of the making of this entry of the stage that DVC calls so; none where it is not known."""
        query = "SELECT id FROM making WHERE signature = ?"
        return [row[0] for row in self._rows(query, (_mark(name, entry),))]

    def with_out(self, path: str, md5: str) -> list[Making]:
        """The makings with this content as an output at `path`."""
        return self._makings("JOIN out ON making = making.id WHERE md5 = ? AND path = ?", (md5, path))

    def with_dep(self, path: str, md5s: Sequence[str]) -> list[Making]:
        """The makings that read one of these contents at `path`."""
        found: list[Making] = []
        for some, marks in _chunks(md5s):
            where = f"JOIN dep ON making = making.id WHERE path = ? AND md5 IN ({marks})"
            found += self._makings(where, (path, *some))
        return found

    def with_param(self, key: str, value: object) -> list[Making]:
        """The makings whose parameter (`flights.train.epochs`) had this value."""
        where = "JOIN param ON making = making.id WHERE key = ? AND value = ?"
        return self._makings(where, (key, canonical(value)))

    def param_values(self, key: str) -> list[str]:
        """The values that a parameter had, as JSON."""
        query = "SELECT DISTINCT value FROM param WHERE key = ? ORDER BY value"
        return [row[0] for row in self._rows(query, (key,))]

    def with_model(self) -> list[Making]:
        """The makings with a model among their outputs."""
        return self._makings("WHERE model IS NOT NULL", ())

    def every(self) -> list[Making]:
        """All of them, the last that became known first."""
        return self._makings("ORDER BY making.id DESC", ())

    def together(self, kind: str, id_: str) -> list[Making]:
        """Those of one lock: of the workspace, a run or a commit."""
        match kind:
            case "workspace":
                return self._makings("JOIN locked ON making = making.id WHERE lock = ''", ())
            case "run":
                where = "JOIN ran ON making = making.id JOIN run ON run.id = ran.run WHERE run.run = ?"
                return self._makings(where, (id_,))
            case _:
                where = (
                    "JOIN locked ON making = making.id JOIN change ON blob = lock"
                    " WHERE change.path = ? AND at = ?"
                )
                return self._makings(where, (LOCK, id_))

    def locks(self) -> list[tuple[str, str, str]]:
        """(kind, id, time) of every run and of every commit that changed dvc.lock, newest first."""
        query = (
            "SELECT 'run', run, started FROM run WHERE state IS NOT NULL UNION ALL"
            " SELECT 'commit', at, time FROM change WHERE path = ? AND blob != '' ORDER BY 3 DESC"
        )
        return [(row[0], row[1], row[2]) for row in self._rows(query, (LOCK,))]

    def beside(self, makings: Sequence[int], below: str) -> list[Making]:
        """Those that were in one lock or run with any of these, and read something below the path."""
        found: set[int] = set()
        for some, marks in _chunks(makings):
            for link in ("ran", "locked"):
                by = "run" if link == "ran" else "lock"
                query = (
                    f"SELECT DISTINCT other.making FROM {link} AS one JOIN {link} AS other USING ({by})"
                    " JOIN dep ON dep.making = other.making"
                    f" WHERE one.making IN ({marks}) AND path > ? AND path < ?"
                )
                found.update(row[0] for row in self._rows(query, (*some, f"{below}/", f"{below}0")))
        return self.some(sorted(found))

    def some(self, ids: Sequence[int]) -> list[Making]:
        """Those with these ids."""
        found: list[Making] = []
        for part, marks in _chunks(ids):
            found += self._makings(f"WHERE making.id IN ({marks})", part)
        return found

    def contents(self, prefix: str) -> list[tuple[str, str]]:
        """(path, content) of every output, and of every version of a pointer, whose content begins so."""
        query = (
            "SELECT DISTINCT path, md5 FROM out WHERE md5 >= ? AND md5 < ?"
            " UNION SELECT DISTINCT substr(path, 1, length(path) - 4), oid FROM pointed"
            " WHERE oid >= ? AND oid < ?"
        )
        bounds = (prefix, f"{prefix}~")
        return [(row[0], row[1]) for row in self._rows(query, (*bounds, *bounds))]

    def known_parts(self, prefix: str) -> list[tuple[str, str, str]]:
        """(version, what is inside, its content) of the parts that were learnt and whose content begins so."""
        return self._rows(
            "SELECT oid, inside, md5 FROM part WHERE md5 >= ? AND md5 < ?", (prefix, f"{prefix}~")
        )

    def paths_of(self, oid: str) -> list[str]:
        """Where this content was an output, or a version of a pointer."""
        return [path for path, md5 in self.contents(oid) if md5 == oid]

    def paths(self, role: str) -> list[str]:
        """Every path that was ever a dep (`role` "dep"), an output ("out") or a source dataset ("source")."""
        if role == "source":
            query = "SELECT DISTINCT substr(path, 1, length(path) - 4) FROM pointed WHERE oid IS NOT NULL"
            return [row[0] for row in self._rows(query, ())]
        return [row[0] for row in self._rows(f"SELECT DISTINCT path FROM {role}", ())]

    def versions(self, role: str, path: str) -> list[str]:
        """Every content that was ever read ("dep"), or made ("out"), at `path`."""
        return [row[0] for row in self._rows(f"SELECT DISTINCT md5 FROM {role} WHERE path = ?", (path,))]

    def _makings(self, where: str, values: Sequence[object]) -> list[Making]:
        rows = self._rows(f"SELECT DISTINCT {_MAKING} FROM making {where}", values)
        return [_making(*row) for row in rows]

    # ------------------------------------------------------------ runs

    def runs_of(self, makings: Sequence[int]) -> list[RunRow]:
        """The runs that have these makings, newest first."""
        rows: list[RunRow] = []
        for some, marks in _chunks(makings):
            rows += self._run_rows(f"making IN ({marks})", some)
        return sorted(rows, key=lambda row: row.id, reverse=True)

    def runs_at(self, commit: str) -> list[RunRow]:
        """What the runs made that were made at this commit, or that have it as parent; newest first."""
        return self._run_rows("(at = ? OR parent = ?)", (commit, commit))

    def runs_with(self, package: str, version: str) -> list[RunRow]:
        """What the runs made in whose environment this version of the package was; newest first."""
        where = "run.environment IN (SELECT environment FROM package WHERE name = ? AND version = ?)"
        return self._run_rows(where, (package, version))

    def package_versions(self, package: str) -> list[str]:
        """The versions of a package that runs had."""
        query = "SELECT DISTINCT version FROM package WHERE name = ? ORDER BY version"
        return [row[0] for row in self._rows(query, (package,))]

    def _run_rows(self, where: str, values: Sequence[object]) -> list[RunRow]:
        query = (
            "SELECT making, run.run, state, started, at, branch, dirty, environment, worked, accepted, datums,"
            f" seconds FROM ran JOIN run ON run.id = ran.run WHERE {where} ORDER BY run.run DESC"
        )
        return [RunRow(*row) for row in self._rows(query, values)]

    def environment(self, id_: int) -> dict[str, Any]:
        """An environment that runs had."""
        rows = self._rows("SELECT text FROM environment WHERE id = ?", (id_,))
        return dict(json.loads(rows[0][0])) if rows else {}

    def accepted(self, ref: str, transform: str) -> tuple[str, str, str] | None:
        """(by whom, when, run) of the last acceptance of a stage's outputs for this transform."""
        query = (
            "SELECT accepted, started, run.run FROM ran JOIN run ON run.id = ran.run"
            " JOIN making ON making.id = making WHERE accepted IS NOT NULL AND transform = ? AND name = ?"
            " ORDER BY run.run DESC LIMIT 1"
        )
        rows = self._rows(query, (transform, ref.replace(".", "-", 1)))
        return rows[0] if rows else None

    # ------------------------------------------------------------ commits

    def locked_at(self, making: int) -> tuple[str, str] | None:
        """(commit, time) since which dvc.lock last had it without a break; None where no commit has it."""
        query = (
            "SELECT at, time, blob IN (SELECT lock FROM locked WHERE making = ?) FROM change"
            " WHERE path = ? ORDER BY place"
        )
        since: tuple[str, str] | None = None
        for commit, time, has in self._rows(query, (making, LOCK)):
            if has:
                since = commit, time
            elif since is not None:
                break
        return since

    def last_commits(self, makings: Sequence[int]) -> dict[int, tuple[str, str]]:
        """making -> (commit, time) of the newest commit whose dvc.lock has it, where one has."""
        found: dict[int, tuple[str, str]] = {}
        for some, marks in _chunks(makings):
            query = (
                "SELECT making, at, time, min(place) FROM locked JOIN change ON blob = lock"
                f" WHERE change.path = ? AND making IN ({marks}) GROUP BY making"
            )
            found.update((row[0], (row[1], row[2])) for row in self._rows(query, (LOCK, *some)))
        return found

    def present(self, makings: Sequence[int]) -> frozenset[int]:
        """Those among these that the workspace's dvc.lock has."""
        wanted = set(makings)
        rows = self._rows("SELECT making FROM locked WHERE lock = ''", ())
        return frozenset(row[0] for row in rows if row[0] in wanted)

    def pointed(self, path: str) -> list[tuple[Version, Commit]]:
        """The versions that the pointer file `path` ever named, newest first, each time it was changed."""
        query = (
            "SELECT oid, size, nfiles, at, time, author, subject FROM change JOIN pointed USING (blob, path)"
            " WHERE path = ? ORDER BY place"
        )
        return [(Version(*row[:3]), Commit(*row[3:])) for row in self._rows(query, (path,))]

    # ------------------------------------------------------------ parts

    def parts(self, inside: str, oids: Sequence[str]) -> dict[str, str]:
        """oid -> the content of what is at `inside`, "" for nothing; only what was learnt."""
        found: dict[str, str] = {}
        for some, marks in _chunks(oids):
            query = f"SELECT oid, md5 FROM part WHERE inside = ? AND oid IN ({marks})"
            found.update(self._rows(query, (inside, *some)))
        return found

    def learn(self, parts: Iterable[tuple[str, str, str]]) -> None:
        """Remember (oid, inside, content)."""
        rows = list(parts)

        def write(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO part VALUES (?, ?, ?)", rows)

        if rows:
            with suppress(sqlite3.Error):  # only remembered, to be faster next time
                _transaction(self._open(), write)

    # ------------------------------------------------------------ the database

    def _rows(self, query: str, values: Sequence[object]) -> list[Any]:
        for last in (False, True):
            try:
                if not self._fresh:
                    _refresh(self._open(), self._runs, self._lock_text(), self._past)
                    self._fresh = True
                return self._open().execute(query, values).fetchall()
            except sqlite3.Error as error:
                self._recover(error, last)
        raise AssertionError("unreachable")

    def _lock_text(self) -> bytes:
        try:
            with open(os.path.join(self._root, LOCK), "rb") as stream:
                return stream.read()
        except (FileNotFoundError, NotADirectoryError):
            return b""

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                os.makedirs(os.path.dirname(self._path), exist_ok=True)
            except OSError:
                self._path = ":memory:"
            self._connection = _connect(self._path)
        return self._connection

    def _recover(self, error: sqlite3.Error, last: bool) -> None:
        """Make ready for another try: with an empty database where it is damaged, else with one in memory."""
        if last and self._path == ":memory:":
            raise error
        self.close()
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if last or code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
            self._path = ":memory:"
            return
        try:
            for suffix in ("-journal", ""):
                with suppress(FileNotFoundError):
                    os.unlink(self._path + suffix)
        except OSError:
            self._path = ":memory:"


def _chunks(values: Sequence[T]) -> Iterator[tuple[Sequence[T], str]]:
    for start in range(0, len(values), _CHUNK):
        some = values[start : start + _CHUNK]
        yield some, ",".join("?" * len(some))


def _making(
    id_: int, name: str, cmd: str, deps: str, outs: str, params: str, model: str | None, file: str
) -> Making:
    found = None if model is None else (model, file)
    return Making(id_, name, cmd, _items(deps), _items(outs), params, found)


def _items(text: str) -> tuple[LockItem, ...]:
    return tuple(LockItem(*item) for item in json.loads(text))


def _connect(path: str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        if db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
            _transaction(db, _create)
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


def _transaction(db: sqlite3.Connection, change: Callable[[sqlite3.Connection], object]) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        change(db)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


# ---------------------------------------------------------------- bringing it up to date


def _refresh(db: sqlite3.Connection, folder: str, lock: bytes, past: Past) -> None:
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
        _transaction(db, work)


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
    mark = _mark(name, entry)
    row = db.execute("SELECT id FROM making WHERE signature = ?", (mark,)).fetchone()
    if row is not None:
        return int(row[0])
    model = declared(name, entry).model or (None, None)
    id_ = db.execute(
        "INSERT INTO making (signature, name, cmd, deps, outs, params, model, file)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (mark, name, entry.cmd, json.dumps(entry.deps), json.dumps(entry.outs),
         json.dumps(entry.params, default=str), *model),
    ).lastrowid or 0  # fmt: skip
    for table, items in (("dep", entry.deps), ("out", entry.outs)):
        rows = [(item.md5, item.path, id_) for item in items]
        db.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?)", rows)
    params = flat(parameters(name, entry), declared(name, entry).ref)
    db.executemany("INSERT OR IGNORE INTO param VALUES (?, ?, ?)", [(*pair, id_) for pair in params])
    return id_


def _mark(name: str, entry: LockEntry) -> str:
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
