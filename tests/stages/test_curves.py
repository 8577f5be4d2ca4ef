from __future__ import annotations

import json
import statistics

import numpy as np
import pandas as pd
import pytest

from stages.curves import overfitting, spread


def trials() -> pd.DataFrame:
    rows = []
    for hidden in ([1], [16, 8], [4]):
        for l2 in (0.0, 0.1):
            scores = {
                "train_log_loss": 0.1,
                "cv_log_loss": 0.2,
                "cv_log_loss_std": 0.05,
                "validation_log_loss": 0.3,
            }
            rows.append({"parameters": json.dumps({"hidden": hidden, "l2": l2}), **scores})
    return pd.DataFrame(rows)


def test_the_picture_depends_on_the_scores_and_not_on_the_order_of_trials() -> None:
    picture = overfitting(trials(), x="hidden", panels="l2")["overfitting.png"]
    assert picture.startswith(b"\x89PNG")
    assert overfitting(trials()[::-1], x="hidden", panels="l2")["overfitting.png"] == picture
    other = trials().assign(cv_log_loss=0.25)
    assert overfitting(other, x="hidden", panels="l2")["overfitting.png"] != picture
    assert overfitting(trials(), x="l2", panels="hidden")["overfitting.png"] != picture


def test_an_unknown_hyperparameter_or_measure_is_told() -> None:
    with pytest.raises(ValueError, match="the trials have no hyperparameter depth; they have hidden, l2"):
        overfitting(trials(), x="depth", panels="l2")
    with pytest.raises(ValueError, match="the trials have no score of auc"):
        overfitting(trials(), x="hidden", panels="l2", measure="auc")


def test_the_spread_is_that_of_a_sample() -> None:
    values = np.random.default_rng(0).random(20).round(6).tolist()
    found = spread(pd.DataFrame({"validation_error": values}), measures=["error"])
    assert found["metrics.json"]["draws"] == 20
    assert found["metrics.json"]["error"] == pytest.approx(
        {
            "mean": statistics.mean(values),
            "std": statistics.stdev(values),
            "min": min(values),
            "max": max(values),
        },
        abs=1e-6,
    )
    assert found["spread.png"].startswith(b"\x89PNG")
    again = spread(pd.DataFrame({"validation_error": values[::-1]}), measures=["error"])
    assert again == found


def test_one_draw_has_no_spread_and_an_unknown_measure_is_told() -> None:
    one = pd.DataFrame({"validation_error": [0.1]})
    assert spread(one, measures=["error"])["metrics.json"]["error"]["std"] == 0.0
    with pytest.raises(ValueError, match="the draws have no validation_loss; they have validation_error"):
        spread(one, measures=["error", "loss"])
