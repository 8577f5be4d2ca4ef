"""Descent by steps: against scikit-learn, the closed form, and slopes found by finite differences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from stages.linear import LOSSES, by_library, closed_form, descend, in_units, learn, mean_loss
from stages.normalise import scaled, statistics
from stages.predict import predict

FEATURES = ["price", "age"]


def made(rows: int = 120, seed: int = 2) -> pa.Table:
    random = np.random.default_rng(seed)
    price, age = random.uniform(20, 180, rows), random.integers(20, 80, rows)
    sales = 14 - 0.05 * price - 0.03 * age + random.normal(0, 1, rows)
    return pa.table({"price": price, "age": age, "sales": sales})


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    rows = made()
    found = statistics(rows, FEATURES, "minmax")
    (tmp_path / "statistics.json").write_text(json.dumps(found))
    frame: pd.DataFrame = scaled(rows, found).to_pandas()
    return {"train": frame[:90], "validation": frame[90:], "statistics": tmp_path / "statistics.json"}


def orders(rows: int, epochs: int) -> list[Any]:
    return [np.random.default_rng([1, epoch]).permutation(rows) for epoch in range(epochs)]


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("initial", [0.0, -3.5])
@pytest.mark.parametrize("epochs", [0, 1, 25])
def test_numpy_and_scikit_learn_take_the_same_steps(loss: str, initial: float, epochs: int) -> None:
    random = np.random.default_rng(4)
    x = random.random((60, 3))
    y = x @ [1.0, -2.0, 3.0] + random.normal(0, 0.3, 60)
    rates = [0.1 / (1 + 0.1 * epoch) for epoch in range(epochs)]
    ours = descend(x, y, loss, initial, rates, orders(60, epochs))
    theirs = by_library(x, y, loss, initial, rates, orders(60, epochs))
    assert len(ours) == epochs + 1
    np.testing.assert_allclose(ours[-1], theirs, rtol=0, atol=1e-9)
    if epochs:
        assert np.abs(ours[-1] - initial).max() > 0.1


@pytest.mark.parametrize("loss", LOSSES)
def test_a_step_goes_down_the_slope_of_the_loss(loss: str) -> None:
    x, y, rate = np.array([[0.3, 0.7]]), np.array([2.0]), 0.01
    before, after = descend(x, y, loss, 0.5, [rate], [np.array([0])])
    slope = np.zeros(3)
    for place in range(3):
        nudge = 1e-6 * np.eye(3)[place]
        difference = mean_loss(x, y, loss, before + nudge) - mean_loss(x, y, loss, before - nudge)
        slope[place] = difference / 2e-6 * (0.5 if loss == "squared" else 1.0)
    np.testing.assert_allclose((before - after) / rate, slope, atol=1e-6)


def test_the_closed_form_is_the_least_squared_error() -> None:
    random = np.random.default_rng(6)
    x, y = random.random((50, 2)), random.random(50)
    found = closed_form(x, y)
    inputs = np.column_stack([x, np.ones(50)])
    np.testing.assert_allclose(found, np.linalg.solve(inputs.T @ inputs, inputs.T @ y), atol=1e-9)
    near = descend(x, y, "squared", 0.0, [0.2 / (1 + 0.3 * e) for e in range(400)], orders(50, 400))[-1]
    np.testing.assert_allclose(near, found, atol=0.01)
    assert mean_loss(x, y, "squared", found) < mean_loss(x, y, "squared", near)


def test_the_absolute_loss_leads_to_the_median() -> None:
    y = np.array([1.0, 2.0, 3.0, 4.0, 1000.0])
    path = descend(
        np.zeros((5, 1)), y, "absolute", 0.0, [1 / (1 + 0.2 * e) for e in range(300)], orders(5, 300)
    )
    assert path[-1][-1] == pytest.approx(3.0, abs=0.1)


def test_the_model_takes_columns_in_their_own_units(given: dict[str, Any], tmp_path: Path) -> None:
    out = learn(**given, target="sales", features=FEATURES, epochs=20)
    (tmp_path / "model.onnx").write_bytes(out["model.onnx"])
    line = out["weights.json"]["in_units"]["numpy"]
    rows = made(50, seed=9)
    expected = line["constant"] + sum(line[name] * rows[name].to_numpy() for name in FEATURES)
    found = predict(tmp_path / "model.onnx", rows)["prediction"].to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_weights_in_units_are_the_same_line() -> None:
    scaling = {"a": {"shift": 5.0, "scale": 4.0}, "b": {"shift": -1.0, "scale": 0.5}}
    line = in_units(np.array([2.0, 3.0, 7.0]), ["a", "b"], scaling)
    for a, b in ((5.0, -1.0), (9.0, 2.0)):
        expected = 2 * (a - 5) / 4 + 3 * (b + 1) / 0.5 + 7
        assert line["a"] * a + line["b"] * b + line["constant"] == pytest.approx(expected)


def test_the_loss_of_each_epoch_is_told(given: dict[str, Any]) -> None:
    out = learn(**given, target="sales", features=["price"], epochs=12, initial=2.0)
    first, last = out["loss.json"][0], out["loss.json"][-1]
    assert [each["epoch"] for each in out["loss.json"]] == list(range(13))
    x, y = (given["validation"][name].to_numpy() for name in ("price", "sales"))
    assert first["validation"] == pytest.approx(np.mean((2 * x + 2 - y) ** 2), abs=1e-5)
    weights = out["weights.json"]["scaled"]["numpy"]
    assert last["validation"] == pytest.approx(
        np.mean((weights["price"] * x + weights["constant"] - y) ** 2), abs=1e-4
    )
    assert last["train"] < first["train"]


@pytest.mark.parametrize("loss", LOSSES)
def test_two_runs_give_the_same_bytes(given: dict[str, Any], loss: str) -> None:
    one, other = (learn(**given, target="sales", features=FEATURES, epochs=3, loss=loss) for _ in range(2))
    assert one == other
    assert ("closed_form" in one["weights.json"]["scaled"]) == (loss == "squared")
    assert one["fit.png"].startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "cubic"}, "squared or absolute"),
        ({"features": ["colour"]}, "no column colour"),
        ({"features": ["sales"]}, "sales is not scaled"),
        ({"learning_rate": 1e6}, "make learning_rate smaller"),
    ],
)
def test_what_cannot_be_learnt_says_why(given: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learn(**given, **({"target": "sales", "features": ["price"]} | options))


def test_gaps_are_not_learnt_from(given: dict[str, Any]) -> None:
    given["train"] = given["train"].assign(price=np.nan)
    with pytest.raises(ValueError, match="missing values"):
        learn(**given, target="sales", features=["price"])
