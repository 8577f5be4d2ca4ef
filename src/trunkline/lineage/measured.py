"""The metrics behind a model: of every stage downstream of it, in the newest lock that has any.

A lock is followed by content: what reads the model at exactly this hash, what reads the outputs of that,
and so on. Metrics are the files that the stages declare as such, as they are in the cache.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from trunkline.lineage.card import Metrics
from trunkline.lineage.find import part_of, within
from trunkline.lineage.history import History, LockSnapshot
from trunkline.model import LockEntry

_LOCKS = 50  # so many are looked at


def measured(path: str, md5: str, history: History, object_path: Callable[[str], str]) -> tuple[Metrics, ...]:
    """The metrics of the artifact of this content at `path`; () where no lock has any."""
    for number, snapshot in enumerate(history.locks()):
        found = tuple(_metrics(snapshot, path, md5, history, object_path))
        if found or number >= _LOCKS:
            return found
    return ()


def _metrics(
    snapshot: LockSnapshot, path: str, md5: str, history: History, object_path: Callable[[str], str]
) -> Iterator[Metrics]:
    for name, entry in _downstream(snapshot, path, md5, history):
        ref, declared = _declared(name, entry)
        for out in entry.outs:
            for inside in declared.get("metrics") or ():
                if out.path.endswith(f"/{ref.replace('.', '/', 1)}") and isinstance(inside, str):
                    values = _values(part_of(history, out.md5, inside), object_path)
                    if values:
                        yield Metrics(ref, f"{out.path}/{inside}", values)


def _downstream(
    snapshot: LockSnapshot, path: str, md5: str, history: History
) -> Iterator[tuple[str, LockEntry]]:
    """The stages that read it, or what was made from it."""
    known = {path: md5}
    rest = dict(snapshot.entries)
    grown = True
    while grown:
        grown = False
        for name, entry in list(rest.items()):
            if any(_reads(dep.path, dep.md5, known, history) for dep in entry.deps):
                del rest[name]
                known.update({out.path: out.md5 for out in entry.outs})
                grown = True
                yield name, entry


def _reads(dep: str, md5: str, known: Mapping[str, str], history: History) -> bool:
    """Whether a dep is one of what is known, a part of it, or holds it."""
    for path, oid in known.items():
        if (inside := within(dep, path)) is not None and part_of(history, oid, inside) == md5:
            return True
        if (inside := within(path, dep)) is not None and part_of(history, md5, inside) == oid:
            return True
    return False


def _declared(name: str, entry: LockEntry) -> tuple[str, Mapping[str, Any]]:
    words = entry.cmd.split()
    ref = words[2] if words[:2] == ["trunkline", "exec"] and len(words) > 2 else name
    for values in entry.params.values():
        if isinstance(found := values.get(f"stages.{ref.partition('.')[2]}"), Mapping):
            return ref, found
    return ref, {}


def _values(md5: str | None, object_path: Callable[[str], str]) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        if md5 is not None:
            with open(object_path(md5), encoding="utf-8") as stream:
                found = json.load(stream)
            return found if isinstance(found, dict) else {}
    return {}
