from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, mean_absolute_error
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.neural import Network
from stages.split import split
from stages.tune import draw, grid, select, trial
from tests.stages.learning import LENGTHS, SPECIES, iris

FEATURES = {"number": LENGTHS}
TRAIN, VALIDATION = iris()[:100].reset_index(drop=True), iris()[100:].reset_index(drop=True)
File = Callable[..., Path]


@pytest.fixture
def file(tmp_path: Path) -> File:
    def written(name: str, **values: Any) -> Path:
        path = tmp_path / f"{name}.json"
        path.write_text(json.dumps(values))
        return path

    return written


# ---------------------------------------------------------------- the grid


def test_a_grid_is_a_file_for_each_combination() -> None:
    assert grid(hidden=[[1], [16, 8]], l2=[0.0, 1e-05]) == {
        "hidden_1-l2_0.0.json": {"hidden": [1], "l2": 0.0},
        "hidden_1-l2_1e-05.json": {"hidden": [1], "l2": 1e-05},
        "hidden_16x8-l2_0.0.json": {"hidden": [16, 8], "l2": 0.0},
        "hidden_16x8-l2_1e-05.json": {"hidden": [16, 8], "l2": 1e-05},
    }


def test_what_is_no_list_is_the_same_in_every_file() -> None:
    assert grid(k=[2, 3], epochs=50) == {
        "k_2.json": {"k": 2, "epochs": 50},
        "k_3.json": {"k": 3, "epochs": 50},
    }


def test_a_grid_that_grows_keeps_its_files() -> None:
    before, after = grid(a=[1, 2], b=["x"]), grid(a=[0, 2, 1, 3], b=["y", "x"])
    assert before.items() <= after.items()
    assert len(after) == 8


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"l2": 0.1}, "the grid has no values to try; write a list like"),
        ({"l2": [], "k": [1]}, "l2 has no values to try"),
        ({"l2": [0.1, 0.1]}, "the grid has a value twice"),
        ({"path": ["a/b"]}, "'a/b' cannot be part of a file's name"),
        ({"hidden": [[]]}, r"[] cannot be part of a file's name"),
    ],
)
def test_what_is_no_grid_is_told(points: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("[", r"\[").replace("]", r"\]")):
        grid(**points)


# ---------------------------------------------------------------- a trial


def test_a_trial_of_a_classifier_scores_as_scikit_learn_does(file: File) -> None:
    row = one(
        trial(
            file("C_0.5", C=0.5), TRAIN, VALIDATION,
            features=FEATURES, target="species", estimator="LogisticRegression", folds=4, seed=3,
        )
    )  # fmt: skip
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.5))
    x, y = TRAIN[LENGTHS].to_numpy(), TRAIN["species"].to_numpy(dtype=object)
    folds = StratifiedKFold(4, shuffle=True, random_state=3)
    losses = -cross_val_score(model, x, y, cv=folds, scoring="neg_log_loss")
    errors = 1 - cross_val_score(model, x, y, cv=folds)
    model.fit(x, y)
    expected = {
        "cv_log_loss": losses.mean(),
        "cv_log_loss_std": losses.std(),
        "cv_error": errors.mean(),
        "train_log_loss": log_loss(y, model.predict_proba(x)),
        "validation_log_loss": log_loss(
            VALIDATION["species"], model.predict_proba(VALIDATION[LENGTHS].to_numpy())
        ),
        "validation_error": 1 - model.score(VALIDATION[LENGTHS].to_numpy(), VALIDATION["species"]),
    }
    assert {name: row[name] for name in expected} == pytest.approx(expected, abs=2e-6)
    assert (row["trial"], row["parameters"]) == ("C_0.5", '{"C": 0.5}')


