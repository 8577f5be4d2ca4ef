"""Lineage with a past of 1,000 and of 10,000 runs: what each question costs beyond the interpreter's start.

Back from a model, as it is now and from an old version; forward from a dataset, from a file datum by
datum, from a package; and the two commands that show runs. Against `trunkline --version`, which starts
the interpreter and answers. The index is there; what the first question costs, which makes it, is told.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

from bench.figures import SECONDS, Figure
from bench.processes import environment, medians
from bench.projects import HERE, Tree
from bench.sizes import Sizes

NAME = "lineage"
PIPELINE = """\
pipeline: texts

stages:
  upper:
    run: stages.texts:upper
    input: {part: letters/*}
  again:
    run: stages.texts:upper
    input: {part: upper/*}
  count:
    run: stages.texts:count
    input: {part: again/*}
  train:
    run: stages.texts:total
    input: {parts: count}
    model: {name: late, path: train.txt}
  report:
    run: stages.texts:report
    input: {total: train}
"""


def bench(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    """The figures of every number of runs."""
    for runs in sizes.runs:
        yield from _past(runs, sizes, make(f"past-{runs}"))


def _past(runs: int, sizes: Sizes, tree: Tree) -> Iterator[Figure]:
    tree.stages("texts")
    tree.write("pipelines/texts.yaml", PIPELINE)
    tree.write("data/letters/00.txt", "0")
    tree.source("letters")
    tree.do("git", "add", "-A")
    tree.do("git", "commit", "-qm", "Start")
    done = subprocess.run(
        [sys.executable, str(HERE / "record_runs.py"), str(runs)],
        cwd=tree.root, env=environment(tree.root), stdout=subprocess.PIPE, check=True,
    )  # fmt: skip
    asked = json.loads(done.stdout)
    questions = {
        "back": ("late",),
        "back, an old version": (f"texts.train@{asked['model'][:12]}",),
        "back, by hash": (asked["model"],),
        "back --datums": ("late", "--datums"),
        "--down dataset": ("letters", "--down"),
        "--down an old dataset": (f"letters@{asked['letters'][:12]}", "--down"),
        "--down file --datums": ("data/letters/07.txt", "--down", "--datums"),
        "--down parameter": ("texts.train.alpha=0.005", "--down"),
        "--down package": ("numpy==2.7.0", "--down"),
    }
    commands = {name: tree.trunkline("lineage", *words) for name, words in questions.items()}
    commands |= {"show": tree.trunkline("show", asked["run"]), "runs": tree.trunkline("runs")}
    floor = tree.trunkline("--version")
    (first, start) = medians(1, commands["back"], floor)
    where = f"{runs:,} runs"
    yield Figure(NAME, f"the first question, {where}", "trunkline --version", first, start, None, SECONDS)
    costs = medians(sizes.rounds, floor, *commands.values())
    for name, cost in zip(commands, costs[1:], strict=True):
        limit = 0.1 if runs <= 1_000 else None
        yield Figure(
            NAME, f"{name}, {where}", "trunkline --version", cost, costs[0], limit, SECONDS, judged=("cpu",)
        )
