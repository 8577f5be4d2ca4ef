"""What is in a table? Looked at before anything is learnt from it.

    profile.json       {"rows": 400, "duplicates": 0, "columns": {"Price": {"kind": "number", "mean": 115.8, …}, …},
                        "correlations": [{"one": "Sales", "other": "Price", "correlation": -0.44}, …]}
    histograms.png     every column: a histogram of numbers, bars of categories
    pairs.png          every pair of the numbers in `pairs`, plotted against each other
    correlations.png   Pearson's correlation of every two numbers
    report.html        all of it as one page

`columns` chooses and orders; without it, all are taken. Correlations are of the rows in which both are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from matplotlib.axes import Axes

from stages.pages import page, picture, table
from stages.pictures import COLOURS, drawing, png

DIGITS = 6
MOST_BARS = 12
MOST_PAIRS = 8
QUARTILES = {"min": 0.0, "q25": 0.25, "median": 0.5, "q75": 0.75, "max": 1.0}

Floats = npt.NDArray[np.float64]


def profile(
    rows: pa.Table, *, columns: Sequence[str] = (), pairs: Sequence[str] = (), title: str = "Profile"
) -> dict[str, Any]:
    """Summaries and pictures. Without `pairs`, the first eight numbers are plotted in pairs. Raises ValueError."""
    missing = [name for name in (*columns, *pairs) if name not in rows.column_names]
    if missing or not rows.num_rows:
        raise ValueError(
            f"{rows.num_rows} rows, no column {', '.join(missing)}; there are {', '.join(rows.column_names)}"
        )
    chosen = rows.select(list(columns) or rows.column_names)
    frame = chosen.to_pandas()
    numbers = {name: _floats(rows[name]) for name in chosen.column_names if _is_number(rows[name].type)}
    plotted = list(pairs) or list(numbers)[:MOST_PAIRS]
    texts = [name for name in plotted if not _is_number(rows[name].type)]
    if texts:
        raise ValueError(f"pairs names {', '.join(texts)}, which are no numbers")
    summary = {name: summarised(frame[name], numbers.get(name)) for name in chosen.column_names}
    related = correlations(numbers)
    pictures = {"histograms.png": _histograms(frame, numbers)}
    if len(plotted) > 1:
        pictures["pairs.png"] = _pairs({name: _floats(rows[name]) for name in plotted})
    if len(numbers) > 1:
        pictures["correlations.png"] = _correlations(list(numbers), related)
    found = {
        "rows": rows.num_rows,
        "duplicates": int(rows.to_pandas().duplicated().sum()),
        "columns": summary,
        "correlations": sorted(
            related, key=lambda each: (-abs(each["correlation"]), each["one"], each["other"])
        ),
    }
    return {"profile.json": found, **pictures, "report.html": _page(title, found, pictures)}


def summarised(column: pd.Series[Any], numbers: Floats | None) -> dict[str, Any]:
    """One column: how many values, how many missing, and what they are like."""
    found: dict[str, Any] = {"kind": "category" if numbers is None else "number"}
    found |= {
        "values": int(column.notna().sum()),
        "missing": int(column.isna().sum()),
        "distinct": int(column.nunique()),
    }
    if numbers is None:
        shares = column.dropna().astype(str).value_counts()
        top = sorted(shares.items(), key=lambda each: (-each[1], str(each[0])))[:MOST_BARS]
        return found | {"counts": {str(name): int(count) for name, count in top}}
    there = numbers[~np.isnan(numbers)]
    if len(there):
        deviation = there.std(ddof=1) if len(there) > 1 else 0.0
        found |= {"mean": _rounded(there.mean()), "deviation": _rounded(deviation)}
        found |= {name: _rounded(np.quantile(there, share)) for name, share in QUARTILES.items()}
    return found


def correlations(numbers: dict[str, Floats]) -> list[dict[str, Any]]:
    """Pearson's correlation of every two columns that both vary."""
    found = []
    for one, other in combinations(numbers, 2):
        both = ~(np.isnan(numbers[one]) | np.isnan(numbers[other]))
        x, y = numbers[one][both], numbers[other][both]
        if both.sum() > 1 and x.std() > 0 and y.std() > 0:
            value = np.mean((x - x.mean()) * (y - y.mean())) / (x.std() * y.std())
            found.append({"one": one, "other": other, "correlation": _rounded(value)})
    return found


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _floats(column: pa.ChunkedArray) -> Floats:
    values: Floats = column.cast(pa.float64()).to_pandas().to_numpy(dtype=np.float64, na_value=np.nan)
    return values


