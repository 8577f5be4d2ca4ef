"""`plan`, `run` and `status` where there is nothing to do.

Five stages, each reading the one before; first over a handful of files, then with a source dataset
of 100,000. Against `dvc status` in the same project, which looks at the same deps and outs, and
against a bare walk over every file of `data/`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.figures import Figure
from bench.processes import Cost, medians
from bench.projects import Tree
from bench.sizes import Sizes

NAME = "nothing"
COMMANDS = ("plan", "run", "status")
PIPELINE = """\
pipeline: texts

stages:
  upper:
    run: stages.texts:upper
    input: {{part: letters{glob}}}
  again:
    run: stages.texts:upper
    input: {{part: upper/*}}
  count:
    run: stages.texts:count
    input: {{part: again/*}}
  total:
    run: stages.texts:total
    input: {{parts: count}}
  report:
    run: stages.texts:report
    input: {{total: total/total.txt}}
"""


def bench(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    """The figures of both sizes."""
    yield from _small(sizes, make("small"))
    yield from _large(sizes, make("large"))


def _small(sizes: Sizes, tree: Tree) -> Iterator[Figure]:
    for number in range(sizes.small_files):
        tree.write(f"data/letters/{number:05}.txt", f"letter {number}\n")
    costs = _costs(tree, "/*", sizes.rounds)
    where = f"5 stages, {sizes.small_files} files"
    for name in COMMANDS:
        yield Figure(NAME, f"{name}, {where}", "dvc status", costs[name], costs["dvc"], 0.25, judged=("cpu",))


def _large(sizes: Sizes, tree: Tree) -> Iterator[Figure]:
    """A hundred directories, of each of which the first file becomes a datum: a quick stage, a large dataset.

    A thousand contents with a hundred names each: a walk asks for the same stats, and it takes
    seconds instead of minutes to make and to remove.
    """
    first: dict[int, Path] = {}
    for number in range(sizes.files):
        folder, file = number % 100, number // 100
        path = tree.root / f"data/letters/{folder:02}/{folder:02}-{file:04}.txt"
        if folder == number:
            path.parent.mkdir(parents=True)
        if number < 1000:
            first[number] = path
            path.write_text(f"letter {number}\n")
        else:
            os.link(first[number % 1000], path)
    costs = _costs(tree, "/*/*-0000.txt", sizes.few)
    where = f"5 stages, {sizes.files:,} files"
    for name in COMMANDS:
        for against, floor, limit in (("dvc status", "dvc", 0.2), ("bare walk", "walk", 3)):
            yield Figure(NAME, f"{name}, {where}", against, costs[name], costs[floor], limit, judged=("cpu",))


def _costs(tree: Tree, glob: str, rounds: int) -> dict[str, Cost]:
    tree.stages("texts")
    tree.write("pipelines/texts.yaml", PIPELINE.format(glob=glob))
    tree.source("letters")
    commands = {name: tree.trunkline(name) for name in COMMANDS}
    commands["dvc"] = tree.dvc("status")
    commands["walk"] = tree.floor("walk", "data")
    for command in ("run", *commands):  # what is built once is built now
        medians(1, commands[command])
    return dict(zip(commands, medians(rounds, *commands.values()), strict=True))