def test_a_trial_of_a_regression_scores_as_scikit_learn_does(file: File) -> None:
    data = load_diabetes(as_frame=True).frame
    train, validation = data[:300], data[300:]
    row = one(
        trial(
            file("alpha_2", alpha=2.0), train, validation,
            features={"number": ["age", "bmi", "bp"]}, target="target", estimator="Ridge", scale=None, folds=3,
        )
    )  # fmt: skip
    columns = ["age", "bmi", "bp"]
    folds = KFold(3, shuffle=True, random_state=7)
    found = -cross_val_score(
        Ridge(2.0), train[columns], train["target"], cv=folds, scoring="neg_root_mean_squared_error"
    )
    assert row["cv_rmse"] == pytest.approx(found.mean(), abs=2e-6)
    predicted = Ridge(2.0).fit(train[columns], train["target"]).predict(validation[columns])
    assert row["validation_mae"] == pytest.approx(
        mean_absolute_error(validation["target"], predicted), abs=2e-6
    )


def test_a_trial_may_say_which_estimator_it_is_of(file: File) -> None:
    given: dict[str, Any] = {"features": FEATURES, "target": "petal_width", "scale": None, "folds": 0}
    named = file("tree", estimator="DecisionTreeRegressor", max_depth=2)
    row = one(trial(named, TRAIN, VALIDATION, **given, estimator="Ridge"))
    plain = one(
        trial(file("tree", max_depth=2), TRAIN, VALIDATION, **given, estimator="DecisionTreeRegressor")
    )
    assert row["parameters"] == '{"estimator": "DecisionTreeRegressor", "max_depth": 2}'
    assert row | {"parameters": ""} == plain | {"parameters": ""}
    with pytest.raises(ValueError, match="no estimator is named: name one in the"):
        trial(file("none", max_depth=2), TRAIN, VALIDATION, **given)


def test_a_trial_of_a_network_learns_one_hot_columns(file: File) -> None:
    row = one(
        trial(
            file("hidden_3", hidden=[3]), TRAIN, VALIDATION,
            features=FEATURES, target=SPECIES, estimator="Network", options={"epochs": 40}, folds=0, seed=2,
        )
    )  # fmt: skip
    network = Network([3], epochs=40, seed=2).fit(TRAIN[LENGTHS], TRAIN[SPECIES])
    answers = VALIDATION[SPECIES].to_numpy().argmax(axis=1)
    chances = network.predict_proba(VALIDATION[LENGTHS])
    assert row["validation_log_loss"] == pytest.approx(log_loss(answers, chances), abs=2e-6)
    assert row["validation_error"] == pytest.approx((chances.argmax(axis=1) != answers).mean(), abs=2e-6)
    assert row["train_log_loss"] == pytest.approx(
        log_loss(TRAIN[SPECIES].to_numpy().argmax(axis=1), network.predict_proba(TRAIN[LENGTHS])), abs=2e-6
    )
    assert not [name for name in row if name.startswith("cv")]


