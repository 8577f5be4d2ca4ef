"""The project's modules: fresh for every run, and nobody else's."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from tests.runners.conftest import Bench
from trunkline.model import Function
from trunkline.runners.worker import Executor


def test_every_run_executes_the_code_that_is_there(bench: Bench) -> None:
    """Also where an edit leaves the size and the second of the mtime as they were."""
    for number in range(3):
        bench.code(f"from stages import helper\ndef f():\n    return {{'a.txt': '{number}' + helper.TEXT}}\n")
        bench.code(f"TEXT = '{number}'\n", "stages.helper")
        for name in ("mine", "helper"):
            os.utime(bench.root / f"stages/{name}.py", (1_600_000_000, 1_600_000_000))
        assert bench.out(bench.do("f"), "a.txt").decode() == f"{number}{number}"


def test_two_projects_have_their_own_modules(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "other")
    for made, text in ((bench, "one"), (other, "two")):
        made.code("from stages.deep import name\ndef f():\n    return {'a.txt': name.TEXT}\n")
        made.code(f"TEXT = '{text}'\n", "stages.deep.name")

    assert bench.out(bench.do("f"), "a.txt") == b"one"
    assert other.out(other.do("f"), "a.txt") == b"two"
    assert bench.out(bench.do("f"), "a.txt") == b"one"


def test_the_import_system_is_left_as_it_was(bench: Bench) -> None:
    before = list(sys.path), list(sys.path_hooks), set(sys.modules)
    bench.code("from stages.deep import name\ndef f():\n    return {}\n", "stages.one")
    bench.code("", "stages.deep.name")

    assert bench.do(Function("stages.one", "f")).failure is None

    after = list(sys.path), list(sys.path_hooks), set(sys.modules)
    assert after[:2] == before[:2]
    assert after[2] - before[2] == set()


def test_other_threads_may_import_meanwhile(bench: Bench) -> None:
    """As Prefect is imported beside the engine."""
    bench.code("def f():\n    return {}\n")
    done = threading.Event()

    def import_much() -> None:
        number = 0
        while not done.is_set():
            number += 1
            sys.modules[f"much{number % 5000}"] = sys
            if number % 5000 == 0:
                _remove_much()

    thread = threading.Thread(target=import_much)
    thread.start()
    try:
        assert [bench.do("f").failure for _ in range(40)] == [None] * 40
    finally:
        done.set()
        thread.join()
        _remove_much()


def _remove_much() -> None:
    for name in [name for name in list(sys.modules) if name.startswith("much")]:
        del sys.modules[name]


def test_a_module_is_imported_once_in_a_run(bench: Bench) -> None:
    bench.code("print('imported')\ndef f():\n    return {}\n")
    executor = Executor()
    works = [bench.work("f") for _ in range(2)]

    for work in works:
        executor.execute(work)

    assert [bench.log(work) for work in works] == ["imported\n", ""]


def test_the_projects_module_goes_before_one_of_the_same_name(bench: Bench) -> None:
    import tests.runners.conftest as theirs

    bench.code("def f():\n    return {'a.txt': __file__}\n", "tests.runners.conftest")
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "tests"}
    try:
        outcome = bench.do(Function("tests.runners.conftest", "f"))
    finally:
        sys.modules.update(kept)

    assert outcome.failure is None
    assert bench.out(outcome, "a.txt").decode() == str(bench.root / "tests/runners/conftest.py")
    assert sys.modules["tests.runners.conftest"] is theirs
