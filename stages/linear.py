"""A linear regression learnt step by step: stochastic gradient descent in a few lines of NumPy.

    for each epoch, for each row (x, y) in random order:
        error = w·x + b - y
        slope = error              where the loss is error² / 2      ("squared")
        slope = sign of error      where the loss is |error|         ("absolute")
        w = w - rate · slope · x;  b = b - rate · slope              rate = learning_rate / (1 + decay · epoch)

    model.onnx      takes the columns in their own units: the scaling is inside
    loss.json       [{"epoch": 0, "train": 84.1, "validation": 82.0}, …]     mean of error² or |error|; 0 is before learning
    weights.json    what NumPy, scikit-learn's SGDRegressor and the closed form arrive at, and how far they are apart
    loss.png, fit.png

SGDRegressor sees the same rows in the same order and takes the same steps, so it must arrive at the same
numbers. The closed form, X⁺y by the pseudoinverse, is the minimum of the squared loss, which steps of a
finite size only come near; for the absolute loss there is none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, SGDRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from stages.onnx_export import onnx_bytes
from stages.pictures import COLOURS, QUIET, drawing, labelled, png

DIGITS = 6
# What SGDRegressor calls the same loss. Its epsilon is an error that costs nothing: none is.
LOSSES: dict[str, dict[str, Any]] = {
    "squared": {"loss": "squared_error"},
    "absolute": {"loss": "epsilon_insensitive", "epsilon": 0.0},
}

Floats = npt.NDArray[np.float64]


def learn(
    train: pd.DataFrame,
    validation: pd.DataFrame,
    statistics: Path,
    *,
    target: str,
    features: Sequence[str],
    loss: str = "squared",
    initial: float = 0.0,
    learning_rate: float = 0.05,
    decay: float = 0.1,
    epochs: int = 50,
    seed: int = 7,
) -> dict[str, Any]:
    """The model, how its loss fell, and what others arrive at. Raises ValueError.

    `train` and `validation` are scaled as `statistics` says (both from `normalise`); the target is in its
    own units. `initial` is where all weights and the constant start.
    """
    if loss not in LOSSES:
        raise ValueError(f"loss is {loss!r}; squared or absolute is needed")
    scaling = json.loads(statistics.read_text(encoding="utf-8"))
    x, y = _arrays(train, target, features, scaling)
    orders = [np.random.default_rng([seed, epoch]).permutation(len(y)) for epoch in range(epochs)]
    rates = [learning_rate / (1 + decay * epoch) for epoch in range(epochs)]
    with threadpool_limits(limits=1):
        path = descend(x, y, loss, initial, rates, orders)
        found = {"numpy": path[-1], "SGDRegressor": by_library(x, y, loss, initial, rates, orders)}
        if loss == "squared":
            found["closed_form"] = closed_form(x, y)
    sides = {"train": (x, y), "validation": _arrays(validation, target, features, scaling)}
    losses = [
        {"epoch": epoch} | {side: _rounded(mean_loss(*each, loss, weights)) for side, each in sides.items()}
        for epoch, weights in enumerate(path)
    ]
    return {
        "model.onnx": _exported(path[-1], features, scaling, target),
        "loss.json": losses,
        "weights.json": _weights(found, features, scaling),
        "loss.png": _loss_picture(losses, loss),
        "fit.png": _fit_picture(x, y, found, features, scaling, target),
    }


def descend(
    x: Floats, y: Floats, loss: str, initial: float, rates: Sequence[float], orders: Sequence[Any]
) -> list[Floats]:
    """Weights and, last, the constant: before learning and after each epoch."""
    inputs = np.column_stack([x, np.ones(len(y))])
    weights = np.full(inputs.shape[1], float(initial))
    path = [weights.copy()]
    for rate, order in zip(rates, orders, strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            for row in order:
                error = inputs[row] @ weights - y[row]
                slope = error if loss == "squared" else np.sign(error)
                weights -= rate * slope * inputs[row]
        if not np.isfinite(weights).all():
            raise ValueError(
                f"the weights grew beyond all bounds in epoch {len(path)}; make learning_rate smaller"
            )
        path.append(weights.copy())
    return path


def by_library(
    x: Floats, y: Floats, loss: str, initial: float, rates: Sequence[float], orders: Sequence[Any]
) -> Floats:
    """The same descent by scikit-learn: one pass an epoch, over rows in our order."""
    model = SGDRegressor(
        **LOSSES[loss],
        penalty=None,
        learning_rate="constant",
        shuffle=False,
        max_iter=1,
        tol=None,
        random_state=0,
    )
    start: dict[str, Any] = {
        "coef_init": np.full(x.shape[1], float(initial)),
        "intercept_init": np.array([float(initial)]),
    }
    for rate, order in zip(rates, orders, strict=True):
        model.set_params(eta0=rate)
        if start:
            model.fit(x[order], y[order], **start)
        else:
            model.partial_fit(x[order], y[order])
        start = {}
    if start:
        return np.full(x.shape[1] + 1, float(initial))
    return np.append(model.coef_, model.intercept_)


def closed_form(x: Floats, y: Floats) -> Floats:
    """Weights and constant with the least squared error."""
    inputs = np.column_stack([x, np.ones(len(y))])
    found: Floats = np.linalg.pinv(inputs) @ y
    return found


def mean_loss(x: Floats, y: Floats, loss: str, weights: Floats) -> float:
    """The mean of error² or of |error|."""
    errors = x @ weights[:-1] + weights[-1] - y
    return float(np.mean(errors**2 if loss == "squared" else np.abs(errors)))


def _arrays(
    rows: pd.DataFrame, target: str, features: Sequence[str], scaling: Mapping[str, Any]
) -> tuple[Floats, Floats]:
    missing = [name for name in (*features, target) if name not in rows.columns]
    unscaled = [name for name in features if name not in scaling]
    if missing or not features:
        raise ValueError(
            f"there is no column {', '.join(missing) or 'in features'}; there are {', '.join(rows.columns)}"
        )
    if unscaled:
        raise ValueError(f"{', '.join(unscaled)} is not scaled; name it in the columns of normalise")
    if rows[[*features, target]].isna().any(axis=None):
        raise ValueError(
            "there are missing values, which a step cannot be made from; remove or fill them in clean"
        )
    return rows[list(features)].to_numpy(dtype=np.float64), rows[target].to_numpy(dtype=np.float64)


def in_units(
    weights: Floats, features: Sequence[str], scaling: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """The same line for columns in their own units: the target's change for one more of each."""
    slopes = {name: float(w) / scaling[name]["scale"] for name, w in zip(features, weights, strict=False)}
    constant = float(weights[-1]) - sum(slope * scaling[name]["shift"] for name, slope in slopes.items())
    return slopes | {"constant": constant}


