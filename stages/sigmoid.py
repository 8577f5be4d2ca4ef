"""A logistic regression on one feature, to be looked at: σ(x) = 1 / (1 + e^-(wx+b)).

    sigmoid.json    {"w": 0.07, "b": -4.6, "inflection": 62.9, "at_inflection": 0.5, …}
    sigmoid.png     P(y=1), its mirror image P(y=0), the rows, the point of inflection

With e^(wx+b) in place of e^-(wx+b) one gets 1 - σ(x), the mirror image: P(y=0). Both curves turn from left to
right at x = -b/w, where both are 1/2: under either sign of the exponent and of w. w and b are in the feature's
own units, so the point can be read off the data's axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from stages.pictures import COLOURS, QUIET, drawing, labelled, png

DIGITS = 6
BINS = 12
FEWEST = 10

Floats = npt.NDArray[np.float64]


def sigmoid(train: pd.DataFrame, *, target: str, feature: str, positive: str | int = 1) -> dict[str, Any]:
    """The curve that fits `target` being `positive` best, without a penalty. Raises ValueError."""
    rows = train[[feature, target]].dropna()
    x = rows[feature].to_numpy(dtype=np.float64)
    y = (rows[target].astype(str) == str(positive)).to_numpy().astype(np.int64)
    if not 0 < y.sum() < len(y):
        raise ValueError(
            f"{target} is {positive} in {y.sum()} of {len(y)} rows; both kinds of row are needed"
        )
    w, b = fitted(x, y)
    turn = -b / w
    found = {"w": w, "b": b, "inflection": turn, "at_inflection": probability(np.array([turn]), w, b)[0]}
    found |= {"lowest": x.min(), "highest": x.max(), "steepest_change_per_unit": abs(w) / 4}
    about: dict[str, Any] = {"feature": feature, "target": target, "positive": positive, "rows": len(y)}
    return {
        "sigmoid.json": about | {name: round(float(value), DIGITS) for name, value in found.items()},
        "sigmoid.png": _picture(x, y, w, b, feature, f"{target} is {positive}"),
    }


def probability(x: Floats, w: float, b: float) -> Floats:
    """σ(x) = 1 / (1 + e^-(wx+b))."""
    result: Floats = 1 / (1 + np.exp(-(w * x + b)))
    return result


def mirrored(x: Floats, w: float, b: float) -> Floats:
    """1 / (1 + e^(wx+b)), which is 1 - σ(x)."""
    result: Floats = 1 / (1 + np.exp(w * x + b))
    return result


def fitted(x: Floats, y: npt.NDArray[np.int64]) -> tuple[float, float]:
    """w and b in the units of x; learnt on x of mean 0 and deviation 1, where the solver has it easy."""
    shift, scale = float(x.mean()), float(x.std()) or 1.0
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    with threadpool_limits(limits=1):
        model.fit(((x - shift) / scale).reshape(-1, 1), y)
    w = float(model.coef_[0, 0]) / scale
    return w, float(model.intercept_[0]) - w * shift


def _picture(x: Floats, y: npt.NDArray[np.int64], w: float, b: float, feature: str, what: str) -> bytes:
    turn = -b / w
    reach = max(abs(x - turn).max(), 4 / abs(w))
    at = np.linspace(turn - reach, turn + reach, 400)
    with drawing(7.5, 4.5) as figure:
        axes = figure.subplots()
        axes.plot(at, probability(at, w, b), color=COLOURS[0], label=f"P({what}) = 1 / (1 + e^-(wx+b))")
        axes.plot(at, mirrored(at, w, b), color=COLOURS[1], label="its mirror image 1 / (1 + e^(wx+b))")
        axes.axvline(turn, color=QUIET, linestyle=":")
        axes.plot([turn], [0.5], "o", color=COLOURS[6], label=f"inflection at -b/w = {turn:.4g}")
        axes.plot(*_shares(x, y), "s", color=COLOURS[2], markersize=5, label="share among the rows")
        axes.axvspan(x.min(), x.max(), color=QUIET, alpha=0.12, label="where there are rows")
        labelled(axes, f"A logistic regression on {feature}", feature, "probability").legend(fontsize=8)
        return png(figure)


def _shares(x: Floats, y: npt.NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """The mean of x and of y in equal ranges of x that have a few rows."""
    place = np.minimum(((x - x.min()) / (np.ptp(x) or 1.0) * BINS).astype(int), BINS - 1)
    there = [each for each in range(BINS) if (place == each).sum() >= FEWEST]
    return [float(x[place == each].mean()) for each in there], [
        float(y[place == each].mean()) for each in there
    ]
