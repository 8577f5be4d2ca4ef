"""What `train` learns is what scikit-learn learns, and what the file answers is what it answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from stages.estimators import estimator
from stages.predict import predict
from stages.train import answers, fitted, frame, train

FEATURES = {"number": ["age", "income"], "category": ["city", "rating", "owner"]}


def made(rows: int = 200, seed: int = 3) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    data = pd.DataFrame(
        {
            "age": random.uniform(18, 80, rows).astype(np.float32).astype(float),
            "income": random.normal(40, 9, rows).astype(np.float32).astype(float),
            "city": random.choice(["Oslo", "Rome", "Bern"], rows),
            "rating": random.integers(1, 5, rows),
            "owner": random.random(rows) > 0.5,
        }
    )
    data["price"] = (
        3 * data["income"] - data["age"] + 20 * (data["city"] == "Rome") + random.normal(0, 4, rows)
    )
    data["late"] = data["price"] > 80
    data["word"] = np.where(data["late"], "yes", "no")
    data["level"] = pd.cut(data["price"], 3, labels=False)
    return data


def answered(data: pd.DataFrame, out: dict[str, Any], tmp_path: Path) -> pa.Table:
    (tmp_path / "model.onnx").write_bytes(out["model.onnx"])
    return predict(tmp_path / "model.onnx", pa.Table.from_pandas(data, preserve_index=False))


@pytest.mark.parametrize("scale", ["minmax", "standard", None])
@pytest.mark.parametrize(
    ("target", "name", "options"),
    [
        ("price", "LinearRegression", {}),
        ("price", "DecisionTreeRegressor", {"max_depth": 3}),
        ("late", "LogisticRegression", {"max_iter": 5000}),
        ("word", "RandomForestClassifier", {"n_estimators": 7}),
        ("level", "MLPClassifier", {"hidden_layer_sizes": [5], "solver": "lbfgs", "max_iter": 30}),
    ],
)
@pytest.mark.filterwarnings(
    "ignore:lbfgs failed to converge", "ignore::sklearn.exceptions.ConvergenceWarning"
)
def test_the_file_answers_as_the_estimator(
    tmp_path: Path, target: str, name: str, options: dict[str, Any], scale: str | None
) -> None:
    data, fresh = made(), made(80, seed=4)
    out = train(data, target=target, features=FEATURES, estimator=name, options=options, scale=scale)
    found = answered(fresh, out, tmp_path)
    model, inputs = fitted(data, target, FEATURES, estimator(name, options, seed=7), scale)
    assert inputs == {
        "age": "float",
        "income": "float",
        "city": "string",
        "rating": "int64",
        "owner": "string",
    }
    if target == "price":
        expected = model.predict(frame(fresh, inputs))
        np.testing.assert_allclose(found["prediction"].to_numpy(), expected, rtol=1e-4, atol=1e-3)
        return
    probability = model.predict_proba(frame(fresh, inputs))
    for place, each in enumerate(out["model.json"]["classes"]):
        np.testing.assert_allclose(found[f"probability_{each}"].to_numpy(), probability[:, place], atol=2e-4)
    sure = np.sort(probability)[:, -1] > 0.51
    assert (np.array(found["label"].to_pylist()) == model.predict(frame(fresh, inputs)))[sure].all()


def test_it_learns_what_one_writes_by_hand(tmp_path: Path) -> None:
    data = made()
    out = train(
        data,
        target="price",
        features={"number": ["age", "income"]},
        estimator="Ridge",
        options={"alpha": 2.0},
    )
    x = StandardScaler().fit_transform(data[["age", "income"]])
    expected = Ridge(alpha=2.0).fit(x, data["price"]).predict(x)
    np.testing.assert_allclose(answered(data, out, tmp_path)["prediction"].to_numpy(), expected, atol=1e-3)


def test_a_search_says_what_to_learn_with_and_more_rows_are_learnt_from(tmp_path: Path) -> None:
    file = tmp_path / "chosen.json"
    file.write_text('{"estimator": "DecisionTreeRegressor", "max_depth": 3}')
    features = {"number": ["age", "income"]}
    data = made()
    given: dict[str, Any] = {"target": "price", "features": features}
    two = train(data[:120], file, data[120:], **given, estimator="Ridge", options={"max_depth": 1})
    one = train(data, **given, estimator="DecisionTreeRegressor", options={"max_depth": 3})
    assert two == one
    assert one["model.json"]["rows"] == 200
    assert one["model.json"]["estimator"] == "DecisionTreeRegressor"
    assert train(data[:120], file, **given)["model.onnx"] != one["model.onnx"]


def test_gaps_count_as_the_training_mean_and_new_words_as_none(tmp_path: Path) -> None:
    data = made()
    out = train(data, target="late", features={"number": ["income"], "category": ["city"]})
    known = pd.DataFrame({"income": [data["income"].mean()], "city": ["Oslo"]})
    gap = pd.DataFrame({"income": [np.nan], "city": ["Oslo"]})
    one, other = (answered(rows, out, tmp_path)["probability_1"][0].as_py() for rows in (known, gap))
    assert one == pytest.approx(other, abs=1e-5)
    strange, missing = (pd.DataFrame({"income": [50.0], "city": [city]}) for city in ("Wien", None))
    one, other = (answered(rows, out, tmp_path)["probability_1"][0].as_py() for rows in (strange, missing))
    assert one == other


def test_the_file_says_what_its_classes_are() -> None:
    out = train(made(), target="word", features={"number": ["age"]})
    metadata = {each.key: each.value for each in onnx.load_from_string(out["model.onnx"]).metadata_props}
    assert json.loads(metadata["classes"]) == ["no", "yes"] == out["model.json"]["classes"]


def test_the_bytes_are_equal_and_the_seed_matters() -> None:
    options = {"n_estimators": 3}
    one, same, other = (
        train(
            made(),
            target="late",
            features=FEATURES,
            estimator="RandomForestClassifier",
            options=options,
            seed=seed,
        )
        for seed in (1, 1, 2)
    )
    assert one == same
    assert one["model.onnx"] != other["model.onnx"]


def test_answers_are_numbers_or_texts() -> None:
    data = made(5)
    assert answers(data, "late", LogisticRegression()).dtype == np.int64
    assert answers(data, "word", LogisticRegression()).dtype == object
    assert answers(data, "level", Ridge()).dtype == np.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimator": "LogisticRegresion"}, "did you mean LogisticRegression"),
        ({"estimator": "os.system"}, "no estimator 'os.system'"),
        ({"options": {"c": 1}}, "LogisticRegression has no option 'c'"),
        ({"options": {"max_itr": 1}}, "did you mean max_iter"),
        ({"scale": "robust"}, "minmax, standard or null"),
        ({"features": {"number": ["ages"]}}, "no column ages; there are age"),
        ({"features": {"numbers": ["age"]}}, "only number and category are known"),
        ({"features": {}}, "names no column"),
        ({"target": "answer"}, "no column answer to learn"),
        ({"target": "gap"}, "gap is missing in 200 of 200 rows"),
    ],
)
def test_what_cannot_be_trained_says_why(options: dict[str, Any], message: str) -> None:
    data = made().assign(gap=None)
    with pytest.raises(ValueError, match=message):
        train(data, **({"target": "late", "features": {"number": ["age"]}} | options))


def test_predict_says_what_it_needs(tmp_path: Path) -> None:
    out = train(made(), target="late", features=FEATURES)
    for rows, message in (
        (made().drop(columns="age"), "the model needs age; the rows have income"),
        (made().assign(rating=None), "column rating has 200 gaps"),
        (made().assign(age="old"), "column age cannot be read as"),
    ):
        with pytest.raises(ValueError, match=message):
            answered(rows, out, tmp_path)


def test_predict_keeps_what_it_is_told_to_and_takes_no_rows(tmp_path: Path) -> None:
    out = train(made(), target="late", features=FEATURES)
    (tmp_path / "model.onnx").write_bytes(out["model.onnx"])
    rows = pa.Table.from_pandas(made(), preserve_index=False)
    assert predict(tmp_path / "model.onnx", rows, keep=["city"]).column_names[:2] == ["city", "label"]
    assert predict(tmp_path / "model.onnx", rows.slice(0, 0)).num_rows == 0
