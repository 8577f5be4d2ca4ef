"""What crosses to another machine: no path of this one; and what is compared there before anything runs."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from tests.runners.conftest import CODE, Bench
from tests.runners.machines import code_of
from trunkline.engine.code import Code
from trunkline.errors import ProjectError
from trunkline.model import Command, Function, Stage, Version
from trunkline.runners.shipping import Shipment, Trouble, packages, portable, shipment, unpack

REMOTE = {"url": "s3://data/x"}


def sent(bench: Bench) -> Shipment:
    return shipment(code_of(bench.root)("pipe.stage"), REMOTE)


def test_a_datum_crosses_without_a_path_of_this_machine(bench: Bench) -> None:
    bench.code(CODE)
    work = bench.work("frame", [bench.one("raw", "day.csv", "n\n1\n"), bench.many("more", {"a": "1"})])
    crossed = pickle.dumps(portable(work)) + pickle.dumps(sent(bench))
    assert str(bench.base).encode() not in crossed
    assert portable(work).inputs[0].files == work.inputs[0].files


def test_equal_code_is_an_equal_shipment(bench: Bench) -> None:
    bench.code(CODE)
    first = sent(bench)
    os.utime(bench.root / "stages/mine.py", (1, 1))
    assert sent(bench) == first
    bench.code(CODE + "    # more\n")
    assert sent(bench).code == first.code, "a comment means nothing"
    assert sent(bench).id != first.id, "but what runs is what was written"


def test_code_arrives_as_it_is_with_what_may_be_executed(bench: Bench, tmp_path: Path) -> None:
    bench.code(CODE)
    script = bench.root / "tools" / "run.py"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)

    unpack(sent(bench), str(tmp_path / "there"))

    assert (tmp_path / "there/stages/mine.py").read_bytes() == (bench.root / "stages/mine.py").read_bytes()
    modes = [
        os.stat(tmp_path / "there" / path).st_mode & 0o777 for path in ("tools/run.py", "stages/mine.py")
    ]
    assert modes == [0o755, 0o644]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"packages": {"pandas": "1.0"}}, "pandas {pandas}, not 1.0"),
        ({"packages": {"python": "2.7"}}, "python {python}, not 2.7"),
        ({"packages": {"not-a-package": "1"}}, "not-a-package is missing, not 1"),
        ({"writer": "trunkline/0 pyarrow/1"}, "it writes with {writer}, not trunkline/0 pyarrow/1"),
        ({"code": "0" * 64}, "the code is another one than was planned with; was it edited during the run?"),
    ],
)
def test_what_would_give_other_results_is_refused(
    bench: Bench, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    bench.code(CODE)
    good = sent(bench)
    here = {**good.packages, "writer": good.writer}
    with pytest.raises(Trouble) as caught:
        unpack(replace(good, **change), str(tmp_path / "there"))  # type: ignore[arg-type]
    assert (
        str(caught.value)
        == f"other results than on this machine are to be expected there: {said.format(**here)}"
    )


def test_the_packages_are_those_that_the_code_itself_imports() -> None:
    contents = {
        "stages/a.py": b"import os, pandas\nfrom stages.b import x\nfrom trunkline import spec\n",
        "stages/b.py": b"def f():\n    import pyarrow.parquet\n",
        "notes.txt": b"import numpy\n",
    }
    assert list(packages(contents)) == ["python", "trunkline", "pandas", "pyarrow"]
    assert list(packages({"run.sh": b""})) == ["python", "trunkline"]


def test_packages_that_count_as_code_are_compared_too(bench: Bench) -> None:
    bench.code(CODE)
    source = code_of(bench.root)("pipe.stage")
    assert "dvc" not in shipment(source, REMOTE).packages
    counted = shipment(source._replace(fingerprint=("dvc",)), REMOTE)
    assert counted.packages["dvc"] == metadata.version("dvc")
    assert counted.id != shipment(source, REMOTE).id


def test_code_that_cannot_be_read(bench: Bench) -> None:
    source = code_of(bench.root)("pipe.stage")
    with pytest.raises(ProjectError, match="a file of the code cannot be read: No such file"):
        shipment(source._replace(files=("gone.py",)), REMOTE)


def test_the_meaning_is_what_enters_the_transform_digest(bench: Bench, tmp_path: Path) -> None:
    """The engine reads the project's files by its own way."""
    bench.code("from stages.other import two\ndef one():\n    'Doc.'\n    return two\n")
    bench.code("two = 2\n", "stages.other")
    (bench.root / "query.sql").write_text("select 1\n")

    class Facts(dict[tuple[str, str], str]):
        def get(self, kind: str, key: str) -> str | None:  # type: ignore[override]
            return None

        def put(self, kind: str, key: str, value: str) -> None: ...

    def version(path: str) -> Version | None:
        from trunkline.digest import md5_file

        full = bench.root / path
        return Version(md5_file(str(full)), full.stat().st_size, None) if full.is_file() else None

    code = Code(str(bench.root), version, Facts())
    for run, more in ((Function("stages.mine", "one"), ("query.sql",)), (Command(("cat", "query.sql")), ())):
        stage = Stage("pipe", "stage", run, code=more)
        source = code_of(bench.root)("pipe.stage")._replace(
            files=code.files(stage), digest=code.digest(stage)
        )
        unpack(shipment(source, REMOTE), str(tmp_path / str(len(more))))
