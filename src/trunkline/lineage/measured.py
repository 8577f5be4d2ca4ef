"""The metrics behind a model: of every stage downstream of it, in the newest lock that has any.

A lock is followed by content: what reads the model at exactly this hash, what reads the outputs of that,
and so on. Metrics are the files that the stages declare as such, as they are in the cache.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from trunkline.ledger.makings import Making, Origin, declared
from trunkline.lineage.card import Metrics
from trunkline.lineage.history import History, within

_LOCKS = 50  # so many are looked at


def measured(path: str, md5: str, history: History, object_path: Callable[[str], str]) -> tuple[Metrics, ...]:
    """The metrics of the artifact of this content at `path`; () where no lock has any."""
    for origin in _origins(path, md5, history):
        found = tuple(_metrics(history.together(origin), path, md5, history, object_path))
        if found:
            return found
    return ()


def _origins(path: str, md5: str, history: History) -> list[Origin]:
    """The locks in which it may be: the workspace's, then those of its makers and readers."""
    makings = [*history.makers(path, md5), *history.readers(path, [md5])]
    origins = [Origin("workspace"), *(history.origin(making) for making in makings[:_LOCKS])]
    return list(dict.fromkeys(origins))


def _metrics(
    lock: Sequence[Making], path: str, md5: str, history: History, object_path: Callable[[str], str]
) -> Iterator[Metrics]:
    for making in _downstream(lock, path, md5, history):
        said = declared(making.name, making.entry)
        for out in making.outs:
            for inside in said.values.get("metrics") or ():
                if out.path.endswith(f"/{said.ref.replace('.', '/', 1)}") and isinstance(inside, str):
                    values = _values(history.part(out.md5, inside), object_path)
                    if values:
                        yield Metrics(said.ref, f"{out.path}/{inside}", values)


def _downstream(lock: Sequence[Making], path: str, md5: str, history: History) -> Iterator[Making]:
    """The stages that read it, or what was made from it."""
    known = {path: md5}
    rest = list(lock)
    grown = True
    while grown:
        grown = False
        for making in list(rest):
            if any(_reads(dep.path, dep.md5, known, history) for dep in making.deps):
                rest.remove(making)
                known.update({out.path: out.md5 for out in making.outs})
                grown = True
                yield making


def _reads(dep: str, md5: str, known: Mapping[str, str], history: History) -> bool:
    """Whether a dep is one of what is known, a part of it, or holds it."""
    for path, oid in known.items():
        if (inside := within(dep, path)) is not None and history.part(oid, inside) == md5:
            return True
        if (inside := within(path, dep)) is not None and history.part(md5, inside) == oid:
            return True
    return False


def _values(md5: str | None, object_path: Callable[[str], str]) -> Mapping[str, Any]:
    with suppress(OSError, ValueError):
        if md5:
            with open(object_path(md5), encoding="utf-8") as stream:
                found = json.load(stream)
            return found if isinstance(found, dict) else {}
    return {}
