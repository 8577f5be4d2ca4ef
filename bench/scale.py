"""One stage over 1,000, 10,000 and 100,000 files: cold, nothing to do, one file changed, added, deleted.

The stage puts a small text into capitals, so that what is measured is what stands around it. Beside

    bare loop     one Python process that reads, computes and writes the same files
    dvc repro     one stage that runs the bare loop over the directory; `dvc status` with nothing to do
    ninja         one edge a file (`tr`), the floor of what is incremental; where a file came or went its
                  rules are written again, and what nobody makes any more is removed
    nothing to do trunkline itself, which then walks over all files and does no more
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator

from bench.datums import plain_project, prepared, remove_file, same, write_file
from bench.figures import Figure
from bench.processes import Command, Cost, medians, run
from bench.projects import HERE, Tree, program
from bench.sizes import Sizes

NAME = "scale"
KIND = "texts"
MANY = 20_000  # datums: from here on what takes minutes is measured once


def bench(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    """Every size."""
    for count in sizes.scale:
        trees = [make(f"{name}-{count}") for name in ("ours", "dvc", "ninja")]
        yield from _Size(sizes, count, *trees).figures()


class _Size:
    """The same files in three projects."""

    def __init__(self, sizes: Sizes, count: int, ours: Tree, dvc: Tree, ninja: Tree) -> None:
        self._count = count
        self._rounds = 1 if sizes.few == 1 else 3
        self._slow_rounds = 1 if count > MANY else self._rounds
        self._trees = (ours, dvc, ninja)
        self._made = 0

    def figures(self) -> Iterator[Figure]:
        ours, dvc, ninja = self._trees
        prepared(ours, KIND, "upper", self._count)
        plain_project(dvc, KIND, self._count)
        for number in range(self._count):
            write_file(ninja, KIND, number, number)
        yield from self._cold()
        nothing = yield from self._nothing()
        for change in (self._change, self._add, self._delete):
            yield from self._incremental(change, nothing)

    def _cold(self) -> Iterator[Figure]:
        ours, dvc, ninja = self._trees
        floor = ours.floor("loop", KIND, "data/parts", "prepared", before=lambda: ours.make_cold("prepared"))
        loop, cost = medians(
            self._slow_rounds, floor, ours.trunkline("run", before=lambda: ours.make_cold("data/p"))
        )
        same(ours.root / "prepared", ours.root / "data/p/s")
        yield self._figure("cold", "bare loop", cost, loop)
        yield self._figure("cold", "dvc repro", cost, run(dvc.dvc("repro", "-q")))
        (ninja.root / "prepared").mkdir()
        yield self._figure("cold", "ninja", cost, run(self._ninja(anew=True)))
        same(ours.root / "prepared", ninja.root / "prepared")

    def _nothing(self) -> Generator[Figure, None, Cost]:
        """The figures; returns what a run with nothing to do costs."""
        ours, dvc, _ = self._trees
        commands = ours.trunkline("run"), ours.floor("walk", "data"), self._ninja(), dvc.dvc("status", "-q")
        medians(1, *commands)  # what is remembered from now on
        cost, walk, edges = medians(self._rounds, *commands[:3])
        yield self._figure("nothing to do", "bare walk", cost, walk)
        yield self._figure("nothing to do", "dvc status", cost, medians(self._slow_rounds, commands[3])[0])
        yield self._figure("nothing to do", "ninja", cost, edges)
        return cost

    def _incremental(self, change: Callable[[Tree], str], nothing: Cost) -> Iterator[Figure]:
        ours, dvc, ninja = self._trees
        name = ""

        def done(tree: Tree) -> None:
            nonlocal name
            self._made += 1
            name = change(tree)

        anew = change != self._change
        cost, edges = medians(
            self._rounds,
            ours.trunkline("run", before=lambda: done(ours)),
            self._ninja(anew=anew, before=lambda: done(ninja)),
        )
        repro = medians(1, dvc.dvc("repro", "-q", before=lambda: done(dvc)))[0]
        yield self._figure(name, "nothing to do", cost, nothing)
        yield self._figure(name, "dvc repro", cost, repro)
        yield self._figure(name, "ninja", cost, edges)

    # ------------------------------------------------------------ one file

    def _change(self, tree: Tree) -> str:
        write_file(tree, KIND, 2 * self._made, self._count + self._made)
        return "one changed"

    def _add(self, tree: Tree) -> str:
        write_file(tree, KIND, self._count + self._made, self._made)
        return "one added"

    def _delete(self, tree: Tree) -> str:
        remove_file(tree, KIND, 2 * self._made + 1)
        return "one deleted"

    # ------------------------------------------------------------ rows and floors

    def _ninja(self, *, anew: bool = False, before: Callable[[], object] = lambda: None) -> Command:
        """The build; `anew`: files came or went."""
        root = self._trees[2].root
        if not anew:
            return Command((program("ninja"), "--quiet"), root, before)
        rules = str(HERE / "floors" / "ninja_file.py")
        script = ("sh", str(HERE / "floors" / "ninja.sh"), sys.executable, rules)
        return Command((*script, "data/parts", "prepared"), root, before)

    def _figure(self, what: str, against: str, cost: Cost, floor: Cost) -> Figure:
        return Figure(NAME, f"{self._count:,} datums, {what}", against, cost, floor, None)
