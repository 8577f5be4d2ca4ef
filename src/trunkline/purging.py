"""Deleting a file of a dataset from every version, and what was made from it; and proving that it is gone.

    its content        every content that the path had in any version: wherever it is stored
    made from it       the outputs of each datum that read it, by the manifests, and so on downstream; of a
                       stage without a manifest all outputs. Not what a datum that never read it made, too
    models             are named as having seen it, and stay, unless they are to go as well

Versions keep their hashes: they have a hole, and `data/purged.jsonl` says so. The order: that file is
committed; the dataset gets a version without the file; the index of results forgets; the workspace's copies
go; the objects go, the file's own last. A kill leaves a promise in git that the next call fulfils.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, NamedTuple

from trunkline import listing
from trunkline.archive import Archive
from trunkline.digest import md5_file
from trunkline.errors import TrunklineError, UsageError
from trunkline.ledger.results import Results
from trunkline.ledger.runs import Runs
from trunkline.model import File, LockEntry, ManifestRow
from trunkline.points import Point, reached
from trunkline.store import git, lockfile, pointers, purged, references, sweep
from trunkline.store.gitcall import Place
from trunkline.store.proof import Proof, prove
from trunkline.store.purged import Purged
from trunkline.store.store import DvcStore
from trunkline.store.transfer import Transfer

_MANIFESTS = "/.manifests/"


class Purge(NamedTuple):
    """What is to go. `contents`: of the file; `derived`: made from it; `models`: made from it, and stay.

    `elsewhere`: (dataset, path) at which the same content stands too; `present`: the paths, by source
    dataset, that get a new version; `versions` counts those that have a hole then, `unlisted` those of
    which it is not known what they hold; `loose`: keys of results of which no manifest tells what made them.
    """

    contents: tuple[Purged, ...]
    derived: tuple[Purged, ...]
    models: tuple[Purged, ...]
    elsewhere: tuple[tuple[str, str], ...] = ()
    present: Mapping[str, tuple[str, ...]] = {}  # nobody changes it
    versions: int = 0
    unlisted: int = 0
    loose: frozenset[str] = frozenset()


class _Made(NamedTuple):
    """A datum, or a whole stage where nothing tells of its datums: what it read, and what it made."""

    stage: str
    inputs: frozenset[str]
    outputs: tuple[File, ...]
    model: str  # the path of the output that is a model


class _Known(NamedTuple):
    """All that is named anywhere: versions by the path of their dataset, and entries of dvc.lock by stage."""

    versions: dict[str, set[str]]
    entries: dict[tuple[str, tuple[str, ...]], LockEntry]


class Purger:
    """Purges in the project at `root`. `rows` reads a manifest, `alone` keeps runs from beginning."""

    def __init__(
        self,
        root: str,
        store: DvcStore,
        results: Results,
        archive: Archive,
        runs: Runs,
        rows: Callable[[str], Sequence[ManifestRow] | None],
        alone: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._root = root
        self._store = store
        self._results = results
        self._archive = archive
        self._runs = runs
        self._rows = rows
        self._alone = alone
        self._listings: dict[str, tuple[File, ...] | None] = {}
        self._read: dict[str, Sequence[ManifestRow] | None] = {}

    # ------------------------------------------------------------ decide

    def again(self) -> Purge:
        """What was purged before, here or in another clone; but not what other datums have made since."""
        noted = purged.read(self._root).values()
        contents = tuple(each for each in noted if not each.source)
        known = self._known()
        made = list(self._made(known.entries.values()))
        tainted, _ = self._spread({each.md5 for each in contents}, made, known, True)
        others = {file.md5 for each in made for file in each.outputs} - tainted
        derived = tuple(each for each in noted if each.source and each.md5 not in others)
        return Purge(contents, derived, (), present=self._present({each.md5 for each in contents}))

    def plan(
        self, dataset: str, paths: Sequence[str], reason: str, *, derived: bool, remote: Transfer | None
    ) -> Purge:
        """What purging these files of a source dataset would be. Raises UsageError."""
        self._archive.rebuild(self._runs)
        known = self._known()
        if remote is not None:
            remote.fetch_listings({oid for oids in known.versions.values() for oid in oids})
        date = time.strftime("%Y-%m-%d", time.gmtime())
        contents: dict[str, Purged] = {}
        for path in paths:
            found = [
                file for oid in known.versions.get(f"data/{dataset}", ()) for file in self._at(oid, path)
            ]
            if not found:
                raise UsageError(
                    f"no version of {dataset} that is listed here has a file {path}",
                    hint=f"`trunkline versions {dataset}` lists them; `trunkline pull` brings their listings",
                )
            contents.update((file.md5, Purged(file.md5, dataset, file.path, date, reason)) for file in found)
        made = list(self._made(known.entries.values()))
        tainted, models = self._spread(set(contents), made, known, derived)
        source = ", ".join(sorted({each.name for each in contents.values()}))
        gone = {each.md5: each for each in _named(tainted, made, date, reason, source)}
        rows = {row_key for entry in known.entries.values() for row_key in self._keys(entry)}
        return Purge(
            contents=tuple(contents.values()),
            derived=tuple(gone[md5] for md5 in sorted(tainted - contents.keys())),
            models=tuple(_named(models, made, date, reason, source)),
            elsewhere=tuple(self._elsewhere(contents, known)),
            present=self._present(set(contents)),
            versions=len(self._holding({*contents, *tainted}, known)),
            unlisted=sum(
                self._listed(oid) is None
                for path, oids in known.versions.items()
                for oid in oids
                if path == f"data/{dataset}"
            ),
            loose=frozenset(key for key, *_ in self._results.rows() if key not in rows),
        )

    def _known(self) -> _Known:
        versions: dict[str, set[str]] = {}
        entries: dict[tuple[str, tuple[str, ...]], LockEntry] = {}

        def add(found: Mapping[str, LockEntry]) -> None:
            for name, entry in found.items():
                entries[name, tuple(out.md5 for out in (*entry.outs, *entry.deps))] = entry
                for item in (*entry.outs, *entry.deps):
                    if item.md5.endswith(".dir"):
                        versions.setdefault(item.path, set()).add(item.md5)

        prefix = Place.of(self._root).prefix
        texts = [(path.removeprefix(prefix), text) for path, text in references.everywhere(self._root)]
        for workspace in references.workspaces(self._root):
            texts += references.in_workspace(workspace.root)
        for path, data in texts:
            with suppress(TrunklineError, ValueError):
                if path == "dvc.lock":
                    add(lockfile.parse(data.decode("utf-8", "replace")))
                elif version := pointers.parse(data.decode("utf-8", "replace"), path):
                    versions.setdefault(path.removesuffix(pointers.SUFFIX), set()).add(version.oid)
        for record in self._runs.each():
            add({ref.replace(".", "-", 1): each.entry for ref, each in record.stages.items() if each.entry})
            for path, oid in record.code.get("sources", {}).items():
                versions.setdefault(path, set()).add(oid)
        return _Known(versions, entries)

    def _listed(self, oid: str) -> tuple[File, ...] | None:
        """The files of a version, sorted; None where that is not known."""
        if oid not in self._listings:
            self._listings[oid] = None
            with suppress(TrunklineError):
                self._listings[oid] = (
                    tuple(sorted(self._store.listing(oid))) if oid.endswith(".dir") else (File("", oid, -1),)
                )
        return self._listings[oid]

    def _at(self, oid: str, path: str) -> tuple[File, ...]:
        files = self._listed(oid) or ()
        return tuple(file for file in files if file.path == path) or listing.below(files, path.rstrip("/"))

    def _elsewhere(self, contents: Mapping[str, Purged], known: _Known) -> Iterator[tuple[str, str]]:
        own = {(f"data/{each.dataset}", each.path) for each in contents.values()}
        places = {
            (path, file.path)
            for path, oids in known.versions.items()
            for oid in oids
            for file in self._listed(oid) or ()
            if file.md5 in contents
        }
        yield from sorted(places - own)

    def _present(self, md5s: set[str]) -> dict[str, tuple[str, ...]]:
        """The paths with these contents in the source datasets as their pointers have them."""
        found = {}
        for name, pointer in self._store.sources().items():
            version = self._store.pointer(pointer)
            files = self._listed(version.oid) if version is not None else None
            if paths := tuple(file.path for file in files or () if file.md5 in md5s):
                found[name] = paths
        return found

    # ------------------------------------------------------------ what was made from it

    def _made(self, entries: Iterable[LockEntry]) -> Iterator[_Made]:
        for entry in entries:
            stage, model = _declared(entry)
            rows = self._rows_of(entry)
            if rows is not None:
                for row in rows:
                    inputs = frozenset(item.oid for item in row.datum.items)
                    yield _Made(stage, inputs, row.files, model)
                continue
            outs = [out for out in entry.outs if _MANIFESTS not in out.path]
            files = [
                File(file.path or out.path, file.md5, -1)
                for out in outs
                for file in self._listed(out.md5) or ()
            ]
            yield _Made(stage or entry.cmd, frozenset(dep.md5 for dep in entry.deps), tuple(files), model)

    def _rows_of(self, entry: LockEntry) -> Sequence[ManifestRow] | None:
        manifest = next((out.md5 for out in entry.outs if _MANIFESTS in out.path), "")
        if manifest not in self._read:
            self._read[manifest] = None
            with suppress(TrunklineError):
                self._read[manifest] = self._rows(manifest) if manifest else None
        return self._read[manifest]

    def _keys(self, entry: LockEntry) -> list[str]:
        return [row.key for row in self._rows_of(entry) or ()]

    def _spread(
        self, contents: set[str], made: Sequence[_Made], known: _Known, derived: bool
    ) -> tuple[set[str], set[str]]:
        """The contents made from these, and the models among them that stay."""
        tainted = set(contents)
        while True:
            inputs = tainted | self._folders(tainted, known)
            read = [not each.inputs.isdisjoint(inputs) for each in made]
            clean = {
                file.md5 for each, saw in zip(made, read, strict=True) if not saw for file in each.outputs
            }
            outputs = [
                (each, file) for each, saw in zip(made, read, strict=True) if saw for file in each.outputs
            ]
            models = {file.md5 for each, file in outputs if file.path == each.model and not derived}
            new = {file.md5 for _, file in outputs} - clean - models
            if new <= tainted:
                return tainted, models
            tainted |= new

    def _folders(self, md5s: set[str], known: _Known) -> set[str]:
        """Every version, and every directory in one, that holds one of these."""
        found = set()
        for oid in {oid for oids in known.versions.values() for oid in oids}:
            files = self._listed(oid) or ()
            held = [file.path for file in files if file.md5 in md5s]
            found |= {oid} if held else set()
            for folder in {above for path in held for above in _ancestors(path)}:
                part = listing.part(files, folder)
                found |= {part.oid} if part is not None else set()
        return found

    def _holding(self, md5s: set[str], known: _Known) -> set[str]:
        oids = {oid for some in known.versions.values() for oid in some}
        return {oid for oid in oids if any(file.md5 in md5s for file in self._listed(oid) or ())}

    # ------------------------------------------------------------ do

    def apply(
        self, found: Purge, remove: Callable[[str, Sequence[str], str], object], remote: Transfer | None
    ) -> Proof:
        """Purge, and look whether it is gone. `remove` takes files out of a source dataset, and commits."""
        all_ = {each.md5: each for each in (*found.contents, *found.derived)}
        bytes_ = self._bytes(found.contents)
        self._note(all_)
        for name, paths in found.present.items():
            remove(name, paths, f"{name}: purge {', '.join(paths[:3])}")
        with self._alone():
            rows = self._results.rows()
            loose = [row for row in rows if row[0] in found.loose]
            kept = {file.md5 for row in rows if row[0] not in found.loose for file in row[3]}
            gone = {*all_, *({file.md5 for row in loose for file in row[3]} - kept - self._versioned())}
            self._results.forget(row[0] for row in rows if any(file.md5 in gone for file in row[3]))
            self._store.memo.forget_objects(gone)
            for workspace in references.workspaces(self._root):
                sweep.remove(self._copies(workspace.root, gone))
            own = {each.md5 for each in found.contents}
            ordered = [
                *sorted(gone - own),
                *sorted(own),
            ]  # a second call knows by the last ones what it is about
            sweep.remove(self._set_aside(gone))
            sweep.remove(map(self._store.object_path, ordered))
            if remote is not None:
                remote.remove(ordered)
        return prove(self._root, self._store.cache_dir, set(all_), bytes_, remote)

    def _versioned(self) -> set[str]:
        """The contents that versions name."""
        known = self._known().versions.values()
        return {file.md5 for oids in known for oid in oids for file in self._listed(oid) or ()}

    def _bytes(self, contents: Iterable[Purged]) -> dict[str, bytes]:
        """The contents, as far as the cache still has them: what is looked for inside of others."""
        found = {}
        for each in contents:
            with suppress(FileNotFoundError), open(self._store.object_path(each.md5), "rb") as stream:
                found[each.md5] = stream.read()
        return found

    def _note(self, all_: Mapping[str, Purged]) -> None:
        old = purged.read(self._root)
        self._store.write_text(purged.FILE, purged.text({**all_, **old}.values()))
        names = sorted({each.name for each in all_.values() if not each.source})
        if names:
            git.commit_paths(self._root, [purged.FILE], f"Purge {', '.join(names[:3])}")
        reached(Point.PURGE_NOTED)

    def _copies(self, root: str, md5s: set[str]) -> Iterator[str]:
        """The files of a working tree that have one of these contents, where dvc.lock and pointers say so."""
        found = {path for oid_path, oid in _outs(root) for path in self._places(oid_path, oid, md5s)}
        for path in sorted(found):
            full = os.path.join(root, path)
            with suppress(OSError):
                if md5_file(full) in md5s:
                    yield full

    def _places(self, path: str, oid: str, md5s: set[str]) -> Iterator[str]:
        for file in self._listed(oid) or ():
            if file.md5 in md5s:
                yield f"{path}/{file.path}" if file.path else path

    def _set_aside(self, md5s: set[str]) -> list[str]:
        folder = os.path.join(self._store.cache_dir, "trunkline", "quarantine")
        with suppress(FileNotFoundError):
            return [os.path.join(folder, name) for name in os.listdir(folder) if name[:32] in md5s]
        return []


def _named(md5s: set[str], made: Sequence[_Made], date: str, reason: str, source: str) -> Iterator[Purged]:
    seen: set[str] = set()
    for each in made:
        for file in each.outputs:
            if file.md5 in md5s - seen:
                seen.add(file.md5)
                yield Purged(file.md5, each.stage, file.path, date, reason, source)


def _declared(entry: LockEntry) -> tuple[str, str]:
    """The stage that an entry is of, and the path of its model; "" for a hand-written stage, for none."""
    words = entry.cmd.split()
    if words[:2] != ["trunkline", "exec"] or len(words) < 3:
        return "", ""
    key = f"stages.{words[2].partition('.')[2]}"
    values: Any = next((some[key] for some in entry.params.values() if key in some), None)
    model = values.get("model") if isinstance(values, Mapping) else None
    return words[2], str(model.get("path", "")) if isinstance(model, Mapping) else ""


def _outs(root: str) -> Iterator[tuple[str, str]]:
    """(path, content hash) of what a working tree's dvc.lock and pointers name as its data."""
    for path, data in references.in_workspace(root):
        with suppress(TrunklineError, ValueError):
            if path == "dvc.lock":
                entries = lockfile.parse(data.decode("utf-8", "replace")).values()
                yield from ((out.path, out.md5) for entry in entries for out in entry.outs)
            elif version := pointers.parse(data.decode("utf-8", "replace"), path):
                yield path.removesuffix(pointers.SUFFIX), version.oid


def _ancestors(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path
