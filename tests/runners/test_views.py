"""Inputs as paths: read-only, guarded, and gone afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from tests.runners.conftest import Bench
from trunkline.model import Failure, Outcome
from trunkline.runners.worker import Executor


def failed(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    assert outcome.files == ()
    return outcome.failure


WRITES = """
    import os
    import pyarrow.dataset as ds

    def path(raw):
        os.chmod(raw, 0o644)
        raw.write_text("changed")
        return {}

    def same_size(raw):
        os.chmod(raw, 0o644)
        with raw.open("r+b") as stream:
            stream.write(b"X")
        return {}

    def replaced(raw):
        raw.with_suffix(".new").write_text("other")
        os.replace(raw.with_suffix(".new"), raw)
        return {}

    def and_failed(raw):
        path(raw)
        raise ValueError("too late")

    def moved(raw, *, out):
        os.rename(raw, out / "moved.txt")

    def lazy(raw: ds.Dataset):
        os.chmod(raw.files[0], 0o644)
        with open(raw.files[0], "a") as stream:
            stream.write("3\\n")
        return {}
"""
MESSAGE = "it wrote to its input raw/a.csv; inputs are read-only: write to the output instead"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("path", MESSAGE),
        ("same_size", MESSAGE),
        ("replaced", MESSAGE),
        ("and_failed", f"{MESSAGE} (and then failed: ValueError: too late)"),
    ],
)
def test_as_root_a_datum_that_writes_to_its_input_fails_and_the_cache_is_whole(
    name: str, message: str, bench: Bench
) -> None:
    if os.geteuid():
        pytest.skip("is about root")
    bench.code(WRITES)
    given = bench.one("raw", "a.csv", "n\n1\n2\n")

    failure = failed(bench.do(name, [given]))

    assert (failure.kind, failure.message, failure.damaged) == ("InputModified", message, ())
    assert Path(given.object(given.files[0])).read_text() == "n\n1\n2\n"
    assert bench.left() == []


def test_a_write_through_a_lazy_dataset_names_the_damaged_object(bench: Bench) -> None:
    bench.code(WRITES)
    given = bench.one("raw", "a.csv", "n\n1\n2\n")

    failure = failed(bench.do("lazy", [given]))

    assert (failure.kind, failure.message) == ("InputModified", MESSAGE)
    assert failure.damaged == (given.object(given.files[0]),)


def test_an_input_may_be_moved_to_the_output(bench: Bench) -> None:
    bench.code(WRITES)

    outcome = bench.do("moved", [bench.one("raw", "a.csv", "n\n1\n2\n")])

    assert outcome.failure is None
    assert bench.out(outcome, "moved.txt") == b"n\n1\n2\n"


NOBODY = """
    import os, sys
    sys.path.insert(0, sys.argv[2])
    from pathlib import Path
    import inspect, traceback, typing, shutil, difflib  # the interpreter may be out of nobody's reach
    import pyarrow.dataset, pandas
    import tests.runners.conftest as conftest
    from trunkline.runners import convert
    base = Path(sys.argv[1])
    bench = conftest.Bench(base)
    given = bench.one("raw", "a.csv", "n\\n1\\n2\\n")
    for path in (base, *base.rglob("*")):
        os.chown(path, 65534, 65534)
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    outcome = bench.do(sys.argv[3], [given])
    print(outcome.failure and (outcome.failure.kind, outcome.failure.message, outcome.failure.damaged == (given.object(given.files[0]),)))
    print(bench.left())
"""


@pytest.mark.parametrize(
    ("name", "damaged"), [("path", True), ("same_size", True), ("replaced", False), ("and_failed", True)]
)
def test_as_a_user_a_datum_that_writes_to_its_input_fails_and_names_the_damaged_object(
    name: str, damaged: bool
) -> None:
    shown = as_nobody(WRITES, name)

    message = f"{MESSAGE} (and then failed: ValueError: too late)" if name == "and_failed" else MESSAGE
    assert shown == [str(("InputModified", message, damaged)), "[]"]


def test_as_a_user_an_input_is_a_link_to_the_object_and_no_mode_allows_writing() -> None:
    code = """
        def f(raw):
            status = raw.stat()
            assert status.st_nlink == 2 and not status.st_mode & 0o222, status
            raw.write_text("changed")
    """

    shown = as_nobody(code, "f")

    assert shown[0] == str(("PermissionError", "[Errno 13] Permission denied: 'pfs/raw/a.csv'", False))


def as_nobody(code: str, name: str) -> list[str]:
    """Execute a function in a process without privileges."""
    if os.geteuid():
        pytest.skip("only root can become somebody else")
    here = str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory() as base:  # others cannot enter pytest's own
        os.chmod(base, 0o755)
        Bench(Path(base)).code(code)
        command = [sys.executable, "-c", textwrap.dedent(NOBODY), base, here, name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_views_are_gone_after_the_datum_with_what_was_left_beside_them(bench: Bench) -> None:
    bench.code(
        """
        def f(raw, tree):
            (raw.parent / "rubbish").write_text("x")
            (tree / "rubbish").mkdir()
            return {"seen.txt": " ".join(sorted(path.name for path in raw.parent.iterdir()))}
        """
    )
    executor = Executor()
    for _ in range(2):
        given = [bench.one("raw", "a.txt", "x"), bench.many("tree", {"d/b.txt": "y"})]
        outcome = executor.execute(bench.work("f", given, scratch="stage"))
        assert outcome.failure is None
        assert bench.out(outcome, "seen.txt") == b"a.txt rubbish"
        (Path(outcome.scratch) / "pfs/out/seen.txt").unlink()
        assert bench.left() == []
    executor.close()
