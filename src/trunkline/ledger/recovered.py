"""Which datums failed and were recovered by `err_cmd`: a table of the results index, made when needed.

    recovered  key -> stage, run, reason

A datum is in it until it has a result. Most projects never have one, and no such table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from trunkline.model import Recovered

_TABLE = """CREATE TABLE IF NOT EXISTS recovered (
    key TEXT PRIMARY KEY, stage TEXT NOT NULL, run TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID"""


def keep(connection: sqlite3.Connection, stage: str, datums: Iterable[Recovered]) -> None:
    """Keep these datums of a stage; of one that is there already, the last time counts."""
    connection.execute(_TABLE)
    rows = [(datum.key, stage, datum.run, datum.reason) for datum in datums]
    connection.executemany("INSERT OR REPLACE INTO recovered VALUES (?, ?, ?, ?)", rows)


def settle(connection: sqlite3.Connection, keys: Iterable[str]) -> None:
    """These datums have a result."""
    if _exists(connection):
        connection.executemany("DELETE FROM recovered WHERE key = ?", ((key,) for key in keys))


def of(connection: sqlite3.Connection, stage: str) -> dict[str, Recovered]:
    """The datums of a stage, by key."""
    if not _exists(connection):
        return {}
    query = "SELECT key, run, reason FROM recovered WHERE stage = ?"
    return {row[0]: Recovered(*row) for row in connection.execute(query, (stage,))}


def _exists(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'recovered'")
    return found.fetchone() is not None
