"""One datum: what it sees, what it leaves, and how it fails."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from tests.runners.conftest import Bench
from trunkline.model import Command, Failure, Function, Outcome
from trunkline.runners.worker import Executor, execute


def failed(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    assert outcome.files == ()
    return outcome.failure


def test_an_outcome_says_what_where_and_how_long(bench: Bench) -> None:
    bench.code("import time\ndef f():\n    time.sleep(0.02)\n    return {'a.txt': 'x'}\n")
    work = bench.work("f")

    outcome = execute(work)

    assert (outcome.stage, outcome.datum) == (work.stage, work.datum)
    assert outcome.seconds >= 0.02
    assert bench.left() == [f"{Path(outcome.scratch).name}/pfs/out/a.txt"]


def test_seconds_do_not_count_imports(bench: Bench) -> None:
    bench.code("import time\ntime.sleep(0.5)\ndef f():\n    return {}\n")

    assert bench.do("f").seconds < 0.5


def test_datums_of_a_stage_may_share_a_scratch(bench: Bench) -> None:
    bench.code(
        "def f(*, text):\n    return {'a.txt': text}\n\ndef g(*, text):\n    return {f'{text}.txt': text}\n"
    )

    first, second = (bench.do("f", params={"text": text}, scratch="stage") for text in ("one", "two"))
    third = bench.do("g", params={"text": "three"}, scratch="stage")

    assert bench.out(first, "a.txt") == b"one"
    assert bench.out(second, "a.txt") == b"two"
    assert first.scratch == third.scratch != second.scratch


def test_datums_that_write_for_themselves_never_share(bench: Bench) -> None:
    bench.code("def f(*, text, out):\n    (out / 'a.txt').write_text(text)\n")

    first, second = (bench.do("f", params={"text": text}, scratch="stage") for text in ("one", "two"))

    assert (bench.out(first, "a.txt"), bench.out(second, "a.txt")) == (b"one", b"two")


# ---------------------------------------------------------------- surroundings


def test_env_and_directory_are_set_for_the_datum_and_put_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUNKLINE_OLD", "old")
    here = os.getcwd()
    bench.code(
        """
        import os
        def f():
            seen = f"{os.environ['TRUNKLINE_OLD']} {os.environ['TRUNKLINE_NEW']} {os.getcwd()}"
            os.chdir("/")
            del os.environ["TRUNKLINE_NEW"]
            return {"a.txt": seen}
        """
    )

    outcome = bench.do("f", env={"TRUNKLINE_OLD": "other", "TRUNKLINE_NEW": "new"})

    assert bench.out(outcome, "a.txt").decode() == f"other new {bench.root}"
    assert os.environ["TRUNKLINE_OLD"] == "old"
    assert "TRUNKLINE_NEW" not in os.environ
    assert os.getcwd() == here


def test_what_is_printed_is_in_the_log_and_nowhere_else(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.code(
        """
        import logging, sys
        print("imported")
        handler = logging.StreamHandler()
        def f(*, number):
            print("out", number)
            logging.getLogger("stages").addHandler(handler)
            logging.getLogger("stages").warning("logged %d", number)
            print("err \\udc80", file=sys.stderr)
            return {}
        """
    )
    executor = Executor()
    works = [bench.work("f", params={"number": number}) for number in (1, 2)]
    for work in works:
        assert executor.execute(work).failure is None

    assert bench.log(works[0]) == "imported\nout 1\nlogged 1\nerr \\udc80\n"
    assert bench.log(works[1]) == "out 2\nlogged 2\nerr \\udc80\n"
    assert capsys.readouterr() == ("", "")


def test_a_datum_that_says_nothing_has_no_log(bench: Bench) -> None:
    bench.code("def f():\n    return {}\n")
    work = bench.work("f")

    execute(work)

    assert not os.path.exists(work.log)


def test_a_log_is_appended_to(bench: Bench) -> None:
    bench.code("def f():\n    print('again')\n    return {}\n")
    work = bench.work("f")

    execute(work)
    execute(work)

    assert bench.log(work) == "again\nagain\n"


# ---------------------------------------------------------------- modules


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


# ---------------------------------------------------------------- failures


def test_an_exception_is_told_with_the_users_frames_only(bench: Bench) -> None:
    path = bench.root / "stages" / "mine.py"
    bench.code(
        """
        def helper(day):
            return {}[day]

        def f(*, day):
            return helper(day)
        """
    )
    work = bench.work("f", params={"day": "Monday"})

    failure = failed(execute(work))

    assert (failure.kind, failure.message) == ("KeyError", "'Monday'")
    lines = [line for line in failure.traceback.splitlines() if line.strip(" ^~")]  # markers differ by version
    assert lines == [
        "Traceback (most recent call last):",
        f'  File "{path}", line 6, in f',
        "    return helper(day)",
        f'  File "{path}", line 3, in helper',
        "    return {}[day]",
        "KeyError: 'Monday'",
    ]
    assert bench.log(work) == failure.traceback + "\n"


def test_chained_errors_lose_our_frames_too(bench: Bench) -> None:
    bench.code(
        """
        def f():
            try:
                int("x")
            except ValueError as error:
                raise RuntimeError("no number") from error
        """
    )

    failure = failed(bench.do("f"))

    assert failure.kind == "RuntimeError"
    assert "ValueError: invalid literal" in failure.traceback
    assert "direct cause" in failure.traceback
    assert "trunkline" not in failure.traceback.replace(str(bench.root), "")


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("def f(:", "SyntaxError", "invalid syntax (mine.py, line 1)"),
        ("import nowhere_to_be_found", "ModuleNotFoundError", "No module named 'nowhere_to_be_found'"),
        (
            "from stages import nothing",
            "ImportError",
            "cannot import name 'nothing' from 'stages' (unknown location)",
        ),
        ("raise OSError('no disk')", "OSError", "no disk"),
        ("def f():\n    raise SystemExit(3)", "SystemExit", "3"),
        ("def f():\n    raise GeneratorExit", "GeneratorExit", ""),
        (
            "class E(Exception):\n    def __str__(self): raise ValueError\ndef f():\n    raise E",
            "E",
            "<E without a message>",
        ),
    ],
)
def test_whatever_goes_wrong_is_a_failure(code: str, kind: str, message: str, bench: Bench) -> None:
    bench.code(code)

    failure = failed(bench.do("f"))

    assert (failure.kind, failure.message) == (kind, message)
    assert (
        failure.traceback.rstrip()
        .splitlines()[-1]
        .startswith(kind.replace("E", "stages.mine.E") if kind == "E" else kind)
    )
    assert "runners" not in failure.traceback
    assert "importlib" not in failure.traceback


def test_a_missing_module_is_told_by_its_file(bench: Bench) -> None:
    failure = failed(bench.do(Function("stages.nowhere", "f")))

    assert (failure.kind, failure.message) == (
        "BadFunction",
        "there is no module stages.nowhere: expected stages/nowhere.py",
    )


def test_an_interrupt_passes_through_and_leaves_nothing(bench: Bench) -> None:
    bench.code("def f(raw, *, out):\n    (out / 'a').write_text('x')\n    raise KeyboardInterrupt\n")

    with pytest.raises(KeyboardInterrupt):
        bench.do("f", [bench.one("raw", "a.txt", "x")])
    assert bench.left() == []


def test_a_failed_datum_leaves_no_files(bench: Bench) -> None:
    bench.code(
        """
        def own(raw, *, out):
            (out / "a").write_text("x")
            out.chmod(0)
            raise ValueError

        def returned(raw):
            return {"a.txt": "x", "b.json": float("nan")}
        """
    )
    for name in ("own", "returned"):
        failed(bench.do(name, [bench.one("raw", "a.txt", "x")]))
        assert bench.left() == []


def test_messages_name_files_as_the_dataset_does(bench: Bench) -> None:
    bench.code(
        """
        import pyarrow.dataset as ds
        def lazy(raw: ds.Dataset):
            raise ValueError(f"cannot read {raw.files[0]}")

        def path(raw):
            raise ValueError(f"cannot read {raw}")

        def own(*, out):
            raise ValueError(f"cannot write {out / 'a'}")
        """
    )
    given = [bench.one("raw", "2013/a.csv", "n\n1\n", dataset="flights")]

    assert failed(bench.do("lazy", given)).message == "cannot read flights/2013/a.csv"
    assert failed(bench.do("path", given)).message == "cannot read pfs/raw/2013/a.csv"
    assert failed(bench.do("own")).message == "cannot write pfs/out/a"


# ---------------------------------------------------------------- inputs are read-only


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
    assert Path(given.files[0].object).read_text() == "n\n1\n2\n"
    assert bench.left() == []


def test_a_write_through_a_lazy_dataset_names_the_damaged_object(bench: Bench) -> None:
    bench.code(WRITES)
    given = bench.one("raw", "a.csv", "n\n1\n2\n")

    failure = failed(bench.do("lazy", [given]))

    assert (failure.kind, failure.message) == ("InputModified", MESSAGE)
    assert failure.damaged == (given.files[0].object,)


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
    print(outcome.failure and (outcome.failure.kind, outcome.failure.message, outcome.failure.damaged == (given.files[0].object,)))
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


def test_a_command_and_a_function_are_executed_alike(bench: Bench) -> None:
    outcome = bench.do(Command(("sh", "-c", "echo hello > pfs/out/a.txt")))

    assert bench.out(outcome, "a.txt") == b"hello\n"
