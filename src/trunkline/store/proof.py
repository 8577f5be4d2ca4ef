"""The proof that contents are gone: everything that could hold one is read.

cache        objects, and those that were set aside
workspace    data, runs with their logs, and tries, of every working tree of the project
git          every object, also those that nothing leads to
remote       every object, where a remote is given
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from trunkline.store import references
from trunkline.store.sweep import SHORT, Search
from trunkline.store.transfer import Transfer

_DATA = ("data", ".trunkline/runs", ".trunkline/tries")  # of a working tree


class Proof(NamedTuple):
    """What was read (files by place, bytes in all), and what still holds a content: name -> content hash.

    `whole` contents were looked for by hash, `partly` of them also inside of others.
    """

    read: Mapping[str, int]
    size: int
    found: Mapping[str, str]
    partly: int
    whole: int


def prove(
    root: str, cache_dir: str, md5s: set[str], contents: Mapping[str, bytes], remote: Transfer | None
) -> Proof:
    """Look for contents, by hash; of those whose bytes are known, for these too. Raises StoreError."""
    search = Search(md5s, contents)
    read: dict[str, int] = {}

    def count(place: str) -> None:
        read[place] = search.read - sum(read.values())

    for folder in ("files/md5", "trunkline/quarantine"):
        _look(search, os.path.join(cache_dir, folder), root)
    count("cache")
    for workspace in references.workspaces(root):
        for folder in _DATA:
            _look(search, os.path.join(workspace.root, folder), root)
    count("workspace")
    for name, data in references.objects(root):
        search.data(f"git object {name}", data)
    count("git")
    if remote is not None:
        for each in remote.stored():
            search.data(f"remote object {each.oid}", remote.read(each.oid))
        count("remote")
    partly = sum(len(data) >= SHORT for data in contents.values())
    return Proof(read, search.size, search.found, partly, len(md5s))


def _look(search: Search, folder: str, root: str) -> None:
    for path in _walk(folder):
        search.file(path, os.path.relpath(path, root))


def _walk(folder: str) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        yield from (os.path.join(place, name) for name in names)
