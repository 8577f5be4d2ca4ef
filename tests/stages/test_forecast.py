from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from stages.forecast import against_baseline, errors
from stages.train import train

NAMES: dict[str, Any] = {"target": "bikers", "baseline": "bikers_168h", "time": "time"}


@pytest.fixture
def rows() -> pd.DataFrame:
    """Three weeks of hours: a daily wave, noise, the value of the week before."""
    random, hours = np.random.default_rng(1), np.arange(24 * 28)
    bikers = 100 + 80 * np.sin(hours / 24 * 2 * np.pi) + random.normal(0, 10, len(hours)) + hours / 10
    times = pd.Timestamp("2011-03-01") + pd.to_timedelta(hours, unit="h")
    frame = pd.DataFrame({"time": times, "hour": hours % 24, "bikers": bikers})
    frame["bikers_168h"] = frame["bikers"].shift(168)
    return frame.dropna(ignore_index=True)


def test_model_and_baseline_are_measured_on_the_same_rows(rows: pd.DataFrame, tmp_path: Path) -> None:
    known, later = rows[:300], rows[300:]
    features = {"number": ["bikers_168h", "hour"]}
    made = train(known, target="bikers", features=features, estimator="Ridge", scale=None)
    model = tmp_path / "model.onnx"
    model.write_bytes(made["model.onnx"])
    found = against_baseline(pa.Table.from_pandas(later), model, **NAMES)["metrics.json"]
    columns = ["bikers_168h", "hour"]
    predicted = Ridge().fit(known[columns], known["bikers"]).predict(later[columns])
    for name, values in (("model", predicted), ("baseline", later["bikers_168h"])):
        assert found[name] == pytest.approx(
            {
                "mae": mean_absolute_error(later["bikers"], values),
                "rmse": root_mean_squared_error(later["bikers"], values),
                "r2": r2_score(later["bikers"], values),
            },
            rel=1e-5,
        )
    saved = 1 - found["model"]["mae"] / found["baseline"]["mae"]
    assert found["mae_saved"] == pytest.approx(saved, abs=1e-6)
    assert found["rows"] == len(later)


def test_the_order_of_the_rows_does_not_matter(rows: pd.DataFrame, tmp_path: Path) -> None:
    features = {"number": ["bikers_168h"]}
    model = tmp_path / "model.onnx"
    model.write_bytes(train(rows, target="bikers", features=features, estimator="Ridge")["model.onnx"])
    sorted_, mixed = (
        against_baseline(pa.Table.from_pandas(each), model, **NAMES)
        for each in (rows, rows.sample(frac=1, random_state=0))
    )
    assert sorted_ == mixed
    assert all(sorted_[name].startswith(b"\x89PNG") for name in ("forecast.png", "by_hour.png"))


def test_a_perfect_forecast_and_a_constant_one() -> None:
    answers = np.array([1.0, 2.0, 6.0])
    assert errors(answers, answers) == {"mae": 0.0, "rmse": 0.0, "r2": 1.0}
    assert errors(np.full(3, 3.0), answers)["r2"] == 0.0