def _histograms(frame: pd.DataFrame, numbers: dict[str, Floats]) -> bytes:
    across = min(4, len(frame.columns))
    down = ceil(len(frame.columns) / across)
    with drawing(2.6 * across, 2.1 * down) as figure:
        every = figure.subplots(down, across, squeeze=False).ravel()
        for axes, name in zip(every, frame.columns, strict=False):
            axes.set_title(name, fontsize=10)
            axes.tick_params(labelsize=8)
            if name in numbers:
                axes.hist(numbers[name][~np.isnan(numbers[name])], bins=20, color=COLOURS[0])
            else:
                _bars(axes, frame[name])
        for axes in every[len(frame.columns) :]:
            axes.set_axis_off()
        return png(figure)


def _bars(axes: Axes, column: pd.Series[Any]) -> None:
    counts = summarised(column, None)["counts"]
    axes.bar(range(len(counts)), list(counts.values()), color=COLOURS[1])
    axes.set_xticks(range(len(counts)), list(counts), rotation=0 if len(counts) < 5 else 90, fontsize=8)


def _pairs(numbers: dict[str, Floats]) -> bytes:
    """A square of plots: histograms on its diagonal, each pair below and above it."""
    names = list(numbers)
    edge = 1.35 * len(names) + 0.6
    with drawing(edge, edge) as figure:
        grid = figure.subplots(len(names), len(names), squeeze=False)
        for (down, across), axes in np.ndenumerate(grid):
            x, y = numbers[names[across]], numbers[names[down]]
            if down == across:
                axes.hist(x[~np.isnan(x)], bins=15, color=COLOURS[0])
            else:
                axes.scatter(x, y, s=2, alpha=0.4, color=COLOURS[0], linewidths=0)
            axes.set(xticks=[], yticks=[])
            if down == len(names) - 1:
                axes.set_xlabel(names[across], fontsize=8)
            if across == 0:
                axes.set_ylabel(names[down], fontsize=8)
        return png(figure)


def _correlations(names: list[str], related: list[dict[str, Any]]) -> bytes:
    place = {name: at for at, name in enumerate(names)}
    square = np.full((len(names), len(names)), np.nan)
    np.fill_diagonal(square, 1.0)
    for each in related:
        one, other = place[each["one"]], place[each["other"]]
        square[one, other] = square[other, one] = each["correlation"]
    edge = 0.5 * len(names) + 2
    with drawing(edge + 1, edge) as figure:
        axes = figure.subplots()
        shown = axes.imshow(square, cmap="RdBu_r", vmin=-1, vmax=1)
        axes.set_title("Correlation")
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=8)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        for (down, across), value in np.ndenumerate(square):
            if not np.isnan(value):
                colour = "white" if abs(value) > 0.6 else "black"
                axes.text(across, down, f"{value:.2f}", ha="center", va="center", fontsize=7, color=colour)
        figure.colorbar(shown, ax=axes)
        return png(figure)


def _page(title: str, found: dict[str, Any], pictures: dict[str, bytes]) -> str:
    shown = {
        name: {
            key: ", ".join(f"{k}: {n}" for k, n in value.items()) if key == "counts" else value
            for key, value in each.items()
        }
        for name, each in found["columns"].items()
    }
    parts = [f"<p>{found['rows']:,} rows, of which {found['duplicates']:,} repeat an earlier one.</p>"]
    parts += [table("Columns", shown), *(picture(name, data) for name, data in pictures.items())]
    return page(title, parts)


def _rounded(value: float) -> float:
    return round(float(value), DIGITS)
