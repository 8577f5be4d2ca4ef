"""How much memory planning takes, and that streaming does not take more for more data.

Planning: a stage of 1,000,000 datums of which one changed, the most that planning has to hold: the
dataset, every key, every known result, the last manifest. The files are real names, each of
thousands for one file; what an earlier run would have left is made up (`as_if_run.py`).

Streaming: a stage that reads its dataset file by file, and one that reads the batches of a lazy
dataset, over some files and over ten times as many. The memory is that of the largest process.

Large: one file of 5 GiB that a stage copies block by block, which is versioned, hashed, handed over and
published; and one datum that writes 20,000 files. Beside them a file and a number a hundredth of that.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.figures import Figure
from bench.processes import Cost, run
from bench.projects import HERE, Tree
from bench.sizes import Sizes

NAME = "memory"
PLANNED = """\
pipeline: p

stages:
  s:
    run: stages.texts:upper
    input: {part: parts/*/*}
"""
STREAMED = """\
pipeline: p

stages:
  s:
    run: stages.streams:{function}
    input: {{parts: parts}}
"""
NAMES = 50_000  # of one file: ext4 allows 65,000
GIB_2 = 2048


def bench(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    """Planning, streaming, what is large."""
    yield _planning(sizes, make("planning"))
    yield from _streaming(sizes, make)
    yield _large(sizes, make)
    yield _many(sizes, make)


def _planning(sizes: Sizes, tree: Tree) -> Figure:
    tree.stages("texts")
    tree.write("pipelines/p.yaml", PLANNED)
    for number in range(sizes.planned):
        path = tree.root / f"data/parts/{number // 10_000:03}/{number:07}.txt"
        if number % 10_000 == 0:
            path.parent.mkdir(parents=True)
        if number % NAMES == 0:
            path.write_text(f"part {number}\n")
            first = path
        else:
            os.link(first, path)
    tree.source("parts")
    tree.do(sys.executable, str(HERE / "as_if_run.py"))
    tree.write(f"data/parts/000/{sizes.planned - 1:07}.txt", "another part\n")
    cost = run(tree.trunkline("plan"))
    return Figure(NAME, f"plan, {sizes.planned:,} datums, one added", "", cost, None, GIB_2, "MiB", ("rss",))


def _streaming(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    files, rows = sizes.streamed
    for function in ("by_file", "by_batch"):
        costs = [
            _streamed(make(f"{function}-{count}"), function, count, rows) for count in (files, 10 * files)
        ]
        what = f"{function}, {10 * files} files of {rows:,} rows"
        yield Figure(NAME, what, f"{files} files", costs[1], costs[0], 1.1, judged=("rss",))


def _streamed(tree: Tree, function: str, count: int, rows: int) -> Cost:
    drawn = random.Random(7)
    values = pa.array([drawn.random() for _ in range(rows)])
    Path(tree.root / "data/parts").mkdir(parents=True)
    for number in range(count):
        table = pa.table({"id": pa.array(range(number, number + rows), pa.int64()), "value": values})
        pq.write_table(table, tree.root / f"data/parts/{number:05}.parquet", compression="none")
    return _ran(tree, function)


def _large(sizes: Sizes, make: Callable[[str], Tree]) -> Figure:
    costs = [_copied(make(f"large-{size}"), size) for size in (sizes.one_file // 100, sizes.one_file)]
    what = f"one file of {sizes.one_file / (1 << 30):.2g} GiB, versioned, copied, published"
    return Figure(NAME, what, "a hundredth of it", costs[1], costs[0], 1.5, judged=("rss",))


def _copied(tree: Tree, size: int) -> Cost:
    block = random.Random(7).randbytes(1 << 20)
    path = Path(tree.root / "data/parts/large.bin")
    path.parent.mkdir(parents=True)
    with path.open("wb") as stream:
        for number in range(max(1, size >> 20)):
            stream.write(number.to_bytes(8, "little") + block[8:])
    return _ran(tree, "by_block")


def _many(sizes: Sizes, make: Callable[[str], Tree]) -> Figure:
    costs = [_scattered(make(f"many-{count}"), count) for count in (sizes.outputs // 100, sizes.outputs)]
    what = f"one datum that writes {sizes.outputs:,} files"
    return Figure(NAME, what, "a hundredth of them", costs[1], costs[0], 2, judged=("rss",))


def _scattered(tree: Tree, count: int) -> Cost:
    tree.write("data/parts/count.txt", f"{count}\n")
    return _ran(tree, "scattered")


def _ran(tree: Tree, function: str) -> Cost:
    tree.stages("streams")
    tree.write("pipelines/p.yaml", STREAMED.format(function=function))
    tree.source("parts")
    return run(tree.trunkline("run"))
