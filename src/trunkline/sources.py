"""Source datasets, changed by whole commits: what `put` and `rm` do.

    look      the dataset is as its pointer says, the pointer as git has it: else refused
    keep      what is about to be replaced or removed is in the cache, as the last version needs it
    change    new files are copied beside the dataset, then renamed into it
    version   as `dvc add` does: cache, pointer, the line in data/.gitignore
    commit    these two files alone: whatever else is staged or edited stays as it is

In this order, under DVC's lock on the dataset. A kill leaves the dataset with some of the files
changed, which the next command refuses to touch until they are kept (`dvc add`) or dropped
(`dvc checkout`); no version is lost.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from trunkline import listing
from trunkline.errors import MissingData, ProjectError, StoreError, UsageError
from trunkline.model import Version
from trunkline.points import Point, reached
from trunkline.spec.names import NAME, NAME_ADVICE, nearest
from trunkline.store import git, ignore, pointers
from trunkline.store.scan import scan
from trunkline.store.store import DvcStore

IGNORE = "data/.gitignore"
_LEFT_OUT = {".git", ".hg", ".dvc"}


class Recording(NamedTuple):
    """How a change enters git: the commit's message ("" is ours), its hooks; or only staged."""

    message: str = ""
    commit: bool = True
    hooks: bool = False


class Change(NamedTuple):
    """A dataset before and after; `commit` None where nothing was committed."""

    dataset: str
    before: Version | None
    after: Version
    commit: str | None

    @property
    def changed(self) -> bool:
        """Whether there is a new version."""
        return self.before is None or self.before.oid != self.after.oid


