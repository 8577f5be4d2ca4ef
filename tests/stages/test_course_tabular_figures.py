"""What carseats and credit report on the real data, against pandas and scikit-learn used by hand.

The stages run here as the pipeline files declare them. The data is what `python -m demo course` writes.
"""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml
from sklearn import metrics
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from stages.sigmoid import mirrored, probability

ROOT = Path(__file__).resolve().parents[2]
SIDES = ("train", "validation", "holdout")


class Pipeline:
    """The stages of a pipeline file, called by hand with the parameters that it declares."""

    def __init__(self, name: str, raw: str, scratch: Path) -> None:
        self.file = ROOT / "data" / f"{name}_raw" / raw
        if not self.file.exists():
            pytest.skip(f"{self.file.relative_to(ROOT)} is not there: python -m demo course fetches it")
        text = (ROOT / "pipelines" / f"{name}.yaml").read_text(encoding="utf-8")
        self.declared, self.scratch = yaml.safe_load(text)["stages"], scratch
        self.raw = pd.read_csv(self.file)
        self.cleaned = self.run("clean", self.run("ingest", self.file))
        self.split = self.run("split", self.cleaned["rows"])
        self.frames: dict[str, pd.DataFrame] = {side: self.split[side].to_pandas() for side in SIDES}

    def run(self, stage: str, *inputs: Any) -> Any:
        module, _, function = self.declared[stage]["run"].partition(":")
        return getattr(import_module(module), function)(*inputs, **self.declared[stage]["params"])

    def written(self, name: str, content: Any) -> Path:
        (self.scratch / name).write_bytes(
            content if isinstance(content, bytes) else json.dumps(content).encode()
        )
        return self.scratch / name

    def evaluated(self, stage: str, model: bytes) -> Any:
        return self.run(
            stage, self.written("model.onnx", model), self.split["validation"], self.split["holdout"]
        )


