"""The index of results: what is recorded is found, by several processes, and losing it costs time only."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trunkline import ports
from trunkline.digest import digest
from trunkline.errors import ProjectError, StoreError
from trunkline.ledger.results import Results
from trunkline.model import Datum, File, ManifestRow, Recovered, Result


def file(number: int, path: str = "") -> File:
    return File(path or f"{number}.parquet", f"{number:032x}", number)


def key(number: int) -> str:
    return digest("key", number)


def result(number: int, run: str = "run-1", seconds: float = 0.5) -> Result:
    return Result(key(number), (file(number),), run, seconds)


def row(number: int) -> ManifestRow:
    return ManifestRow(Datum(key(number), str(number), ()), key(number), (file(number),))


def test_is_a_ledger(tmp_path: Path) -> None:
    ledger: ports.Ledger = Results(str(tmp_path))
    assert ledger.results(["unknown"]) == {}


def test_questions_create_nothing(tmp_path: Path) -> None:
    results = Results(str(tmp_path / "trunkline"))
    assert results.results([key(1)]) == {}
    assert results.seconds("a.b") is None
    assert results.producers("0" * 32) == ()
    assert not results.knows("oid")
    results.forget([key(1)])
    results.record("a.b", [])
    assert not (tmp_path / "trunkline").exists()


def test_what_is_recorded_is_found_by_another(tmp_path: Path) -> None:
    Results(str(tmp_path)).record("a.b", [result(1), result(2, "run-2", 1.5)])
    found = Results(str(tmp_path)).results([key(2), key(1), key(3)])
    assert found == {key(1): result(1), key(2): result(2, "run-2", 1.5)}


@pytest.mark.parametrize(
    "files",
    [
        (),
        (file(1, "a b/ü.parquet"), file(2, "new\nline"), file(3, "not utf-8 \udcff")),
        tuple(file(number) for number in range(2_000)),
    ],
)
def test_any_files_come_back_as_they_were(tmp_path: Path, files: tuple[File, ...]) -> None:
    results = Results(str(tmp_path))
    results.record("a.b", [Result(key(1), files, "run-1", 0.25)])
    assert results.results([key(1)])[key(1)].files == files


def test_more_keys_than_one_statement_takes(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    results.record("a.b", (result(number) for number in range(25_000)))
    found = results.results([key(number) for number in range(40_000)])
    assert len(found) == 25_000
    assert found[key(24_999)] == result(24_999)


def test_a_new_result_replaces_the_old_one(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    results.record("a.b", [result(1)])
    newer = Result(key(1), (file(9),), "run-2", 1.0)
    results.record("a.b", [newer])
    assert results.results([key(1)]) == {key(1): newer}


def test_forgotten_results_are_gone(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    results.record("a.b", [result(1), result(2)])
    results.forget([key(1), key(3)])
    assert set(results.results([key(1), key(2)])) == {key(2)}


def test_seconds_are_the_mean_of_the_last_runs(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    for run in range(30):
        results.record("a.b", [result(run, f"old-{run}", 100.0)])
    for run in range(20):
        results.record("a.b", [result(run, f"new-{run}", 1.0), result(100 + run, f"new-{run}", 2.0)])
    assert results.seconds("a.b") == pytest.approx(1.5)
    assert results.seconds("a.c") is None


def test_producers_newest_first(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    results.record("a.b", [result(1)])
    results.record("a.c", [Result(key(5), (file(3), file(1)), "run-2", 0.5)])
    assert results.producers(file(1).md5) == (("a.c", key(5), "run-2"), ("a.b", key(1), "run-1"))
    assert results.producers(file(1).md5[:31]) == ()


def test_a_manifest_is_learnt_once_and_changes_nothing_known(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    mine = Result(key(1), (file(7),), "run-1", 0.5)
    results.record("a.b", [mine])
    results.learn("oid", [row(1), row(2)], stage="a.b", run="run-0")
    assert results.knows("oid")
    assert not results.knows("other")
    assert results.results([key(1), key(2)]) == {
        key(1): mine,
        key(2): Result(key(2), (file(2),), "run-0", 0.0),
    }
    assert results.seconds("a.b") == pytest.approx(0.5)


def test_after_forgetting_a_manifest_may_be_learnt_again(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    results.learn("oid", [row(1)])
    results.forget([key(1)])
    assert not results.knows("oid")


def _damage(path: Path) -> None:
    size = path.stat().st_size
    path.write_bytes(b"\xa5" * size)


def test_a_damaged_database_is_set_aside(tmp_path: Path) -> None:
    before = Results(str(tmp_path))
    before.record("a.b", [result(1)])
    before.close()
    _damage(tmp_path / "results.db")
    after = Results(str(tmp_path))
    assert after.results([key(1)]) == {}
    after.record("a.b", [result(2)])
    assert set(after.results([key(1), key(2)])) == {key(2)}
    assert (tmp_path / "results.db.damaged").exists()


def test_a_database_damaged_in_the_middle_is_set_aside(tmp_path: Path) -> None:
    before = Results(str(tmp_path))
    before.record("a.b", (result(number) for number in range(5_000)))
    before.close()
    path = tmp_path / "results.db"
    data = bytearray(path.read_bytes())
    data[4096:-4096] = b"\xa5" * (len(data) - 8192)
    path.write_bytes(data)
    after = Results(str(tmp_path))
    after.record("a.b", [result(1)])
    assert after.results([key(1)]) == {key(1): result(1)}
    assert (tmp_path / "results.db.damaged").exists()


def test_what_is_no_list_of_files_counts_as_damage(tmp_path: Path) -> None:
    before = Results(str(tmp_path))
    before.record("a.b", [result(1)])
    before.close()
    with sqlite3.connect(tmp_path / "results.db") as connection:
        connection.execute("UPDATE results SET files = x'ff00ff'")
    connection.close()
    assert Results(str(tmp_path)).results([key(1)]) == {}
    assert (tmp_path / "results.db.damaged").exists()


def test_a_deleted_database_is_made_anew_even_while_open(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    results.record("a.b", [result(1)])
    os.unlink(tmp_path / "results.db")  # its -wal stays behind
    assert results.results([key(1)]) == {}
    results.record("a.b", [result(2)])
    assert set(Results(str(tmp_path)).results([key(1), key(2)])) == {key(2)}


def test_a_newer_format_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "results.db") as connection:
        connection.execute("CREATE TABLE other (x)")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(ProjectError, match="format 2; this trunkline knows 1"):
        Results(str(tmp_path)).results([key(1)])
    assert not (tmp_path / "results.db.damaged").exists()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be created"):
        Results(str(tmp_path / "file" / "trunkline")).record("a.b", [result(1)])


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "results.db").mkdir()
    with pytest.raises(StoreError, match="cannot be used"):
        Results(str(tmp_path)).results([key(1)])


_WRITER = """
import sys
from trunkline.digest import digest
from trunkline.ledger.results import Results
from trunkline.model import File, Result

