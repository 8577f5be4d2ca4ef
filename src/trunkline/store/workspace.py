"""The versions of what stands in the workspace, by stat where the memo knows it.

A dataset whose signature (every path, inode, size, mtime) is the remembered one has the remembered
version: nothing is done per file beyond the walk. Otherwise the rows are compared one by one, and
only files that changed are hashed. What is known of a dataset serves for a directory of it too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from trunkline.digest import tree_oid
from trunkline.errors import StoreError
from trunkline.model import File, Snapshot, Version
from trunkline.store import ignore
from trunkline.store.hashing import hash_files
from trunkline.store.memo import Known, Memo, Tree
from trunkline.store.scan import Row, Scan, scan, signature


class Workspace:
    """The files of one working tree. Paths are relative to its root."""

    def __init__(self, root: str, memo: Memo) -> None:
        self._root = root
        self._memo = memo

    def full(self, path: str) -> str:
        """The absolute path."""
        return os.path.join(self._root, path)

    def scan(self, path: str) -> Scan | None:
        """One walk over `path` as it is now."""
        return scan(self.full(path), lambda: ignore.rules(self._root, path))

    def version(self, path: str) -> Version | None:
        """The content hash of `path`; None where it does not exist."""
        seen = self.scan(path)
        if seen is None:
            return None
        tree = self._memo.tree(path)
        if tree is not None and _holds(tree, seen):
            return Version(tree.oid, tree.size, tree.nfiles)
        return self.learn(path, seen)[0]

    def snapshot(self, path: str) -> Snapshot | None:
        """The version with every file."""
        seen = self.scan(path)
        if seen is None:
            return None
        tree = self._memo.tree(path)
        if tree is not None and _holds(tree, seen):
            known = self._memo.files(path)
            version = Version(tree.oid, tree.size, tree.nfiles)
        else:
            version, known = self.learn(path, seen)
        return Snapshot(version, tuple(sorted(File(name, row[3], row[1]) for name, row in known.items())))

    def known(self, path: str, seen: Scan) -> Known:
        """The rows of `seen` whose content is known, as rows of the memo."""
        rows = self._remembered(path)
        current: Known = {}
        for name, *stat in seen.rows:
            row = rows.get(name)
            if row is not None and row[:3] == tuple(stat):
                current[name] = row
        return current

    def rows(self, path: str) -> Known:
        """The files of `path` as its version was last taken, with the stats they had then."""
        return self._memo.files(path)

    def learn(self, path: str, seen: Scan) -> tuple[Version, Known]:
        """Hash what is not known of `seen`, remember all of it. Raises StoreError."""
        known = self.known(path, seen)
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
        return self.remember(path, seen, known), known

    def remember(self, path: str, seen: Scan, known: Known) -> Version:
        """Remember that the files of `seen` have these contents."""
        rows: list[Row] = [(row[0], *known[row[0]][:3]) for row in seen.rows]
        size = sum(row[1] for row in known.values())
        if seen.directory:
            version = Version(tree_oid((name, row[3]) for name, row in known.items()), size, len(known))
        else:
            version = Version(known[""][3], size, None)
        self._memo.save(path, Tree(signature(rows), *version), known, self._memo.files(path))
        return version

    def _remembered(self, path: str) -> Known:
        rows = self._memo.files(path)
        ancestor = path
        while not rows and "/" in ancestor:
            ancestor = ancestor.rpartition("/")[0]
            rows = self._memo.part(ancestor, path[len(ancestor) + 1 :])
        return rows


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
