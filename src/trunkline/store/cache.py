"""DVC's cache: objects by content, what is trusted of them, and how new ones come in.

    <cache>/files/md5/ab/cdef…          a file's content, mode 0444
    <cache>/files/md5/ab/cdef….dir      a directory's listing, JSON
    <cache>/trunkline/scratch/          working space; results are renamed from there
    <cache>/trunkline/quarantine/       objects that no longer had the content of their name

An object is trusted while its stat is the one at which its content was last known to be right;
otherwise it is hashed before it is used. A stat enters the memo only after the file system was
synced: after a power cut an object that may be torn has no remembered stat.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from threading import RLock

from trunkline.digest import listing_oid, md5_bytes, tree_bytes
from trunkline.errors import CorruptData, MissingData
from trunkline.model import File
from trunkline.points import Point, reached
from trunkline.store.config import Config
from trunkline.store.files import (
    replace_bytes,
    sync_directory,
    sync_file,
    sync_filesystem,
)
from trunkline.store.hashing import SETTLED, copy_hashed, hash_files, stat_of
from trunkline.store.links import TO_CACHE, Linker
from trunkline.store.memo import Memo, Stat
from trunkline.store.scan import INODE
from trunkline.store.scratch import Scratch

MODE = 0o444
_MANY = 256  # objects: from here on it is quicker to list directories than to ask for each
_CHUNK = 10_000  # objects whose stats are held at a time
_HELD = 2_000  # objects of one of the 256 directories whose names are held, not listed again
_FACTOR = 16  # times as many objects in a directory as are asked for: the others are asked for one by one


class Cache:
    """The objects of one cache, as seen from one workspace (whose memo holds their stats)."""

    def __init__(self, config: Config, memo: Memo) -> None:
        self.folder = config.cache_dir
        self._shared = config.shared
        self._memo = memo
        self.objects = os.path.join(config.cache_dir, "files", "md5")
        self._scratch = Scratch(os.path.join(config.cache_dir, "trunkline", "scratch"))
        self._intact: dict[str, Stat] = {}  # known right in this process
        self._unsynced: dict[str, Stat] = {}  # of these, what may not be on the disk yet
        self._fans: set[str] = set()
        self._fan_lists: dict[str, tuple[int, Mapping[str, int]]] = {}  # mtime, name -> inode
        self._linker = Linker(TO_CACHE)
        self._numbers = count()
        self._lock = RLock()

    def path(self, md5: str) -> str:
        """Where the object is, or would be."""
        return f"{self.objects}/{md5[:2]}/{md5[2:]}"

    def scratch(self) -> str:
        """An unused path on the cache's file system."""
        return self._scratch.path()

    def tidy(self) -> None:
        """Remove the scratch space of dead processes."""
        self._scratch.clean()

    def close(self) -> None:
        """Give up the scratch space. What was not settled will be hashed again when it is next used."""
        self._scratch.close()

    def settle(self) -> None:
        """Return when every object that came in is on the disk, and remember their stats."""
        with self._lock:
            if self._unsynced:
                sync_filesystem(self.folder)
                reached(Point.OBJECTS_SYNCED)
                self._memo.save_objects(self._unsynced)
                self._unsynced = {}

    # ------------------------------------------------------------ trust

    def _known(self, md5s: Sequence[str]) -> Mapping[str, Stat]:
        """The same, without holding on to what was asked for."""
        with self._lock:
            asked = [md5 for md5 in md5s if md5 not in self._intact]
            return ChainMap(self._memo.objects(asked), self._intact) if asked else self._intact

    def stats(self, md5s: Sequence[str]) -> Mapping[str, Stat]:
        """The stats at which these objects were last known to be right; it may hold others too."""
        with self._lock:
            asked = [md5 for md5 in md5s if md5 not in self._intact]
            if asked:
                self._intact.update(self._memo.objects(asked))
            return self._intact

    def is_new(self, md5: str) -> bool:
        """Whether the object came in in this process, and is not settled yet."""
        return md5 in self._unsynced

    def evicted(self, md5s: Iterable[str], linked: Callable[[], Mapping[str, int]] = dict) -> set[str]:
        """The md5s of objects that are missing or damaged; damaged ones are put into quarantine.

        `linked` is asked where they are many: inodes, by md5, of files that were seen just now and have
        that content. An object with that inode is that file, and need not be looked at again.
        """
        md5s = dict.fromkeys(md5s)
        if len(md5s) >= _MANY:
            md5s = dict.fromkeys(self._doubtful(md5s, linked()))
        missing: set[str] = set()
        suspects: list[str] = []
        sizes: list[int] = []
        for some in _chunks(md5s):
            trusted = self._known(some)
            for md5 in some:
                try:
                    found = stat_of(os.stat(self.path(md5)))
                except FileNotFoundError:
                    missing.add(md5)
                    continue
                if found != trusted.get(md5):
                    suspects.append(md5)
                    sizes.append(found[1])
        if suspects:
            try:
                missing |= self._examine(suspects, sizes)
            except OSError as error:
                raise MissingData(
                    f"an object of the cache cannot be read: {error.strerror}",
                    where=str(error.filename),
                    hint="see that no `dvc gc` is running, and repeat",
                ) from error
        return missing

    def absent(self, md5s: Iterable[str]) -> set[str]:
        """The md5s of which there is no object, whatever the worth of the others."""
        asked = set(md5s)
        if len(asked) >= _MANY:
            asked = {md5 for some, found in self._listed(asked) for md5 in some if md5[2:] not in found}
        return {md5 for md5 in asked if not os.path.exists(self.path(md5))}

    def _doubtful(self, md5s: Collection[str], linked: Mapping[str, int]) -> Collection[str]:
        """Those of which no object with the inode that `linked` says is listed."""
        inode = linked.get
        return (
            [
                md5
                for some, found in self._listed(md5s)
                for md5 in some
                if found.get(md5[2:], -1) != inode(md5)
            ]
            if linked
            else md5s
        )

    def _listed(self, md5s: Iterable[str]) -> Iterator[tuple[list[str], Mapping[str, int]]]:
        """By directory: those asked for, and name and inode of what is there, unless that is very much."""
        asked: dict[str, list[str]] = {}
        for md5 in md5s:
            asked.setdefault(md5[:2], []).append(md5)
        for fan, some in asked.items():
            yield some, self._fan(fan, _FACTOR * len(some))

    def _fan(self, fan: str, most: int) -> Mapping[str, int]:
        """Names and inodes of one directory of objects, as long as nothing comes or goes there."""
        path = f"{self.objects}/{fan}"
        try:
            changed = os.stat(path).st_mtime_ns
            held = self._fan_lists.get(fan)
            if held is not None and held[0] == changed:
                return held[1]
            settled = time.time_ns() - changed > SETTLED
            with os.scandir(path) as entries:
                found = {entry.name: entry.inode() & INODE for entry in islice(entries, most)}
        except FileNotFoundError:
            return {}
        if settled and len(found) < _HELD:
            self._fan_lists[fan] = (changed, found)
        return found

    def _examine(self, md5s: list[str], sizes: list[int]) -> set[str]:
        """Hash these objects; the md5s of those that are not what their name says."""
        damaged: set[str] = set()
        intact: dict[str, Stat] = {}
        paths = [self.path(md5) for md5 in md5s]
        for md5, path, (stat, actual) in zip(md5s, paths, hash_files(paths, sizes), strict=True):
            if actual == md5.removesuffix(".dir"):
                intact[md5] = stat
            else:
                damaged.add(md5)
                self.quarantine([path])
        with self._lock:
            self._intact.update(intact)
        self._memo.save_objects(intact)
        return damaged

    def _trust(self, md5: str, stat: Stat, *, durable: bool = False) -> None:
        self._intact[md5] = stat
        if durable:
            self._memo.save_objects({md5: stat})
        else:
            self._unsynced[md5] = stat

    def quarantine(self, paths: Iterable[str]) -> None:
        """Move damaged objects out of the way, so that neither DVC nor we use them again."""
        folder = os.path.join(self.folder, "trunkline", "quarantine")
        for path in paths:
            if not path.startswith(self.objects + os.sep):
                continue
            md5 = os.path.basename(os.path.dirname(path)) + os.path.basename(path)
            os.makedirs(folder, exist_ok=True)
            name = f"{md5}.{os.getpid()}.{next(self._numbers)}"
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, os.path.join(folder, name))
                reached(Point.OBJECT_QUARANTINED)
                _tell(os.path.join(folder, name))
            with self._lock:
                self._intact.pop(md5, None)
                self._unsynced.pop(md5, None)
            self._memo.forget_objects([md5])

    # ------------------------------------------------------------ in

    def adopt(self, directory: str, files: Sequence[File], *, durable: bool = False) -> None:
        """Rename hashed files from `directory` into the cache. Raises CorruptData."""
        with self._lock:
            for file in files:
                self._adopt(f"{directory}/{file.path}", file, durable)

    def _adopt(self, source: str, file: File, durable: bool) -> None:
        try:
            found = os.lstat(source)
        except FileNotFoundError as error:
            raise MissingData(f"an output vanished before it was kept: {file.path}", where=source) from error
        if found.st_mode & 0o170000 != 0o100000 or found.st_nlink > 1:
            self.copy_in(source, file.md5)  # a link to something that others may still write to
            return
        stat = stat_of(found)
        if stat[1] != file.size:
            raise _changed(source)
        if found.st_mode & 0o7777 != MODE:
            os.chmod(source, MODE)
        if durable:
            sync_file(source)
        self._place(source, file.md5, stat, durable)

    def _place(self, source: str, md5: str, stat: Stat, durable: bool) -> bool:
        """Rename a file into the cache, unless a trusted object is there already; whether it was."""
        if self._has(md5):
            return False
        fan = md5[:2]
        if fan not in self._fans:
            self._make_fan(fan)
        try:
            os.rename(source, self.path(md5))
        except FileNotFoundError:  # someone removed the directory when it was empty
            self._make_fan(fan)
            os.rename(source, self.path(md5))
        reached(Point.OBJECT_PLACED)
        if durable:
            sync_directory(f"{self.objects}/{fan}")
        self._trust(md5, stat, durable=durable)
        return True

    def _has(self, md5: str) -> bool:
        """Whether the object is there and trusted. One of unknown worth is not worth hashing: it is
        replaced by the content at hand."""
        try:
            found = stat_of(os.stat(self.path(md5)))
        except FileNotFoundError:
            return False
        return self.stats([md5]).get(md5) == found

    def _make_fan(self, fan: str) -> None:
        path = f"{self.objects}/{fan}"
        os.makedirs(path, exist_ok=True)
        if self._shared:
            os.chmod(path, 0o2775)
        self._fans.add(fan)

    def copy_in(self, source: str, md5: str, stat: Stat | None = None) -> None:
        """Copy a file's content into the cache as the object `md5`. Raises CorruptData.

        With `stat`, the one at which the content was hashed, it is not hashed again.
        """
        temporary = self.scratch()
        if stat is None:
            _, actual = copy_hashed(source, temporary)
            same = actual == md5
        else:
            self._linker(source, temporary)
            same = stat_of(os.stat(source)) == stat
        if not same:
            os.unlink(temporary)
            raise _changed(source)
        copied = os.stat(temporary)
        if copied.st_mode & 0o7777 != MODE:
            os.chmod(temporary, MODE)
        reached(Point.OBJECT_COPIED)
        with self._lock:
            placed = self._place(temporary, md5, stat_of(copied), durable=False)
        if not placed:
            os.unlink(temporary)

    # ------------------------------------------------------------ listings

    def put_tree(self, files: Iterable[tuple[str, str]], *, durable: bool = False) -> str:
        """Save a directory's listing, given (relative path, md5) pairs; its content hash."""
        data = tree_bytes(files)
        oid = listing_oid(data)
        self.put_listing(oid, data, durable=durable)
        return oid

    def put_listing(self, oid: str, data: bytes, *, durable: bool = False) -> None:
        """Save a directory's listing of this content hash."""
        with self._lock:
            if not self._has(oid):
                temporary = self.scratch()
                replace_bytes(temporary, data, mode=MODE, durable=durable)
                self._place(temporary, oid, stat_of(os.stat(temporary)), durable)
                reached(Point.LISTING_SAVED)

    def listing(self, oid: str) -> tuple[File, ...]:
        """The files of a directory's listing, sizes -1. Raises MissingData, CorruptData."""
        path = self.path(oid)
        try:
            with open(path, "rb") as stream:
                data = stream.read()
        except FileNotFoundError as error:
            raise MissingData(
                f"the listing {oid} is not in the cache", where=path, hint="type `dvc fetch`"
            ) from error
        if md5_bytes(data) + ".dir" != oid:
            self.quarantine([path])
            raise _damaged_listing(path)
        try:
            return tuple(File(_inside(row["relpath"]), row["md5"], -1) for row in json.loads(data))
        except (ValueError, TypeError, KeyError) as error:
            raise _damaged_listing(path) from error


def _chunks(md5s: Iterable[str]) -> Iterator[list[str]]:
    """So many at a time that what is known of them need not be held of all."""
    rest = iter(md5s)
    while some := list(islice(rest, _CHUNK)):
        yield some


def _tell(path: str) -> None:
    """What was damaged is made again, or asked for, without a word; but somebody has a disk to look at."""
    import logging  # its handler of last resort writes to stderr

    logging.getLogger(__name__).warning(
        "warning: an object of the cache was damaged; it was put aside: %s", path
    )


def _inside(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise ValueError(path)
    return path


def _changed(path: str) -> CorruptData:
    return CorruptData(
        "this file changed after it was hashed",
        where=path,
        hint="see that nothing else writes to it, and repeat",
    )


def _damaged_listing(path: str) -> CorruptData:
    return CorruptData(
        "the listing of a directory is damaged; it was put aside",
        where=path,
        hint="type `dvc fetch` to get it again",
    )
