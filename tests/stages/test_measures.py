"""Every measure against scikit-learn's own function, or against counting."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn import metrics

from stages import measures

RANDOM = np.random.default_rng(3)
Y = RANDOM.integers(0, 2, 400)
# With ties, as trees and rounding make them.
SCORE: measures.Floats = np.clip(0.35 * Y + 0.7 * RANDOM.random(400), 0.01, 0.99).round(2).astype(np.float64)


def test_regression() -> None:
    y = RANDOM.normal(20, 5, 100)
    p = y + RANDOM.normal(1, 2, 100)
    found = measures.regression(y, p)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, p), abs=1e-6)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, p), abs=1e-6)
    assert found["r2"] == pytest.approx(metrics.r2_score(y, p), abs=1e-6)
    assert found["base_rmse"] == pytest.approx(y.std(), abs=1e-6)
    # The best constant lies among the rows for one, halfway between rows too for the other.
    assert min(np.abs(y - c).mean() for c in y) == pytest.approx(found["base_mae"], abs=1e-6)
    best = min(np.sqrt(np.square(y - c).mean()) for c in np.linspace(y.min(), y.max(), 2001))
    assert best == pytest.approx(found["base_rmse"], abs=1e-4)
    assert "r2" not in measures.regression(np.ones(3), np.ones(3))


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.77, 1.0])
def test_two_classes(threshold: float) -> None:
    found = measures.binary(Y, SCORE, threshold)
    called = (threshold <= SCORE).astype(int)
    (tn, fp), (fn, tp) = metrics.confusion_matrix(Y, called).tolist()
    names = ("true_negatives", "false_positives", "false_negatives", "true_positives")
    assert [found[name] for name in names] == [tn, fp, fn, tp]
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(Y, called), abs=1e-6)
    if called.any():
        assert found["precision"] == pytest.approx(metrics.precision_score(Y, called), abs=1e-6)
    else:
        assert "precision" not in found
    assert found["recall"] == pytest.approx(metrics.recall_score(Y, called), abs=1e-6)
    assert found["specificity"] == pytest.approx(metrics.recall_score(Y, called, pos_label=0), abs=1e-6)
    assert found["f1"] == pytest.approx(metrics.f1_score(Y, called), abs=1e-6)
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(Y, SCORE), abs=1e-6)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(Y, SCORE), abs=1e-6)
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(Y, SCORE), abs=1e-6)


def test_the_area_is_the_chance_of_the_right_order() -> None:
    pairs = [(a > b) + (a == b) / 2 for a in SCORE[Y == 1] for b in SCORE[Y == 0]]
    assert measures.auc(Y, SCORE) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_several_classes() -> None:
    y = RANDOM.integers(0, 3, 200)
    p = RANDOM.dirichlet([1, 1, 1], 200) + 0.5 * np.eye(3)[y]
    p /= p.sum(axis=1, keepdims=True)
    found, called = measures.several(y, p), p.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, called), abs=1e-6)
    for name in ("precision", "recall", "f1"):
        theirs = getattr(metrics, f"{name}_score")(y, called, average="macro")
        assert found[name] == pytest.approx(theirs, abs=1e-6)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, p), abs=1e-6)
    assert (measures.confusion(y, called, 3) == metrics.confusion_matrix(y, called)).all()


def test_roc() -> None:
    curve = measures.roc(Y, SCORE)
    alarms, hits, _ = metrics.roc_curve(Y, SCORE, drop_intermediate=False)
    for x, y in curve.items():
        # A vertical step has many values at one x: any of them is the curve's.
        below, above = hits[alarms <= x + 1e-9].max(), hits[alarms >= x - 1e-9].min()
        assert min(below, above) - 1e-6 <= y <= max(below, above) + 1e-6
    points = sorted(curve.items())
    area = np.trapezoid([y for _, y in points], [x for x, _ in points])
    assert area == pytest.approx(measures.auc(Y, SCORE), abs=0.01)


def test_precision_and_recall() -> None:
    curve = measures.precision_recall(Y, SCORE)
    assert len(curve) == 100
    for recall, precision in curve.items():
        reached = [t for t in np.unique(SCORE) if (SCORE[Y == 1] >= t).mean() >= recall - 1e-9]
        assert precision == pytest.approx(Y[max(reached) <= SCORE].mean(), abs=1e-6)


def test_calibration() -> None:
    score = RANDOM.random(400) ** 2
    curve = measures.calibration(Y, score)
    ends = np.linspace(0, 1, 11)
    for low, high in pairwise(ends):
        inside = (score >= low) & (score < high)
        middle = round((low + high) / 2, 6)
        assert (middle in curve) == (inside.sum() >= measures.FEWEST)
        if middle in curve:
            assert curve[middle] == pytest.approx(Y[inside].mean(), abs=1e-6)


@given(
    # Scores so near each other that six digits do not tell them apart, and whole numbers.
    rows=st.lists(
        st.tuples(st.integers(0, 1), st.floats(0, 1), st.sampled_from([0.0, 0.3, 0.9, 1.0])), min_size=1
    ),
    near=st.sampled_from([1.0, 1e-5, 1e-7, 1e-16]),
    prices=st.tuples(st.integers(0, 100), st.integers(0, 100)),
)
@example(rows=[(1, 0.0, 0.3), (0, 0.4, 0.9)], near=1e-6, prices=(100, 1))
def test_the_cheapest_threshold_costs_what_the_cheapest_mistakes_do(
    rows: list[tuple[int, float, float]], near: float, prices: tuple[int, int]
) -> None:
    y = np.array([came for came, _, _ in rows])
    score = np.array([base + near * more for _, more, base in rows])
    called = score >= measures.cheapest(y, score, *prices)
    cost = int((called & (y == 0)).sum() * prices[0] + (~called & (y == 1)).sum() * prices[1])
    assert cost == min(measures.costs(y, score, *prices).values())


@pytest.mark.parametrize("prices", [(1.0, 1.0), (1.0, 5.0), (10.0, 1.0), (1.0, 0.0), (0.0, 1.0)])
def test_no_threshold_is_cheaper(prices: tuple[float, float]) -> None:
    def cost(threshold: float) -> float:
        called = threshold <= SCORE
        return float((called & (Y == 0)).sum() * prices[0] + (~called & (Y == 1)).sum() * prices[1])

    chosen = measures.cheapest(Y, SCORE, *prices)
    assert cost(chosen) == min(cost(at) for at in np.linspace(0, 1.001, 2003))
    for at, total in measures.costs(Y, SCORE, *prices).items():
        assert cost(at) == total
