"""What of the cache, and of a DVC remote, nobody needs any longer; and its removal.

    needed by          working trees of the project (git's worktrees, deployments, experiments too), every ref
                       of git, the records of runs that are kept, what these runs left half done
    goes, because      only older commits name it; only older runs do; only forgotten runs do; nothing does
    stays anyway       what is younger than an hour: somebody may be about to name it

A decision is a value (`Collection`), and `apply` does it: first the index of results forgets, then objects
go, so that a kill leaves objects that nothing names, and no result without its files. While it goes on no
run and no `dvc` command can begin in any working tree of the project.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import NamedTuple

from trunkline.archive import Archive
from trunkline.errors import LockedError, TrunklineError, UsageError
from trunkline.ledger import forgetting
from trunkline.ledger.ids import FOLDER, run_time
from trunkline.ledger.results import Results
from trunkline.ledger.runs import Runs
from trunkline.store import config, git, home, origin, references, snapshots, sweep
from trunkline.store.locks import file_lock
from trunkline.store.rwlock import RWLock
from trunkline.store.store import DvcStore
from trunkline.store.sweep import Stored
from trunkline.store.transfer import Transfer
from trunkline.store.worktree import Worktree

NOTHING = "nothing names it"
FORGOTTEN = "only forgotten runs name it"
OLD_RUNS = "only older runs name it"
OLD_COMMITS = "only older commits name it"
_COMMAND = "trunkline gc"
_LOCK, _RECORD = "dvc.lock", ".trunkline/run.json"  # in the commit of a record


class Policy(NamedTuple):
    """What is to be kept: all commits or only where refs are; so many runs, or those of so many days.

    None: every run. `grace`: seconds for which anything new stays.
    """

    all_commits: bool = False
    keep_runs: int | None = None
    days: float | None = None
    grace: float = 3600.0

    def is_old(self, place: int, run_id: str, now: float) -> bool:
        """Whether a run's data may go: `place` is its place among all, from the newest."""
        if self.keep_runs is None and self.days is None:
            return False
        recent = self.keep_runs is not None and place < self.keep_runs
        return not recent and (self.days is None or now - run_time(run_id) > self.days * 86_400)

    def lets_go(self, each: Stored, now: float) -> bool:
        """Whether an object that nothing needs is old enough."""
        return not self.grace or each.changed <= now - self.grace


class Collection(NamedTuple):
    """What goes. `goes` and `remote` tell of each object its reason; `young` counts what stays for its age."""

    goes: tuple[tuple[Stored, str], ...]
    remote: tuple[tuple[Stored, str], ...]
    results: tuple[str, ...]
    quarantined: tuple[Stored, ...]
    halves: tuple[str, ...]
    worktrees: tuple[str, ...]
    kept: int
    kept_bytes: int
    young: int


class Forgotten(NamedTuple):
    """Runs that were forgotten; those that origin still has, or why that is not known; bundles in the remote."""

    runs: tuple[str, ...]
    at_origin: tuple[str, ...]
    unknown: str
    bundles: int


