"""The whole of `evaluate` on models made here, its figures against scikit-learn on the same answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn import metrics

from stages.evaluate import evaluate
from stages.predict import predict
from stages.train import train

RANDOM = np.random.default_rng(11)


def made(rows: int) -> pd.DataFrame:
    data = pd.DataFrame({"x": RANDOM.normal(size=rows), "z": RANDOM.normal(size=rows)})
    data["price"] = 3 * data["x"] + data["z"] + RANDOM.normal(size=rows)
    data["late"] = data["price"] > 2
    data["word"] = np.where(data["late"], "late", "early")
    data["level"] = np.digitize(data["price"], [-2, 2])
    return data


TRAIN, VALIDATION, HOLDOUT = made(300), made(200), made(250)
SIDES = {"validation": VALIDATION, "holdout": HOLDOUT}


def evaluated(
    tmp_path: Path, target: str, estimator: str = "LogisticRegression", **options: Any
) -> dict[str, Any]:
    out = train(TRAIN, target=target, features={"number": ["x", "z"]}, estimator=estimator)
    (tmp_path / "model.onnx").write_bytes(out["model.onnx"])
    sides = {side: pa.Table.from_pandas(rows, preserve_index=False) for side, rows in SIDES.items()}
    return evaluate(tmp_path / "model.onnx", **sides, target=target, **options)


def answers(tmp_path: Path, side: str, name: str) -> Any:
    rows = pa.Table.from_pandas(SIDES[side], preserve_index=False)
    return predict(tmp_path / "model.onnx", rows)[name].to_numpy()


def test_a_regressor_in_the_units_of_the_target(tmp_path: Path) -> None:
    out = evaluated(tmp_path, "price", "LinearRegression")
    assert set(out) == {"metrics.json", "predicted.png", "report.html"}
    for side, rows in SIDES.items():
        y, p = rows["price"], answers(tmp_path, side, "prediction")
        found = out["metrics.json"][side]
        assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, p), abs=1e-5)
        assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, p), abs=1e-5)
        assert found["r2"] == pytest.approx(metrics.r2_score(y, p), abs=1e-5)


@pytest.mark.parametrize(
    ("target", "positive"), [("late", None), ("late", 1), ("word", "late"), ("word", "early")]
)
def test_two_classes(tmp_path: Path, target: str, positive: str | int | None) -> None:
    out = evaluated(tmp_path, target, positive=positive)
    name = f"probability_{1 if positive is None else positive}"
    for side, rows in SIDES.items():
        y = rows["late"].to_numpy() == (positive != "early")
        score = answers(tmp_path, side, name).astype(float)
        found = out["metrics.json"][side]
        assert found["auc"] == pytest.approx(metrics.roc_auc_score(y, score), abs=1e-6)
        assert found["f1"] == pytest.approx(metrics.f1_score(y, score >= 0.5), abs=1e-6)
        assert found["log_loss"] == pytest.approx(metrics.log_loss(y, score), abs=1e-6)
    assert out["metrics.json"]["threshold"] == 0.5
    assert set(out["roc.json"][0]) == {"false_positive_rate", "validation", "holdout", "chance"}
    assert "costs.json" not in out


def test_the_threshold_is_the_cheapest_on_validation_and_the_holdout_has_no_say(tmp_path: Path) -> None:
    out = evaluated(tmp_path, "late", cost={"false_positive": 1, "false_negative": 6})
    y, score = VALIDATION["late"].to_numpy(), answers(tmp_path, "validation", "probability_1").astype(float)

    def cost(threshold: float, y: Any = y, score: Any = score) -> int:
        return int((~y & (score >= threshold)).sum() + 6 * (y & (score < threshold)).sum())

    chosen = out["metrics.json"]["threshold"]
    assert (
        cost(chosen)
        == min(cost(at) for at in np.linspace(0, 1, 5001))
        == out["metrics.json"]["validation"]["cost"]
    )
    assert chosen < 0.5
    y, score = HOLDOUT["late"].to_numpy(), answers(tmp_path, "holdout", "probability_1").astype(float)
    found = out["metrics.json"]["holdout"]
    assert found["cost"] == cost(chosen, y, score)
    assert found["recall"] == pytest.approx(metrics.recall_score(y, score >= chosen), abs=1e-6)
    assert found["base_cost"] == min(6 * y.sum(), (~y).sum())
    assert min(each["cost"] for each in out["costs.json"]) == out["metrics.json"]["validation"]["cost"]


def test_three_classes(tmp_path: Path) -> None:
    out = evaluated(tmp_path, "level")
    called = answers(tmp_path, "holdout", "label")
    assert out["metrics.json"]["holdout"]["accuracy"] == pytest.approx(
        (called == HOLDOUT["level"]).mean(), abs=1e-6
    )
    assert set(out) == {"metrics.json", "confusion.png", "report.html"}


@pytest.mark.parametrize("target", ["price", "late", "level"])
def test_two_runs_give_the_same_bytes(tmp_path: Path, target: str) -> None:
    estimator = "Ridge" if target == "price" else "LogisticRegression"
    assert evaluated(tmp_path, target, estimator) == evaluated(tmp_path, target, estimator)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.3, "cost": {"false_positive": 1, "false_negative": 1}}, "either set or chosen"),
        ({"cost": {"miss": 1}}, "write cost"),
        ({"positive": "maybe"}, "positive is maybe; the model knows the classes 0, 1"),
    ],
)
def test_what_cannot_be_evaluated_says_why(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        evaluated(tmp_path, "late", **options)


def test_a_side_needs_rows_and_the_target(tmp_path: Path) -> None:
    evaluated(tmp_path, "late")
    rows = pa.Table.from_pandas(HOLDOUT, preserve_index=False)
    for other in (rows.slice(0, 0), rows.drop_columns(["late"])):
        with pytest.raises(ValueError, match=r"holdout has .* late is needed"):
            evaluate(tmp_path / "model.onnx", rows, other, target="late")
