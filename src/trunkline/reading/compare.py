"""Compares the rows of two files without holding them: of each row a hash of 64 bits is kept.

Rows are a multiset, their order is none of it. With a key, of what is left on both sides after equal rows
are taken away, as many rows of a key are changed as both sides have; the others are added or removed.
Where the columns differ, the rows are compared by those that both files have. Numbers of one family
compare by value (an int32 equals the int64), floats by their bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from trunkline.errors import UsageError
from trunkline.reading.formats import batches, schema_of

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
_NULL = np.uint64(0x6E756C6C6E756C6C)
_PANDAS_KEY = "trunkline0rows16"


class Rows(NamedTuple):
    """How many rows are only in the new file, only in the old one, in both under one key but not the same."""

    added: int
    removed: int
    changed: int = 0


class Column(NamedTuple):
    """A column that is not what it was; "" where it is not there."""

    name: str
    was: str
    now: str


def columns(old: str, new: str, kind: str) -> list[Column]:
    """How the columns of two files differ. Raises CorruptData."""
    was = {field.name: str(field.type) for field in schema_of(old, kind)}
    now = {field.name: str(field.type) for field in schema_of(new, kind)}
    names = [*was, *(name for name in now if name not in was)]
    return [
        Column(name, was.get(name, ""), now.get(name, "")) for name in names if was.get(name) != now.get(name)
    ]


def rows(old: str, new: str, kind: str, key: Sequence[str] = ()) -> Rows:
    """How the rows of two files differ. Raises UsageError for a key that they lack, CorruptData."""
    one, two = schema_of(old, kind).names, schema_of(new, kind).names
    common = sorted(set(one) & set(two))
    for name in key:
        if name not in common:
            raise UsageError(f"not every file has the column {name!r}, which is to be the key")
    old_rows, old_keys = _hashed(old, kind, common, key)
    new_rows, new_keys = _hashed(new, kind, common, key)
    gone, come = _only(old_rows, new_rows), _only(new_rows, old_rows)
    changed = _paired(old_keys[gone], new_keys[come]) if key else 0
    return Rows(len(come) - changed, len(gone) - changed, changed)


def _only(these: Hashes, those: Hashes) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The places in `these` of what `those` have not as often."""
    order = np.argsort(these, kind="stable")
    ordered, other = these[order], np.sort(those)
    nth = np.arange(len(ordered)) - np.searchsorted(ordered, ordered, "left")
    there = np.searchsorted(other, ordered, "right") - np.searchsorted(other, ordered, "left")
    return order[nth >= there]


def _paired(old: Hashes, new: Hashes) -> int:
    """How many of one side find one of the other with the same key."""
    one, ones = np.unique(old, return_counts=True)
    two, twos = np.unique(new, return_counts=True)
    _, at_one, at_two = np.intersect1d(one, two, assume_unique=True, return_indices=True)
    return int(np.minimum(ones[at_one], twos[at_two]).sum())


# ---------------------------------------------------------------- hashes


def _hashed(path: str, kind: str, names: Sequence[str], key: Sequence[str]) -> tuple[Hashes, Hashes]:
    """The hashes of all rows, and of their keys."""
    whole, keys = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
    for batch in batches(path, kind, list(names)):
        each = {name: _column(batch.column(name)) for name in names}
        whole.append(_together([each[name] for name in names], batch.num_rows))
        if key:
            keys.append(_together([each[name] for name in key], batch.num_rows))
    return np.concatenate(whole), np.concatenate(keys)


def _together(hashes: Sequence[Hashes], count: int) -> Hashes:
    found = np.full(count, len(hashes), np.uint64)
    for each in hashes:
        found = _mixed(found * np.uint64(31) ^ each)
    return found


def _column(array: pa.Array) -> Hashes:
    """A hash of every value of a column."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    found = _values(array)
    if array.null_count:
        found = np.where(array.is_null().to_numpy(zero_copy_only=False), _NULL, found)
    return _mixed(found)


def _values(array: pa.Array) -> Hashes:
    """The same before it is mixed; of nulls anything."""
    kind, is_ = array.type, pa.types
    if is_.is_boolean(kind):
        return _bits(array.cast(pa.int8()), pa.int64())
    if is_.is_integer(kind):
        return _bits(array, pa.uint64() if is_.is_uint64(kind) else pa.int64())
    if is_.is_floating(kind):
        return _mixed(_bits(array, pa.float64()))
    if is_.is_temporal(kind) and not is_.is_interval(kind):
        return _bits(array.cast(pa.int32()) if kind.bit_width == 32 else array, pa.int64())
    if is_.is_string(kind) or is_.is_large_string(kind):
        return _texts(array.fill_null("").to_numpy(zero_copy_only=False))
    if is_.is_null(kind):
        return np.zeros(len(array), np.uint64)
    return np.fromiter(map(_one, array.to_pylist()), np.uint64, len(array))


def _bits(array: pa.Array, kind: pa.DataType) -> Hashes:
    cast = array.cast(kind)
    return np.asarray(cast.fill_null(pa.scalar(0, kind)).to_numpy(zero_copy_only=False)).view(np.uint64)


def _texts(values: np.ndarray[Any, Any]) -> Hashes:
    return np.asarray(pd.util.hash_array(values.astype(object), hash_key=_PANDAS_KEY), np.uint64)


def _one(value: object) -> int:
    """For what Arrow nests, and for decimals and bytes: slow, and right."""
    return int.from_bytes(hashlib.blake2b(repr(value).encode(), digest_size=8).digest(), "little")


def _mixed(values: Hashes) -> Hashes:
    """Every bit of the value spread over all of the hash (splitmix64)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
