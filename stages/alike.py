"""Are the rows to judge by like those to learn from? Column by column, against train.

    "columns": {"income": {"kind": "number", "validation": 0.041, "holdout": 0.052},
                "city": {"kind": "category", "validation": 0.03, "holdout": 0.02,
                         "shares": {"Oslo": {"train": 0.7, "validation": 0.73, "holdout": 0.68}, …}}}
    "by_chance": {"validation": 0.096, "holdout": 0.096}
    "largest": {"column": "income", "side": "holdout", "statistic": 0.052}

A number's statistic is that of Kolmogorov and Smirnov: the largest distance between the two
cumulative distributions. A category's is half the sum of the differences between its values' shares,
the largest distance that any set of values can show. Both are 0 for equal distributions and 1 for
those that share nothing. `by_chance` is what the first exceeds in one draw of twenty although
nothing is wrong. Missing values count apart, as `missing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

# Texts with more values than that are names or sentences: their shares say nothing.
MOST_CATEGORIES = 50
# The Kolmogorov distribution's 95 % point, for two large samples.
ONE_IN_TWENTY = 1.3581
DIGITS = 6

Floats = npt.NDArray[np.float64]
Shares = dict[str, float]


def compared(parts: Mapping[str, pa.Table]) -> dict[str, Any]:
    """The report on `parts`, of which the first is the one that the others are compared with."""
    first, *others = parts
    base = parts[first]
    found = {name: _column({side: part[name] for side, part in parts.items()}) for name in base.column_names}
    found = {name: column for name, column in found.items() if column}
    sizes = {side: parts[side].num_rows for side in others if parts[side].num_rows}
    chance = {
        side: _rounded(ONE_IN_TWENTY * sqrt(1 / rows + 1 / base.num_rows)) for side, rows in sizes.items()
    }
    every = [
        (column[side], name, side) for name, column in found.items() for side in others if side in column
    ]
    statistic, name, side = max(every, default=(0.0, "", ""))
    largest = {"column": name, "side": side, "statistic": statistic} if every else {}
    return {"columns": found, "by_chance": chance, "largest": largest}


def demand_alike(columns: Mapping[str, Any], limit: float | None, exempt: Sequence[str] = ()) -> None:
    """Raises ValueError where a side differs from train by more than `limit`."""
    if limit is None:
        return
    found = [
        f"{name} on {side}: {column[side]:.3f}"
        for name, column in columns.items()
        if name not in exempt
        for side in ("validation", "holdout")
        if column.get(side, 0.0) > limit
    ]
    if found:
        raise ValueError(
            f"the sides differ from train by more than max_statistic {limit}: {'; '.join(found)}."
            " Draw with another seed, stratify by these columns, or raise max_statistic"
        )


def _column(sides: Mapping[str, pa.ChunkedArray]) -> dict[str, Any]:
    """One column's part of the report; nothing for a kind that cannot be compared."""
    (first, base), *others = sides.items()
    if pa.types.is_integer(base.type) or pa.types.is_floating(base.type) or pa.types.is_temporal(base.type):
        numbers = {side: _numbers(values) for side, values in sides.items()}
        found: dict[str, Any] = {"kind": "number"}
        found |= {
            side: _rounded(kolmogorov_smirnov(numbers[first], numbers[side]))
            for side, _ in others
            if len(numbers[first]) and len(numbers[side])
        }
    elif (
        pa.types.is_boolean(base.type) or pa.types.is_string(base.type) or pa.types.is_large_string(base.type)
    ):
        found = _category({side: _shares(values) for side, values in sides.items()}, first)
    else:
        return {}
    missing = {side: _rounded(_missing(values)) for side, values in sides.items()}
    return found | ({"missing": missing} if any(missing.values()) else {})


def _category(shares: Mapping[str, Shares], first: str) -> dict[str, Any]:
    values = sorted(set().union(*shares.values()))
    if len(values) > MOST_CATEGORIES:
        return {"kind": "text", "values": len(values)}
    found: dict[str, Any] = {"kind": "category"}
    for side, there in shares.items():
        if side != first and there and shares[first]:
            found[side] = _rounded(total_variation(shares[first], there))
    table = {v: {side: _rounded(there.get(v, 0.0)) for side, there in shares.items()} for v in values}
    return found | {"shares": table}


def kolmogorov_smirnov(one: Floats, other: Floats) -> float:
    """The largest distance between the cumulative distributions of two samples."""
    at = np.concatenate([one, other])
    below = [np.searchsorted(np.sort(sample), at, side="right") / len(sample) for sample in (one, other)]
    return float(np.abs(below[0] - below[1]).max())


def total_variation(one: Shares, other: Shares) -> float:
    """Half the sum of the differences between the shares of the values."""
    return sum(abs(one.get(value, 0.0) - other.get(value, 0.0)) for value in sorted({*one, *other})) / 2


def _numbers(values: pa.ChunkedArray) -> Floats:
    if pa.types.is_temporal(values.type):
        whole = pa.int32() if values.type.bit_width == 32 else pa.int64()
        values = values.cast(whole)
    numbers: Floats = values.drop_null().to_numpy().astype(np.float64)
    return numbers[~np.isnan(numbers)]


def _missing(values: pa.ChunkedArray) -> float:
    return pc.is_null(values, nan_is_null=True).to_numpy().mean() if len(values) else 0.0


def _shares(values: pa.ChunkedArray) -> Shares:
    there = values.drop_null().cast(pa.string())
    counts = {each["values"]: each["counts"] for each in there.value_counts().to_pylist()}
    return {name: count / len(there) for name, count in counts.items()}


def _rounded(value: float) -> float:
    return round(float(value), DIGITS)
