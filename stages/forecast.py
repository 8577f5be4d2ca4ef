"""Is a forecast better than last week's value?

    metrics.json    {"rows": 1599, "model": {"mae": …, "rmse": …, "r2": …}, "baseline": {…}, "mae_saved": 0.3}
    forecast.png    the first days of the holdout: what came, what was forecast, the baseline
    by_hour.png     the mean absolute error of both by hour of the day

A model that a column of the data beats for nothing is of no use, however good its numbers look.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from stages.measures import regression
from stages.pictures import COLOURS, QUIET, drawing, labelled, png
from stages.predict import run, session_of

Floats = npt.NDArray[np.float64]
DIGITS = 6
MEASURES = ("mae", "rmse", "r2")
LINES = {"model": (COLOURS[0], "-"), "baseline": (COLOURS[1], "--")}


def against_baseline(
    holdout: pa.Table, model: Path, *, target: str, baseline: str, time: str, days: int = 7
) -> dict[str, Any]:
    """The errors of `model` and of the column `baseline` on the same rows; the pictures show `days` days.

    `mae_saved` is the share of the baseline's mean absolute error that the model saves.
    """
    rows = holdout.sort_by(time)
    answers = rows[target].to_numpy().astype(np.float64)
    forecasts = {
        "model": run(session_of(model.read_bytes()), rows)["prediction"].reshape(-1).astype(np.float64),
        "baseline": rows[baseline].to_numpy().astype(np.float64),
    }
    metrics: dict[str, Any] = {"rows": rows.num_rows}
    metrics |= {name: errors(values, answers) for name, values in forecasts.items()}
    metrics["mae_saved"] = round(1 - metrics["model"]["mae"] / metrics["baseline"]["mae"], DIGITS)
    times = pd.Series(rows[time].to_numpy())
    first = (times < times.iloc[0] + pd.Timedelta(days=days)).to_numpy()
    return {
        "metrics.json": metrics,
        "forecast.png": _week(times, target, answers, forecasts, first),
        "by_hour.png": _by_hour(times, answers, forecasts),
    }


def errors(predicted: Floats, answers: Floats) -> dict[str, float]:
    """Mean absolute error, root of the mean squared error, R²: the first two in the target's units."""
    found = regression(answers, predicted)
    return {name: found[name] for name in MEASURES if name in found}


def _week(
    times: pd.Series[Any],
    target: str,
    answers: Floats,
    forecasts: dict[str, Floats],
    shown: npt.NDArray[np.bool_],
) -> bytes:
    with drawing(10, 4) as figure:
        axes = labelled(figure.subplots(), "", "", target)
        axes.fill_between(times[shown], answers[shown], color=QUIET, alpha=0.35, lw=0, label="what came")
        for name, values in forecasts.items():
            colour, style = LINES[name]
            axes.plot(times[shown], values[shown], style, color=colour, lw=1.5, label=name)
        axes.set_ylim(0, 1.15 * float(answers[shown].max()))
        axes.legend(frameon=False, ncols=3, loc="upper left")
        return png(figure)


def _by_hour(times: pd.Series[Any], answers: Floats, forecasts: dict[str, Floats]) -> bytes:
    with drawing(7, 4) as figure:
        axes = labelled(figure.subplots(), "", "hour of the day", "mean absolute error")
        for name, values in forecasts.items():
            mean = pd.Series(np.abs(values - answers)).groupby(times.dt.hour.to_numpy()).mean()
            axes.plot(mean.index, mean, "o" + LINES[name][1], color=LINES[name][0], label=name)
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
        return png(figure)
