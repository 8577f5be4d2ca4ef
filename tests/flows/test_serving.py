"""The database that a new project begins with: copied where it can be, made where it cannot."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.keeping import Kept
from trunkline.flows.serving import keep_template, prepare, template_folder

PREFECT = version("prefect")


@pytest.fixture(scope="module")
def template(prefect_project: Kept, prefect_cache: Path) -> Path:
    """What the server of another project has left."""
    return prefect_cache / "trunkline" / f"prefect-{PREFECT}"


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new server's working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    return tmp_path


def rows(database: Path, table: str) -> int:
    connection = sqlite3.connect(database)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


def test_it_lies_in_the_users_cache() -> None:
    assert template_folder({"XDG_CACHE_HOME": "/c"}, "3.8.8") == "/c/trunkline/prefect-3.8.8"
    home = os.path.expanduser("~")
    assert template_folder({}, "3.8.8") == f"{home}/.cache/trunkline/prefect-3.8.8"
    assert template_folder({"XDG_CACHE_HOME": "not/absolute"}, "1") == f"{home}/.cache/trunkline/prefect-1"


def test_the_first_server_leaves_an_empty_migrated_database(template: Path) -> None:
    assert sorted(path.name for path in template.iterdir()) == ["memo_store.toml", "prefect.db"]
    assert rows(template / "prefect.db", "alembic_version") == 1
    assert rows(template / "prefect.db", "block_type") > 0
    assert rows(template / "prefect.db", "flow_run") == 0


def test_a_new_database_is_a_copy(template: Path, place: Path) -> None:
    (place / "prefect.db-wal").write_text("of a database that somebody deleted")
    assert prepare(str(template), "home", PREFECT) == ""
    assert (place / "prefect.db").read_bytes() == (template / "prefect.db").read_bytes()
    assert (place / "home/memo_store.toml").exists()
    assert not (place / "prefect.db-wal").exists()
    assert prepare(str(template), "home", PREFECT) == "", "and stays"


def test_a_database_that_another_prefect_made_is_migrated(template: Path, place: Path) -> None:
    prepare(str(template), "home", PREFECT)
    (place / "prefect.db").write_text("mine")
    assert prepare(str(template), "home", "99.0") == "old"
    assert (place / "prefect.db").read_text() == "mine"


@pytest.mark.parametrize("damage", ["missing", "empty", "short", "other"])
def test_without_a_sound_copy_it_is_made(template: Path, place: Path, damage: str) -> None:
    broken = place / "template"
    shutil.copytree(template, broken)
    database = broken / "prefect.db"
    match damage:
        case "missing":
            database.unlink()
        case "empty":
            database.write_bytes(b"")
        case "short":
            os.truncate(database, database.stat().st_size // 2)
        case _:
            database.write_text("something else")
    (place / "migrated").write_text(PREFECT)
    assert prepare(str(broken), "home", PREFECT) == "empty"
    assert not (place / "prefect.db").exists()
    assert not (place / "migrated").exists(), "it would be true of a database that is half made"


def test_where_nothing_can_be_kept_nothing_is(template: Path, place: Path) -> None:
    prepare(str(template), "home", PREFECT)
    keep_template("", "home")
    (place / "file").write_text("")
    keep_template(str(place / "file" / "below"), "home")
    assert prepare(str(place / "file" / "below"), "home", PREFECT) == ""


def test_two_at_once_leave_one_whole_copy(template: Path, place: Path) -> None:
    prepare(str(template), "home", PREFECT)
    call = "from trunkline.flows.serving import keep_template; keep_template('new', 'home')"
    both = [subprocess.Popen([sys.executable, "-c", call]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert sorted(path.name for path in (place / "new").iterdir()) == ["memo_store.toml", "prefect.db"]
    assert rows(place / "new/prefect.db", "block_type") == rows(template / "prefect.db", "block_type")
