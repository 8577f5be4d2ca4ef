"""A linear model of "arrives late", learnt file by file, as one ONNX file.

    pass 1              means and deviations of the numbers, the values of the categories
    pass 2 … 1+epochs   gradient steps on chunks of about `chunk_rows` rows

Only one chunk is in memory at a time, however many files there are. Files are sorted, then
shuffled with the seed in each epoch, so that December is not always the last thing learnt. A file
without rows takes no part, also not in the shuffling: it leaves the model as it was.

The model file takes the columns as they are in the data. Filling gaps with the training mean,
scaling, and turning categories into indicators all happen inside it: what is served is exactly
what was trained.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from stages.files import parquet_files, tables
from stages.onnx_export import onnx_bytes

NUMBERS = ("minute", "distance", "temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
CODES = ("month", "weekday", "hour")
WORDS = ("carrier", "origin", "dest")
# All of it is known before the scheduled departure.
FEATURES = (*NUMBERS, *CODES, *WORDS)

# What the model file takes.
INPUTS = dict.fromkeys(NUMBERS, "float") | dict.fromkeys(CODES, "int64") | dict.fromkeys(WORDS, "string")

LABEL = "late"

# What `estimator` may name: each learns by `partial_fit`, gives probabilities, and exports to ONNX.
ESTIMATORS: dict[str, tuple[type[ClassifierMixin], dict[str, Any]]] = {
    "SGDClassifier": (
        SGDClassifier,
        {"loss": "log_loss", "learning_rate": "constant", "eta0": 0.01, "average": True},
    ),
    "MLPClassifier": (MLPClassifier, {"hidden_layer_sizes": (32,)}),
}


def train(
    train: Path,
    *,
    estimator: str = "SGDClassifier",
    epochs: int = 5,
    seed: int = 7,
    alpha: float = 0.0001,
    chunk_rows: int = 16384,
) -> dict[str, bytes]:
    """`model.onnx`, learnt from every Parquet file below `train`. Raises ValueError.

    `alpha` is the strength of the L2 penalty. Equal data, parameters, versions and processor give
    equal bytes, whatever the number of threads.
    """
    with threadpool_limits(limits=1):
        model = fitted(parquet_files(train), estimator, epochs, seed, alpha, chunk_rows)
    return {"model.onnx": onnx_bytes(model, "flights_late", INPUTS)}


def fitted(
    files: list[Path], estimator: str, epochs: int, seed: int, alpha: float, chunk_rows: int
) -> Pipeline:
    """The transformation of the columns and the model behind it, as scikit-learn has them."""
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator is {estimator!r}; one of {', '.join(ESTIMATORS)} is needed")
    kind, options = ESTIMATORS[estimator]
    model = kind(alpha=alpha, random_state=seed, **options)
    columns = prepared(files, chunk_rows)
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(files))
        for rows in tables([files[place] for place in order], [*FEATURES, LABEL], chunk_rows):
            model.partial_fit(columns.transform(frame(rows)), answers(rows), classes=[0, 1])
    return Pipeline([("columns", columns), ("model", model)])


def prepared(files: list[Path], chunk_rows: int) -> ColumnTransformer:
    """Pass 1: the transformation of the columns, its statistics taken from these files alone.

    Gaps survive scaling and become 0 after it, which is the mean of what was there.
    """
    scaler = StandardScaler()
    seen: dict[str, set[Any]] = {name: set() for name in (*CODES, *WORDS)}
    sample = pd.DataFrame()
    for rows in tables(files, FEATURES, chunk_rows):
        sample = frame(rows)
        scaler.partial_fit(sample[list(NUMBERS)])
        for name, values in seen.items():
            values.update(rows[name].unique().to_pylist())
    if sample.empty:
        raise ValueError("there is no row to train on: every file is empty, or there is none")
    gaps = SimpleImputer(strategy="constant", fill_value=0.0)
    gaps.fit(scaler.transform(sample[list(NUMBERS)]))
    fitted = {
        "numbers": (Pipeline([("scale", scaler), ("gaps", gaps)]), NUMBERS),
        "codes": (_indicators(CODES, seen, np.dtype(np.int64)).fit(sample[list(CODES)]), CODES),
        "words": (_indicators(WORDS, seen, np.dtype(object)).fit(sample[list(WORDS)]), WORDS),
    }
    return _side_by_side(fitted, sample)


def _indicators(names: tuple[str, ...], seen: dict[str, set[Any]], kind: np.dtype[Any]) -> OneHotEncoder:
    """One 0/1 column a value; a value that training never saw is all zeros."""
    values = [np.array(sorted(seen[name]), kind) for name in names]
    return OneHotEncoder(categories=values, handle_unknown="ignore")


def _side_by_side(fitted: dict[str, tuple[Any, tuple[str, ...]]], sample: pd.DataFrame) -> ColumnTransformer:
    """The parts as one transformer, without fitting them again to one chunk.

    A ColumnTransformer has no other way in than `fit`, which the parts sit through frozen.
    """
    parts = [(name, FrozenEstimator(part), list(columns)) for name, (part, columns) in fitted.items()]
    whole = ColumnTransformer(parts, sparse_threshold=1.0).fit(sample)
    whole.transformers_ = [
        (name, getattr(part, "estimator", part), columns) for name, part, columns in whole.transformers_
    ]
    return whole


def frame(rows: pa.Table) -> pd.DataFrame:
    """The features of `rows` with the types that the model file declares; gaps are NaN."""
    numbers = {name: rows[name].to_numpy().astype(np.float64) for name in NUMBERS}
    codes = {name: rows[name].to_numpy().astype(np.int64) for name in CODES}
    words = {name: pd.Series(rows[name].to_numpy(), dtype=object) for name in WORDS}
    return pd.DataFrame(numbers | codes | words)


def answers(rows: pa.Table) -> npt.NDArray[np.int64]:
    """1 for late, 0 for not."""
    labels: npt.NDArray[np.int64] = rows[LABEL].to_numpy().astype(np.int64)
    return labels
