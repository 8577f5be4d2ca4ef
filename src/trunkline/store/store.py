"""Data by content: the one object through which everything else reaches DVC's files.

A façade: every method is one call of a module of this room. What the operating system refuses is
turned into an error of ours here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from trunkline import listing
from trunkline.errors import CorruptData, MissingData, StoreError
from trunkline.model import Changes, File, Kept, LockEntry, ManifestRow, Snapshot, Version
from trunkline.points import Point, reached
from trunkline.store import config, files, gitignore, leftovers, pointers, purged
from trunkline.store.cache import Cache
from trunkline.store.checkout import Checkout
from trunkline.store.lockfile import LockFile
from trunkline.store.locks import file_lock
from trunkline.store.memo import Memo
from trunkline.store.rwlock import RWLock
from trunkline.store.workspace import Workspace

WriteManifest = Callable[[str, Sequence[ManifestRow], str, Mapping[str, str]], tuple[File, ...]]
PatchManifest = Callable[[str, Sequence[ManifestRow], str, Mapping[str, str], "Old"], tuple[File, ...]]
PATIENCE = 30.0  # seconds to wait for DVC's repo lock, which `dvc add` may hold while it hashes


class Old(NamedTuple):
    """A manifest of which most stays: what of it, its files, and where the cache has them by content."""

    kept: Kept
    files: Sequence[File]
    object_path: Callable[[str], str]


class DvcStore:
    """`trunkline.ports.Store` on DVC's formats, for the project at `root`.

    `write_manifest` writes a manifest's files into an empty directory and returns them, hashed; those
    that it knows to be in the cache it need not write. `patch_manifest` writes those that become others.
    """

    def __init__(
        self,
        root: str,
        *,
        write_manifest: WriteManifest,
        patch_manifest: PatchManifest | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.root = os.path.abspath(root)
        self.config = config.load(self.root)
        self.memo = Memo(os.path.join(self.root, ".dvc", "tmp", "trunkline", "memo.db"))
        self._write_manifest = write_manifest
        self._patch_manifest = patch_manifest or _no_patch
        self._patience = patience
        self._cache = Cache(self.config, self.memo)
        self._workspace = Workspace(self.root, self.memo)
        self._checkout = Checkout(self._workspace, self._cache)
        self._lock_file = LockFile(self.root, self.memo, self._repo_lock)
        self._rwlock = RWLock(self.root, self._file_lock)

    @property
    def cache_dir(self) -> str:
        """The resolved `cache.dir`, absolute. What worktrees share stands in `trunkline/` below it."""
        return self.config.cache_dir

    @property
    def objects(self) -> str:
        """The absolute path of the directory in which the cache has its objects, as ab/cdef…."""
        return self._cache.objects

    def close(self) -> None:
        """Close the memo, give up the scratch space."""
        self._cache.close()
        self.memo.close()

    def complete(self, dvc_names: Sequence[str]) -> None:
        """A run of these stages came to its end: stages that are new in dvc.lock go behind them."""
        with _border("dvc.lock"):
            self._lock_file.complete(dvc_names)

    def settle(self) -> None:
        """Return when all that came into the cache is on the disk; `write_lock` does so by itself."""
        with _border(self.cache_dir):
            self._cache.settle()

    def tidy(self) -> None:
        """Remove what a process that was killed left: its scratch, and beside files that it was writing."""
        self._cache.tidy()
        for folder in ("", "data", "schema", ".dvc/tmp", ".dvc/tmp/trunkline"):
            leftovers.remove_leftovers(os.path.join(self.root, folder))

    # ------------------------------------------------------------ workspace

    def version(self, path: str) -> Version | None:
        """The content hash of `path` in the workspace, by stat where the memo knows it."""
        with _border(path):
            return self._workspace.version(path)

    def snapshot(self, path: str, *, fresh: bool = True) -> Snapshot | None:
        """The same with its files; without `fresh` as this process saw it last, if it did."""
        with _border(path):
            return self._workspace.snapshot(path, fresh=fresh)

    def changes(self, path: str, since: str) -> Changes | None:
        """How `path`, as this process saw it last, differs from a version; None where that is not known."""
        with _border(path):
            try:
                return self._workspace.changes(path, since, self._cache.listing)
            except (MissingData, CorruptData):
                return None

    def names(self, path: str) -> Set[str] | None:
        """The files of `path` as this process saw it last; None where it did not."""
        seen = self._workspace.seen(path)
        return None if seen is None else seen[1].keys()

    def intact(self, path: str) -> bool:
        """Whether every object of `path`, as this process saw it last, is in the cache and undamaged."""
        with _border(self.cache_dir):
            seen = self._workspace.seen(path)
            inodes = {} if seen is None else {row[3]: row[0] for row in seen[1].values()}
            return seen is not None and not self._cache.evicted(inodes, lambda: self._linked(path, inodes))

    def is_executable(self, path: str) -> bool:
        """Whether the file has an x bit, as dvc.lock records it."""
        try:
            return bool(os.stat(self._workspace.full(path)).st_mode & 0o111)
        except FileNotFoundError:
            return False

    def write_text(self, path: str, text: str) -> None:
        """Make the file at `path` hold `text`, whole or not at all."""
        full = self._workspace.full(path)
        with _border(path):
            os.makedirs(os.path.dirname(full), exist_ok=True)
            files.replace_bytes(full, text.encode())

    def move(self, source: str, target: str) -> None:
        """Rename a file (absolute paths), from the scratch space into the workspace for instance."""
        with _border(target):
            files.move(source, target)

    def ignore(self, path: str) -> None:
        """See that git ignores the dataset at `path`."""
        if not self.config.no_scm:
            with _border(path):
                gitignore.ensure(self.root, path)

    # ------------------------------------------------------------ cache

    def object_path(self, md5: str) -> str:
        """The absolute path of an object in the cache, whether or not it exists."""
        return self._cache.path(md5)

    def listing(self, oid: str) -> tuple[File, ...]:
        """The files of a `.dir` object in the cache, sizes -1. Raises MissingData, CorruptData."""
        with _border(self._cache.path(oid)):
            return self._cache.listing(oid)

    def evicted(self, files: Iterable[File], near: str = "") -> set[str]:
        """The md5s among `files` whose objects are missing, or damaged (those are quarantined).

        `near`: the dataset in which most of them stand, if they were not evicted.
        """
        with _border(self.cache_dir):
            md5s = [file.md5 for file in files]
            return self._cache.evicted(md5s, lambda: self._linked(near, self._inodes(near)))

    def _inodes(self, path: str) -> Mapping[str, int]:
        """The inodes of a dataset's files by md5, as this process saw them last."""
        seen = self._workspace.seen(path) if path else None
        return {} if seen is None else {row[3]: row[0] for row in seen[1].values()}

    def _linked(self, path: str, inodes: Mapping[str, int]) -> Mapping[str, int]:
        """The same, as far as objects of the cache can have these inodes."""
        try:
            same = os.stat(self._workspace.full(path)).st_dev == os.stat(self._cache.objects).st_dev
        except FileNotFoundError:
            return {}
        return inodes if path and same else {}

    def quarantine(self, objects: Iterable[str]) -> None:
        """Move damaged objects (absolute paths) out of the cache."""
        with _border(self.cache_dir):
            self._cache.quarantine(objects)

    def scratch(self) -> str:
        """A new, unused path on the cache's file system."""
        with _border(self.cache_dir):
            return self._cache.scratch()

    def adopt(self, directory: str, files: Sequence[File]) -> None:
        """Rename hashed files from `directory` into the cache. Raises CorruptData."""
        with _border(directory):
            reached(Point.DATUM_DONE)
            self._cache.adopt(directory, files)
            reached(Point.DATUM_KEPT)

    def ensure_inputs(self, datasets: Sequence[tuple[str, Sequence[File]]]) -> None:
        """See that the objects of these (workspace path, files) are in the cache and undamaged.

        What is missing is copied from the workspace where it is there unchanged. Raises MissingData.
        """
        missing = self._cache.evicted(file.md5 for _, dataset in datasets for file in dataset)
        for path, dataset in datasets:
            for file in dataset:
                if file.md5 in missing:
                    self._fetch(path, file)
                    missing.discard(file.md5)

    def _fetch(self, path: str, file: File) -> None:
        place = f"{path}/{file.path}" if file.path else path
        try:
            self._cache.copy_in(self._workspace.full(place), file.md5)
        except (OSError, StoreError) as error:
            if (gone := purged.read(self.root).get(file.md5)) is not None:
                raise MissingData(gone.sentence, where=place, hint="no version has it any longer") from error
            raise MissingData(
                f"the content of {place} is neither in the cache nor in the workspace",
                where=place,
                hint="type `dvc pull`, or run the stage that makes it again",
            ) from error

    # ------------------------------------------------------------ datasets

    def checkout(self, path: str, files: Sequence[File]) -> Version:
        """Make the workspace's `path` hold exactly `files`, linked from the cache; save its listing."""
        with _border(path):
            version = self._checkout(path, files)
        self.ignore(path)
        return version

    def patched(self, path: str, gone: Collection[str], files: Sequence[File]) -> Snapshot:
        """What `path`, as this process saw it last, would be without some files and with others."""
        seen = self._workspace.seen(path)
        kept = {} if seen is None else {name: File(name, row[3], row[1]) for name, row in seen[1].items()}
        for name in gone:
            kept.pop(name, None)
        kept.update((file.path, file) for file in files)
        found = tuple(sorted(kept.values()))
        return Snapshot(listing.version(found), found)

    def patch(self, path: str, gone: Collection[str], files: Sequence[File]) -> Version:
        """Make it so. As `checkout`, but what stays need not be told."""
        with _border(path):
            version = self._checkout.patch(path, gone, files)
        self.ignore(path)
        return version

    def save_manifest(
        self,
        path: str,
        rows: Sequence[ManifestRow],
        transform: str,
        packages: Mapping[str, str] | None = None,
        kept: Kept | None = None,
    ) -> Version:
        """Write a stage's manifest into cache and workspace, after the data it names, durably.

        With `kept`, what stays of an earlier manifest need not be told.
        """
        with _border(path):
            directory = self._cache.scratch()
            os.makedirs(directory)
            if kept is None:
                manifest = self._write_manifest(directory, rows, transform, packages or {})
            else:
                old = Old(kept, self.listing(kept.manifest), self._cache.path)
                manifest = self._patch_manifest(directory, rows, transform, packages or {}, old)
            reached(Point.MANIFEST_WRITTEN)
            self._cache.settle()
            written = set(os.listdir(directory))
            self._cache.adopt(directory, [file for file in manifest if file.path in written], durable=True)
            reached(Point.MANIFEST_KEPT)
            self._cache.put_tree(((file.path, file.md5) for file in manifest), durable=True)
            reached(Point.MANIFEST_SAVED)
            _remove_directory(directory)
        return self.checkout(path, manifest)

    def save_source(self, path: str) -> Snapshot:
        """Bring a workspace dataset into the cache and refresh its pointer, as `dvc add` does."""
        self.keep_source(path)
        snapshot = self.snapshot(path, fresh=False)
        assert snapshot is not None
        return snapshot

    def keep_source(self, path: str, *, fresh: bool = True) -> Version:
        """The same, and its version. Without `fresh` as this process saw it last, if it did."""
        file = path + pointers.SUFFIX
        with _border(path):
            version = None if fresh else self._workspace.last(path)
            version = self._workspace.version(path) if version is None else version
        if version is None:
            raise MissingData(
                f"there is no {path}", where=path, hint=f"type `dvc pull {file}`, or put files there"
            )
        if version == self.pointer(file) and os.path.exists(self._cache.path(version.oid)):
            return version
        with _border(path):
            self._save(path, version)
            reached(Point.SOURCE_SAVED)
            with self._repo_lock():
                self._point(file, path, version)
        self.ignore(path)
        return version

    def _save(self, path: str, version: Version) -> None:
        """Copy into the cache what of the dataset is not there, and its listing."""
        known = (self._workspace.seen(path) or ("", {}))[1]
        missing = self._cache.absent(row[3] for row in known.values())
        for name, row in known.items() if missing else ():
            if row[3] in missing:
                missing.discard(row[3])
                source = self._workspace.full(f"{path}/{name}" if name else path)
                self._cache.copy_in(source, row[3], row[:3])
        if version.nfiles is not None:
            self._cache.put_listing(version.oid, self._workspace.listing(version, known))
        self._cache.settle()

    def _point(self, file: str, path: str, version: Version) -> None:
        full = self._workspace.full(file)
        old = ""
        if os.path.exists(full):
            with open(full, encoding="utf-8", newline="") as stream:
                old = stream.read()
        new = pointers.updated(old, path, version, executable=self.is_executable(path))
        if new != old:
            files.replace_bytes(full, new.encode(), durable=True, aside=Point.POINTER_ASIDE)
            reached(Point.POINTER_WRITTEN)

    def sources(self) -> dict[str, str]:
        """The source datasets: name -> pointer file."""
        return pointers.sources(self.root)

    def pointer(self, file: str) -> Version | None:
        """The version that a pointer file names; None where there is none."""
        return pointers.read(self.root, file, self.memo)

    # ------------------------------------------------------------ dvc.lock, locks

    def lock_entry(self, dvc_name: str) -> LockEntry | None:
        """The stage's entry in dvc.lock."""
        return self._lock_file.entry(dvc_name)

    def lock_entries(self) -> dict[str, LockEntry]:
        """Every entry of dvc.lock by DVC's stage name."""
        found = {name: self._lock_file.entry(name) for name in self._lock_file.names()}
        return {name: entry for name, entry in found.items() if entry is not None}

    def write_lock(self, dvc_name: str, entry: LockEntry, order: Sequence[str] = ()) -> None:
        """Replace the stage's entry in dvc.lock, durably, after the data it names.

        A stage that is new there goes where a run one by one in `order` would have put it.
        """
        with _border("dvc.lock"):
            self._cache.settle()
            self._lock_file.write(dvc_name, entry, order)

    def holding(
        self, command: str, read: Sequence[str], write: Sequence[str]
    ) -> AbstractContextManager[None]:
        """DVC's own read-write lock on these workspace paths. Raises LockedError."""
        return self._rwlock.holding(command, read, write)

    def owner(self, path: str) -> tuple[int, str] | None:
        """The living process that holds DVC's write lock on `path`: its pid and command."""
        return self._rwlock.owner(path)

    def _repo_lock(self) -> AbstractContextManager[None]:
        return self._file_lock(os.path.join(self.root, ".dvc", "tmp", "lock"))

    def _file_lock(self, path: str) -> AbstractContextManager[None]:
        return file_lock(path, hardlink=self.config.hardlink_lock, patience=self._patience)


@contextmanager
def _border(where: str) -> Iterator[None]:
    """Turn what the operating system refuses into an error that says where."""
    try:
        yield
    except OSError as error:
        place = error.filename2 or error.filename or where
        raise StoreError(
            f"the file system refused: {error.strerror or error}",
            where=str(place),
            hint="see that there is space left, and that you may write there",
        ) from error


def _no_patch(*_: object) -> tuple[File, ...]:
    raise NotImplementedError


def _remove_directory(path: str) -> None:
    import shutil

    shutil.rmtree(path, ignore_errors=True)