def test_cross_validation_does_not_see_the_validation_side(file: File) -> None:
    rows = [
        one(
            trial(
                file("l2_0.1", l2=0.1), TRAIN, side,
                features=FEATURES, target=SPECIES, estimator="Network", options={"epochs": 10},
            )
        )
        for side in (VALIDATION, VALIDATION[:5])
    ]  # fmt: skip
    seen, less = ({name: row[name] for name in row if not name.startswith("validation")} for row in rows)
    assert seen == less
    assert rows[0]["validation_log_loss"] != rows[1]["validation_log_loss"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "species"}, "Network learns one-hot columns, a list"),
        ({"estimator": "LogisticRegression"}, "one column is needed"),
        ({"features": {"category": ["species"]}}, "Network takes numbers; encode species first"),
    ],
)
def test_what_cannot_be_tried_is_told(file: File, changes: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {"features": FEATURES, "target": SPECIES, "estimator": "Network"} | changes
    with pytest.raises(ValueError, match=message):
        trial(file("empty"), TRAIN, VALIDATION, **given)


def test_a_row_of_a_class_that_was_not_learnt_is_not_taken_for_another(file: File) -> None:
    given: dict[str, Any] = {"features": FEATURES, "folds": 0}
    two, asked = TRAIN[TRAIN["species"] != "virginica"], VALIDATION
    many = int((asked["species"] == "virginica").sum())
    assert many > 0
    with pytest.raises(ValueError, match=f"{many} of {len(asked)} rows are of no class that was learnt"):
        trial(file("none"), two, asked, **given, target="species", estimator="LogisticRegression")
    gap = VALIDATION.assign(**dict.fromkeys(SPECIES, 0.0))
    with pytest.raises(ValueError, match="rows are of no class"):
        trial(file("none"), TRAIN, gap, **given, target=SPECIES, estimator="Network")


# ---------------------------------------------------------------- the choice


def trials(**scores: float) -> pd.DataFrame:
    rows = [
        {"trial": name, "parameters": json.dumps({"k": name}), "score": score}
        for name, score in scores.items()
    ]
    return pd.DataFrame(rows)


def test_the_best_trial_is_chosen_and_all_are_ranked() -> None:
    found = select(trials(a=0.3, b=0.1, c=0.2), by="score")
    assert found["chosen.json"] == {"k": "b"}
    assert [row["trial"] for row in found["trials.json"]] == ["b", "c", "a"]
    assert found["metrics.json"] == {"trials": 3, "best": {"score": 0.1}}
    assert select(trials(a=0.3, b=0.1, c=0.2), by="score", goal="highest")["chosen.json"] == {"k": "a"}


@pytest.mark.parametrize("goal", ["lowest", "highest"])
def test_of_equal_trials_the_first_by_name_is_taken(goal: str) -> None:
    assert select(trials(c=0.1, a=0.1, b=0.1), by="score", goal=goal)["chosen.json"] == {"k": "a"}


def test_a_choice_that_cannot_be_made_is_told() -> None:
    with pytest.raises(ValueError, match="no column loss; they have trial, parameters, score"):
        select(trials(a=0.1), by="loss")
    with pytest.raises(ValueError, match="goal is 'best': lowest or highest is needed"):
        select(trials(a=0.1), by="score", goal="best")


# ---------------------------------------------------------------- a draw

SIDES: dict[str, Any] = {"method": "stratified", "columns": ["species"], "seed": 5}


def drawn(file: File, rows: pa.Table, seed: int) -> dict[str, Any]:
    draws = file(f"validation_seed_{seed}", validation_seed=seed)
    return one(
        draw(
            draws, rows, file("chosen", l2=0.01),
            sides=SIDES, features=FEATURES, target=SPECIES, estimator="Network", options={"epochs": 30},
        )
    )  # fmt: skip


def test_a_draw_is_what_the_split_with_that_seed_gives(file: File) -> None:
    rows = pa.Table.from_pandas(iris())
    row = drawn(file, rows, 3)
    sides = split(rows, **SIDES, validation_seed=3)
    train, validation = (sides[name].to_pandas() for name in ("train", "validation"))
    chances = (
        Network(epochs=30, l2=0.01).fit(train[LENGTHS], train[SPECIES]).predict_proba(validation[LENGTHS])
    )
    answers = validation[SPECIES].to_numpy().argmax(axis=1)
    assert row["validation_log_loss"] == pytest.approx(log_loss(answers, chances), abs=2e-6)
    assert (row["draw"], row["validation_seed"], row["rows"]) == ("validation_seed_3", 3, len(validation))
    assert row["validation_log_loss"] != drawn(file, rows, 4)["validation_log_loss"]


def test_a_draw_never_looks_at_the_holdout(file: File) -> None:
    rows = iris()
    held = split(pa.Table.from_pandas(rows.assign(place=np.arange(150))), **SIDES)["holdout"][
        "place"
    ].to_numpy()
    spoilt = rows.copy()
    spoilt.loc[held, LENGTHS] = 1e6
    spoilt.loc[held, SPECIES] = 0.0
    assert drawn(file, pa.Table.from_pandas(spoilt), 3) == drawn(file, pa.Table.from_pandas(rows), 3)


def one(table: pa.Table) -> dict[str, Any]:
    (row,) = table.to_pylist()
    return dict(row)
