"""How a function is called: what arrives, and what cannot."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from tests.runners.conftest import Bench
from trunkline.model import Failure, Function, Outcome

CSV = "n,s\n1,x\n2,y\n"


def result(bench: Bench, outcome: Outcome, path: str = "seen.txt") -> str:
    assert outcome.failure is None, outcome.failure
    return bench.out(outcome, path).decode()


def failed(outcome: Outcome) -> Failure:
    assert outcome.failure is not None
    assert outcome.files == ()
    return outcome.failure


@pytest.mark.parametrize(
    ("annotation", "seen"),
    [
        ("pd.DataFrame", "pandas DataFrame ['n', 's']"),
        ("pa.Table", "pyarrow Table ['n', 's']"),
        ("ds.Dataset", "pyarrow FileSystemDataset ['n', 's']"),
        ("Path", "pathlib Path a.csv"),
        ("list[Path]", "builtins list a.csv"),
        ("Sequence[Path]", "builtins list a.csv"),
        ("Annotated[Path, 'of the day']", "pathlib Path a.csv"),
        ("pd.DataFrame | None = None", "pandas DataFrame ['n', 's']"),
        ("Optional[list[Path]] = None", "builtins list a.csv"),
        ("Any", "pathlib Path a.csv"),
    ],
)
@pytest.mark.parametrize("future", ["", "from __future__ import annotations\n"])
def test_annotations_choose_how_an_input_arrives(
    annotation: str, seen: str, future: str, bench: Bench
) -> None:
    bench.code(
        future
        + "from collections.abc import Sequence\n"
        + "from pathlib import Path, PurePath\n"
        + "from typing import Annotated, Any, Optional\n"
        + "import pandas as pd, pyarrow as pa, pyarrow.dataset as ds\n"
        + f"def f(raw: {annotation}):\n"
        + "    kind = type(raw)\n"
        + "    top = 'pathlib' if isinstance(raw, PurePath) else kind.__module__.partition('.')[0].lstrip('_')\n"
        + "    name = 'Path' if isinstance(raw, PurePath) else kind.__name__\n"
        + "    if isinstance(raw, list): shown = raw[0].name\n"
        + "    elif isinstance(raw, PurePath): shown = raw.name\n"
        + "    elif name == 'DataFrame': shown = list(raw.columns)\n"
        + "    else: shown = raw.schema.names\n"
        + "    return {'seen.txt': f'{top} {name} {shown}'}\n"
    )

    assert result(bench, bench.do("f", [bench.one("raw", "a.csv", CSV)])) == seen


def test_without_annotation_an_input_arrives_as_its_path(bench: Bench) -> None:
    bench.code("def f(raw):\n    return {'seen.txt': raw.read_text() + raw.name}\n")

    assert result(bench, bench.do("f", [bench.one("raw", "a.csv", "text ")])) == "text a.csv"


@pytest.mark.parametrize(
    ("annotation", "seen"), [("pd.DataFrame", "DataFrame"), ("pa.Table", "Table"), ("list[Path]", "list")]
)
def test_an_annotation_that_exists_for_type_checkers_only_still_counts(
    annotation: str, seen: str, bench: Bench
) -> None:
    bench.code(
        f"""
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import pandas as pd
            import pyarrow as pa
            from pathlib import Path

        def f(raw: {annotation}, *, limit: Unknown = 3) -> Unknown:
            return {{"seen.txt": type(raw).__name__}}
        """
    )

    assert result(bench, bench.do("f", [bench.one("raw", "a.csv", CSV)])) == seen


def test_a_decorated_function_is_called_as_it_is_written(bench: Bench) -> None:
    bench.code(
        """
        import functools
        import pandas as pd

        def loud(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                return function(*args, **kwargs)
            return wrapper

        @loud
        def f(raw: pd.DataFrame, *, times):
            return {"seen.txt": f"{len(raw) * times}"}
        """
    )

    assert result(bench, bench.do("f", [bench.one("raw", "a.csv", CSV)], params={"times": 4})) == "8"


def test_directories_arrive_as_a_directory_or_as_sorted_files(bench: Bench) -> None:
    bench.code(
        """
        from pathlib import Path

        def f(a, b: list[Path]):
            names = sorted(str(path.relative_to(a)) for path in a.rglob("*.txt"))
            return {"seen.txt": f"{a.name} {names} {[path.name for path in b]}"}
        """
    )
    given = [
        bench.many("a", {"2013/x/2.txt": "2", "2013/1.txt": "1"}, path="2013"),
        bench.many("b", {"z.txt": "1", "a.txt": "2"}),
    ]

    assert result(bench, bench.do("f", given)) == "2013 ['1.txt', 'x/2.txt'] ['a.txt', 'z.txt']"


def test_an_empty_directory_exists(bench: Bench) -> None:
    bench.code("def f(raw):\n    return {'seen.txt': str(list(raw.iterdir()))}\n")

    assert result(bench, bench.do("f", [bench.many("raw", {})])) == "[]"


def test_a_dataset_that_is_a_single_file_has_its_own_name(bench: Bench) -> None:
    bench.code("def f(raw):\n    return {'seen.txt': f'{raw.parent.name}/{raw.name}'}\n")

    assert (
        result(bench, bench.do("f", [bench.one("raw", "", CSV, dataset="out/table.csv")])) == "raw/table.csv"
    )


def test_parameters_are_fresh_for_every_datum(bench: Bench) -> None:
    bench.code(
        """
        def f(*, key, more=()):
            key["list"].append(1)
            return {"seen.json": key}
        """
    )
    params = {"key": {"list": [0]}}

    bench.do("f", params=params)

    assert params == {"key": {"list": [0]}}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            "def f(flights): ...",
            "stages.mine:f has no parameter `raw` (it has: flights)",
        ),
        (
            "def f(raw, weather): ...",
            "stages.mine:f wants `weather`, which is neither an input nor in params: "
            "add it to the stage, or give it a default",
        ),
        (
            "def f(raw, /): ...",
            "the parameter `raw` of stages.mine:f is positional-only; remove the `/`",
        ),
        (
            "def f(raw: int): ...",
            "the input `raw` of stages.mine:f cannot arrive as int: known are "
            "pandas.DataFrame, pyarrow.Table, pyarrow.dataset.Dataset, pathlib.Path, list[Path]",
        ),
        (
            "def f(raw: 'list[Unknown]'): ...",
            "the input `raw` of stages.mine:f cannot arrive as list[Unknown]: known are "
            "pandas.DataFrame, pyarrow.Table, pyarrow.dataset.Dataset, pathlib.Path, list[Path]",
        ),
        ("def clean(raw): ...\ndef F(raw): ...", "stages/mine.py has no function `f`"),
        ("f = 3", "`f` in stages/mine.py is no function but a value"),
    ],
)
def test_a_function_that_cannot_be_called_says_why(code: str, message: str, bench: Bench) -> None:
    bench.code(code)

    failure = failed(bench.do("f", [bench.one("raw", "a.csv", CSV)]))

    assert (failure.kind, failure.message) == ("BadFunction", message)


def test_a_near_name_is_suggested(bench: Bench) -> None:
    bench.code("def clean(raw): ...")

    failure = failed(bench.do(Function("stages.mine", "claen")))

    assert failure.message == "stages/mine.py has no function `claen`; did you mean `clean`?"


def test_a_function_may_take_whatever_comes(bench: Bench) -> None:
    bench.code("def f(**given):\n    return {'seen.txt': ' '.join(sorted(given))}\n")

    assert result(bench, bench.do("f", [bench.one("raw", "a.csv", CSV)], params={"k": 1})) == "k raw"


def test_frames_and_tables_go_in_and_out(bench: Bench) -> None:
    bench.code(
        """
        import pandas as pd
        import pyarrow as pa

        def f(raw: pd.DataFrame, more: pa.Table) -> dict[str, pd.DataFrame | pa.Table]:
            return {"left": raw[raw["n"] > 1], "right": more}
        """
    )
    outcome = bench.do(
        "f", [bench.one("raw", "a.csv", CSV), bench.one("more", "b.jsonl", '{"n": 3}\n')], name="2013/day"
    )

    assert [file.path for file in outcome.files] == ["left/2013/day.parquet", "right/2013/day.parquet"]
    out = f"{outcome.scratch}/pfs/out"
    assert pd.read_parquet(f"{out}/left/2013/day.parquet").to_dict("list") == {"n": [2], "s": ["y"]}
    assert pa.parquet.read_table(f"{out}/right/2013/day.parquet").to_pydict() == {"n": [3]}


def test_a_function_with_out_writes_for_itself_and_may_return_more(bench: Bench) -> None:
    bench.code(
        """
        from pathlib import Path

        def silent(*, out: Path):
            (out / "deep").mkdir()
            (out / "deep" / "model.bin").write_bytes(b"abc")

        def both(out: Path):
            (out / "model.bin").write_bytes(b"abc")
            return {"metrics.json": {"n": 1}}

        def twice(out: Path):
            (out / "metrics.json").write_text("{}")
            return {"metrics.json": {"n": 1}}
        """
    )

    silent, both = bench.do("silent"), bench.do("both")

    assert [file.path for file in silent.files] == ["deep/model.bin"]
    assert bench.out(silent, "deep/model.bin") == b"abc"
    assert [file.path for file in both.files] == ["metrics.json", "model.bin"]
    assert failed(bench.do("twice")).message == "metrics.json is both returned and written to `out`"


def test_an_input_that_the_datum_has_not_got_stays_at_its_default(bench: Bench) -> None:
    bench.code("""
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import pandas as pd
        def f(a: pd.DataFrame | None = None, b: None | pd.DataFrame = None):
            return {"seen.txt": f"{a is None} {b is None}"}
        def g(a, b): ...
    """)
    given = [bench.one("b", "a.csv", CSV)]
    assert result(bench, bench.do("f", given)) == "True False"
    assert "or give it a default" in failed(bench.do("g", given)).message


def test_an_input_without_content_is_a_path(bench: Bench) -> None:
    bench.code("""
        import pandas as pd
        def f(raw): return {"seen.txt": f"{raw.name} {raw.stat().st_size}"}
        def g(raw: pd.DataFrame): ...
    """)
    given = [bench.one("raw", "a.csv", CSV)._replace(empty=True)]
    assert result(bench, bench.do("f", given)) == "a.csv 0"
    message = "the input `raw` has no content (empty_files), so it can only arrive as a Path"
    assert failed(bench.do("g", given)).message == message
