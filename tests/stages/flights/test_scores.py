from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from stages.flights.scores import Floats, Scores

Case = tuple[Floats, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]


def case(name: str) -> Case:
    rng = np.random.default_rng(5)
    late = rng.random(4000) < 0.3
    scores: dict[str, Floats] = {
        "informed": np.clip(rng.normal(0.3 + 0.2 * late, 0.15), 0, 1),
        "guessed": rng.random(4000),
        "tied": np.round(rng.random(4000) * 0.5 + np.where(late, 0.2, 0.0), 1),
        "certain": np.where(late, 1.0, 0.0),
        "wrong": np.where(late, 0.0, 1.0),
        "constant": np.full(4000, 0.25),
    }
    return scores[name].astype(np.float32).astype(np.float64), late


@pytest.mark.parametrize("name", ["informed", "guessed", "tied", "certain", "wrong", "constant"])
@pytest.mark.parametrize("threshold", [0.3, 0.5])
def test_the_metrics_are_those_of_scikit_learn(name: str, threshold: float) -> None:
    probability, late = case(name)
    scores = Scores()
    for place in range(0, 4000, 1500):
        scores.add(probability[place : place + 1500], late[place : place + 1500])
    called = probability >= threshold
    found = scores.metrics(threshold)
    expected = {
        "rows": 4000,
        "base_rate": late.mean(),
        "accuracy": metrics.accuracy_score(late, called),
        "recall": metrics.recall_score(late, called),
        "auc": metrics.roc_auc_score(late, probability),
        "log_loss": metrics.log_loss(late, np.clip(probability, 1e-15, 1 - 1e-15)),
        "brier": metrics.brier_score_loss(late, probability),
        "base_log_loss": metrics.log_loss(late, np.full(4000, late.mean())),
        "base_brier": metrics.brier_score_loss(late, np.full(4000, late.mean())),
        "base_accuracy": max(late.mean(), 1 - late.mean()),
    }
    if called.any():
        expected["precision"] = metrics.precision_score(late, called)
    else:
        assert "precision" not in found
    for metric, value in expected.items():
        assert found[metric] == pytest.approx(value, rel=1e-4, abs=2e-4), metric
    confusion = metrics.confusion_matrix(late, called).ravel().tolist()
    names = ("true_on_time", "false_late", "false_on_time", "true_late")
    assert [found[name] for name in names] == confusion


def test_the_roc_curve_is_that_of_scikit_learn() -> None:
    probability, late = case("informed")
    scores = Scores()
    scores.add(probability, late)
    alarms, found, _ = metrics.roc_curve(late, probability)
    curve = scores.roc()
    assert list(curve) == pytest.approx(np.linspace(0, 1, 101))
    inner = np.linspace(0.01, 1, 100)
    assert list(curve.values())[1:] == pytest.approx(np.interp(inner, alarms, found), abs=2e-3)
    assert list(curve.values()) == sorted(curve.values())


def test_calibration_is_the_share_among_rows_with_about_that_score() -> None:
    probability, late = case("guessed")
    scores = Scores()
    scores.add(probability, late)
    within = (probability >= 0.4) & (probability < 0.45)
    assert scores.calibration()[0.425] == pytest.approx(late[within].mean(), abs=1e-6)
    assert len(scores.calibration()) == 20


def test_too_few_rows_are_not_drawn() -> None:
    scores = Scores()
    scores.add(np.full(60, 0.22), np.arange(60) < 20)
    scores.add(np.full(49, 0.72), np.arange(49) < 20)
    assert scores.calibration() == {0.225: pytest.approx(1 / 3, abs=1e-6)}


def test_what_is_not_defined_is_left_out() -> None:
    assert Scores().metrics(0.5) == {"rows": 0}
    assert Scores().roc() == {}
    scores = Scores()
    scores.add(np.array([0.2, 0.3]), np.array([False, False]))
    assert scores.roc() == {}
    found = scores.metrics(0.5)
    assert not {"auc", "precision", "recall"} & found.keys()
    assert found["base_log_loss"] == 0
