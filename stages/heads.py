"""A small model behind a large one that somebody else has trained: logistic regression on its features.

The strength of the regularisation is chosen on the validation side: a thousand features and some
hundred rows can be separated perfectly in many ways, most of which mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from stages import measures

Floats = npt.NDArray[np.floating[Any]]


class Head(NamedTuple):
    """Logits are `features @ matrix + bias`, a column for each class; features in their own units."""

    matrix: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    classes: list[Any]
    report: dict[str, Any]


def points(rows: pa.Table) -> npt.NDArray[np.float32]:
    """The column `embedding` as a matrix."""
    return np.array(rows["embedding"].to_pylist(), dtype=np.float32)


def fitted(
    train: tuple[Floats, Sequence[Any]],
    validation: tuple[Floats, Sequence[Any]],
    strengths: Sequence[float],
    seed: int,
) -> Head:
    """The head with the lowest log loss on validation. Raises ValueError where a side lacks a class.

    `strengths` are scikit-learn's `C`, the inverse of the regularisation.
    """
    if not strengths:
        raise ValueError("strengths is empty: one value of C at least is needed, like [0.1, 1.0]")
    features, answers = train
    strange = sorted({*validation[1]} - {*answers}, key=str)
    if strange:
        raise ValueError(f"validation has a class that training never saw: {', '.join(map(str, strange))}")
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    losses, best = {}, None
    with threadpool_limits(limits=1):
        for strength in strengths:
            model = LogisticRegression(C=strength, max_iter=5000, random_state=seed)
            model.fit((features - mean) / deviation, answers)
            loss = log_loss(model, (validation[0] - mean) / deviation, validation[1])
            if best is None or loss < min(losses.values()):
                best = model
            losses[strength] = loss
    assert best is not None
    report = {
        "rows": len(answers),
        "strength": min(losses, key=lambda strength: losses[strength]),
        "validation": [{"strength": key, "log_loss": round(loss, 6)} for key, loss in losses.items()],
    }
    return _folded(best, mean, deviation, report)


def log_loss(model: LogisticRegression, features: Any, answers: Sequence[Any]) -> float:
    """The mean of -log of what the model gives the right class."""
    return measures.log_loss(np.searchsorted(model.classes_, answers), model.predict_proba(features))


def _folded(model: LogisticRegression, mean: Floats, deviation: Floats, report: dict[str, Any]) -> Head:
    """Standardisation goes into the matrix. Of two classes scikit-learn has one column: the other is 0."""
    matrix, bias = model.coef_.T, model.intercept_
    if len(model.classes_) == 2:
        matrix = np.hstack([np.zeros_like(matrix), matrix])
        bias = np.concatenate([[0.0], bias])
    matrix = matrix / deviation[:, None]
    bias = bias - mean @ matrix
    return Head(matrix.astype(np.float32), bias.astype(np.float32), model.classes_.tolist(), report)
