"""The datasets of cron inputs: which ticks are due, and writing them when a run begins.

    data/flights_tick/2026-01-31T03:00:00Z      an empty file for each tick
    data/flights_tick.dvc                       its pointer: a source dataset like any other

`plan` looks ahead, `run` writes and then versions the dataset, as it does every source that changed;
`dvc repro` takes what is there. Ticks are written oldest first, and with `overwrite` the new one before
the old ones go: after a kill the next run writes what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from trunkline import listing
from trunkline.digest import md5_bytes
from trunkline.errors import MissingData, StoreError, UsageError
from trunkline.model import Dataset, File, Leaf, Snapshot, Stage, Ticks
from trunkline.spec import ticks
from trunkline.store.store import DvcStore

_EMPTY = md5_bytes(b"")


class Due(NamedTuple):
    """What a clock will write to its dataset and take out of it, and the content that it has then."""

    dataset: Dataset
    new: tuple[str, ...]
    gone: tuple[str, ...]
    after: Snapshot


class Clocks:
    """The clocks of one project at one moment, in UTC."""

    def __init__(self, root: str, store: DvcStore, now: datetime) -> None:
        self._root = root
        self._store = store
        self._now = now

    def due(self, stages: Sequence[Stage]) -> Iterator[Due]:
        """What each clock of these stages is about to do, also where that is nothing.

        One whose ticks are not there is left out: that its input is missing shows in the plan. Raises
        StoreError and UsageError.
        """
        for stage, leaf in _clocks(stages):
            with suppress(MissingData):
                yield self._due(stage, leaf)

    def write(self, stages: Sequence[Stage]) -> Iterator[tuple[Due, bool]]:
        """Write what is due; each clock with its dataset as it is then, and whether its pointer is new."""
        for stage, leaf in _clocks(stages):
            path = leaf.dataset.path
            with self._store.holding("trunkline run", [], [path]):
                due = self._due(stage, leaf)
                before = self._store.pointer(f"{path}.dvc")
                if before is None or due.new or due.gone:
                    self._apply(due)
                    due = due._replace(after=self._store.save_source(path))
            yield due, before != due.after.version

    def _due(self, stage: Stage, leaf: Leaf) -> Due:
        present = self._present(leaf)
        clock: Ticks | None = leaf.ticks
        assert clock is not None
        try:
            new = ticks.due(clock, present, self._now)
        except ticks.TooManyError as error:
            raise UsageError(
                f"the cron input `{leaf.name}` of stage {stage.ref} cannot catch up: {error}",
                where=stage.pipeline_file,
                hint="write a later `start`, or `overwrite: true` to have the newest tick only",
            ) from error
        old = [name for name in present if ticks.moment_of(name) is not None]
        gone = tuple(old if new else sorted(old)[:-1]) if clock.overwrite else ()
        left = present.keys() - set(gone)
        files = tuple(sorted([*(present[name] for name in left), *(File(name, _EMPTY, 0) for name in new)]))
        return Due(leaf.dataset, new, gone, Snapshot(listing.version(files), files))

    def _present(self, leaf: Leaf) -> dict[str, File]:
        """The files of a clock's dataset by name. Raises MissingData, StoreError."""
        path = leaf.dataset.path
        snapshot, pointed = self._store.snapshot(path), self._store.pointer(f"{path}.dvc")
        if snapshot is None and pointed is not None and pointed.nfiles:
            hint = f"type `dvc pull {path}.dvc`, or `dvc checkout {path}.dvc`"
            raise MissingData(f"the ticks of the input `{leaf.name}` are not there", where=path, hint=hint)
        present = {file.path: file for file in (snapshot.files if snapshot is not None else ())}
        if present and not any(map(ticks.moment_of, present)):
            raise StoreError(
                f"{path} holds files that are no ticks",
                where=path,
                hint=f"give the cron input `{leaf.name}` another name, or move the files elsewhere",
            )
        return present

    def _apply(self, due: Due) -> None:
        folder = os.path.join(self._root, due.dataset.path)
        try:
            os.makedirs(folder, exist_ok=True)
            for name in due.new:
                os.close(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT, 0o644))
            for name in due.gone:
                os.unlink(os.path.join(folder, name))
        except OSError as error:
            raise StoreError(
                f"the file system refused: {error.strerror or error}", where=str(error.filename or folder)
            ) from error


def _clocks(stages: Sequence[Stage]) -> Collection[tuple[Stage, Leaf]]:
    """Each clock of these stages, with one of those that read it."""
    found = ((stage, leaf) for stage in stages for leaf in stage.leaves if leaf.ticks is not None)
    return {leaf.dataset.path: (stage, leaf) for stage, leaf in found}.values()


def told(due: Due) -> str:
    """`data/flights_tick: 3 ticks are due, 2026-01-29T00:00:00Z to 2026-01-31T00:00:00Z`."""
    count = len(due.new)
    span = due.new[0] if count == 1 else f"{due.new[0]} to {due.new[-1]}"
    return f"{due.dataset.path}: {count} tick{' is' if count == 1 else 's are'} due, {span}"
