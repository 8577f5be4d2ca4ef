"""What the last manifest says of datums that are as they were: their keys and results, without asking for them.

    manifest   datum (id, name, items with their content)    key   files
    now        the same datum, the same transform       ->   key   files

Of 100,000 datums of which one changed, one key is computed and one looked up. What a result's row in
the index says beside its files (which run made it, in how many seconds) is left out here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from trunkline.model import Datum, ManifestRow, Reason, ReasonKind, Result

# Beside these, what makes a key of a datum may have changed: how its files are handed over, for instance.
_SAME_KEYS = frozenset(
    {
        ReasonKind.DATASET_CHANGED,
        ReasonKind.UPSTREAM_CHANGED,
        ReasonKind.CODE_CHANGED,
        ReasonKind.CODE_ADDED,
        ReasonKind.CODE_REMOVED,
        ReasonKind.OUTPUT_MISSING,
        ReasonKind.OUTPUT_CHANGED,
    }
)
_result: Callable[[tuple[object, ...]], Result] = partial(tuple.__new__, Result)


class Kept(NamedTuple):
    """The keys of all datums, in their order, and the results among them that the manifest has."""

    keys: list[str]
    results: dict[str, Result]


def result(row: ManifestRow) -> Result:
    """The result that a manifest has."""
    return _result((row[1], row[2], "", 0.0, row[3]))


def may_be_kept(reasons: Sequence[Reason]) -> bool:
    """Whether a stage with these reasons makes the keys of its datums as it did."""
    return all(reason.kind in _SAME_KEYS for reason in reasons)


def kept(
    datums: Sequence[Datum],
    before: Mapping[str, ManifestRow],
    key: Callable[[Sequence[Datum]], list[str]],
) -> Kept:
    """The keys, computed by `key` where `before` (by datum id) has another datum or none."""
    keys: list[str] = []
    results: dict[str, Result] = {}
    others: list[int] = []
    samples: dict[tuple[str, ...], ManifestRow] = {}
    for place, datum in enumerate(datums):
        row = before.get(datum[0])
        if row is not None and row[0] == datum:
            known = row[1]
            keys.append(known)
            results[known] = result(row)
            if len(datum[2]) > 1 or not samples:
                samples[tuple([item[0] for item in datum[2]])] = row
        else:
            keys.append("")
            others.append(place)
    rows = list(samples.values())
    if key([row.datum for row in rows]) != [row.key for row in rows]:
        return Kept(key(datums), {})  # a manifest that was accepted by `dvc commit` after all
    for place, made in zip(others, key([datums[place] for place in others]), strict=True):
        keys[place] = made
    return Kept(keys, results)
