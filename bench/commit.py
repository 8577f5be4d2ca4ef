"""A new output is versioned: 20,000 files of 4 KiB, and 200 of 10 MiB.

The stage moves a prepared directory to where its outputs are expected, by one rename; what remains
of its `trunkline run` is hashing, bringing into the cache, linking into the workspace, manifest and
lock. Of that, what a run costs whose output is a single file is taken off: it is the same for any
output. Against a script that hashes every file and hard-links it into a store, and against `dvc add`
of the same directory.

All of them work on the same files, which were written and flushed to the disk before.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

from bench.figures import Figure
from bench.processes import Cost, medians, run
from bench.projects import Tree
from bench.sizes import Sizes

NAME = "commit"
PIPELINE = """\
pipeline: p

stages:
  s:
    run: stages.ready:deliver
    params: {prepared: ../prepared}
"""


def bench(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    """Many small files, few large ones."""
    for name, (count, size) in (("small", sizes.many_small), ("large", sizes.few_large)):
        yield from _figures(sizes, _Output(make(f"{name}"), make(f"{name}-dvc"), count, size))


def _figures(sizes: Sizes, output: _Output) -> Iterator[Figure]:
    tree = output.tree
    output.write(1, 1)
    base = run(tree.trunkline("run", before=output.ready))
    base = medians(sizes.few, tree.trunkline("run", before=output.ready))[0]
    output.write(output.count, output.size)
    bare, ours = medians(
        sizes.few,
        tree.floor("hash_and_link", "../prepared", "../store", before=output.ready),
        tree.trunkline("run", before=output.ready),
    )
    commit = Cost(ours.cpu - base.cpu, ours.wall - base.wall, ours.rss)
    dvc = medians(1, output.plain.dvc("add", "-q", "data/out", before=output.ready_for_dvc))[0]
    what = f"{output.count:,} × {_size(output.size)}"
    yield Figure(NAME, what, "hash and hard-link", commit, bare, 1.5)
    yield Figure(NAME, what, "dvc add", commit, dvc, 0.25)
    yield Figure(NAME, f"{what}, the whole run", "dvc add", ours, dvc, 0.25)


class _Output:
    """One directory of prepared files that goes from one command to the next."""

    def __init__(self, tree: Tree, plain: Tree, count: int, size: int) -> None:
        self.tree = tree
        self.plain = plain
        self.count = count
        self.size = size
        self._top = tree.root.parent
        self._prepared = self._top / "prepared"
        self._used = (tree.root / "data/p/s", plain.root / "data/out")
        tree.stages("ready")
        tree.write("pipelines/p.yaml", PIPELINE)

    def write(self, count: int, size: int) -> None:
        """Prepare these files, each of another content, on the disk."""
        for old in (self._prepared, *self._used):
            shutil.rmtree(old, ignore_errors=True)
        self._prepared.mkdir()
        noise = os.urandom(size)
        for number in range(count):
            (self._prepared / f"{number:06}.bin").write_bytes(b"%08d" % number + noise[8:])
        os.sync()

    def ready(self) -> None:
        """As after `write`: nobody else has the files, nobody has heard of them."""
        for used in self._used:
            if used.exists():
                shutil.rmtree(self._prepared, ignore_errors=True)
                os.rename(used, self._prepared)
        self.tree.make_cold("data/p")
        self.plain.make_cold()
        for store in (self._top / "store", *self._top.glob("trash-*/objects")):
            shutil.rmtree(store, ignore_errors=True)
        for path in self._prepared.iterdir():
            path.chmod(0o644)

    def ready_for_dvc(self) -> None:
        """The same, in the place where `dvc add` looks for them."""
        self.ready()
        target = self.plain.root / "data/out"
        target.parent.mkdir(exist_ok=True)
        os.rename(self._prepared, target)
        self.plain.write("data/.gitignore", "")


def _size(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size / 1024:g} KiB"
