"""Makes a path of the workspace hold exactly the wanted files, touching only what differs.

    wanted   what the listing says                     {"a": m1, "b": m2, "c/d": m3}
    present  what the workspace has, by the memo       {"a": m1, "b": m9, "x": m7}
    →        remove b and x, make c/, link b and c/d; then walk once and remember, without hashing

A file of unknown content (edited since it was last hashed) differs. The walk afterwards proves the
links: a hard link must show the stat at which its object was last right, a copy the right size. It
also proves what is said to be present: where this process looked before (a run does, when it plans),
it does not look a second time before it begins, unless that walk shows something else. Where only
some files are to be others (`patch`), it looks at those, and sees that the others are there: whoever
edited one in the meantime has it edited, and the next look tells, for what is remembered is its stat.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence

from trunkline.digest import listing_oid, tree_bytes
from trunkline.errors import CorruptData, MissingData, StoreError
from trunkline.model import File, Version
from trunkline.points import Point, reached
from trunkline.store.cache import Cache
from trunkline.store.files import remove_quietly
from trunkline.store.hashing import hash_file, settle, stat_of
from trunkline.store.links import TO_WORKSPACE, Linker
from trunkline.store.memo import Known
from trunkline.store.scan import Row
from trunkline.store.workspace import Workspace

_Present = tuple[int, int, int, str] | None  # a row of the memo; None: a file of unknown content


class Checkout:
    """Brings listings from one cache into one workspace."""

    def __init__(self, workspace: Workspace, cache: Cache) -> None:
        self._workspace = workspace
        self._cache = cache
        self._linkers: dict[int, Linker] = {}

    def __call__(self, path: str, files: Sequence[File]) -> Version:
        """Make `path` hold `files`; one file with the path "" makes it a file. Raises MissingData."""
        wanted = {file.path: file.md5 for file in files}
        _check_paths(wanted, path)
        recent = self._recent(path, "" in wanted)
        version = None if recent is None else self._attempt(path, wanted, recent, recent[1])
        return self._anew(path, wanted) if version is None else version

    def patch(self, path: str, gone: Collection[str], files: Sequence[File]) -> Version:
        """Make `path` hold what this process saw there last, without `gone` and with `files`."""
        recent = self._recent(path, False)
        if recent is None:
            raise _raced(path)
        _check_paths([file.path for file in files], path)
        staying = dict(recent[1])
        for name in gone:
            staying.pop(name, None)
        todo = [file for file in files if staying.get(file.path, ("",))[-1] != file.md5]
        for file in todo:
            staying.pop(file.path, None)
        self._check_objects([file for file in todo if not self._cache.is_new(file.md5)], path)
        full = self._workspace.full(path)
        _remove(full, {*gone, *(file.path for file in todo)} & recent[1].keys() - staying.keys())
        reached(Point.CHECKOUT_REMOVED)
        self._link(full, todo, directory=True)
        version = self._patched(path, staying, {file.path: file.md5 for file in todo}, recent)
        if version is not None:
            return version
        wanted = {name: row[3] for name, row in staying.items()}
        return self._anew(path, wanted | {file.path: file.md5 for file in todo})

    def _patched(
        self, path: str, staying: Known, made: Mapping[str, str], before: tuple[str, Known]
    ) -> Version | None:
        """Walk, looking only at what was made, and remember; None where other files are there."""
        seen = self._workspace.scan(path, staying)
        if seen is None or len(seen.rows) != len(staying) + len(made):
            return None
        rows = [row for row in seen.rows if row[0] not in staying]
        if {row[0] for row in rows} != made.keys():
            return None
        settle(self._prove(path, rows, made))
        reached(Point.CHECKOUT_PROVEN)
        staying.update((row[0], (*row[1:], made[row[0]])) for row in rows)
        data = tree_bytes([(name, row[3]) for name, row in staying.items()])
        version = self._workspace.remember(path, seen, staying, listing_oid(data), before, made.keys())
        self._cache.put_listing(version.oid, data)
        return version

    def _anew(self, path: str, wanted: Mapping[str, str]) -> Version:
        """The same, looking at what is there first."""
        version = self._attempt(path, wanted, *self._present(path, "" in wanted))
        if version is None:
            raise _raced(path)
        return version

    def _recent(self, path: str, single: bool) -> tuple[str, Known] | None:
        """What this process saw there last: the walk at the end tells whether it is still so."""
        full = self._workspace.full(path)
        if single or os.path.islink(full) or not os.path.isdir(full):
            return None
        return self._workspace.seen(path)

    def _attempt(
        self,
        path: str,
        wanted: Mapping[str, str],
        before: tuple[str, Known],
        present: Mapping[str, _Present],
    ) -> Version | None:
        """Change what differs from `present`; None where that was not what was there."""
        same = {name for name, row in present.items() if row is not None and wanted.get(name) == row[3]}
        todo = [File(name, md5, -1) for name, md5 in wanted.items() if name not in same]
        self._check_objects([file for file in todo if not self._cache.is_new(file.md5)], path)
        full = self._workspace.full(path)
        _remove(full, present.keys() - same)
        reached(Point.CHECKOUT_REMOVED)
        self._link(full, todo, directory="" not in wanted)
        return self._record(path, wanted, before, {name: present[name] for name in same})

    def _present(self, path: str, single: bool) -> tuple[tuple[str, Known], dict[str, _Present]]:
        """What the memo has of the path, and the files there with their contents, None where unknown.

        What is in the way is removed.
        """
        full = self._workspace.full(path)
        if os.path.islink(full) or (os.path.isfile(full) and not single):
            os.unlink(full)
        elif single and os.path.isdir(full):
            _remove_tree(full)
        seen = self._workspace.scan(path)
        if seen is None:
            return ("", {}), {}
        before = self._workspace.whole(path)
        known = self._workspace.known(path, seen, before[1])
        return before, {row[0]: known.get(row[0]) for row in seen.rows}

    def _check_objects(self, files: Sequence[File], path: str) -> None:
        missing = self._cache.evicted(file.md5 for file in files) if files else set()
        if missing:
            names = [file.path or path for file in files if file.md5 in missing]
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise MissingData(
                f"the cache has no intact copy of {names[0]}{more}",
                where=path,
                hint="type `dvc fetch`, or run the stage again",
            )

    def _link(self, full: str, files: Sequence[File], *, directory: bool) -> None:
        parent = full if directory else os.path.dirname(full)
        os.makedirs(parent, exist_ok=True)
        link = self._linkers.setdefault(os.stat(parent).st_dev, Linker(TO_WORKSPACE))
        made = {parent}
        for file in files:
            target = f"{full}/{file.path}" if directory else full
            folder = target.rpartition("/")[0]
            if folder not in made:
                _make_folder(folder, full)
                made.add(folder)
            source = self._cache.path(file.md5)
            try:
                link(source, target, empty=file.md5 == _EMPTY)
            except FileExistsError:  # left out of the walk, such as a link to a directory
                _remove_tree(target)
                link(source, target, empty=file.md5 == _EMPTY)
            except FileNotFoundError as error:
                raise MissingData(
                    "an object vanished from the cache", where=source, hint="see that no `dvc gc` is running"
                ) from error
            reached(Point.CHECKOUT_LINKED)

    def _record(
        self,
        path: str,
        wanted: Mapping[str, str],
        before: tuple[str, Known],
        same: Mapping[str, _Present],
    ) -> Version | None:
        """Walk and remember; None where what was to stay the `same` did not."""
        seen = self._workspace.scan(path)
        if seen is None:
            return None
        made = []
        known: Known = {}
        for row in seen.rows:
            name, inode, size, mtime = row
            old = same.get(name)
            if old is None:
                made.append(row)
            elif old[0] == inode and old[2] == mtime and old[1] == size:
                known[name] = old
            else:
                return None
        if len(known) < len(same) or any(row[0] not in wanted for row in made):
            return None
        _check_complete(path, known.keys() | {row[0] for row in made}, wanted)
        settle(self._prove(path, made, wanted))
        reached(Point.CHECKOUT_PROVEN)
        known.update((name, (inode, size, mtime, wanted[name])) for name, inode, size, mtime in made)
        if not seen.directory:
            return self._workspace.remember(path, seen, known, wanted[""], before)
        data = tree_bytes(wanted.items())
        version = self._workspace.remember(path, seen, known, listing_oid(data), before)
        self._cache.put_listing(version.oid, data)
        return version

    def _prove(self, path: str, rows: Sequence[Row], wanted: Mapping[str, str]) -> int:
        """The mtime of the newest file that is a copy, and could be written to.

        Raises CorruptData where a file cannot have the content that it should have.
        """
        stats = self._cache.stats(list({wanted[row[0]] for row in rows}))
        full = self._workspace.full(path)
        newest = 0
        for name, inode, size, mtime in rows:
            md5 = wanted[name]
            stat = stats.get(md5)
            if stat == (inode, size, mtime):
                continue
            newest = max(newest, mtime)
            if stat is None or stat[0] == inode or stat[1] != size:
                self._examine(f"{full}/{name}" if name else full, md5)
        return newest

    def _examine(self, file: str, md5: str) -> None:
        if hash_file(file)[1] == md5:
            return
        source = self._cache.path(md5)
        if stat_of(os.stat(file))[0] == stat_of(os.stat(source))[0]:
            self._cache.quarantine([source])
        os.unlink(file)
        raise CorruptData(
            "an object of the cache was damaged while it was linked; it was put aside",
            where=source,
            hint="run again: the stage that makes it will",
        )


_EMPTY = "d41d8cd98f00b204e9800998ecf8427e"  # the md5 of nothing


def _check_paths(wanted: Collection[str], path: str) -> None:
    for name in wanted:
        if name.startswith("/") or (".." in name and ".." in name.split("/")):
            raise StoreError(f"{name} would leave the dataset", where=path)
    if "" in wanted and len(wanted) > 1:
        raise StoreError("a single file cannot be a dataset of several", where=path)


def _remove(full: str, names: Collection[str]) -> None:
    """Remove files, then the directories that they leave empty."""
    folders = set()
    for name in names:
        target = f"{full}/{name}" if name else full
        remove_quietly(target)
        folders.add(target.rpartition("/")[0])
    for folder in sorted(folders, key=len, reverse=True):
        while len(folder) > len(full):
            try:
                os.rmdir(folder)
            except OSError:
                break
            folder = folder.rpartition("/")[0]


def _make_folder(folder: str, full: str) -> None:
    """Make a directory of the dataset; a file or link in its way goes."""
    here = full
    for part in folder[len(full) + 1 :].split("/"):
        here = f"{here}/{part}"
        if os.path.islink(here) or os.path.isfile(here):
            os.unlink(here)
    os.makedirs(folder, exist_ok=True)


def _remove_tree(path: str) -> None:
    import shutil

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        remove_quietly(path)


def _check_complete(path: str, names: Collection[str], wanted: Mapping[str, str]) -> None:
    if left_out := wanted.keys() - names:
        raise StoreError(
            f"DVC leaves {min(left_out)} out of a dataset",
            where=path,
            hint="write it under another name, or see .dvcignore",
        )


def _raced(path: str) -> StoreError:
    return StoreError(
        "something else wrote to this dataset while it was put in place",
        where=path,
        hint="see that nothing else writes there, and run again",
    )
