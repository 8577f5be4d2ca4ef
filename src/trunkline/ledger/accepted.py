"""Which results a person accepted, though another transform made them: a table of the results index.

    accepted  key -> made                 the digest of the transform that really made it

Made when needed, as most projects never have one. A key that is really made is in it no longer.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

_TABLE = """CREATE TABLE IF NOT EXISTS accepted (
    key TEXT PRIMARY KEY, made TEXT NOT NULL) WITHOUT ROWID"""
_CHUNK = 10_000  # variables in one statement


def settle(connection: sqlite3.Connection, made: Iterable[tuple[str, str]]) -> None:
    """These (key, made) are recorded; `made` is "" where that was not by acceptance."""
    rows = list(made)
    if any(made for _, made in rows):
        connection.execute(_TABLE)
        marked = (row for row in rows if row[1])
        connection.executemany("INSERT OR REPLACE INTO accepted VALUES (?, ?)", marked)
    if _exists(connection):
        connection.executemany(
            "DELETE FROM accepted WHERE key = ?", ((key,) for key, made in rows if not made)
        )


def learn(connection: sqlite3.Connection, made: Iterable[tuple[str, str]]) -> None:
    """The same of what a manifest says, before its results are kept: what is known already stays."""
    rows = [(key, made, key) for key, made in made if made]
    if rows:
        connection.execute(_TABLE)
        unknown = "NOT EXISTS (SELECT 1 FROM results WHERE key = ?)"
        connection.executemany(f"INSERT OR REPLACE INTO accepted SELECT ?, ? WHERE {unknown}", rows)


def among(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, str]:
    """Those of the keys that were accepted, with what made them."""
    found: dict[str, str] = {}
    if _exists(connection):
        for start in range(0, len(keys), _CHUNK):
            part = keys[start : start + _CHUNK]
            marks = ",".join("?" * len(part))
            found.update(connection.execute(f"SELECT key, made FROM accepted WHERE key IN ({marks})", part))
    return found


def _exists(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'accepted'")
    return found.fetchone() is not None