class Sources:
    """The source datasets of one project. `owner` says what else has data/<name>, "" for nothing."""

    def __init__(self, root: str, store: DvcStore, owner: Callable[[str], str]) -> None:
        self._root = root
        self._store = store
        self._owner = owner

    def path(self, name: str) -> str:
        """The path of the dataset. Raises UsageError with what to type instead."""
        known = self._store.sources()
        if name in known:
            return f"data/{name}"
        close = _meant(name, known)
        hint = f"did you mean {close}?" if close else "there is none yet: `trunkline put`"
        if known and not close:
            hint = f"there are: {', '.join(sorted(known))}"
        raise UsageError(f"there is no source dataset {name!r}", hint=hint)

    # ------------------------------------------------------------ changes

    def put(self, name: str, files: Mapping[str, str], how: Recording) -> Change:
        """Copy files (name in the dataset -> path on disk) into it; it is created where it is not."""
        new = name not in self._store.sources()
        path = self._free_path(name) if new else f"data/{name}"
        message = how.message or f"{name}: put {_some(list(files))}"
        with self._changing(f"trunkline put {name}", path):
            before = self._look(name, path, how.commit, new)
            self._check_places(path, files)
            self._keep(path, files)
            reached(Point.SOURCE_KEPT)
            self._copy(path, files)
            return self._record(name, path, before, how._replace(message=message))

    def remove(self, name: str, paths: Sequence[str], how: Recording) -> Change:
        """Remove files, or directories with all they hold, from a dataset."""
        path = self.path(name)
        message = how.message or f"{name}: remove {_some(paths)}"
        with self._changing(f"trunkline rm {name}", path):
            before = self._look(name, path, how.commit, False)
            gone = self._existing(name, path, paths)
            self._keep(path, gone)
            for inside in gone:
                _delete(os.path.join(self._root, path), inside)
                reached(Point.SOURCE_REMOVED)
            return self._record(name, path, before, how._replace(message=message))

    @contextmanager
    def _changing(self, command: str, path: str) -> Iterator[None]:
        self._store.tidy()
        try:
            with self._store.holding(command, [], [path]):
                yield
        except OSError as error:
            raise StoreError(
                f"the file system refused: {error.strerror or error}", where=str(error.filename or path)
            ) from error

    def _free_path(self, name: str) -> str:
        if not NAME(name):
            close = _meant(name, self._store.sources())
            hint = f"did you mean {close}?" if close else NAME_ADVICE
            raise UsageError(f"{name!r} cannot name a dataset", hint=hint)
        if owner := self._owner(name):
            raise UsageError(f"data/{name} belongs to {owner}", hint="choose another name for the dataset")
        return f"data/{name}"

    def _look(self, name: str, path: str, commit: bool, new: bool) -> Version | None:
        """The dataset's version, where workspace, pointer and git agree on it. Raises StoreError."""
        ready = git.ready_to_commit if commit else git.ready_to_stage
        ready(self._root, [f"{path}.dvc", *([IGNORE] if new else [])])
        present = self._store.version(path)
        if new:
            self._check_empty(path, present)
            return None
        if present is None:
            hint = f"type `dvc pull {path}.dvc`, or `dvc checkout {path}.dvc`"
            raise MissingData(f"the dataset {name} is not in the workspace", where=path, hint=hint)
        if present.nfiles is None:
            raise UsageError(f"{path} is a single file, not a directory of files", where=path)
        pointed = self._store.pointer(f"{path}.dvc")
        pointers.updated(_content(self._root, f"{path}.dvc").decode(), path, present)  # refuses an import
        if pointed is None or present.oid != pointed.oid:
            raise StoreError(
                f"{path} has changes that no version holds",
                where=path,
                hint=f"type `dvc add {path}` to keep them, or `dvc checkout {path}.dvc` to drop them",
            )
        return present

    def _check_empty(self, path: str, present: Version | None) -> None:
        if present is not None and present.nfiles != 0:
            raise StoreError(
                f"{path} holds files that no version knows",
                where=path,
                hint=f"type `dvc add {path}` to version them as they are, or move them away",
            )

    def _check_places(self, path: str, files: Mapping[str, str]) -> None:
        """See that every file's name leads into the dataset, and to no directory, nor below a file."""
        folder = os.path.join(self._root, path)
        for name in files:
            if os.path.isdir(_inside(folder, name)):
                raise UsageError(f"{name} is a directory of {path}", hint="put it under another name")
            for above in _ancestors(name):
                if above in files or os.path.isfile(os.path.join(folder, above)):
                    hint = "a file cannot hold another; put it elsewhere with --to"
                    raise UsageError(f"{above} is a file, and {name} would lie below it", hint=hint)

    def _existing(self, name: str, path: str, wanted: Sequence[str]) -> list[str]:
        """The paths inside the dataset that are to go, none of them twice or inside another."""
        folder = os.path.join(self._root, path)
        found = []
        for given in wanted:
            inside = os.path.relpath(_inside(folder, given), folder)
            if not os.path.lexists(os.path.join(folder, inside)):
                below = given.removeprefix(f"{path}/")
                hint = f"did you mean {below}?" if below != given else f"`ls {path}` lists what there is"
                raise UsageError(f"{given} is not in the dataset {name}", hint=hint)
            found.append(inside)
        names = set(found)
        return [name for name in dict.fromkeys(found) if names.isdisjoint(_ancestors(name))]

    def _keep(self, path: str, names: Iterable[str]) -> None:
        """See that the cache has what is about to go, as the version that holds it needs it."""
        snapshot = self._store.snapshot(path)
        if snapshot is not None:
            files = [file for name in names for file in _at(snapshot.files, name)]
            self._store.ensure_inputs([(path, files)])

    def _copy(self, path: str, files: Mapping[str, str]) -> None:
        """Copy beside the dataset first: a file that cannot be read, or a full disk, changes nothing."""
        staging = self._store.scratch()
        try:
            for name, source in files.items():
                copy = os.path.join(staging, name)
                os.makedirs(os.path.dirname(copy), exist_ok=True)
                shutil.copyfile(source, copy)
            self._check_ignored(path, files, staging)
            reached(Point.SOURCE_STAGED)
            for name in files:
                target = os.path.join(self._root, path, name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                self._store.move(os.path.join(staging, name), target)
                reached(Point.SOURCE_MOVED)
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def _check_ignored(self, path: str, files: Mapping[str, str], staging: str) -> None:
        """See that none of the new files is one that DVC leaves out of a dataset."""
        seen = scan(staging, lambda: ignore.rules(self._root, path))
        left = files.keys() - {row[0] for row in (seen.rows if seen is not None else ())}
        if left:
            raise UsageError(
                f"{min(left)} cannot be in a dataset: DVC leaves it out",
                where=files[min(left)],
                hint="a line of .dvcignore names it, or it is part of a git or DVC repository",
            )

    def _record(self, name: str, path: str, before: Version | None, how: Recording) -> Change:
        ignored = _content(self._root, IGNORE)
        after = self._store.save_source(path).version
        if before is not None and before.oid == after.oid:
            return Change(name, before, after, None)
        files = [f"{path}.dvc"]
        if _content(self._root, IGNORE) != ignored:
            files.append(IGNORE)
        try:
            if not how.commit:
                git.stage(self._root, files)
                return Change(name, before, after, None)
            commit = git.commit_paths(self._root, files, how.message, hooks=how.hooks)
        except ProjectError as error:
            done = (
                f"the new version is there, only git does not know it: `git add {' '.join(files)}` and commit"
            )
            error.hint = f"{error.hint}\n{done}".strip()
            raise
        return Change(name, before, after, commit)


# ---------------------------------------------------------------- files and names


def files_named(given: Sequence[str], to: str = "") -> dict[str, str]:
    """Name in the dataset -> path on disk, of files and of all that directories hold.

    Raises UsageError for what is not there, and for two files of one name.
    """
    found: dict[str, str] = {}
    for source in given:
        for name, path in _walk(source):
            name = os.path.normpath(os.path.join(to, name))
            if not _is_utf8(name):
                raise UsageError(f"the name {os.fsencode(name)!r} is not UTF-8", hint="rename the file")
            if found.setdefault(name, path) != path:
                raise UsageError(
                    f"two of the files would be {name}: {found[name]} and {path}",
                    hint="rename one, or put them one by one with --to",
                )
    if not found:
        raise UsageError(f"there is no file in {', '.join(given)}", hint="name the files to put")
    return found


def _walk(given: str) -> Iterator[tuple[str, str]]:
    if os.path.isfile(given):
        yield os.path.basename(given), given
        return
    if not os.path.isdir(given):
        raise UsageError(f"there is no file {given}", where=given)
    for folder, below, names in os.walk(given):
        below[:] = sorted(name for name in below if name not in _LEFT_OUT)
        for link in filter(os.path.islink, (os.path.join(folder, name) for name in below)):
            raise UsageError(f"{link} is a link to a directory", hint="name that directory itself")
        for name in sorted(names):
            path = os.path.join(folder, name)
            yield os.path.relpath(path, given), path


def _is_utf8(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _inside(folder: str, name: str) -> str:
    target = os.path.normpath(os.path.join(folder, name))
    if os.path.isabs(name) or not target.startswith(folder + os.sep):
        raise UsageError(f"{name} leaves the dataset", hint="give a path relative to the dataset")
    return target


def _at(files: listing.Listing, name: str) -> listing.Listing:
    """The file called so, or the files in the directory called so."""
    return tuple(file for file in files if file.path == name) or listing.below(files, name)


def _ancestors(name: str) -> Iterator[str]:
    while name := name.rpartition("/")[0]:
        yield name


def _delete(folder: str, name: str) -> None:
    target = os.path.join(folder, name)
    if os.path.isdir(target) and not os.path.islink(target):
        shutil.rmtree(target)
    else:
        os.unlink(target)
    above = os.path.dirname(target)
    while above != folder and not os.listdir(above):
        os.rmdir(above)
        above = os.path.dirname(above)


def _content(root: str, path: str) -> bytes:
    try:
        with open(os.path.join(root, path), "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""


def _meant(name: str, known: Iterable[str]) -> str:
    """The dataset that was likely meant: its path was written, or nearly its name."""
    plain = name.rstrip("/").removeprefix("data/").removesuffix(".dvc")
    return plain if plain in set(known) else nearest(plain, known)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
