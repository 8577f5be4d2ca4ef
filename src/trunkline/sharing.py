"""Records, manifests and data, moved together between this project and what others share.

    push    the data that the records name -> the DVC remote;  then the records -> origin, by their refs
    pull    the records <- origin, and their bundles <- the DVC remote;  then what they name

Data go first, so that nobody finds a record whose data are not there. A record goes only where its commit
is at origin already: it would take the whole history of a branch with it that nobody has pushed. A server
that takes no refs of ours gets none: the records become a bundle of git in the DVC remote.

    <remote>/trunkline/records/<sha256 of its refs>.bundle
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

from trunkline.archive import Archive
from trunkline.errors import ProjectError, TrunklineError
from trunkline.ledger.records import RunRecord
from trunkline.ledger.runs import Runs
from trunkline.store import origin
from trunkline.store.transfer import Transfer

BUNDLES = "records"


class Pushed(NamedTuple):
    """What was sent: records (`bundled` of them in a bundle), and objects; and what was left out, and why.

    `held` counts records whose commit is not at origin, `lacking` versions that the cache has not got.
    """

    records: int
    bundled: int
    held: int
    objects: int
    lacking: int
    refused: str = ""


class Pulled(NamedTuple):
    """What came: records and objects; and the manifests that records name, wherever they are."""

    records: int
    objects: int
    manifests: frozenset[str]


class Sharing:
    """What a project shares: `origin` of git, and a DVC remote."""

    def __init__(self, home: str, archive: Archive, runs: Runs, transfer: Transfer) -> None:
        self._home = home
        self._archive = archive
        self._runs = runs
        self._transfer = transfer

    # ------------------------------------------------------------ push

    def push(self, present: Collection[str], has: Callable[[str], bool], *, history: bool = False) -> Pushed:
        """Send everything; `present` are the versions that are named now, `has` says which are in the cache.

        `history`: also records whose commit is not at origin, with all that leads to it.
        """
        self._archive.rebuild(self._runs)
        wanted = {*present, *named(self._runs.each())}
        sent = {oid for oid in wanted if has(oid)}
        objects = self._transfer.send(sent) if self._transfer.has_remote() else 0
        records, bundled, held, refused = 0, 0, 0, ""
        if origin.has_remote(self._home):
            new, unsent = self._new(history)
            held = len(unsent)
            refused = origin.push(self._home, new)
            records = len(new)
            if refused:
                bundled, records = self._bundle(new), 0
        return Pushed(records, bundled, held, objects, len(wanted) - len(sent), refused)

    def _new(self, history: bool) -> tuple[dict[str, str], dict[str, str]]:
        """The records that origin has not got: those that may go, those whose commit it has not got either."""
        theirs = origin.records(self._home)
        mine = {run: commit for run, commit in self._archive.kept().items() if theirs.get(run) != commit}
        unsent = {} if history else origin.unsent(self._home, mine)
        return {run: commit for run, commit in mine.items() if run not in unsent}, unsent

    def _bundle(self, records: Mapping[str, str]) -> int:
        """Put these records into the DVC remote as one bundle; how many."""
        if not records:
            return 0
        if not self._transfer.has_remote():
            raise ProjectError(
                "origin takes no records of runs, and there is no DVC remote to keep them in",
                where=self._home,
                hint="type `dvc remote add -d NAME URL`",
            )
        text = "".join(f"{run} {commit}\n" for run, commit in sorted(records.items()))
        name = f"{BUNDLES}/{hashlib.sha256(text.encode()).hexdigest()[:32]}.bundle"
        if name.rpartition("/")[2] not in self._transfer.names(BUNDLES):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "bundle")
                origin.bundle(self._home, path, records)
                self._transfer.put(path, name)
        return len(records)

    # ------------------------------------------------------------ pull

    def pull(self, present: Collection[str], *, everything: bool = False) -> Pulled:
        """Bring the records, and of what they name the manifests and the listings; `present` as a whole.

        `everything`: all data that any record names.
        """
        records = self.learn()
        remote = self._transfer.has_remote()
        objects = 0
        known = set(named(self._runs.each()))
        manifests = frozenset(oid for record in self._runs.each() for oid in _manifests(record))
        if remote:
            objects += self._bring({*present, *manifests, *(known if everything else ())})
            objects += self._transfer.fetch_listings(known)
        return Pulled(records, objects, manifests)

    def learn(self) -> int:
        """Bring the records alone; how many were new."""
        before = set(self._archive.kept())
        if origin.has_remote(self._home):
            origin.fetch(self._home)
        if self._transfer.has_remote():
            self._unbundle()
        self._archive.rebuild(self._runs)
        return len(set(self._archive.kept()) - before)

    def _bring(self, versions: Iterable[str]) -> int:
        """Fetch what the remote has of these: what an old record names may have been collected since."""
        found = 0
        wanted = sorted(set(versions))
        try:
            return self._transfer.fetch(wanted)
        except TrunklineError:
            for oid in wanted:
                with suppress(TrunklineError):
                    found += self._transfer.fetch([oid])
        return found

    def _unbundle(self) -> None:
        mark = os.path.join(self._home, ".dvc", "tmp", "trunkline", "bundles")
        seen = set(os.listdir(mark)) if os.path.isdir(mark) else set()
        for name in self._transfer.names(BUNDLES):
            if name in seen:
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "bundle")
                self._transfer.get(f"{BUNDLES}/{name}", path)
                origin.fetch_bundle(self._home, path)
            os.makedirs(mark, exist_ok=True)
            with open(os.path.join(mark, name), "wb"):
                pass  # losing this costs another download


def named(records: Iterable[RunRecord]) -> Iterator[str]:
    """The versions of data that records name: what was made, and the source datasets as they were."""
    for record in records:
        yield from record.code.get("sources", {}).values()
        for stage in record.stages.values():
            if stage.entry is not None:
                yield from (out.md5 for out in stage.entry.outs)


def _manifests(record: RunRecord) -> Iterator[str]:
    return (stage.manifest for stage in record.stages.values() if stage.manifest)
