"""Several models on the same rows, side by side.

    {"rows": 520, "base_accuracy": 0.698, "tfidf": {"accuracy": 0.86, "log_loss": 0.34, "auc": 0.91, …},
     "minilm": {…}, "between": {"both_right": 420, "only_tfidf": 31, "only_minilm": 40, "both_wrong": 29}}

`base_accuracy` is that of the most frequent answer. What both get right says little about which to
take; `between` counts the rows that only one of two gets right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating[Any]]
SMALLEST = 1e-7  # what a probability of 0 counts as: a float's last digit


def side_by_side(
    probabilities: Mapping[str, Floats], answers: Sequence[Any], classes: Sequence[Any]
) -> dict[str, Any]:
    """The metrics of each model; `probabilities[model]` has a row an answer and a column a class."""
    truth = np.array([list(classes).index(answer) for answer in answers], dtype=np.int64)
    if not len(truth):
        raise ValueError("there is no row to compare models on")
    counts = np.bincount(truth, minlength=len(classes))
    found: dict[str, Any] = {"rows": len(truth), "base_accuracy": _rounded(counts.max() / len(truth))}
    right = {}
    for name, probability in probabilities.items():
        found[name] = scores(probability, truth)
        right[name] = probability.argmax(axis=1) == truth
    pairs = {f"{one}~{two}": _between(one, two, right) for one, two in combinations(right, 2)}
    return found | {"between": next(iter(pairs.values())) if len(pairs) == 1 else pairs}


def scores(probability: Floats, truth: npt.NDArray[np.int64]) -> dict[str, float]:
    """Accuracy and log loss; of two classes also those of calling the second one: AUC, precision, recall, F1."""
    called = probability.argmax(axis=1)
    chances = np.maximum(probability[np.arange(len(truth)), truth], SMALLEST).astype(np.float64)
    found = {"accuracy": (called == truth).mean(), "log_loss": -np.log(chances).mean()}
    if probability.shape[1] == 2:
        found |= _of_two(probability[:, 1], called, truth)
    return {name: _rounded(value) for name, value in found.items()}


def _of_two(
    probability: Floats, called: npt.NDArray[np.int64], truth: npt.NDArray[np.int64]
) -> dict[str, float]:
    hits = int((called & truth).sum())
    found: dict[str, float] = {}
    if 0 < truth.sum() < len(truth):
        found["auc"] = area(probability, truth)
    if called.any():
        found["precision"] = hits / int(called.sum())
    if truth.any():
        found["recall"] = hits / int(truth.sum())
        found["f1"] = 2 * hits / int(called.sum() + truth.sum())
    return found


def area(score: Floats, truth: npt.NDArray[np.int64]) -> float:
    """The chance that a row of the second class scores above one of the first; equal scores count half."""
    values, places = np.unique(score, return_inverse=True)
    second = np.bincount(places[truth == 1], minlength=len(values))
    first = np.bincount(places[truth == 0], minlength=len(values))
    below = np.cumsum(first) - first
    return float((second * (below + first / 2)).sum() / (second.sum() * first.sum()))


def _between(one: str, two: str, right: Mapping[str, npt.NDArray[np.bool_]]) -> dict[str, int]:
    a, b = right[one], right[two]
    counts = {"both_right": a & b, f"only_{one}": a & ~b, f"only_{two}": ~a & b, "both_wrong": ~(a | b)}
    return {name: int(rows.sum()) for name, rows in counts.items()}


def _rounded(value: float) -> float:
    return round(float(value), 6)