def _weights(
    found: Mapping[str, Floats], features: Sequence[str], scaling: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Weights as learnt and in units; the largest difference of any weight from those of NumPy."""
    ours = found["numpy"]
    names = [*features, "constant"]
    apart = {way: float(np.abs(weights - ours).max()) for way, weights in found.items() if way != "numpy"}
    return {
        "scaled": {way: dict(zip(names, map(_rounded, each), strict=True)) for way, each in found.items()},
        "in_units": {
            way: {name: _rounded(value) for name, value in in_units(each, features, scaling).items()}
            for way, each in found.items()
        },
        "largest_difference_from_numpy": {way: _rounded(value) for way, value in apart.items()},
    }


def _exported(
    weights: Floats, features: Sequence[str], scaling: Mapping[str, Mapping[str, float]], target: str
) -> bytes:
    """Scaling and line as scikit-learn has them, without fitting either again."""
    shift, scale = (np.array([scaling[name][key] for name in features]) for key in ("shift", "scale"))
    columns = ColumnTransformer([("numbers", StandardScaler(), list(features))])
    columns.fit(pd.DataFrame([shift, shift + scale], columns=list(features)))
    scaler = columns.named_transformers_["numbers"]
    scaler.mean_, scaler.scale_, scaler.var_ = shift, scale, scale**2
    line = LinearRegression()
    line.coef_, line.intercept_, line.n_features_in_ = weights[:-1], float(weights[-1]), len(features)
    return onnx_bytes(
        Pipeline([("columns", columns), ("line", line)]), f"{target}_line", dict.fromkeys(features, "float")
    )


def _loss_picture(losses: Sequence[Mapping[str, float]], loss: str) -> bytes:
    with drawing() as figure:
        axes = figure.subplots()
        for colour, side in zip(COLOURS, ("train", "validation"), strict=False):
            axes.plot(
                [each["epoch"] for each in losses], [each[side] for each in losses], color=colour, label=side
            )
        axes.set_yscale("log")
        labelled(axes, "Loss per epoch", "epoch", f"mean {loss} error").legend()
        return png(figure)


def _fit_picture(
    x: Floats,
    y: Floats,
    found: Mapping[str, Floats],
    features: Sequence[str],
    scaling: Mapping[str, Mapping[str, float]],
    target: str,
) -> bytes:
    """One feature: the rows and the lines. Several: the weights beside each other."""
    with drawing(7, 4.2) as figure:
        axes = figure.subplots()
        if len(features) == 1:
            shift, scale = (scaling[features[0]][key] for key in ("shift", "scale"))
            axes.scatter(shift + scale * x[:, 0], y, s=12, alpha=0.5, color=QUIET)
            ends = np.array([x.min(), x.max()])
            for place, (way, weights) in enumerate(found.items()):
                look = ("-", "--", ":")[place]
                line = weights[0] * ends + weights[1]
                axes.plot(shift + scale * ends, line, look, color=COLOURS[place], label=way, linewidth=2.5)
            labelled(axes, f"{target} by {features[0]}", features[0], target).legend()
        else:
            for place, (way, weights) in enumerate(found.items()):
                at = np.arange(len(features)) + 0.27 * (place - (len(found) - 1) / 2)
                axes.bar(at, weights[:-1], width=0.26, color=COLOURS[place], label=way)
            axes.set_xticks(range(len(features)), list(features), rotation=30, ha="right")
            labelled(
                axes, f"{target} from lowest to highest value of each", "", f"change of {target}"
            ).legend()
        return png(figure)


def _rounded(value: float) -> float:
    return round(float(value), DIGITS)
