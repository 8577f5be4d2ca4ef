"""What a deployed run begins with: the dvc.lock of the run before, and the data that it names.

    tracked  o---B---T      dvc.lock of T, which people committed
                  \\
    results        o---C    dvc.lock of C, which the last runs made

An entry of the run's stages is C's, unless people have changed it between B and T; every other entry is
T's. With it the run sees what is new since the last one, and is done at once where nothing is. Only speed
and words depend on it: what is computed again is decided by the index of results.

Data come from the cache; what is not there is fetched by DVC, all of it in one call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from trunkline.errors import MissingData, TrunklineError
from trunkline.model import File, LockEntry
from trunkline.store import lockfile, locktext
from trunkline.store.store import DvcStore

Fetch = Callable[[Sequence[str]], str]  # the targets of `dvc fetch` -> why it failed, ""


def lock(ours: str, base: str, theirs: str, stages: Collection[str]) -> str:
    """The text of dvc.lock to begin with, from those of T, B and C; `stages` are DVC's names."""
    tracked, before, results = entries(ours), entries(base), entries(theirs)
    if tracked is None or results is None:
        return ours
    text = ours
    for name in stages:
        entry = results.get(name)
        if entry is not None and entry != tracked.get(name) and tracked.get(name) == (before or {}).get(name):
            text = locktext.put(text, name, lockfile.as_data(entry), frozenset())
    return text


def entries(text: str) -> Mapping[str, LockEntry] | None:
    """The entries of a dvc.lock; None where it cannot be read: a conflict, an old format."""
    try:
        return lockfile.parse(text) if text else {}
    except (TrunklineError, ValueError):
        return None


class Wanted(NamedTuple):
    """A version that should be in the workspace. `target` is what `dvc fetch` calls it.

    A source is `required`; the output of a stage can be made again.
    """

    path: str
    oid: str
    size: int
    target: str
    required: bool


def restore(store: DvcStore, wanted: Iterable[Wanted], fetch: Fetch) -> None:
    """Make the workspace hold these versions. Raises MissingData for what is required and nowhere."""
    todo = [each for each in wanted if not _is_there(store, each)]
    missing = [each for each in todo if not _in_cache(store, each)]
    said = _fetch(missing, fetch)
    for each in todo:
        try:
            store.checkout(each.path, _files(store, each))
        except MissingData as error:
            if each.required:
                raise _nowhere(each, said) from error
        except TrunklineError:
            if each.required:
                raise


def _fetch(missing: Sequence[Wanted], fetch: Fetch) -> str:
    if not missing:
        return ""
    said = fetch(_targets(missing))
    needed = [each for each in missing if each.required]
    if said and needed and len(needed) < len(missing):
        said = fetch(_targets(needed))  # the sources must not suffer for an output that is nowhere
    return said


def _targets(some: Iterable[Wanted]) -> list[str]:
    return list(dict.fromkeys(each.target for each in some))


def _is_there(store: DvcStore, wanted: Wanted) -> bool:
    with suppress(TrunklineError):
        version = store.version(wanted.path)
        return version is not None and version.oid == wanted.oid
    return False


def _in_cache(store: DvcStore, wanted: Wanted) -> bool:
    try:
        return not store.evicted(_files(store, wanted))
    except TrunklineError:
        return False


def _files(store: DvcStore, wanted: Wanted) -> tuple[File, ...]:
    if wanted.oid.endswith(".dir"):
        return store.listing(wanted.oid)
    return (File("", wanted.oid, wanted.size),)


def _nowhere(wanted: Wanted, said: str) -> MissingData:
    return MissingData(
        f"the version {wanted.oid[:8]} of {wanted.path} is neither in the cache nor at the DVC remote"
        + (f": {said}" if said else ""),
        where=wanted.target,
        hint=f"type `dvc push {wanted.target}` where the data are; a deployed run works on what is committed",
    )
