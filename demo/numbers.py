"""The metrics of the pipeline as a table for the terminal.

                  test     base   recent     base
flights         60,215            26,041
auc              0.725    0.500    0.695    0.500
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

METRICS = Path("data/flights/evaluate/metrics.json")
HOLDOUTS = ("test", "recent")
# Title, metric, and what a constant answer reaches: a number, another metric, or nothing.
LINES = (
    ("flights", "rows", None),
    ("share late", "base_rate", None),
    ("auc", "auc", 0.5),
    ("log loss", "log_loss", "base_log_loss"),
    ("brier score", "brier", "base_brier"),
    ("accuracy", "accuracy", "base_accuracy"),
    ("precision", "precision", "base_rate"),
    ("recall", "recall", None),
)

Metrics = Mapping[str, Mapping[str, float]]


def read(root: Path) -> Metrics:
    """What the stage `evaluate` wrote."""
    content: Metrics = json.loads((root / METRICS).read_text(encoding="utf-8"))
    return content


def beside_base(metrics: Metrics) -> str:
    """Both holdouts, each metric beside that of the best constant answer."""
    head = ["", *(title for holdout in HOLDOUTS for title in (holdout, "base"))]
    body = [
        [title, *(text for holdout in HOLDOUTS for text in _pair(metrics[holdout], name, base))]
        for title, name, base in LINES
    ]
    return _table([head, *body])


def before_and_after(before: Metrics, after: Metrics) -> str:
    """Both holdouts, each metric as it was and as it is."""
    head = ["", *(f"{holdout} {when}" for holdout in HOLDOUTS for when in ("before", "after"))]
    body = [
        [title, *(_text(m[holdout].get(name)) for holdout in HOLDOUTS for m in (before, after))]
        for title, name, _ in LINES
    ]
    return _table([head, *body])


def _pair(holdout: Mapping[str, float], name: str, base: Any) -> tuple[str, str]:
    constant = holdout.get(base) if isinstance(base, str) else base
    return _text(holdout.get(name)), _text(constant) if constant is not None else ""


def _text(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"


def _table(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  "
        + "  ".join(
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    )
