"""The rows to learn from, to choose by, and to judge by in the end; and whether they are alike.

    train/<datum>.parquet        to fit models
    validation/<datum>.parquet   to compare and to choose: hyperparameters, thresholds
    holdout/<datum>.parquet      looked at once, when everything is chosen
    report.json                  {"rows": {"train": 600, …}, "columns": {"income": {"validation": 0.04, "holdout": 0.05}, …}, …}

    method       a side is drawn from         columns
    random       the rows                     none
    stratified   the rows of each stratum     make the strata: the shares of their values stay the same
    group        the groups                   say who belongs together: a group is never torn apart
    time         the end                      say when: the holdout is the latest, validation before it
    key          nothing: a hash decides      identify a row, which never changes sides as data is added

`validation_seed` draws validation anew and leaves the holdout where it is. By time it moves validation
so many steps into the past; rows between it and the holdout then belong to no side, as learning
from them would be learning from the future.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from stages.alike import compared, demand_alike

TRAIN, VALIDATION, HOLDOUT, UNUSED = range(4)
SIDES = ("train", "validation", "holdout")
METHODS = ("random", "stratified", "group", "time", "key")

Codes = npt.NDArray[np.int64]


def split(
    rows: pa.Table,
    *,
    method: str = "random",
    columns: Sequence[str] = (),
    test_fraction: float = 0.2,
    validation_fraction: float = 0.2,
    seed: int = 7,
    validation_seed: int = 0,
    max_statistic: float | None = None,
) -> dict[str, Any]:
    """The three sides, each in the order of `rows`, and the report. Raises ValueError.

    Both fractions are of all rows. `max_statistic` is the largest difference between validation or
    holdout and train that is put up with, from 0 to 1, in any column: the Kolmogorov-Smirnov
    statistic of numbers, half the sum of the differences between shares of categories. The columns
    that decide the side by group, time or key differ by design and are exempt.
    """
    _demand(rows, method, columns, test_fraction, validation_fraction)
    if method == "key":
        side = _by_key(rows, columns, test_fraction, validation_fraction, seed, validation_seed)
    elif method == "time":
        side = _by_time(_codes(rows, columns), test_fraction, validation_fraction, validation_seed)
    else:
        side = _drawn(rows, method, columns, test_fraction, validation_fraction, seed, validation_seed)
    parts = {name: rows.filter(pa.array(side == place)) for place, name in enumerate(SIDES)}
    counts = {name: part.num_rows for name, part in parts.items()} | {"unused": int((side == UNUSED).sum())}
    if not parts["train"].num_rows:
        raise ValueError(
            f"no row is left to train on, of {rows.num_rows}; make the fractions or validation_seed smaller"
        )
    report: dict[str, Any] = {"method": method, "rows": counts} | compared(parts)
    exempt = columns if method in ("group", "time", "key") else ()
    demand_alike(report["columns"], max_statistic, exempt)
    return {**parts, "report.json": report}


def _demand(rows: pa.Table, method: str, columns: Sequence[str], test: float, validation: float) -> None:
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; one of {', '.join(METHODS)} is needed")
    if (method == "random") == bool(columns):
        advice = "takes no columns" if columns else "needs columns: [..]"
        raise ValueError(f"method {method} {advice}; columns is {list(columns)}")
    missing = [name for name in columns if name not in rows.column_names]
    if missing:
        raise ValueError(f"there is no column {', '.join(missing)}; there are {', '.join(rows.column_names)}")
    if test < 0 or validation < 0 or test + validation >= 1:
        raise ValueError(
            f"test_fraction {test} and validation_fraction {validation}: shares of all rows are needed,"
            " from 0 and together below 1"
        )


def _drawn(
    rows: pa.Table, method: str, columns: Sequence[str], test: float, validation: float, seed: int, again: int
) -> Codes:
    """The side of each row, by chance: first the holdout, then validation among the others."""
    side = np.full(rows.num_rows, TRAIN, np.int64)
    codes = _codes(rows, columns) if columns else np.zeros(rows.num_rows, np.int64)
    draw = _groups if method == "group" else _strata
    side[draw(codes, test, np.random.default_rng(seed))] = HOLDOUT
    left = np.flatnonzero(side == TRAIN)
    chosen = draw(codes[left], validation / (1 - test), np.random.default_rng([seed, again]))
    side[left[chosen]] = VALIDATION
    return side


def _strata(codes: Codes, fraction: float, random: np.random.Generator) -> Codes:
    """Places of `fraction` of the rows of each stratum, and of all rows together, to within a row.

    Each row gets a rank within its stratum, from 0 to 1, and the lowest ranks are taken: a stratum
    of three rows gives one to a fifth in some draws and none in others, with no bias over all.
    """
    order = random.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    _, first, sizes = np.unique(codes[order], return_index=True, return_counts=True)
    within = np.arange(len(codes)) - np.repeat(first, sizes)
    offset = np.repeat(random.random(len(sizes)), sizes)
    rank = (within + offset) / np.repeat(sizes, sizes)
    return order[np.argsort(rank, kind="stable")[: round(fraction * len(codes))]]


def _groups(codes: Codes, fraction: float, random: np.random.Generator) -> Codes:
    """Places of the rows of whole groups, taken in random order while they bring the share nearer."""
    names, sizes = np.unique(codes, return_counts=True)
    order = random.permutation(len(names))
    taken, wanted = 0, fraction * len(codes)
    chosen = []
    for place in order:
        if abs(taken + sizes[place] - wanted) < abs(taken - wanted):
            taken += int(sizes[place])
            chosen.append(names[place])
    return np.flatnonzero(np.isin(codes, chosen))


def _by_time(when: Codes, test: float, validation: float, steps: int) -> Codes:
    """The side of each row, given its place in time; rows of one moment are on one side."""
    ordered, rows = np.sort(when), len(when)
    first = rows - round(test * rows)
    width = round(validation * rows)
    last = first - steps * width
    start = last - width
    if steps < 0 or start <= 0:
        raise ValueError(
            f"validation_seed {steps} moves validation to before the first of {rows} rows; make it smaller"
        )
    side = np.full(rows, TRAIN, np.int64)
    for place, name in ((start, VALIDATION), (last, UNUSED), (first, HOLDOUT)):
        if place < rows:
            side[when >= ordered[place]] = name
    return side


def _by_key(
    rows: pa.Table, columns: Sequence[str], test: float, validation: float, seed: int, again: int
) -> Codes:
    held = np.array(places(rows, columns, f"{seed}\x1e")) < test
    drawn = np.array(places(rows, columns, f"{seed}\x1e{again}\x1e")) < validation / (1 - test)
    return np.select([held, drawn], [HOLDOUT, VALIDATION], TRAIN).astype(np.int64)


def _codes(rows: pa.Table, columns: Sequence[str]) -> Codes:
    """A number for each row: equal where all of `columns` are, in the order of their values."""
    codes = np.zeros(rows.num_rows, np.int64)
    for name in columns:
        column = rows[name].combine_chunks()
        if column.null_count:
            raise ValueError(
                f"{name} is missing in {column.null_count} rows; clean them before a split by it"
            )
        ranks = pc.rank(column, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int64)
        codes = codes * (int(ranks.max(initial=0)) + 1) + ranks
        codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return codes


def places(rows: pa.Table, key: Sequence[str], salt: str = "") -> list[float]:
    """A number from 0 up to 1 for each row, evenly spread, decided by the values of `key` alone."""
    columns = [_texts(rows[name]) for name in key]
    return [_place(salt + "\x1f".join(values)) for values in zip(*columns, strict=True)]


def _texts(column: pa.ChunkedArray) -> list[str]:
    """Instants as milliseconds: their text would depend on the unit in which a file stores them."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("ms", tz=column.type.tz)).cast(pa.int64())
    texts: list[str] = pc.fill_null(column.cast(pa.string()), "").to_pylist()
    return texts


def _place(text: str) -> float:
    """Python's own hash() differs from process to process; this one never does."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)
