"""Several classifiers on the same rows, side by side.

    {"rows": 390, "base_accuracy": 0.698, "tfidf": {"accuracy": 0.86, "log_loss": 0.34, "auc": 0.91, …},
     "minilm": {…}, "between": {"both_right": 320, "only_tfidf": 21, "only_minilm": 28, "both_wrong": 21}}

`base_accuracy` is that of the most frequent answer. What both get right says little about which to
take; `between` counts the rows that only one of two gets right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from stages import measures


def side_by_side(
    probabilities: Mapping[str, npt.NDArray[Any]], answers: Sequence[Any], classes: Sequence[Any]
) -> dict[str, Any]:
    """The measures of each model; `probabilities[model]` has a row an answer and a column a class.

    Of two classes, the second is what is looked for.
    """
    truth = np.array([list(classes).index(answer) for answer in answers], dtype=np.int64)
    if not len(truth):
        raise ValueError("there is no row to compare models on")
    most = np.bincount(truth, minlength=len(classes)).max()
    found: dict[str, Any] = {"rows": len(truth), "base_accuracy": round(float(most / len(truth)), 6)}
    right = {}
    for name, probability in probabilities.items():
        chances = probability.astype(np.float64)
        found[name] = _measured(truth, chances)
        right[name] = (chances[:, 1] >= 0.5 if len(classes) == 2 else chances.argmax(axis=1)) == truth
    pairs = {f"{one}~{two}": _between(one, two, right) for one, two in combinations(right, 2)}
    return found | {"between": next(iter(pairs.values())) if len(pairs) == 1 else pairs}


def _measured(truth: npt.NDArray[np.int64], probability: npt.NDArray[np.float64]) -> measures.Metrics:
    two = probability.shape[1] == 2
    found = measures.binary(truth, probability[:, 1], 0.5) if two else measures.several(truth, probability)
    return {name: value for name, value in found.items() if name != "rows" and not name.startswith("base_")}


def _between(one: str, two: str, right: Mapping[str, npt.NDArray[np.bool_]]) -> dict[str, int]:
    a, b = right[one], right[two]
    counts = {"both_right": a & b, f"only_{one}": a & ~b, f"only_{two}": ~a & b, "both_wrong": ~(a | b)}
    return {name: int(rows.sum()) for name, rows in counts.items()}
