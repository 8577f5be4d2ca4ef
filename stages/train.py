"""A table to a model: any estimator of scikit-learn, with the preparation of the columns inside.

    numbers      missing -> the training mean     scaled with the training side's statistics
    categories   one 0/1 column for each value that training saw; other values are all zeros

    model.onnx   takes the columns as they are in the data, in their own units, one input a column
    model.json   {"estimator": "LogisticRegression", "rows": 1234, "columns": {"income": "float", …}, …}

The whole table is in memory; `stages/flights/train.py` learns from more rows than fit there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from sklearn.base import BaseEstimator, is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from stages.estimators import estimator as by_name
from stages.onnx_export import onnx_bytes

SCALERS: dict[str | None, type[BaseEstimator] | None] = {
    "minmax": MinMaxScaler,
    "standard": StandardScaler,
    None: None,
}
KINDS = ("number", "category")


def train(
    train: pd.DataFrame,
    chosen: Path | None = None,
    also: pd.DataFrame | None = None,
    *,
    target: str,
    features: Mapping[str, Sequence[str]],
    estimator: str = "LogisticRegression",
    options: Mapping[str, Any] | None = None,
    scale: str | None = "standard",
    seed: int = 7,
) -> dict[str, Any]:
    """`model.onnx` and `model.json`, learnt from all rows of `train`. Raises ValueError.

    `features` is {number: [columns], category: [columns]}; `options` go to the estimator. What
    `chosen`, the file of a search (`stages/tune.py`), names replaces both; `also` are more rows to
    learn from, such as validation once it has had its say. Equal data, parameters, versions and
    processor give equal bytes.
    """
    best = json.loads(chosen.read_text()) if chosen else {}
    estimator, options = best.pop("estimator", estimator), {**(options or {}), **best}
    rows = train if also is None else pd.concat([train, also], ignore_index=True)
    model, inputs = fitted(rows, target, features, by_name(estimator, options, seed=seed), scale)
    classes = [_plain(each) for each in model.classes_] if is_classifier(model) else None
    about = {"estimator": estimator, "target": target, "rows": len(rows), "columns": inputs}
    about |= {} if classes is None else {"classes": classes}
    return {"model.onnx": onnx_bytes(model, f"{target}_model", inputs, classes=classes), "model.json": about}


def fitted(
    rows: pd.DataFrame,
    target: str,
    features: Mapping[str, Sequence[str]],
    model: BaseEstimator,
    scale: str | None = "standard",
) -> tuple[Pipeline, dict[str, str]]:
    """The columns' preparation with `model` behind it, fitted; and the type of each column, for ONNX."""
    inputs = input_types(rows, features)
    whole = Pipeline([("columns", prepared(features, scale)), ("model", model)])
    with threadpool_limits(limits=1):
        whole.fit(frame(rows, inputs), answers(rows, target, model))
    return whole, inputs


def prepared(features: Mapping[str, Sequence[str]], scale: str | None) -> ColumnTransformer:
    """Columns to numbers, not fitted yet. Raises ValueError."""
    if scale not in SCALERS:
        raise ValueError(f"scale is {scale!r}; minmax, standard or null is needed")
    numbers: list[tuple[str, Any]] = [("gaps", SimpleImputer(strategy="mean", keep_empty_features=True))]
    scaler = SCALERS[scale]
    if scaler is not None:
        numbers.append(("scale", scaler()))
    parts = [
        ("number", Pipeline(numbers), list(features.get("number", ()))),
        ("category", OneHotEncoder(handle_unknown="ignore"), list(features.get("category", ()))),
    ]
    return ColumnTransformer([part for part in parts if part[2]], sparse_threshold=0.0)


def input_types(rows: pd.DataFrame, features: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """What ONNX calls the type of each feature: numbers are float, categories int64 or string."""
    unknown = sorted(set(features) - set(KINDS))
    if unknown:
        raise ValueError(f"features has {', '.join(unknown)}; only number and category are known")
    names = [name for kind in KINDS for name in features.get(kind, ())]
    if not names:
        raise ValueError("features names no column; write features: {number: [age], category: [city]}")
    missing = [name for name in names if name not in rows.columns]
    if missing:
        raise ValueError(f"there is no column {', '.join(missing)}; there are {', '.join(rows.columns)}")
    whole = {name: pd.api.types.is_integer_dtype(rows[name]) for name in features.get("category", ())}
    found = dict.fromkeys(features.get("number", ()), "float")
    return found | {name: "int64" if integer else "string" for name, integer in whole.items()}


def frame(rows: pd.DataFrame, inputs: Mapping[str, str]) -> pd.DataFrame:
    """The columns that a model takes, with its types: gaps are NaN in numbers, "" in texts."""
    made: dict[str, Any] = {}
    for name, kind in inputs.items():
        column = rows[name]
        if kind == "float":
            made[name] = column.to_numpy(dtype=np.float64, na_value=np.nan)
        elif kind == "int64":
            made[name] = column.to_numpy(dtype=np.int64)
        else:
            made[name] = _texts(column)
    return pd.DataFrame(made, columns=list(inputs))


def _texts(column: pd.Series[Any]) -> npt.NDArray[Any]:
    """As Arrow writes them, since that is how they arrive in `predict`: true, not True."""
    values = pa.Array.from_pandas(column).cast(pa.string())
    return np.array(pc.fill_null(values, "").to_pylist(), dtype=object)


def answers(rows: pd.DataFrame, target: str, model: BaseEstimator) -> npt.NDArray[Any]:
    """The target: floats for a regressor; whole numbers (also for true and false) or texts for a classifier."""
    if target not in rows.columns:
        raise ValueError(f"there is no column {target} to learn; there are {', '.join(rows.columns)}")
    column = rows[target]
    if rows.empty or column.isna().any():
        raise ValueError(
            f"{target} is missing in {int(column.isna().sum())} of {len(rows)} rows; a target is needed in all"
        )
    if not is_classifier(model):
        return column.to_numpy(dtype=np.float64)
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_integer_dtype(column):
        return column.to_numpy(dtype=np.int64)
    return column.astype(str).to_numpy(dtype=object)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
