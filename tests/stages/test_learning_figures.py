"""What iris, forecast and segments report on the real data, against pandas and scikit-learn used by hand.

The stages run here as the pipeline files declare them. Flowers and wines come with scikit-learn; the
rentals are what `python -m demo course` writes.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from sklearn import metrics
from sklearn.cluster import KMeans
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.stages.learning import LENGTHS, SPECIES, iris, wine

ROOT = Path(__file__).resolve().parents[2]


class Pipeline:
    """The stages of a pipeline file, called by hand with the parameters that it declares."""

    def __init__(self, name: str, scratch: Path) -> None:
        text = (ROOT / "pipelines" / f"{name}.yaml").read_text(encoding="utf-8")
        self.declared, self.scratch = yaml.safe_load(text)["stages"], scratch

    def run(self, stage: str, *inputs: Any, **named: Any) -> Any:
        module, _, function = self.declared[stage]["run"].partition(":")
        given = self.declared[stage].get("params", {})
        return getattr(import_module(module), function)(*inputs, **named, **given)

    def written(self, name: str, content: Any) -> Path:
        path = self.scratch / name
        path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
        return path


def test_what_iris_reports_of_both_networks(tmp_path: Path) -> None:
    """The figures in data/iris, on the flowers as they were dealt out, with what was chosen."""
    chosen, raw = ROOT / "data/iris/select/chosen.json", ROOT / "data/iris_raw/iris.csv"
    if not chosen.exists() or not raw.exists():
        pytest.skip("data/iris is not there: python -m demo course makes it")
    reported = json.loads((ROOT / "data/iris/holdout/metrics.json").read_text())
    pipeline = Pipeline("iris", tmp_path)
    sides = pipeline.run("split", pipeline.run("encode", pipeline.run("ingest", raw))["rows"])
    train, holdout = sides["train"].to_pandas(), sides["holdout"].to_pandas()
    assert train[SPECIES].sum().tolist() == [30, 30, 30]
    assert holdout[SPECIES].sum().tolist() == [10, 10, 10]

    best = json.loads(chosen.read_text())
    mlp = MLPClassifier(
        best["hidden"], activation="tanh", solver="sgd", alpha=best["l2"] * 90, batch_size=90, random_state=7,
        learning_rate_init=best["learning_rate"], momentum=best["momentum"], nesterovs_momentum=False,
        max_iter=best["epochs"], n_iter_no_change=best["epochs"],
    )  # fmt: skip
    by_hand = make_pipeline(StandardScaler(), mlp)
    with pytest.warns(ConvergenceWarning):  # it stops after the epochs that it is given
        by_hand.fit(train[LENGTHS].to_numpy(), train[SPECIES].to_numpy().argmax(axis=1))
    session = onnxruntime.InferenceSession(ROOT / "data/iris/network/model.onnx")
    feed = {name: holdout[[name]].to_numpy(np.float32) for name in LENGTHS}
    answers = holdout[SPECIES].to_numpy().argmax(axis=1)
    for name, chances in (
        ("mlp", by_hand.predict_proba(holdout[LENGTHS].to_numpy())),
        ("network", session.run(["probability"], feed)[0]),
    ):
        found, called = reported[name], chances.argmax(axis=1)
        assert found["log_loss"] == pytest.approx(metrics.log_loss(answers, chances), abs=1e-4)
        assert found["accuracy"] == pytest.approx(metrics.accuracy_score(answers, called), abs=1e-6)
        assert found["f1"] == pytest.approx(metrics.f1_score(answers, called, average="macro"), abs=1e-6)
        assert found["wrong"] == (called != answers).sum()
    # One road down the same slope, from two places to begin.
    assert reported["network"]["log_loss"] == pytest.approx(reported["mlp"]["log_loss"], abs=0.02)


def test_more_neurons_learn_by_heart_and_a_penalty_holds_them(tmp_path: Path) -> None:
    """The two ends of both panels of overfitting.png."""
    pipeline = Pipeline("iris", tmp_path)
    sides = pipeline.run("split", pipeline.run("encode", pa.Table.from_pandas(iris()))["rows"])
    train, validation = sides["train"].to_pandas(), sides["validation"].to_pandas()
    grid, rows = pipeline.run("grid"), {}
    for name in ("hidden_1-l2_0.0", "hidden_32-l2_0.0", "hidden_32-l2_0.01"):
        file = pipeline.written(f"{name}.json", grid[f"{name}.json"])
        (rows[name],) = pipeline.run("trial", file, train, validation).to_pylist()
    small, large, held = rows.values()
    gap = {name: row["cv_log_loss"] - row["train_log_loss"] for name, row in rows.items()}
    assert large["train_log_loss"] < small["train_log_loss"]
    assert gap["hidden_32-l2_0.0"] > 2 * gap["hidden_1-l2_0.0"]
    assert held["cv_log_loss"] < large["cv_log_loss"]
    assert gap["hidden_32-l2_0.01"] < gap["hidden_32-l2_0.0"]


def test_the_forecast_and_last_weeks_value(tmp_path: Path) -> None:
    raw = ROOT / "data/bikeshare_raw/bikeshare.csv"
    if not raw.exists():
        pytest.skip(f"{raw.relative_to(ROOT)} is not there: python -m demo course fetches it")
    pipeline = Pipeline("forecast", tmp_path)
    timed = pipeline.run("timed", pipeline.run("ingest", raw).to_pandas())
    lagged = pipeline.run("lags", timed)
    sides = pipeline.run("split", pa.Table.from_pandas(lagged["rows"]))
    train, validation = sides["train"].to_pandas(), sides["validation"].to_pandas()
    trials = [
        pipeline.run("trial", pipeline.written(name, point), train, validation).to_pylist()[0]
        for name, point in pipeline.run("grid").items()
    ]
    chosen = pipeline.run("select", pd.DataFrame(trials))["chosen.json"]
    learnt = pipeline.run("train", train, pipeline.written("chosen.json", chosen), validation)
    model = pipeline.written("model.onnx", learnt["model.onnx"])
    found = pipeline.run("evaluate", sides["holdout"], model)["metrics.json"]

    rows = pd.read_csv(raw)
    rows.index = pd.to_datetime(
        "2011-" + rows["day"].astype(str) + "-" + rows["hr"].astype(str), format="%Y-%j-%H"
    )
    whole = rows.reindex(pd.date_range("2011-01-01", "2011-12-31 23:00", freq="h"))
    for column, back in (("bikers", 24), ("bikers", 48), ("bikers", 168), ("temp", 24), ("hum", 24)):
        whole[f"{column}_{back}h"] = whole[column].shift(back)
    whole = whole.dropna()
    assert len(whole) == lagged["counts.json"]["kept"]
    later = whole[-found["rows"] :]
    earlier = whole[: -found["rows"]]
    assert found["rows"] == round(0.2 * len(whole))
    kinds = {each.__name__: each for each in (GradientBoostingRegressor, RandomForestRegressor)}
    columns = pipeline.declared["train"]["params"]["features"]["number"]

    def by_hand(known: pd.DataFrame, asked: pd.DataFrame, estimator: str, **options: Any) -> Any:
        trees = kinds[estimator](**options, random_state=7)
        return trees.fit(known[columns].to_numpy(), known["bikers"]).predict(asked[columns].to_numpy())

    asked = earlier[-round(0.15 * len(whole)) :]
    points = [json.loads(row["parameters"]) for row in trials]
    for point, row in zip(points, trials, strict=True):
        if point["max_depth"] == 3:  # of either kind the quick one
            said = by_hand(earlier[: -len(asked)], asked, **point)
            error = metrics.mean_absolute_error(asked["bikers"], said)
            assert row["validation_mae"] == pytest.approx(error, rel=1e-5)
    assert chosen == points[int(np.argmin([row["validation_mae"] for row in trials]))]
    predicted = by_hand(earlier, later, **chosen)
    for name, values in (("model", predicted), ("baseline", later["bikers_168h"])):
        assert found[name]["mae"] == pytest.approx(
            metrics.mean_absolute_error(later["bikers"], values), rel=1e-3
        )
        assert found[name]["rmse"] == pytest.approx(
            metrics.root_mean_squared_error(later["bikers"], values), rel=1e-3
        )
        assert found[name]["r2"] == pytest.approx(metrics.r2_score(later["bikers"], values), abs=1e-3)
    assert found["mae_saved"] > 0


def test_the_wines_fall_into_as_many_segments_as_the_silhouette_says(tmp_path: Path) -> None:
    pipeline = Pipeline("segments", tmp_path)
    rows = [
        pipeline.run("cluster", pipeline.written(name, point), wine()).to_pylist()[0]
        for name, point in pipeline.run("grid").items()
    ]
    scaled = StandardScaler().fit_transform(wine().drop(columns="cultivar"))
    seed, starts = (pipeline.declared["cluster"]["params"][name] for name in ("seed", "starts"))
    by_hand = {
        k: metrics.silhouette_score(scaled, KMeans(k, n_init=starts, random_state=seed).fit_predict(scaled))
        for k in range(2, 9)
    }
    assert {json.loads(row["parameters"])["k"]: row["silhouette"] for row in rows} == pytest.approx(
        by_hand, abs=1e-6
    )
    chosen = pipeline.run("select", pd.DataFrame(rows))["chosen.json"]
    assert chosen == {"k": max(by_hand, key=lambda k: by_hand[k])}
    model = pipeline.run("segments", wine(), pipeline.written("chosen.json", chosen))["model.onnx"]
    found = pipeline.run("describe", pa.Table.from_pandas(wine()), pipeline.written("model.onnx", model))
    labels = found["segments.parquet"]["segment"].to_numpy()
    assert found["metrics.json"]["silhouette"] == pytest.approx(by_hand[chosen["k"]], abs=1e-6)
    assert found["metrics.json"]["adjusted_rand"] == pytest.approx(
        metrics.adjusted_rand_score(wine()["cultivar"], labels), abs=1e-6
    )
    assert np.unique(labels).tolist() == list(range(chosen["k"]))
