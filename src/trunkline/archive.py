"""The records of runs in git, so that they travel with it and outlive the directory they were made in.

    refs/trunkline/runs/2026-11/019aacb5-…     one commit a run: its code as a tree, on the commit it stood on
        stages/, pipelines/, dvc.yaml, …       as they were when the run began, edits and all
        dvc.lock                               as it became
        .trunkline/run.json                    the record
        .trunkline/datums/<stage>.jsonl        what became of each datum

`.trunkline/runs/` is what questions are asked of, and can be made again from these. What keeps a record
from getting into git (a full disk, a lock) is said and ends no run: `rebuild` tries again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from trunkline.digest import sha256_file
from trunkline.errors import TrunklineError
from trunkline.ledger.ids import FOLDER
from trunkline.ledger.records import RunRecord, from_json, same_entry, to_json
from trunkline.ledger.runs import Runs
from trunkline.model import LockEntry
from trunkline.store import git, lockfile, snapshots
from trunkline.store.snapshots import LARGE, Snapshot

LOCK = "dvc.lock"
_INSIDE = ".trunkline"  # the record's directory in the commit
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_EXPERIMENTS = 50  # of them, so many of the newest are looked at


class Rebuilt(NamedTuple):
    """How many records came out of git, and how many went into it."""

    restored: int
    kept: int


class Archive:
    """The archive of the project at `home`, for runs that work at `root`: the same, or a worktree of it.

    `experiment` is the name of the directory in which `dvc exp run` works, beside the workspace: a
    repository of its own, which goes with the experiment.
    """

    def __init__(self, root: str, home: str, experiment: str = "") -> None:
        self._root = root
        self._home = home
        self._experiment = experiment

    # ------------------------------------------------------------ a run

    def code(self, run_id: str, files: Collection[str], secrets: Sequence[str]) -> dict[str, object]:
        """The working tree as it is, for the record of a run that begins. What is wrong with it is in it.

        `files` count though git does not know them; no file with one of these `secrets` (values) does.
        """
        try:
            found = snapshots.take(self._root, files, secrets)
            if self._experiment:
                snapshots.keep(self._root, run_id, found, {}, f"run {run_id}")
                snapshots.fetch(self._home, self._root, run_id)
        except (TrunklineError, OSError) as error:
            return {"error": str(error)}
        left_out = [each._asdict() for each in found.left_out]
        code: dict[str, object] = {"tree": found.tree, "parent": found.parent, "left_out": left_out}
        return {**code, "experiment": self._experiment} if self._experiment else code

    def keep(self, record: RunRecord) -> str:
        """Commit the record of a run that is over; the commit. Raises ProjectError."""
        files = dict(self._files(record))
        if (lock := self._lock(record)) is not None:
            files[LOCK] = lock
        message = f"run {record.id}: {record.state}\n\n{record.command}\n"
        return snapshots.keep(self._home, record.id, self._tree(record), files, message)

    def _tree(self, record: RunRecord) -> Snapshot:
        if "tree" in record.code:
            return Snapshot(str(record.code["tree"]), record.code.get("parent"))
        if record.git.commit is None:
            return Snapshot(_EMPTY_TREE, None)
        return Snapshot(snapshots.tree_of(self._home, record.git.commit), record.git.commit)

    def _files(self, record: RunRecord) -> Iterator[tuple[str, bytes]]:
        yield f"{_INSIDE}/run.json", to_json(record).encode("utf-8", "surrogateescape")
        folder = os.path.join(self._home, FOLDER, record.id, "datums")
        for ref in record.stages:
            path = os.path.join(folder, f"{ref}.jsonl")
            with suppress(FileNotFoundError):
                if os.path.getsize(path) <= LARGE:
                    with open(path, "rb") as stream:
                        yield f"{_INSIDE}/datums/{ref}.jsonl", stream.read()

    def _lock(self, record: RunRecord) -> bytes | None:
        """dvc.lock, where it is still as the run left it; None: as the run found it."""
        root = self._home if record.runner == "dvc" or not os.path.isdir(self._root) else self._root
        data = _read(os.path.join(root, LOCK))
        entries = _entries(data)
        made = {ref: stage.entry for ref, stage in record.stages.items() if stage.entry is not None}
        same = (same_entry(entry, entries.get(ref.replace(".", "-", 1))) for ref, entry in made.items())
        return data if made and all(same) else None

    def entries_after(self, record: RunRecord) -> Mapping[str, LockEntry]:
        """The dvc.lock in which the stages of a run must show: the project's, or that of its experiment.

        Raises SpecError, StoreError where it cannot be read (a conflict): it judges nothing.
        """
        if not record.experiment:
            data = _read(os.path.join(self._home, LOCK))
            return {} if data is None else lockfile.parse(data.decode("utf-8", "replace"))
        made = {ref.replace(".", "-", 1): stage.entry for ref, stage in record.stages.items() if stage.entry}
        for commit in snapshots.experiments(self._home, _EXPERIMENTS):
            entries = _entries(git.show(self._home, commit, LOCK))
            if made and all(same_entry(entry, entries.get(name)) for name, entry in made.items()):
                return entries
        return {}

    # ------------------------------------------------------------ all of them

    def kept(self) -> dict[str, str]:
        """The commits of the records in git, by run."""
        return snapshots.kept(self._home)

    def rebuild(self, runs: Runs) -> Rebuilt:
        """Make `.trunkline/runs/` from git, and git's records from it, whichever lacks some."""
        commits = self.kept()
        here = {record.id: record for record in runs.each()}
        lacking = [(run, commit) for run, commit in commits.items() if run not in here]
        restored = self._restore(runs, lacking)
        unkept = [each for each in here.values() if each.id not in commits and each.state != "running"]
        for record in unkept:
            self.keep(record)
        return Rebuilt(restored, len(unkept))

    def _restore(self, runs: Runs, lacking: Sequence[tuple[str, str]]) -> int:
        """Write the directories of these runs, as their commits have them."""
        texts = git.show_many(self._home, [(commit, f"{_INSIDE}/run.json") for _, commit in lacking])
        found = [(run, commit, text) for (run, commit), text in zip(lacking, texts, strict=True) if text]
        wanted = []
        for run, commit, text in found:
            with suppress(TrunklineError):
                stages = from_json(text, f"{snapshots.RUNS}/{snapshots.name_of(run)}").stages
                wanted += [(run, commit, f"datums/{ref}.jsonl") for ref in stages]
        parts = git.show_many(self._home, [(commit, f"{_INSIDE}/{path}") for _, commit, path in wanted])
        beside: dict[str, dict[str, bytes]] = {}
        for (run, _, path), part in zip(wanted, parts, strict=True):
            if part is not None:
                beside.setdefault(run, {})[path] = part
        for run, _, text in found:
            runs.restore(run, {**beside.get(run, {}), "run.json": text})
        return len(found)


# ---------------------------------------------------------------- digests


def digests(root: str, files: Collection[str], folders: Collection[str]) -> dict[str, str]:
    """sha256 of files, and of directories: of the lines that `sha256sum` prints for what is directly in it."""
    found = {}
    for path in files:
        with suppress(OSError):
            found[path] = sha256_file(os.path.join(root, path))
    for path in folders:
        with suppress(OSError):
            found[path] = _folder(os.path.join(root, path))
    return found


def _folder(full: str) -> str:
    lines = [f"{sha256_file(os.path.join(full, name))}  {name}\n" for name in sorted(os.listdir(full))]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return None


def _entries(data: bytes | None) -> Mapping[str, LockEntry]:
    """The entries of a dvc.lock; none where it is not there, or is not one."""
    with suppress(TrunklineError, ValueError):
        return {} if data is None else lockfile.parse(data.decode("utf-8", "replace"))
    return {}
