"""The versions of what stands in the workspace, by stat where the memo knows it.

A dataset whose signature (every path, inode, size, mtime) is the remembered one has the remembered
version: nothing is done per file beyond the walk. Otherwise the rows are compared one by one, and
only files that changed are hashed. What is known of a dataset serves for a directory of it too.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple

from trunkline.digest import listing_oid, tree_bytes
from trunkline.errors import StoreError
from trunkline.model import Changes, File, Snapshot, Version
from trunkline.store import ignore
from trunkline.store.hashing import hash_files
from trunkline.store.memo import Known, Memo, Tree
from trunkline.store.scan import Row, Scan, scan, signature

_HELD = 32 << 20  # bytes of a listing that are held in memory, not made again
_KEPT = 200_000  # files of a dataset that are held in memory when they are known, not read again
_file = partial(tuple.__new__, File)  # its own constructor is a function of Python


class Look(NamedTuple):
    """What a path was when this process last looked. `known` is left out where the memo has it.

    `since`: an earlier content hash of it, and (names changed or new, names gone) since then.
    """

    version: Version
    signature: str
    known: Known | None
    since: tuple[str, tuple[Collection[str], Collection[str]]] | None = None


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

    def scan(self, path: str, trusted: Known | None = None) -> Scan | None:
        """One walk over `path` as it is now; the `trusted` files are only seen to be there."""
        return scan(self.full(path), lambda: ignore.rules(self._root, path), trusted or {})

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

    def last(self, path: str) -> Version | None:
        """The content hash of `path` when this process last looked; None where it has not."""
        look = self._looks.get(path)
        return look.version if look is not None and self._known(path, look) is not None else None

    def seen(self, path: str) -> tuple[str, Known] | None:
        """Signature and files of `path` when this process last looked; None where it has not."""
        look = self._looks.get(path)
        known = None if look is None else self._known(path, look)
        return None if look is None or known is None else (look.signature, known)

    def listing(self, version: Version, known: Known) -> bytes:
        """DVC's listing of a directory that has this version and these files."""
        if self._listing[0] == version.oid:
            return self._listing[1]
        return tree_bytes((name, row[3]) for name, row in known.items())

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
        before = self._memo.whole(path)
        known, hashed = self._learn(path, seen, before)
        if tree is not None and before[0] == tree.signature:
            old = before[1]
            changed = [name for name in hashed if name not in old or old[name][3] != known[name][3]]
            since = (tree.oid, (changed, old.keys() - known.keys()))
            self._looks[path] = self._looks[path]._replace(since=since)
        return self._looks[path]

    def changes(self, path: str, since: str, listing: Callable[[str], Sequence[File]]) -> Changes | None:
        """How a directory, as this process saw it last, differs from a version; None where it is not known.

        `listing` is asked for the files of that version.
        """
        look = self._looks.get(path)
        known = self._known(path, look) if look is not None and look.version.nfiles is not None else None
        if look is None or known is None:
            return None
        if look.since is not None and look.since[0] == since:
            changed, gone = look.since[1]
        else:
            changed, gone = _difference({file.path: (0, 0, 0, file.md5) for file in listing(since)}, known)
        files = (_file((name, known[name][3], known[name][1])) for name in sorted(changed))
        return Changes(look.version, tuple(files), tuple(sorted(gone)))

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
        present = {row[0]: row for row in seen.rows}
        return {  # in the order of the memo, which is that of a listing
            name: row
            for name, row in rows.items()
            if (now := present.get(name)) and now[1] == row[0] and now[3] == row[2] and now[2] == row[1]
        }

    def whole(self, path: str) -> tuple[str, Known]:
        """Signature and files of `path` as its version was last taken, with the stats they had then."""
        return self._memo.whole(path)

    def _learn(self, path: str, seen: Scan, before: tuple[str, Known]) -> tuple[Known, list[str]]:
        """Hash what is not known of `seen`, remember all of it; all files, and what was hashed.

        `before` is what the memo has. Raises StoreError.
        """
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
        hashed = [row[0] for row in unknown]
        # where the memo had nothing of its own, all is new to it
        self.remember(path, seen, known, oid, before, hashed if before[1] else None)
        return known, hashed

    def remember(
        self,
        path: str,
        seen: Scan,
        known: Known,
        oid: str,
        before: tuple[str, Known],
        changed: Collection[str] | None = None,
    ) -> Version:
        """Remember that the files of `seen` have these contents, and together this one.

        `before`: what was remembered, as the memo says it; `changed`: the names of files of which not.
        """
        size = sum([row[1] for row in known.values()])
        version = Version(oid, size, len(known) if seen.directory else None)
        self._memo.save(path, Tree(seen.signature, *version), known, before, changed)
        self._looks[path] = Look(version, seen.signature, known if len(known) <= _KEPT else None)
        return version


def _difference(before: Known, after: Known) -> tuple[Collection[str], Collection[str]]:
    """Names new or of another content, and names that are gone."""
    if before.keys() == after.keys():
        new: set[str] = set()
    else:
        new = after.keys() - before.keys()
    changed = [name for name, row in before.items() if (now := after.get(name)) and now[3] != row[3]]
    return [*changed, *new], before.keys() - after.keys()


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