directory, first, last, step = sys.argv[1], *map(int, sys.argv[2:])
results = Results(directory)
for start in range(first, last, step):
    numbers = range(start, min(last, start + step))
    results.record("a.b", [
        Result(digest("key", n), (File(f"{n}.parquet", f"{n:032x}", n),), f"run-{first}", 0.5) for n in numbers
    ])
    print(start, flush=True)
"""


def writer(directory: Path, first: int, last: int, step: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(directory), *map(str, (first, last, step))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    writers = [writer(tmp_path, 1_000 * n, 1_000 * (n + 1), 50) for n in range(4)]
    for process in writers:
        process.communicate()
        assert process.returncode == 0
    found = Results(str(tmp_path)).results([key(number) for number in range(4_000)])
    assert len(found) == 4_000
    assert found[key(3_999)].run == "run-3000"


def test_kill_9_loses_nothing_that_was_recorded(tmp_path: Path) -> None:
    process = writer(tmp_path, 0, 1_000_000, 20)
    assert process.stdout is not None
    recorded = [int(process.stdout.readline()) for _ in range(10)]
    process.send_signal(signal.SIGKILL)
    process.communicate()
    found = Results(str(tmp_path)).results([key(n) for start in recorded for n in range(start, start + 20)])
    assert len(found) == 200


def test_a_forked_child_opens_its_own_connection(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    results.record("a.b", [result(1)])
    child = os.fork()
    if child == 0:  # pragma: no cover
        code = 1
        try:
            results.record("a.b", [result(2)])
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    results.record("a.b", [result(3)])
    assert len(results.results([key(1), key(2), key(3)])) == 3


def test_bulk_work_is_not_quadratic(tmp_path: Path) -> None:
    def seconds(count: int, directory: Path) -> float:
        results = Results(str(directory))
        rows = [result(number) for number in range(count)]
        started = time.process_time()
        results.record("a.b", rows)
        assert len(results.results([r.key for r in rows])) == count
        return time.process_time() - started

    small = seconds(4_000, tmp_path / "small")
    assert seconds(40_000, tmp_path / "large") < 40 * small


# ---------------------------------------------------------------- accepted


def accepted(number: int) -> Result:
    return result(number)._replace(made="other")


def test_what_was_accepted_keeps_its_mark_until_it_is_made(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    results.record("a.b", [accepted(1), result(2), accepted(3)])
    keys = [key(1), key(2), key(3)]
    assert {k: r.made for k, r in results.results(keys).items()} == dict(
        zip(keys, ("other", "", "other"), strict=True)
    )
    results.record("a.b", [result(1)])
    assert results.results(keys)[key(1)] == result(1)
    assert results.results(keys)[key(3)] == accepted(3)


def test_a_manifest_tells_of_acceptance_where_nothing_else_is_known(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    results.record("a.b", [result(1)])
    results.learn("oid", [row(1)._replace(made="other"), row(2)._replace(made="other"), row(3)])
    found = results.results([key(1), key(2), key(3)])
    assert [found[key(n)].made for n in (1, 2, 3)] == ["", "other", ""]


# ---------------------------------------------------------------- recovered datums


def test_what_was_recovered_is_known_until_it_has_a_result(tmp_path: Path) -> None:
    results = Results(str(tmp_path))
    assert results.recovered("a.b") == {}
    results.record("a.b", [result(1)])
    assert results.recovered("a.b") == {}, "no such table yet"

    first, again = (
        Recovered(key(2), "run-1", "ValueError: no"),
        Recovered(key(2), "run-2", "ValueError: still no"),
    )
    other = Recovered(key(3), "run-1", "exit code 3")
    results.recover("a.b", [first, other])
    results.recover("a.b", [again])
    results.recover("a.c", [Recovered(key(4), "run-1", "")])
    results.recover("a.b", [])

    assert Results(str(tmp_path)).recovered("a.b") == {key(2): again, key(3): other}
    assert results.results([key(2), key(3)]) == {}
    results.record("a.b", [result(2)])
    assert results.recovered("a.b") == {key(3): other}
