"""What the segments of a clustering are, and how well they lie apart.

metrics.json        {"rows": 178, "segments": 3, "silhouette": …, "sizes": {"0": 65, …}, "adjusted_rand": …}
segments.parquet    the rows with one more column: `segment`
silhouette.png      every row's silhouette, by segment
profile.png         the mean of each column in each segment, in deviations from the mean of all rows
map.png             the rows on the plane of their two principal components
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, silhouette_samples
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from stages.pictures import COLOURS, QUIET, drawing, labelled, png
from stages.predict import run, session_of

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
DIGITS = 6


def describe(rows: pa.Table, model: Path, *, known: str | None = None) -> dict[str, Any]:
    """Numbers and pictures of the segments that `model` puts the rows into.

    `known` is a column that was not learnt from and that might say the same: the adjusted Rand index
    is 1 where both part the rows alike, about 0 where they have nothing to do with each other.
    """
    session = session_of(model.read_bytes())
    features = [wanted.name for wanted in session.get_inputs()]
    labels = run(session, rows)["label"].astype(np.int64)
    numbers = np.column_stack([rows[name].to_numpy() for name in features]).astype(np.float64)
    with threadpool_limits(limits=1):
        scaled = StandardScaler().fit_transform(numbers)
        silhouettes = silhouette_samples(scaled, labels)
        plane = PCA(2, svd_solver="full").fit(scaled)
        places = plane.transform(scaled)
    sizes = np.bincount(labels)
    metrics: dict[str, Any] = {"rows": rows.num_rows, "segments": int((sizes > 0).sum())}
    metrics["silhouette"] = round(float(silhouettes.mean()), DIGITS)
    metrics["sizes"] = {str(label): int(size) for label, size in enumerate(sizes)}
    if known is not None:
        metrics["adjusted_rand"] = round(float(adjusted_rand_score(rows[known].to_pylist(), labels)), DIGITS)
    return {
        "metrics.json": metrics,
        "segments.parquet": rows.append_column("segment", pa.array(labels)),
        "silhouette.png": _silhouettes(silhouettes, labels),
        "profile.png": _profile(scaled, labels, features),
        "map.png": _map(places, labels, plane.explained_variance_ratio_),
    }


def over_k(trials: pd.DataFrame) -> dict[str, bytes]:
    """`over_k.png`: the mean silhouette (more is better) and the inertia (always falls) by the number of segments."""
    rows = trials.assign(k=[json.loads(text)["k"] for text in trials["parameters"]]).sort_values("k")
    with drawing(9, 4) as figure:
        for axes, name in zip(figure.subplots(1, 2), ("silhouette", "inertia"), strict=True):
            labelled(axes, f"mean {name}" if name == "silhouette" else name, "k, the number of segments", "")
            axes.plot(rows["k"], rows[name], "o-", color=COLOURS[0])
            axes.set_ylim(bottom=0)
            axes.set_xticks(rows["k"])
        return {"over_k.png": png(figure)}


def _silhouettes(values: Floats, labels: Labels) -> bytes:
    bottom = 0
    with drawing(6.5, 4.5) as figure:
        axes = figure.subplots()
        for label in np.unique(labels):
            bars = np.sort(values[labels == label])
            places = np.arange(bottom, bottom + len(bars))
            axes.barh(
                places, bars, height=1.0, color=_colour(label), label=f"segment {label}, {len(bars)} rows"
            )
            bottom += len(bars) + 3
        axes.axvline(values.mean(), color=QUIET, ls="--", label="mean")
        axes.set_yticks([])
        axes.invert_yaxis()
        axes.set_xlabel("silhouette of each row")
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        return png(figure)


def _profile(scaled: Floats, labels: Labels, features: list[str]) -> bytes:
    found = np.unique(labels)
    means = np.array([scaled[labels == label].mean(axis=0) for label in found])
    with drawing(2.6 + len(found), 0.35 * len(features) + 1.4) as figure:
        axes, most = figure.subplots(), float(np.abs(means).max())
        image = axes.imshow(means.T, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
        axes.set_xticks(range(len(found)), [f"segment {label}" for label in found])
        axes.set_yticks(range(len(features)), features)
        figure.colorbar(image, label="deviations from the mean")
        return png(figure)


def _map(places: Floats, labels: Labels, shares: Floats) -> bytes:
    first, second = (f"principal component, {share:.0%} of the variance" for share in shares)
    with drawing(6, 5) as figure:
        axes = labelled(figure.subplots(), "", f"first {first}", f"second {second}")
        for label in np.unique(labels):
            chosen = places[labels == label]
            axes.scatter(chosen[:, 0], chosen[:, 1], s=22, color=_colour(label), label=f"segment {label}")
        axes.legend(frameon=False)
        return png(figure)


def _colour(label: int) -> str:
    return COLOURS[int(label) % len(COLOURS)]
