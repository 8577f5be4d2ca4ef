"""From a stage's datums to Work: values that whoever executes needs nothing beside.

What a stage declares about running (time limits, tries, resources, secrets) travels with each datum;
what it means is the matter of the runners.

An input below a group arrives as one directory of all its files that the datum has, even of one.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trunkline import listing
from trunkline.digest import tree_oid
from trunkline.engine.planner import Planner
from trunkline.errors import UsageError
from trunkline.model import Datum, File, Item, Snapshot, Stage, Work, WorkFile, WorkInput
from trunkline.plan.datums import gathered
from trunkline.ports import Store


@dataclass(frozen=True, slots=True)
class RunPaths:
    """Where a run's record lies, and its id."""

    id: str
    directory: str

    def log(self, stage: Stage, datum_id: str) -> str:
        """Where a datum's output is kept."""
        return os.path.join(self.directory, "logs", stage.ref, f"{datum_id[:16]}.log")


class Works:
    """Makes the datums of a run into Work. `secrets` are all that the project declares, by name."""

    def __init__(
        self, planner: Planner, store: Store, root: str, run: RunPaths, secrets: frozenset[str]
    ) -> None:
        self._planner = planner
        self._store = store
        self._root = root
        self._run = run
        self._secrets = secrets

    def inputs(self, stage: Stage, datums: Sequence[Datum]) -> dict[str, Snapshot]:
        """The stage's inputs; what these datums read is seen to be in the cache. Raises MissingData."""
        snapshots = self._planner.snapshots(stage)
        places = {leaf.dataset.name: leaf.dataset.path for leaf in stage.leaves}
        empty = {leaf.name for leaf in stage.leaves if leaf.empty_files}
        items = {
            (item.dataset, item.path): item
            for datum in datums
            for item in datum.items
            if item.input not in empty
        }
        read: dict[str, list[File]] = {}
        for item in items.values():
            files = read.setdefault(places[item.dataset], [])
            if item.nfiles is None:
                files.append(File(item.path, item.oid, item.size))
            else:
                files += listing.below(snapshots[item.dataset].files, item.path)
        self._store.ensure_inputs(list(read.items()))
        return snapshots

    def of(
        self, stage: Stage, datums: Sequence[Datum], snapshots: Mapping[str, Snapshot], scratch: str
    ) -> Iterator[Work]:
        """The Work of some datums of a stage, whose inputs are `snapshots` by dataset name."""
        hidden = tuple(sorted(self._secrets - set(stage.secrets)))
        empty = frozenset(leaf.name for leaf in stage.leaves if leaf.empty_files)
        grouped = gathered(stage)
        for datum in datums:
            yield Work(
                stage=stage.ref,
                datum=datum.id,
                name=datum.name,
                join_on=datum.join_on,
                group_by=datum.group_by,
                run=stage.run,
                inputs=tuple(self._inputs(datum, snapshots, empty, grouped)),
                params=stage.params,
                env=stage.env,
                root=self._root,
                scratch=scratch,
                log=self._run.log(stage, datum.id),
                run_id=self._run.id,
                timeout=stage.datum_timeout,
                job_timeout=stage.job_timeout,
                accept=stage.accept_return_code,
                err_cmd=stage.err_cmd,
                resources=stage.resources,
                secrets=stage.secrets,
                hidden=hidden,
                parallelism=stage.parallelism,
                datum_set=stage.datum_set,
            )

    def _inputs(
        self,
        datum: Datum,
        snapshots: Mapping[str, Snapshot],
        empty: Collection[str],
        grouped: Collection[str],
    ) -> Iterator[WorkInput]:
        several: dict[str, list[WorkInput]] = {}
        for item in datum.items:
            given = self._input(item, snapshots[item.dataset], item.input in empty)
            if item.input in grouped:
                several.setdefault(item.input, []).append(given)
            else:
                yield given
        yield from map(_as_one, several.values())

    def _input(self, item: Item, snapshot: Snapshot, empty: bool) -> WorkInput:
        files: tuple[WorkFile, ...]
        if item.nfiles is None:
            files = (WorkFile(item.path, item.oid, item.size),)
        else:
            files = tuple(WorkFile(*file) for file in listing.below(snapshot.files, item.path))
        directory = item.nfiles is not None
        return WorkInput(
            item.input, item.dataset, item.path, item.oid, directory, files, self._store.objects, empty
        )


def _as_one(parts: Sequence[WorkInput]) -> WorkInput:
    """Several files and directories of one dataset as a directory of no others."""
    first = parts[0]
    found = {file.path: file for part in parts for file in part.files}
    if "" in found:  # the dataset is a single file
        found = {"": found[""]._replace(path=posixpath.basename(first.dataset))}
    files = tuple(sorted(found.values()))
    oid = tree_oid((file.path, file.md5) for file in files)
    return first._replace(path="", oid=oid, directory=True, files=files)


def unset_secrets(stage: Stage, environment: Mapping[str, str]) -> UsageError | None:
    """The error of a stage whose secrets are not in the environment; None where all are."""
    missing = [name for name in stage.secrets if not environment.get(name)]
    if not missing:
        return None
    one = len(missing) == 1
    return UsageError(
        f"stage {stage.ref} needs the secret{'' if one else 's'} {', '.join(missing)}, and "
        f"{'it is' if one else 'they are'} not set in this environment",
        where=stage.pipeline_file,
        hint=f"type `export {missing[0]}=…`, then the command again; nothing was run",
    )
