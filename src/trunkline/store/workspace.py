"""The versions of what stands in the workspace, by stat where the memo knows it.

A dataset whose signature (every path, inode, size, mtime) is the remembered one has the remembered
version: nothing is done per file beyond the walk. Otherwise the rows are compared one by one, and
only files that changed are hashed. What is known of a dataset serves for a directory of it too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from trunkline.digest import listing_oid, tree_bytes
from trunkline.errors import StoreError
from trunkline.model import File, Snapshot, Version
from trunkline.store import ignore
from trunkline.store.hashing import hash_files
from trunkline.store.memo import Known, Memo, Tree
from trunkline.store.scan import Row, Scan, scan, signature

_HELD = 32 << 20  # bytes of a listing that are held in memory, not made again
_KEPT = 200_000  # files of a dataset that are held in memory when they are known, not read again
_file = partial(tuple.__new__, File)  # its own constructor is a function of Python


class Look(NamedTuple):
    """What a path was when this process last looked. `known` is left out where the memo has it."""

    version: Version
    signature: str
    known: Known | None


class Workspace:
    """The files of one working tree. Paths are relative to its root."""

    def __init__(self, root: str, memo: Memo) -> None:
        self._root = root
        self._memo = memo
        self._looks: dict[str, Look] = {}
        self._listing: tuple[str, bytes] = ("", b"")

    def full(self, path: str) -> str:
        """The absolute path."""
        return os.path.join(self._root, path)

    def scan(self, path: str) -> Scan | None:
        """One walk over `path` as it is now."""
        return scan(self.full(path), lambda: ignore.rules(self._root, path))

    def version(self, path: str) -> Version | None:
        """The content hash of `path`; None where it does not exist."""
        look = self._look(path)
        return None if look is None else look.version

    def snapshot(self, path: str, *, fresh: bool = True) -> Snapshot | None:
        """The version with every file; without `fresh` as this process saw it last, if it did."""
        look = None if fresh else self._looks.get(path)
        known = self._known(path, look) if look is not None else None
        if look is None or known is None:
            look = self._look(path)
            if look is None:
                return None
            known = self._known(path, look) or {}
        files = map(_file, ((name, row[3], row[1]) for name, row in known.items()))
        return Snapshot(look.version, tuple(sorted(files)))

    def seen(self, path: str) -> tuple[str, Known] | None:
        """Signature and files of `path` when this process last looked; None where it has not."""
        look = self._looks.get(path)
        known = None if look is None else self._known(path, look)
        return None if look is None or known is None else (look.signature, known)

    def listing(self, version: Version, files: Iterable[File]) -> bytes:
        """DVC's listing of a directory that has this version and these files."""
        if self._listing[0] == version.oid:
            return self._listing[1]
        return tree_bytes((file.path, file.md5) for file in files)

    def inodes(self, path: str) -> Iterator[tuple[str, int]]:
        """(md5, inode) of the files of `path`, as this process saw them last; none if it did not."""
        look = self._looks.get(path)
        if look is None or look.known is not None:
            return ((row[3], row[0]) for row in look.known.values()) if look and look.known else iter(())
        return self._memo.inodes(path, look.signature)

    def _look(self, path: str) -> Look | None:
        seen = self.scan(path)
        if seen is None:
            self._looks.pop(path, None)
            return None
        tree = self._memo.tree(path)
        if tree is not None and _holds(tree, seen):
            look = Look(Version(tree.oid, tree.size, tree.nfiles), tree.signature, None)
            self._looks[path] = look
            return look
        self._learn(path, seen)
        return self._looks[path]

    def _known(self, path: str, look: Look) -> Known | None:
        """The files that a look found; None where the memo has those of a later one."""
        if look.known is not None:
            return look.known
        signature, known = self._memo.whole(path)
        if signature != look.signature:
            return None
        if len(known) <= _KEPT:
            self._looks[path] = look._replace(known=known)
        return known

    def known(self, path: str, seen: Scan, rows: Known) -> Known:
        """The rows of `seen` whose content is known; `rows` is what the memo has of the path."""
        ancestor = path
        while not rows and "/" in ancestor:
            ancestor = ancestor.rpartition("/")[0]
            rows = self._memo.part(ancestor, path[len(ancestor) + 1 :])
        current: Known = {}
        for name, inode, size, mtime in seen.rows:
            row = rows.get(name)
            if row is not None and row[0] == inode and row[2] == mtime and row[1] == size:
                current[name] = row
        return current

    def whole(self, path: str) -> tuple[str, Known]:
        """Signature and files of `path` as its version was last taken, with the stats they had then."""
        return self._memo.whole(path)

    def _learn(self, path: str, seen: Scan) -> None:
        """Hash what is not known of `seen`, remember all of it. Raises StoreError."""
        before = self._memo.whole(path)
        known = self.known(path, seen, before[1])
        unknown = [row for row in seen.rows if row[0] not in known]
        _check_names(unknown, path)
        full = self.full(path)
        paths = [f"{full}/{row[0]}" if row[0] else full for row in unknown]
        try:
            for row, (stat, md5) in zip(unknown, hash_files(paths, [row[2] for row in unknown]), strict=True):
                known[row[0]] = (*stat, md5)
        except OSError as error:
            raise StoreError(
                f"cannot be read: {error.strerror}",
                where=str(error.filename or path),
                hint="check its permissions; if it just vanished, repeat",
            ) from error
        if any(known[row[0]][:3] != row[1:] for row in unknown):  # touched since it was seen
            rows: list[Row] = [(row[0], *known[row[0]][:3]) for row in seen.rows]
            seen = seen._replace(rows=rows, signature=signature(rows))
        if seen.directory:
            data = tree_bytes((name, row[3]) for name, row in known.items())
            oid = listing_oid(data)
            self._listing = (oid, data) if len(data) <= _HELD else ("", b"")
        else:
            oid = known[""][3]
        self.remember(path, seen, known, oid, before)

    def remember(self, path: str, seen: Scan, known: Known, oid: str, before: tuple[str, Known]) -> Version:
        """Remember that the files of `seen` have these contents, and together this one.

        `before`: what was remembered, as the memo says it.
        """
        size = sum([row[1] for row in known.values()])
        version = Version(oid, size, len(known) if seen.directory else None)
        self._memo.save(path, Tree(seen.signature, *version), known, before)
        self._looks[path] = Look(version, seen.signature, known if len(known) <= _KEPT else None)
        return version


def _holds(tree: Tree, seen: Scan) -> bool:
    """Whether what is remembered is still so. A file and a directory never share a signature."""
    return tree.signature == seen.signature and (tree.nfiles is not None) == seen.directory


def _check_names(rows: Sequence[Row], path: str) -> None:
    for row in rows:
        try:
            row[0].encode()
        except UnicodeEncodeError as error:
            raise StoreError(
                f"the name {os.fsencode(row[0])!r} is not UTF-8",
                where=path,
                hint="rename the file",
            ) from error
