"""Ten thousand datums: what the engine costs for each, and what a small change costs.

Two stages, each in a project of its own: `texts` (a function of a path, next to no work, no
library) and `frames` (a function of a pandas frame, Parquet in, Parquet out).

    cold      nothing is known but the source dataset's version; against a bare loop in one process
              that reads the same files, calls the same function and writes the same bytes
    changed   one file changed, one added, one deleted; against (a run with nothing to do + a process
              that imports what the stage imports), and against `dvc repro` of a stage that runs the
              bare loop over the directory
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.figures import Figure
from bench.processes import Cost, median, medians, run
from bench.projects import HERE, Tree
from bench.sizes import Sizes

NAME = "datums"
PIPELINE = """\
pipeline: p

stages:
  s:
    run: stages.{module}:{function}
    input: {{part: parts/*}}
"""
DVC = """\
stages:
  loop:
    cmd: python loop.py {kind} data/parts out
    deps: [data/parts, loop.py, stages/{kind}.py]
    outs: [out]
"""
PER_DATUM = "ms a datum beyond it"


def bench(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    """Both kinds of stage, cold and changed."""
    for kind, function in (("texts", "upper"), ("frames", "scaled")):
        tree = make(kind)
        prepared(tree, kind, function, sizes.datums)
        yield _cold(sizes, tree, kind)
        yield from _changed(sizes, tree, kind, make(f"{kind}-dvc"))


def prepared(tree: Tree, kind: str, function: str, count: int) -> None:
    """Make `tree` a stage of one kind over so many files."""
    for number in range(count):
        write_file(tree, kind, number, number)
    tree.stages(kind)
    tree.write("pipelines/p.yaml", PIPELINE.format(module=kind, function=function))
    tree.source("parts")


def _cold(sizes: Sizes, tree: Tree, kind: str) -> Figure:
    loop = tree.floor("loop", kind, "data/parts", "prepared", before=lambda: tree.make_cold("prepared"))
    ours = tree.trunkline("run", before=lambda: tree.make_cold("data/p"))
    costs = medians(sizes.few, loop, ours)
    same(tree.root / "prepared", tree.root / "data/p/s")
    what = f"cold, {sizes.datums:,} datums of {kind}"
    return Figure(NAME, what, "bare loop", costs[1], costs[0], 1, unit=PER_DATUM, count=sizes.datums)


def _changed(sizes: Sizes, tree: Tree, kind: str, plain: Tree) -> Iterator[Figure]:
    module = f"stages.{kind}"
    changes = _Changes(tree, kind, sizes.datums)
    changed, nothing, imports = medians(
        sizes.rounds,
        tree.trunkline("run", before=changes.next),
        tree.trunkline("run"),
        tree.floor("imports", module),
    )
    what = f"1 changed, 1 added, 1 deleted of {sizes.datums:,} {kind}"
    yield Figure(NAME, what, "nothing to do + imports", changed, nothing.plus(imports), 2)
    yield Figure(NAME, what, "dvc repro", changed, _repro(sizes, plain, kind), 0.1)


def _repro(sizes: Sizes, plain: Tree, kind: str) -> Cost:
    """The same changes in a project of DVC alone."""
    plain_project(plain, kind, sizes.datums)
    run(plain.dvc("repro"))
    changes = _Changes(plain, kind, sizes.datums)
    rounds = 1 if sizes.few == 1 else 2
    return median([run(plain.dvc("repro", before=changes.next)) for _ in range(rounds)])


def plain_project(plain: Tree, kind: str, count: int) -> None:
    """Make `plain` a project of DVC alone: one stage that runs the bare loop over so many files."""
    for number in range(count):
        write_file(plain, kind, number, number)
    plain.stages(kind)
    plain.write("loop.py", (HERE / "floors" / "loop.py").read_bytes())
    plain.write("dvc.yaml", DVC.format(kind=kind))


class _Changes:
    """Each time another file is changed, another added, another deleted."""

    def __init__(self, tree: Tree, kind: str, count: int) -> None:
        self._tree = tree
        self._kind = kind
        self._count = count
        self._times = 0

    def next(self) -> None:
        """One of each."""
        self._times += 1
        place, added = 3 * self._times, self._count + self._times
        write_file(self._tree, self._kind, place, added + self._count)
        write_file(self._tree, self._kind, added, added)
        remove_file(self._tree, self._kind, place + 1)


def path_of(tree: Tree, kind: str, number: int) -> Path:
    suffix = "txt" if kind == "texts" else "parquet"
    return tree.root / f"data/parts/{number:05}.{suffix}"


def remove_file(tree: Tree, kind: str, number: int) -> None:
    path_of(tree, kind, number).unlink()


def write_file(tree: Tree, kind: str, number: int, content: int) -> None:
    path = path_of(tree, kind, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "texts":
        path.write_text(f"part {content}\n" * 20)
        return
    drawn = random.Random(content)
    table = pa.table(
        {
            "id": pa.array(range(50), pa.int64()),
            "value": [drawn.random() for _ in range(50)],
            "weight": [drawn.random() for _ in range(50)],
            "name": [f"{content}-{place % 5}" for place in range(50)],
        }
    )
    pq.write_table(table, path)


def same(ours: Path, theirs: Path) -> None:
    """See that both wrote the same files, byte for byte: else one of them did less."""
    names = sorted(path.name for path in ours.iterdir())
    assert names == sorted(path.name for path in theirs.iterdir()), "other files were written"
    for name in names:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), f"{name} differs"