@pytest.fixture(scope="module")
def carseats(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline("carseats", "carseats.csv", tmp_path_factory.mktemp("carseats"))


@pytest.fixture(scope="module")
def credit(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return Pipeline("credit", "loanapp.csv", tmp_path_factory.mktemp("credit"))


@pytest.mark.parametrize("stage", ["one", "several"])
def test_the_line_of_car_seats_is_that_of_least_squares(carseats: Pipeline, stage: str) -> None:
    scaled = carseats.run("normalise", *(carseats.split[side] for side in SIDES))
    statistics = carseats.written("statistics.json", scaled["statistics.json"])
    out = carseats.run(stage, scaled["train"].to_pandas(), scaled["validation"].to_pandas(), statistics)
    apart = out["weights.json"]["largest_difference_from_numpy"]
    assert apart["SGDRegressor"] == 0.0
    assert apart["closed_form"] < 0.05
    features = carseats.declared[stage]["params"]["features"]
    line = LinearRegression().fit(carseats.frames["train"][features], carseats.frames["train"]["Sales"])
    in_units = out["weights.json"]["in_units"]["closed_form"]
    np.testing.assert_allclose([in_units[name] for name in features], line.coef_, atol=1e-6)
    assert in_units["constant"] == pytest.approx(line.intercept_, abs=1e-5)
    found = carseats.evaluated(f"evaluate_{stage}", out["model.onnx"])["metrics.json"]
    for side in ("validation", "holdout"):
        y, predicted = carseats.frames[side]["Sales"], line.predict(carseats.frames[side][features])
        assert found[side]["rmse"] == pytest.approx(metrics.root_mean_squared_error(y, predicted), rel=0.005)
        assert found[side]["mae"] == pytest.approx(metrics.mean_absolute_error(y, predicted), rel=0.01)
        assert found[side]["r2"] == pytest.approx(metrics.r2_score(y, predicted), abs=0.005)
    losses = out["loss.json"]
    assert losses[-1]["train"] == pytest.approx(
        np.mean((line.predict(carseats.frames["train"][features]) - carseats.frames["train"]["Sales"]) ** 2),
        rel=0.001,
    )
    assert losses[0]["train"] == pytest.approx(np.mean(carseats.frames["train"]["Sales"] ** 2), abs=1e-5)


def test_no_shop_is_lost_or_changed(carseats: Pipeline) -> None:
    raw = carseats.raw.assign(
        ShelveLoc=carseats.raw["ShelveLoc"].map({"Bad": 0.0, "Medium": 1.0, "Good": 2.0}),
        Urban=(carseats.raw["Urban"] == "Yes").astype(float),
        US=(carseats.raw["US"] == "Yes").astype(float),
    )
    rows = carseats.cleaned["rows"].to_pandas()
    pd.testing.assert_frame_equal(rows, raw[list(rows.columns)], check_dtype=False)
    assert sum(len(frame) for frame in carseats.frames.values()) == len(raw) == 400


def test_the_dirt_of_the_applications_is_counted_as_pandas_counts_it(credit: Pipeline) -> None:
    raw, counts = credit.raw, credit.cleaned["counts.json"]
    broken = {
        "marker": raw["term"] > 999_999,
        "range": (raw["atotinc"] < 1) | (raw["loanprc"] > 2),
    }
    left = raw[~broken["marker"] & ~broken["range"]]
    left = left.drop_duplicates(["loanamt", "price", "atotinc", "cototinc", "hexp"])
    assert {reason: int(rows.sum()) for reason, rows in broken.items()} == {
        r: counts["removed"][r] for r in broken
    }
    assert counts["kept"] == len(left) == len(raw) - sum(counts["removed"].values())
    assert counts["missing"]["liq"]["marker"] == int((raw["liq"] > 999_999).sum())
    assert counts["missing"]["lines"]["marker"] == int((raw["lines"] > 999_999).sum())
    rows = credit.cleaned["rows"].to_pandas()
    pd.testing.assert_series_equal(rows["obrat"], left["obrat"].reset_index(drop=True))
    assert rows["liq"].max() < 1_000_000
    shares = [frame["reject"].mean() for frame in credit.frames.values()]
    assert max(shares) - min(shares) < 0.002


def test_the_figures_of_credit_are_those_of_scikit_learn_by_hand(credit: Pipeline) -> None:
    params = credit.declared["train"]["params"]
    number, category = params["features"]["number"], params["features"]["category"]
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), number),
        (OneHotEncoder(handle_unknown="ignore"), category),
    )
    model = make_pipeline(columns, LogisticRegression(**params["options"]))
    model.fit(credit.frames["train"][number + category], credit.frames["train"]["reject"])
    out = credit.run("train", credit.frames["train"])
    found = credit.evaluated("evaluate", out["model.onnx"])["metrics.json"]
    scores = {side: model.predict_proba(credit.frames[side][number + category])[:, 1] for side in SIDES}
    came = {side: credit.frames[side]["reject"].to_numpy() for side in SIDES}

    def cost(side: str, threshold: float) -> int:
        called = scores[side] >= threshold
        return int((called & (came[side] == 0)).sum() + 5 * (~called & (came[side] == 1)).sum())

    threshold = found["threshold"]
    assert cost("validation", threshold) == min(cost("validation", at) for at in np.linspace(0, 1, 4001))
    for side in ("validation", "holdout"):
        y, score = came[side], scores[side]
        called = score >= threshold
        (tn, fp), (fn, tp) = metrics.confusion_matrix(y, called).tolist()
        assert [
            found[side][f"{k}s"]
            for k in ("true_negative", "false_positive", "false_negative", "true_positive")
        ] == [tn, fp, fn, tp]
        assert found[side]["cost"] == cost(side, threshold)
        assert found[side]["auc"] == pytest.approx(metrics.roc_auc_score(y, score), abs=1e-4)
        assert found[side]["f1"] == pytest.approx(metrics.f1_score(y, called), abs=1e-6)
        assert found[side]["log_loss"] == pytest.approx(metrics.log_loss(y, score), abs=1e-5)
        assert found[side]["specificity"] == pytest.approx(tn / (tn + fp), abs=1e-6)


def test_the_curve_of_obligations_turns_where_it_says(credit: Pipeline) -> None:
    """The inflection in percent of the income: by the slope's maximum, for the curve and its mirror image."""
    found = credit.run("sigmoid", credit.frames["train"])["sigmoid.json"]
    x = np.arange(0.0, 130.0, 0.001)
    for curve in (probability, mirrored):
        steepest = x[np.abs(np.gradient(curve(x, found["w"], found["b"]), x)).argmax()]
        assert steepest == pytest.approx(found["inflection"], abs=0.02)
        assert curve(np.array([found["inflection"]]), found["w"], found["b"])[0] == pytest.approx(
            0.5, abs=1e-4
        )
    model = LogisticRegression(C=np.inf, max_iter=10_000, tol=1e-9)
    model.fit(credit.frames["train"][["obrat"]], credit.frames["train"]["reject"])
    ours = -found["b"] / found["w"]
    assert ours == pytest.approx(-model.intercept_[0] / model.coef_[0, 0], rel=1e-3)


def test_the_report_of_both_splits_is_that_of_the_rows(carseats: Pipeline, credit: Pipeline) -> None:
    for pipeline in (carseats, credit):
        report = pipeline.split["report.json"]
        limit = pipeline.declared["split"]["params"]["max_statistic"]
        assert report["largest"]["statistic"] <= limit
        assert report["rows"] == {side: len(frame) for side, frame in pipeline.frames.items()} | {"unused": 0}
        assert (
            pa.concat_tables([pipeline.split[side] for side in SIDES]).num_rows
            == pipeline.cleaned["counts.json"]["kept"]
        )
