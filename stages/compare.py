"""Two models side by side: the same measures of the same holdout.

compared.json    [{"measure": "rmse", "price alone": 2.5, "all": 1.1}, …]
compared.png     one pair of bars a measure
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.pictures import COLOURS, drawing, png


def compare(
    one: Path, other: Path, *, names: Sequence[str], measures: Sequence[str], side: str = "holdout"
) -> dict[str, Any]:
    """`one` and `other` are metrics.json of `evaluate`; `names` say what they stand for. Raises ValueError."""
    if len(names) != 2 or not measures:
        raise ValueError(
            f"names is {list(names)}, measures {list(measures)}; two names and a measure are needed"
        )
    found = [json.loads(file.read_text(encoding="utf-8")).get(side, {}) for file in (one, other)]
    missing = sorted({measure for each in found for measure in measures if measure not in each})
    if missing:
        raise ValueError(f"{side} has no {', '.join(missing)}; it has {', '.join(found[0])}")
    rows = [
        {"measure": m} | {name: each[m] for name, each in zip(names, found, strict=True)} for m in measures
    ]
    with drawing(2.6 * len(measures), 3.4) as figure:
        for axes, row in zip(figure.subplots(1, len(measures), squeeze=False).ravel(), rows, strict=True):
            bars = axes.bar(list(names), [row[name] for name in names], color=COLOURS[:2])
            axes.bar_label(bars, fmt="%.3g")
            axes.set_title(row["measure"])
            axes.margins(y=0.12)
        return {"compared.json": rows, "compared.png": png(figure)}
