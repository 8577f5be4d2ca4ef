"""Declared rules, and what each of them did.

    1  markers      {lines: [999999.375]}        values that stand for "not known"          -> missing
    2  numbers      [income]                     texts that should be numbers                -> number, or missing
    3  mapping      {urban: {"Yes": 1, "No": 0}} words to other words or numbers             -> as mapped, or missing
    4  categories   {rating: [1, 2, 3]}          what else a column may say                  -> as it is, or missing
    5  ranges       {rate: [0, 100]}             what a number may be; null: no bound        -> as it is, or missing
    6  required     [income]                     a row without it cannot be used             -> removed
    7  duplicates   [name, income]               equal in all of them: the first one stays   -> removed

    rows/<datum>.parquet      the rows that stay, in their order, `keep` (or all) of the columns
    counts/<datum>.parquet    rule, column, values that became missing, rows that were removed
    counts.json               {"read": 1989, "kept": 1975, "removed": {"missing": 9, …}, "missing": {"lines": {"marker": 4}, …}}

A row is removed once, under the first required column that it lacks, for the reason why it lacks it:
`missing` in the raw data, or `marker`, `malformed`, `category`, `range`. A rule for a column that is not
there is an error; a rule that never applies is counted with 0, so that it is seen. Missing values that stay
are the model's business, which fills them with what training knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

REASONS = ("missing", "marker", "malformed", "category", "range")

Values = Mapping[str, Sequence[Any]]


def clean(
    rows: pa.Table,
    *,
    markers: Values | None = None,
    numbers: Sequence[str] = (),
    mapping: Mapping[str, Mapping[Any, Any]] | None = None,
    categories: Values | None = None,
    ranges: Mapping[str, Sequence[float | None]] | None = None,
    required: Sequence[str] = (),
    duplicates: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> dict[str, Any]:
    """The rows that stay, and the counts. Raises ValueError where a rule names no column."""
    ruled = [*(markers or {}), *numbers, *(mapping or {}), *(categories or {}), *(ranges or {})]
    _demand(rows, [*ruled, *required, *duplicates, *keep])
    why = {
        name: np.where(pc.is_null(rows[name], nan_is_null=True), "missing", "") for name in rows.column_names
    }
    rows = _apply(
        rows, why, "marker", {n: _unmarked(rows[n], values) for n, values in (markers or {}).items()}
    )
    rows = _apply(rows, why, "malformed", {n: _number(rows[n]) for n in numbers})
    rows = _apply(
        rows, why, "malformed", {n: _mapped(rows[n], words) for n, words in (mapping or {}).items()}
    )
    rows = _apply(
        rows, why, "category", {n: _among(rows[n], values) for n, values in (categories or {}).items()}
    )
    rows = _apply(rows, why, "range", {n: _within(rows[n], n, ends) for n, ends in (ranges or {}).items()})
    stay, removed = _complete(rows.num_rows, why, required)
    if duplicates:
        again = stay & _repeated(rows, duplicates, stay)
        removed["duplicate"] = int(again.sum())
        stay &= ~again
    missing = {
        name: {reason: int((why[name] == reason).sum()) for reason in REASONS} for name in rows.column_names
    }
    missing = {
        name: {r: n for r, n in found.items() if n} for name, found in missing.items() if any(found.values())
    }
    counts = {"read": len(stay), "kept": int(stay.sum()), "removed": removed, "missing": missing}
    kept = rows.filter(pa.array(stay)).select(list(keep) or rows.column_names)
    return {"rows": kept, "counts": counted(counts), "counts.json": counts}


def counted(counts: Mapping[str, Any]) -> pa.Table:
    """The counts as a table: a line for each reason, with the column where the reason is a value's."""
    lines = [("read", "", 0, counts["read"]), ("kept", "", 0, counts["kept"])]
    lines += [(reason, "", 0, number) for reason, number in counts["removed"].items()]
    lines += [(r, name, n, 0) for name, found in counts["missing"].items() for r, n in found.items()]
    reason, column, values, number = zip(*lines, strict=True)
    whole = {"values": pa.array(values, pa.int64()), "rows": pa.array(number, pa.int64())}
    return pa.table({"reason": pa.array(reason), "column": pa.array(column)} | whole)


def _demand(rows: pa.Table, columns: Sequence[str]) -> None:
    missing = sorted({name for name in columns if name not in rows.column_names})
    if missing:
        raise ValueError(f"a rule names {', '.join(missing)}; the columns are {', '.join(rows.column_names)}")


def _apply(rows: pa.Table, why: dict[str, Any], reason: str, changed: Mapping[str, pa.Array]) -> pa.Table:
    """`rows` with the columns as `changed` has them; what has become missing is so for `reason`."""
    for name, values in changed.items():
        lost = pc.is_null(values, nan_is_null=True).to_numpy(zero_copy_only=False) & (why[name] == "")
        why[name] = np.where(lost, reason, why[name])
        rows = rows.set_column(rows.schema.get_field_index(name), name, values)
    return rows


def _where(column: pa.ChunkedArray, good: Any) -> pa.Array:
    """The column with nothing where `good` is false."""
    values = column.combine_chunks()
    return pc.if_else(pa.array(np.asarray(good, bool)), values, pa.scalar(None, values.type))


def _unmarked(column: pa.ChunkedArray, markers: Sequence[Any]) -> pa.Array:
    return _where(column, [value not in markers for value in column.to_pylist()])


def _number(column: pa.ChunkedArray) -> pa.Array:
    """Texts as numbers, where they are: " 1200 " and "1e3", not "1.200,50" and not "twelve"."""
    values = pd.to_numeric(pd.Series(column.to_pylist(), dtype=object).astype("string"), errors="coerce")
    return pa.array(values.to_numpy(dtype=np.float64, na_value=np.nan), from_pandas=True)


def _mapped(column: pa.ChunkedArray, words: Mapping[Any, Any]) -> pa.Array:
    """By the text of the value: a key of a pipeline file may be a number or a text."""
    known = {str(key): value for key, value in words.items()}
    return pa.array([None if value is None else known.get(str(value)) for value in column.to_pylist()])


def _among(column: pa.ChunkedArray, values: Sequence[Any]) -> pa.Array:
    return _where(column, [value in values for value in column.to_pylist()])


def _within(column: pa.ChunkedArray, name: str, ends: Sequence[float | None]) -> pa.Array:
    if len(ends) != 2:
        raise ValueError(f"the range of {name} is {list(ends)}; write [lowest, highest], null for no bound")
    low, high = (sign * np.inf if end is None else end for sign, end in zip((-1, 1), ends, strict=True))
    try:
        values = pc.fill_null(column.cast(pa.float64()), np.nan).to_numpy()
    except pa.ArrowInvalid as error:
        raise ValueError(f"{name} has a range, but is no number: {error}; name it in numbers too") from error
    return _where(column, (values >= low) & (values <= high))


def _complete(rows: int, why: Mapping[str, Any], required: Sequence[str]) -> tuple[Any, dict[str, int]]:
    """Which rows have all that is required, and how many have not, by reason."""
    stay = np.ones(rows, bool)
    removed = dict.fromkeys(REASONS, 0)
    for name in required:
        for reason in REASONS:
            removed[reason] += int((stay & (why[name] == reason)).sum())
        stay &= why[name] == ""
    return stay, removed


def _repeated(rows: pa.Table, columns: Sequence[str], among: Any) -> Any:
    """True for every row but the first of `among` that equals an earlier one in all `columns`."""
    frame = rows.select(list(columns)).to_pandas()
    again = np.zeros(len(frame), bool)
    again[among] = frame[among].duplicated().to_numpy()
    return again