class Collector:
    """The collector of the project at `home`."""

    def __init__(self, home: str, store: DvcStore, results: Results, archive: Archive, runs: Runs) -> None:
        self._home = home
        self._store = store
        self._results = results
        self._archive = archive
        self._runs = runs

    # ------------------------------------------------------------ whose cache it is

    def is_foreign(self) -> bool:
        """Whether the cache lies in none of the project's working trees: others may use it, too."""
        cache = os.path.realpath(self._store.cache_dir)
        roots = [self._home, *(each.root for each in references.workspaces(self._home))]
        return not any(cache.startswith(os.path.realpath(root) + os.sep) for root in roots)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep everything of the project from beginning. Raises LockedError where something is at work."""
        with ExitStack() as held:
            for name in self._deployments():
                held.enter_context(Worktree(self._home, name).hold(print, wait=False))
            for root in {self._home, *(each.root for each in references.workspaces(self._home))}:
                guard = partial(file_lock, hardlink=config.load(root).hardlink_lock)
                held.enter_context(RWLock(root, guard).holding(_COMMAND, [], ["."]))
                if os.path.isdir(os.path.join(root, FOLDER)):
                    held.enter_context(Runs(root).quiet())
            yield

    def _deployments(self) -> list[str]:
        folder = os.path.join(self._home, home.FOLDER)
        with suppress(FileNotFoundError):
            return sorted(name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name)))
        return []

    # ------------------------------------------------------------ forget

    def forget(self, names: Sequence[str], *, everywhere: bool = False) -> Forgotten:
        """Drop the records of these runs, their logs, their refs; their data stay. Raises UsageError, LockedError.

        With `everywhere` at origin first: what fails there is to be repeated.
        """
        kept = self._archive.kept()
        runs = [
            self._meant(name, {*kept, *self._runs.ids(), *forgetting.forgotten(self._home)}) for name in names
        ]
        if not runs:
            raise UsageError("no run is named", hint="`trunkline runs` lists them")
        for run in runs:
            if self._runs.under_way(run):
                raise LockedError(f"the run {run} is under way", hint="end it, or wait until it is done")
        at_origin, unknown = self._at_origin(runs, everywhere)
        named = {run: names for some in self._records(Policy(), 0.0) for run, names in some.items()}
        for run in runs:
            if run in kept:
                snapshots.forget(self._home, run)
            forgetting.forget(self._home, run, named.get(run, set()))
        marks = os.path.join(self._home, ".dvc", "tmp", "trunkline", "bundles")
        bundles = len(os.listdir(marks)) if os.path.isdir(marks) else 0
        return Forgotten(tuple(runs), at_origin, unknown, bundles)

    def _at_origin(self, runs: Sequence[str], everywhere: bool) -> tuple[tuple[str, ...], str]:
        """Those that origin has, and stay there; why that is not known, where it is not."""
        if not origin.has_remote(self._home):
            return (), ""
        if everywhere:
            origin.forget(self._home, runs)
            return (), ""
        try:
            there = origin.records(self._home)
        except TrunklineError as error:
            return (), error.message
        return tuple(run for run in runs if run in there), ""

    def _meant(self, name: str, known: set[str]) -> str:
        found = sorted(run for run in known if name and run.startswith(name))
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"there is no run {name!r}", hint="type `trunkline runs` to see them")
        raise UsageError(f"{len(found)} runs begin with {name!r}", hint="type more of the id")

    # ------------------------------------------------------------ decide

    def plan(self, policy: Policy, remote: Transfer | None = None) -> Collection:
        """What would go. With `remote` also there: what this project knows of must be what others know."""
        now = time.time()
        kept, old = self._records(policy, now)
        rows = self._results.rows()
        listings = _Listings(self._store, remote)
        needed = listings.closure(self._present())
        needed |= listings.closure(oid for names in kept.values() for oid in names)
        needed |= {file.md5 for _, _, run, files in rows if run in kept for file in files}
        claims = (
            (OLD_COMMITS, self._everywhere()),
            (OLD_RUNS, (oid for names in old.values() for oid in names)),
            (FORGOTTEN, _named(forgetting.forgotten(self._home).values())),
        )
        if policy.all_commits:
            needed |= listings.closure(self._everywhere())
        reasons: dict[str, str] = {}
        for reason, names in claims:
            for oid in listings.closure(names):
                reasons.setdefault(oid, reason)
        stored = list(sweep.stored(self._store.objects))
        unnamed = [each for each in stored if each.oid not in needed]
        goes = [each for each in unnamed if policy.lets_go(each, now)]
        gone = {each.oid for each in goes}
        there = {each.oid for each in stored} - gone
        quarantine = os.path.join(self._store.cache_dir, "trunkline", "quarantine")
        return Collection(
            goes=tuple((each, reasons.get(each.oid, NOTHING)) for each in goes),
            remote=tuple(
                (each, reasons.get(each.oid, NOTHING))
                for each in (remote.stored(needed) if remote is not None else ())
                if policy.lets_go(each, now)
            ),
            results=tuple(key for key, _, _, files in rows if any(file.md5 not in there for file in files)),
            quarantined=tuple(each for each in _files(quarantine) if policy.lets_go(each, now)),
            halves=tuple(forgetting.halves(self._home)),
            worktrees=tuple(self._left_over()),
            kept=len(stored) - len(goes),
            kept_bytes=sum(each.size for each in stored) - sum(each.size for each in goes),
            young=len(unnamed) - len(goes),
        )

    def _records(self, policy: Policy, now: float) -> tuple[dict[str, set[str]], dict[str, set[str]]]:
        """What the records name that count, and those that are too old; with dvc.lock as each left it."""
        commits = self._archive.kept()
        runs = list(commits)
        found = {run: of_record(record) for run, record in forgetting.texts(self._home).items()}
        locks: dict[bytes, set[str]] = {}
        wanted = [(commit, path) for commit in commits.values() for path in (_LOCK, _RECORD)]
        texts = [text or b"" for text in git.show_many(self._home, wanted)]
        for run, lock, record in zip(runs, texts[::2], texts[1::2], strict=True):
            if lock not in locks:
                locks[lock] = references.named(lock)
            found[run] = locks[lock] | (found[run] if run in found else of_record(record))
        places = enumerate(sorted(found, reverse=True))
        old = {run for place, run in places if policy.is_old(place, run, now)}
        kept = {run: names for run, names in found.items() if run not in old}
        return kept, {run: found[run] for run in old}

    def _present(self) -> Iterator[str]:
        """What working trees and refs name."""
        workspaces = references.workspaces(self._home)
        for workspace in workspaces:
            yield from _named(found for _, found in references.in_workspace(workspace.root))
        tips = [*references.tips(self._home), *(each.commit for each in workspaces if each.commit)]
        yield from _named(found for _, found in references.at(self._home, tips))

    def _everywhere(self) -> Iterator[str]:
        yield from _named(found for _, found in references.everywhere(self._home))

    def _left_over(self) -> list[str]:
        """Worktrees of deployments that are no longer noted."""
        return [name for name in self._deployments() if not os.path.exists(home.note(self._home, name))]

    # ------------------------------------------------------------ do

    def apply(self, found: Collection, remote: Transfer | None = None) -> None:
        """Remove what goes. Repeated after a kill, it ends the work."""
        self._results.forget(found.results)
        self._store.memo.forget_objects(each.oid for each, _ in found.goes)
        sweep.remove(each.path for each in found.quarantined)
        sweep.remove(each.path for each, _ in found.goes)
        if remote is not None:
            remote.remove([each.oid for each, _ in found.remote])
        for path in found.halves:
            shutil.rmtree(path, ignore_errors=True)
        for name in found.worktrees:
            Worktree(self._home, name).remove()
        if not found.young:
            forgetting.collected(self._home)


class _Listings:
    """What versions list, as far as the cache has it, or else the remote."""

    def __init__(self, store: DvcStore, remote: Transfer | None) -> None:
        self._store = store
        self._remote = remote
        self._known: dict[str, set[str]] = {}

    def closure(self, oids: Iterable[str]) -> set[str]:
        """These, and what they list."""
        found = set(oids)
        folders = {oid for oid in found if oid.endswith(".dir")}
        if self._remote is not None:
            self._remote.fetch_listings(folders - self._known.keys())
        return found.union(*(self._listed(oid) for oid in folders))

    def _listed(self, oid: str) -> set[str]:
        if oid not in self._known:
            try:
                self._known[oid] = {file.md5 for file in self._store.listing(oid)}
            except TrunklineError:
                self._known[oid] = set()
        return self._known[oid]


def of_record(text: bytes) -> set[str]:
    """What a record names as made and as read; whatever looks so, where it cannot be read."""
    try:
        data = json.loads(text)
        entries = [stage["entry"] for stage in data["stages"].values() if stage["entry"]]
        sources = data.get("code", {}).get("sources", {}).values()
        return {*sources, *(item["md5"] for entry in entries for item in (*entry["deps"], *entry["outs"]))}
    except (ValueError, KeyError, TypeError, AttributeError):
        return references.named(text)


def _named(texts: Iterable[bytes]) -> Iterator[str]:
    for found in texts:
        yield from references.named(found)


def _files(folder: str) -> list[Stored]:
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        return [Stored(each.name, each.path, each.stat().st_size, each.stat().st_ctime) for each in entries]
    return []
