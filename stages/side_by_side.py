"""Models beside each other, on the same rows that none of them has seen.

    metrics.json      {"rows": 30, "network": {"accuracy": …, "log_loss": …, "wrong": …}, "mlp": {…}}
    confusion.png     for each model, how many rows of each class were called what

Which models, and what they are called, is said by the stage's inputs: one file each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from stages.measures import Whole, confusion, several
from stages.network import classes
from stages.pictures import drawing, png
from stages.predict import run, session_of

MEASURES = ("accuracy", "base_accuracy", "f1", "log_loss")


def side_by_side(holdout: pa.Table, *, target: list[str], **models: Path) -> dict[str, Any]:
    """The measures of each model on the holdout; the one-hot columns `target` are the truth. Raises ValueError."""
    answers = np.column_stack([holdout[name].to_numpy() for name in target]).argmax(axis=1)
    metrics: dict[str, Any] = {"rows": holdout.num_rows}
    confusions = {}
    for name, model in models.items():
        chances = run(session_of(model.read_bytes()), holdout)["probability"].astype(np.float64)
        if chances.shape[1] != len(target):
            raise ValueError(f"{name} knows {chances.shape[1]} classes, the target has {len(target)} columns")
        found = several(answers, chances)
        confusions[name] = confusion(answers, chances.argmax(axis=1), len(target))
        wrong = int(holdout.num_rows - np.trace(confusions[name]))
        metrics[name] = {measure: found[measure] for measure in MEASURES} | {"wrong": wrong}
    return {"metrics.json": metrics, "confusion.png": _picture(confusions, classes(target))}


def _picture(confusions: dict[str, Whole], names: list[str]) -> bytes:
    with drawing(4.2 * len(confusions), 4.2) as figure:
        panels = figure.subplots(1, len(confusions), squeeze=False)[0]
        for axes, (name, counts) in zip(panels, confusions.items(), strict=True):
            axes.imshow(counts, cmap="Blues", vmin=0, vmax=max(1, int(counts.max())))
            for (row, column), count in np.ndenumerate(counts):
                shade = "white" if count > counts.max() / 2 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=shade)
            axes.set(title=name, xlabel="called", ylabel="is")
            axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
            axes.set_yticks(range(len(names)), names)
        return png(figure)
