"""What a search over hyperparameters has shown, as pictures.

overfitting   every trial -> overfitting.png    training against validation error as complexity grows
spread        every draw  -> spread.png         how much of a score is luck of the draw
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from stages.pictures import COLOURS, QUIET, drawing, labelled, png

SIDES = {"train": "training rows", "cv": "cross-validation", "validation": "validation rows"}
SHADES = {"train": QUIET, "cv": COLOURS[0], "validation": COLOURS[1]}
DIGITS = 6
Floats = npt.NDArray[np.float64]


def overfitting(trials: pd.DataFrame, *, x: str, panels: str, measure: str = "log_loss") -> dict[str, Any]:
    """The error of each side by the hyperparameter `x`, one panel for each value of `panels`.

    The band is one standard deviation over the parts of the cross-validation. Values of `x` stand
    side by side in their own order, whatever their distance.
    """
    points = pd.DataFrame([json.loads(text) for text in trials["parameters"]])
    for name in (x, panels):
        if name not in points:
            raise ValueError(
                f"the trials have no hyperparameter {name}; they have {', '.join(map(str, points))}"
            )
    if not any(f"{side}_{measure}" in trials for side in SIDES):
        raise ValueError(f"the trials have no score of {measure}; they have {', '.join(map(str, trials))}")
    rows = trials.assign(x=points[x].map(_order).to_numpy(), panel=points[panels].map(_order).to_numpy())
    groups = sorted(rows["panel"].unique())
    with drawing(4.5 * len(groups), 4.2) as figure:
        panels_of = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
        for axes, value in zip(panels_of, groups, strict=True):
            chosen = rows[[each == value for each in rows["panel"]]].sort_values("x")
            labelled(axes, f"{panels} = {_shown(value)}", x, "")
            _sides(axes, chosen, measure)
        panels_of[0].set_ylabel(measure.replace("_", " "))
        panels_of[0].legend(frameon=False)
        return {"overfitting.png": png(figure)}


def _order(value: Any) -> tuple[Any, ...]:
    """Values that can be sorted, lists by what is in them: 8 before [16, 8] before [32]."""
    return tuple(value) if isinstance(value, list) else (value,)


def _shown(values: tuple[Any, ...]) -> str:
    return ", ".join(map(str, values))


def _sides(axes: Axes, rows: pd.DataFrame, measure: str) -> None:
    places = np.arange(len(rows))
    for side, name in SIDES.items():
        if (column := f"{side}_{measure}") in rows:
            values = rows[column].to_numpy()
            axes.plot(places, values, "o-", color=SHADES[side], label=name)
            if (spread := f"{column}_std") in rows:
                off = rows[spread].to_numpy()
                axes.fill_between(places, values - off, values + off, color=SHADES[side], alpha=0.15, lw=0)
    axes.set_xticks(places, [_shown(value) for value in rows["x"]])
    axes.set_ylim(bottom=0)


def spread(draws: pd.DataFrame, *, measures: list[str]) -> dict[str, Any]:
    """Mean, spread and range of each validation measure over all draws, and every draw as a dot."""
    missing = [measure for measure in measures if f"validation_{measure}" not in draws]
    if missing:
        raise ValueError(f"the draws have no validation_{missing[0]}; they have {', '.join(map(str, draws))}")
    numbers: dict[str, Any] = {"draws": len(draws)}
    with drawing(4.5 * len(measures), 4.2) as figure:
        for axes, measure in zip(figure.subplots(1, len(measures), squeeze=False)[0], measures, strict=True):
            values = np.sort(draws[f"validation_{measure}"].to_numpy(np.float64))
            numbers[measure] = _summary(values)
            labelled(axes, f"validation: {measure.replace('_', ' ')}", "draws, from best to worst", "")
            _dots(axes, values, numbers[measure])
        figure.axes[0].legend(frameon=False, loc="upper left")
        return {"spread.png": png(figure), "metrics.json": numbers}


def _dots(axes: Axes, values: Floats, summary: dict[str, float]) -> None:
    mean, deviation = summary["mean"], summary["std"]
    axes.axhspan(mean - deviation, mean + deviation, color=COLOURS[0], alpha=0.15, lw=0)
    axes.axhline(mean, color=COLOURS[0], label="mean, and one standard deviation")
    axes.plot(np.arange(1, len(values) + 1), values, "o", color=COLOURS[1], label="one draw")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)


def _summary(values: Floats) -> dict[str, float]:
    """The standard deviation is that of a sample, with n - 1."""
    found = {"mean": values.mean(), "min": values[0], "max": values[-1]}
    found["std"] = values.std(ddof=1) if len(values) > 1 else 0.0
    return {name: round(float(value), DIGITS) for name, value in found.items()}
