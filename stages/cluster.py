"""Groups of rows that are alike, without anybody having said which: k-means.

    cluster      one k, rows -> one row       silhouette and inertia of k segments; a trial, see stages/tune.py
    segments     rows, chosen k -> model.onnx the rows' columns -> label (the segment), distance (to each centre)

Every column is scaled to mean 0 and deviation 1 first, or the one with the largest numbers would
decide alone; the model file does that itself. The *silhouette* of a row is (b - a) / max(a, b): a is its
mean distance to the others of its segment, b that to the nearest other segment. Near 1 it lies
well, near 0 between two segments, below 0 in the wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.metrics import silhouette_samples
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from stages.onnx_export import onnx_bytes

DIGITS = 6


def cluster(
    trial: Path, rows: pd.DataFrame, *, without: Sequence[str] = (), starts: int = 10, seed: int = 7
) -> pa.Table:
    """One row: the mean silhouette and the inertia (squared distances to the centres) of the k in `trial`."""
    point = json.loads(trial.read_text())
    numbers = features(rows, without)
    with threadpool_limits(limits=1):
        model = fitted(numbers, **point, starts=starts, seed=seed)
        silhouettes = silhouette_samples(model[:-1].transform(numbers), model[-1].labels_)
    found = {"silhouette": silhouettes.mean(), "inertia": model[-1].inertia_}
    row = {"trial": trial.stem, "parameters": json.dumps(point)}
    return pa.Table.from_pylist([row | {name: round(float(value), DIGITS) for name, value in found.items()}])


def segments(
    rows: pd.DataFrame, chosen: Path, *, without: Sequence[str] = (), starts: int = 10, seed: int = 7
) -> dict[str, bytes]:
    """`model.onnx` with the chosen number of segments, numbered from the largest, 0, to the smallest."""
    numbers = features(rows, without)
    with threadpool_limits(limits=1):
        model = fitted(numbers, **json.loads(chosen.read_text()), starts=starts, seed=seed)
    kmeans = model[-1]
    order = np.argsort(-np.bincount(kmeans.labels_, minlength=kmeans.n_clusters), kind="stable")
    kmeans.cluster_centers_ = kmeans.cluster_centers_[order]
    inputs = dict.fromkeys(map(str, numbers), "float")
    return {"model.onnx": onnx_bytes(model, "segments", inputs)}


def features(rows: pd.DataFrame, without: Sequence[str]) -> pd.DataFrame:
    """The columns to go by, all but `without`, as numbers. Raises ValueError."""
    missing = [name for name in without if name not in rows]
    if missing:
        raise ValueError(f"`without` names {', '.join(missing)}; the rows have {', '.join(map(str, rows))}")
    chosen = rows.drop(columns=list(without))
    words = [str(name) for name in chosen if not pd.api.types.is_numeric_dtype(chosen[name])]
    if words or chosen.isna().any(axis=None):
        holes = [str(name) for name in chosen if chosen[name].isna().any()]
        raise ValueError(
            f"distances need numbers without gaps; name in `without`: {', '.join([*words, *holes])}"
        )
    return chosen.astype(np.float64)


def fitted(numbers: pd.DataFrame, *, k: int, starts: int, seed: int) -> Pipeline:
    """Scaling and k-means, the best of `starts` random beginnings. Raises ValueError."""
    if not 2 <= k < len(numbers):
        raise ValueError(
            f"k is {k}: from 2 to {len(numbers) - 1} segments can be told apart in {len(numbers)} rows"
        )
    scale = ColumnTransformer([("numbers", StandardScaler(), list(numbers))])
    kmeans = KMeans(k, n_init=starts, random_state=seed)
    return Pipeline([("scale", scale), ("kmeans", kmeans)]).fit(numbers)
