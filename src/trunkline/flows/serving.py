"""Runs Prefect's server on a socket that listens already, on a database that costs little to make.

Migrating an empty database takes Prefect 10 to 15 s of CPU; copying one that is migrated takes none.
So the first server of a Prefect version leaves a copy of its still empty database in the user's cache
directory, and the next project begins with that. A copy that is missing, or cannot be written or read,
costs the time, nothing else. A database that another Prefect migrated is migrated again.

    <cache>/trunkline/prefect-3.8.8/prefect.db, memo_store.toml, pages/
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec

DATABASE = "prefect.db"
_MIGRATED = "migrated"
_MEMO = "memo_store.toml"  # what of Prefect's blocks the database holds; in PREFECT_HOME
_MIGRATE = "PREFECT_SERVER_DATABASE_MIGRATE_ON_START"


def serve(listening: socket.socket, ready: int) -> None:
    """Serve on `listening` until a signal says to stop; write to `ready` when it answers.

    The working directory is that of the database, PREFECT_HOME that of the project.
    """
    prefect = version("prefect")
    template = template_folder(os.environ, prefect)
    fresh = prepare(template, os.environ["PREFECT_HOME"], prefect)
    os.environ[_MIGRATE] = "true" if fresh else "false"
    _find_room_for_pages(template)

    import uvicorn  # not before the environment says what Prefect is to do

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.should_exit:
                return
            # Not awaiting anything: nobody has been answered yet, so the database is still as it was made.
            if fresh:
                _write(_MIGRATED, prefect)
                if fresh == "empty":
                    keep_template(template, os.environ["PREFECT_HOME"])
            with suppress(OSError):
                os.write(ready, b"1")
            os.close(ready)

    config = uvicorn.Config(
        "prefect.server.api.server:create_app",
        factory=True,
        log_level="warning",
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
    )
    Server(config).run(sockets=[listening])


def _find_room_for_pages(template: str) -> None:
    """Prefect unpacks its pages beside its code; where nobody may write there, beside the template."""
    found = find_spec("prefect")
    beside = os.path.join(os.path.dirname((found and found.origin) or ""), "server")
    if template and not os.access(beside, os.W_OK) and not os.path.isdir(os.path.join(beside, "ui_build")):
        os.environ["PREFECT_SERVER_UI_STATIC_DIRECTORY"] = os.path.join(template, "pages")


def template_folder(environ: Mapping[str, str], prefect: str) -> str:
    """Where the copy of an empty database of this Prefect lies; "" where the user has no home."""
    cache = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(cache):
        cache = os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(cache, "trunkline", f"prefect-{prefect}") if os.path.isabs(cache) else ""


def prepare(template: str, prefect_home: str, prefect: str) -> str:
    """Make the database from the template. What is left to migrate: "empty", "old", "" for nothing."""
    if os.path.exists(DATABASE):
        return "" if _read(_MIGRATED) == prefect else "old"
    for leftover in (f"{DATABASE}-wal", f"{DATABASE}-shm"):  # they would be taken for the new one's
        with suppress(FileNotFoundError):
            os.unlink(leftover)
    with suppress(FileNotFoundError):
        os.unlink(_MIGRATED)
    source = os.path.join(template, DATABASE)
    if not template or not _sound(source):
        return "empty"
    try:
        with suppress(FileNotFoundError):
            _copy(os.path.join(template, _MEMO), os.path.join(prefect_home, _MEMO))
        _write(_MIGRATED, prefect)
        _copy(source, DATABASE)
    except OSError:
        return "empty"
    return ""


def keep_template(template: str, prefect_home: str) -> None:
    """Leave a copy of the database for other projects, unless there is one."""
    if not template or os.path.exists(os.path.join(template, DATABASE)):
        return
    with suppress(OSError, sqlite3.Error):
        os.makedirs(template, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=template, prefix=".") as beside:
            copy = os.path.join(beside, DATABASE)
            connection = sqlite3.connect(DATABASE)
            try:
                connection.execute("VACUUM INTO ?", (copy,))  # whole, whatever the write-ahead log holds
            finally:
                connection.close()
            with suppress(FileNotFoundError):
                _copy(os.path.join(prefect_home, _MEMO), os.path.join(template, _MEMO))
            os.replace(copy, os.path.join(template, DATABASE))


def _sound(database: str) -> bool:
    """Whether it is a database that has been migrated: someone may have cut it short."""
    if not os.path.isfile(database):
        return False
    try:
        connection = sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)
        try:
            connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return bool(connection.execute("PRAGMA quick_check").fetchone() == ("ok",))
        finally:
            connection.close()
    except sqlite3.Error:
        return False


def _copy(source: str, target: str) -> None:
    """A copy that appears whole or not at all."""
    beside = f"{target}.{os.getpid()}.tmp"
    try:
        shutil.copyfile(source, beside)
        os.replace(beside, target)
    except OSError:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text + "\n")
