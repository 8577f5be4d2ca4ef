"""Results by datum key, in SQLite beside DVC's cache: what was computed once is known from then on.

    batches    id, stage, run, datums, seconds        one row per stage and run, with its totals
    results    key -> batch, seconds, files           files: path NUL md5 NUL size, repeated
    manifests  oid                                    manifests whose rows are among the results
    recovered, accepted                               see `ledger.recovered`, `ledger.accepted`

Everything here can be computed again, so losing it costs time only: a deleted database is made
anew, a damaged one is set aside (`results.db.damaged`) and made anew. Several processes may use it
(write-ahead log; a writer waits for the other). Opened at the first question; a question put to a
database that does not exist creates none.

Measured at 100,000 results of one file: the B-tree on the text of the key takes them in key order
in .35 s and finds them in chunks of IN (…) in .22 s, where a join with a temporary table took 2.3 s.
"Who produced this content" is a scan (.01 s), because an index would double the price of inserting.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from trunkline.errors import LockedError, ProjectError, StoreError
from trunkline.ledger import accepted, recovered
from trunkline.model import File, ManifestRow, Recovered, Result
from trunkline.points import Point, reached

SCHEMA = 1
NAME = "results.db"
_TABLES = (
    """CREATE TABLE batches (
        id INTEGER PRIMARY KEY, stage TEXT NOT NULL, run TEXT NOT NULL,
        datums INTEGER NOT NULL, seconds REAL NOT NULL, UNIQUE (stage, run))""",
    """CREATE TABLE results (
        key TEXT PRIMARY KEY, batch INTEGER NOT NULL, seconds REAL NOT NULL, files BLOB NOT NULL
        ) WITHOUT ROWID""",
    "CREATE TABLE manifests (oid TEXT PRIMARY KEY) WITHOUT ROWID",
    f"PRAGMA user_version = {SCHEMA}",
)
_CHUNK = 10_000  # variables in one statement; SQLite allows 32,766
_PATIENCE = 60.0  # seconds to wait for another writer
_RECENT = 20  # runs of a stage whose mean is its likely duration
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_UNWRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL)

# A forked child must neither use nor close what its parent has open.
_inherited: list[sqlite3.Connection] = []

T = TypeVar("T")


class Results:
    """The results index in `directory`. Safe to share between threads and between processes."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, NAME)
        self._guard = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int, int] | None = None

    # ------------------------------------------------------------ results

    def results(self, keys: Sequence[str]) -> dict[str, Result]:
        """The recorded results among `keys`."""
        return self._read(lambda connection: _lookup(connection, keys), {}) if keys else {}

    def record(self, stage: str, results: Iterable[Result]) -> None:
        """Keep these results of one stage; a key that is known already gets the new result."""
        by_run: dict[str, list[Result]] = {}
        for result in results:
            by_run.setdefault(result.run, []).append(result)

        def work(connection: sqlite3.Connection) -> None:
            for run, some in by_run.items():
                batch = _batch(connection, stage, run, len(some), sum(result.seconds for result in some))
                rows = sorted((r.key, batch, r.seconds, _encode(r.files)) for r in some)
                connection.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", rows)
                recovered.settle(connection, (row[0] for row in rows))
                accepted.settle(connection, ((r.key, r.made) for r in some))
            reached(Point.RESULTS_WRITTEN)

        if by_run:
            self._write(work)
            reached(Point.RESULTS_RECORDED)

    def forget(self, keys: Iterable[str]) -> None:
        """Drop results whose files are gone.

        A manifest may know other files for such a key, so manifests are open to be learnt again.
        """
        gone = sorted((key,) for key in keys)

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM results WHERE key = ?", gone)
            connection.execute("DELETE FROM manifests")

        if gone and os.path.exists(self._path):
            self._write(work)
            reached(Point.RESULTS_FORGOTTEN)

    def rows(self) -> list[tuple[str, str, str, tuple[File, ...]]]:
        """(key, stage, run, files) of every result; the run is "" where only a manifest told it."""
        query = "SELECT key, stage, run, files FROM results JOIN batches ON batches.id = batch"

        def work(connection: sqlite3.Connection) -> list[tuple[str, str, str, tuple[File, ...]]]:
            return [(*row[:3], _decode(row[3])) for row in connection.execute(query)]

        return self._read(work, [])

    def seconds(self, stage: str) -> float | None:
        """The mean seconds of a datum of this stage in its last runs; None where it never ran."""
        recent = (
            "SELECT sum(seconds) / sum(datums) FROM (SELECT seconds, datums FROM batches"
            " WHERE stage = ? AND datums > 0 ORDER BY id DESC LIMIT ?)"
        )

        def work(connection: sqlite3.Connection) -> float | None:
            row: tuple[float | None] = connection.execute(recent, (stage, _RECENT)).fetchone()
            return row[0]

        return self._read(work, None)

    def producers(self, md5: str) -> tuple[tuple[str, str, str], ...]:
        """(stage, datum key, run) of every result with an output of this content, newest first."""
        query = (
            "SELECT stage, key, run FROM results JOIN batches ON batches.id = batch"
            " WHERE instr(files, ?) ORDER BY batch DESC, key"
        )
        needle = b"\0" + md5.encode() + b"\0"

        def work(connection: sqlite3.Connection) -> tuple[tuple[str, str, str], ...]:
            return tuple(connection.execute(query, (needle,)))

        return self._read(work, ())

    # ------------------------------------------------------------ recovered datums

    def recover(self, stage: str, datums: Sequence[Recovered]) -> None:
        """Keep which datums of a stage failed and were recovered; the last time counts."""
        if datums:
            self._write(lambda connection: recovered.keep(connection, stage, datums))

    def recovered(self, stage: str) -> dict[str, Recovered]:
        """The datums of a stage that were recovered and have had no result since, by key."""
        return self._read(lambda connection: recovered.of(connection, stage), {})

    # ------------------------------------------------------------ manifests

    def knows(self, manifest: str) -> bool:
        """Whether the rows of this manifest (by its content hash) are among the results."""

        def work(connection: sqlite3.Connection) -> bool:
            query = "SELECT 1 FROM manifests WHERE oid = ?"
            return connection.execute(query, (manifest,)).fetchone() is not None

        return self._read(work, False)

    def learn(self, manifest: str, rows: Sequence[ManifestRow], *, stage: str = "", run: str = "") -> None:
        """Make a manifest's rows results. What is known already stays; nothing is known of times.

        Where nothing can be written they stay unknown: planning must not fail for it.
        """
        found = sorted((row.key, _encode(row.files)) for row in rows)

        def work(connection: sqlite3.Connection) -> None:
            batch = _batch(connection, stage, run, 0, 0.0)
            accepted.learn(connection, ((row.key, row.made) for row in rows))
            connection.executemany(
                "INSERT OR IGNORE INTO results VALUES (?, ?, 0.0, ?)",
                ((key, batch, files) for key, files in found),
            )
            connection.execute("INSERT OR IGNORE INTO manifests VALUES (?)", (manifest,))

        with suppress(StoreError):
            self._write(work)

    # ------------------------------------------------------------ the database

    def close(self) -> None:
        """Close the database; the next question opens it again."""
        with self._guard:
            self._close()

    def __del__(self) -> None:
        self._close()

    def _read(self, work: Callable[[sqlite3.Connection], T], default: T) -> T:
        with self._guard:
            if not os.path.exists(self._path):
                return default
            return self._attempt(work)

    def _write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        def transaction(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                work(connection)

        with self._guard:
            self._attempt(transaction)

    def _attempt(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` on the database; a second time on a new one where it turns out to be damaged."""
        try:
            return self._once(work)
        except _DamagedError:
            self._set_aside()
        try:
            return self._once(work)
        except _DamagedError as error:
            raise StoreError(
                "the index of results cannot be read, nor replaced",
                where=self._path,
                hint="delete it: that costs time, no data",
            ) from error

    def _once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._open())
        except sqlite3.Error as error:
            raise self._explained(error) from error
        except ValueError as error:
            raise _DamagedError from error

    def _explained(self, error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _DAMAGED:
            return _DamagedError()
        if code in _BUSY:
            return LockedError(
                f"another process has been writing results for more than {_PATIENCE:.0f} seconds",
                where=self._path,
                hint="wait for it to end, or end it",
            )
        return StoreError(
            f"the index of results cannot be used: {error}",
            where=self._path,
            hint="see that its directory can be written to and its disk is not full; "
            "deleting it costs time, no data",
        )

    def _open(self) -> sqlite3.Connection:
        """The connection; a new one after a fork, or where the file was replaced or deleted."""
        if self._connection is not None and self._opened == _identity(self._path):
            return self._connection
        self._close()
        try:
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot be created: {error.strerror}", where=self._path) from error
        connection = sqlite3.connect(
            self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        self._connection, self._opened = connection, _identity(self._path)
        try:
            version = _prepared(connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _UNWRITABLE or not self._settled():
                raise
            connection.close()
            connection = self._connection = self._readable()
            version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA:
            self._close()
            raise ProjectError(
                f"the index of results has format {version}; this trunkline knows {SCHEMA}",
                where=self._path,
                hint="upgrade trunkline, or delete the file: that costs time, no data",
            )
        if version < SCHEMA:
            raise _DamagedError
        return connection

    def _settled(self) -> bool:
        """Whether all that was written stands in the file itself, and none of it in the log beside it."""
        try:
            return not os.path.getsize(f"{self._path}-wal")
        except FileNotFoundError:
            return True

    def _readable(self) -> sqlite3.Connection:
        """A connection for reading where nothing can be written, as on a read-only or a full disk."""
        from urllib.parse import quote

        location = f"file:{quote(self._path)}?immutable=1"
        return sqlite3.connect(location, uri=True, isolation_level=None, check_same_thread=False)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None or self._opened is None:
            return
        if self._opened[0] == os.getpid():
            connection.close()
        else:
            _inherited.append(connection)

    def _set_aside(self) -> None:
        """Move the damaged database away, unless another process has done so already."""
        same = self._opened == _identity(self._path)
        self._close()
        if same:
            for suffix in ("-shm", "-wal", ""):
                with suppress(FileNotFoundError):
                    os.replace(self._path + suffix, f"{self._path}.damaged{suffix}")


class _DamagedError(Exception):
    """The database is not one of ours, or no longer."""


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _identity(path: str) -> tuple[int, int, int] | None:
    """(process, device, inode): with another one, a connection is no longer the file's."""
    try:
        stat = os.stat(path)
    except FileNotFoundError:
        return None
    return os.getpid(), stat.st_dev, stat.st_ino


def _prepared(connection: sqlite3.Connection) -> int:
    """The format of the database, its tables created where it is empty."""
    connection.execute("PRAGMA synchronous = NORMAL")
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version or connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return version
    _write_ahead(connection)
    with _transaction(connection):
        if not connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            for statement in _TABLES:
                connection.execute(statement)
    return SCHEMA


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait where two processes do this at once."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _batch(connection: sqlite3.Connection, stage: str, run: str, datums: int, seconds: float) -> int:
    """The id of the batch of this stage and run, with these datums added to its totals."""
    added = (
        "INSERT INTO batches (stage, run, datums, seconds) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (stage, run) DO UPDATE SET"
        " datums = datums + excluded.datums, seconds = seconds + excluded.seconds"
    )
    connection.execute(added, (stage, run, datums, seconds))
    found = connection.execute("SELECT id FROM batches WHERE stage = ? AND run = ?", (stage, run))
    batch: int = found.fetchone()[0]
    return batch


def _lookup(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Result]:
    rows: list[tuple[str, int, float, bytes]] = []
    for start in range(0, len(keys), _CHUNK):
        part = keys[start : start + _CHUNK]
        marks = ",".join("?" * len(part))
        rows += connection.execute(
            f"SELECT key, batch, seconds, files FROM results WHERE key IN ({marks})", part
        )
    runs = _runs(connection, {row[1] for row in rows})
    made = accepted.among(connection, keys)
    return {
        key: Result(key, _decode(files), runs[batch], seconds, made.get(key, ""))
        for key, batch, seconds, files in rows
    }


def _runs(connection: sqlite3.Connection, batches: set[int]) -> dict[int, str]:
    query = "SELECT run FROM batches WHERE id = ?"
    found = {batch: connection.execute(query, (batch,)).fetchone() for batch in batches}
    if not all(found.values()):
        raise _DamagedError
    return {batch: row[0] for batch, row in found.items()}


def _encode(files: Sequence[File]) -> bytes:
    parts = [f"{file.path}\0{file.md5}\0{file.size}" for file in files]
    return "\0".join(parts).encode("utf-8", "surrogatepass")


def _decode(data: bytes) -> tuple[File, ...]:
    if not data:
        return ()
    parts = data.decode("utf-8", "surrogatepass").split("\0")
    if len(parts) == 3:
        return (File(parts[0], parts[1], int(parts[2])),)
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return tuple(File(path, md5, int(size)) for path, md5, size in triples)
