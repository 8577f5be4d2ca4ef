"""How good is a model, from its ONNX file alone, on rows that it never learnt from?

    metrics.json             {"validation": {…}, "holdout": {"rows": 395, "auc": 0.81, …}, "threshold": 0.21}
    report.html              all of it as one page, for a browser
    a regressor              predicted.png
    two classes              roc.json, precision_recall.json, calibration.json, costs.json (with a cost), curves.png
    more classes             confusion.png

Which it is, the model's outputs say: `prediction` or `probability`. With two classes `positive` says
which one is looked for, and `cost` what a mistake of either kind costs: the threshold at which
validation costs least is then applied to the holdout, which has no say in it. `threshold` sets one
instead; without either it is 1/2. Measures and their definitions are in `stages/measures.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages import measures
from stages.pages import page, picture, table, turned
from stages.pictures import COLOURS, QUIET, drawing, labelled, png
from stages.predict import classes, run, session_of

CURVES = {
    "roc.json": ("ROC", "recall"),
    "precision_recall.json": ("Precision and recall", "precision"),
    "calibration.json": ("Calibration", "share of positives"),
    "costs.json": ("Cost of the mistakes on validation", "cost"),
}
MISTAKES = ("false_positive", "false_negative")

Array = npt.NDArray[Any]
Curve = dict[float, float]


def evaluate(
    model: Path,
    validation: pa.Table,
    holdout: pa.Table,
    *,
    target: str,
    positive: str | int | None = None,
    cost: Mapping[str, float] | None = None,
    threshold: float | None = None,
) -> dict[str, Any]:
    """Metrics, curves and a page for both sides. Raises ValueError."""
    session = session_of(model.read_bytes())
    sides = {"validation": validation, "holdout": holdout}
    for side, rows in sides.items():
        if target not in rows.column_names or not rows.num_rows:
            raise ValueError(
                f"{side} has {rows.num_rows} rows with {', '.join(rows.column_names)}; {target} is needed"
            )
    answers = {side: run(session, rows) for side, rows in sides.items()}
    came = {side: rows[target].to_numpy() for side, rows in sides.items()}
    if "prediction" in answers["holdout"]:
        return _regression(
            target, came, {side: found["prediction"].reshape(-1) for side, found in answers.items()}
        )
    if "probability" not in answers["holdout"]:
        raise ValueError(
            f"the model gives {', '.join(answers['holdout'])}; prediction or probability is needed"
        )
    probability = {side: found["probability"].astype(np.float64) for side, found in answers.items()}
    names = classes(session) or list(range(probability["holdout"].shape[1]))
    y = {side: _places(values, names, target) for side, values in came.items()}
    if len(names) != 2:
        return _several(names, y, probability)
    first = 1 if positive is None else int(_places(np.array([positive]), names, "positive")[0])
    y = {side: (values == first).astype(np.int64) for side, values in y.items()}
    scores = {side: values[:, first] for side, values in probability.items()}
    return _binary(
        f"{target} is {names[first]}",
        y,
        scores,
        _chosen(y["validation"], scores["validation"], cost, threshold),
        cost,
    )


def _places(values: Array, names: list[Any], what: str) -> npt.NDArray[np.int64]:
    """The place of each value among the classes; true and false are 1 and 0."""
    place = {str(name): at for at, name in enumerate(names)}
    texts = [str(int(value)) if isinstance(value, (bool, np.bool_)) else str(value) for value in values]
    unknown = sorted(set(texts) - set(place))
    if unknown:
        raise ValueError(f"{what} is {', '.join(unknown)}; the model knows the classes {', '.join(place)}")
    return np.array([place[text] for text in texts], np.int64)


def _chosen(y: Array, score: Array, cost: Mapping[str, float] | None, threshold: float | None) -> float:
    if cost is None:
        return 0.5 if threshold is None else threshold
    if threshold is not None:
        raise ValueError("threshold and cost are both given; a threshold is either set or chosen by cost")
    if sorted(cost) != sorted(MISTAKES):
        raise ValueError(f"cost has {', '.join(cost)}; write cost: {{false_positive: 1, false_negative: 5}}")
    return measures.cheapest(y, score, cost["false_positive"], cost["false_negative"])


def _regression(target: str, came: Mapping[str, Array], predicted: Mapping[str, Array]) -> dict[str, Any]:
    found = {
        side: measures.regression(came[side].astype(np.float64), predicted[side].astype(np.float64))
        for side in came
    }
    shown = _predicted(target, came, predicted)
    parts = [table(f"Errors in the units of {target}", turned(found)), picture("predicted", shown)]
    return {
        "metrics.json": found,
        "predicted.png": shown,
        "report.html": page(f"Prediction of {target}", parts),
    }


def _predicted(target: str, came: Mapping[str, Array], predicted: Mapping[str, Array]) -> bytes:
    with drawing(9, 4.2) as figure:
        left, right = figure.subplots(1, 2)
        ends = [f(each) for f in (np.min, np.max) for each in (np.concatenate([*came.values()]),)]
        left.plot(ends, ends, color=QUIET, linestyle="--", linewidth=1)
        bins = np.histogram_bin_edges(
            np.concatenate([predicted[side] - came[side] for side in came]), bins=24
        )
        for colour, side in zip(COLOURS, came, strict=False):
            left.scatter(came[side], predicted[side], s=14, alpha=0.7, color=colour, label=side)
            right.hist(predicted[side] - came[side], bins=bins.tolist(), alpha=0.55, color=colour, label=side)
        labelled(left, "Predicted against true", target, "predicted").legend()
        labelled(right, "Errors", f"predicted - true {target}", "rows").legend()
        return png(figure)


def _binary(
    what: str,
    y: Mapping[str, Array],
    scores: Mapping[str, Array],
    threshold: float,
    cost: Mapping[str, float] | None,
) -> dict[str, Any]:
    found: dict[str, Any] = {side: measures.binary(y[side], scores[side], threshold) for side in y}
    curves = {
        "roc.json": _together("false_positive_rate", y, scores, measures.roc, {"chance": lambda x: x}),
        "precision_recall.json": _together("recall", y, scores, measures.precision_recall, {}),
        "calibration.json": _together("predicted", y, scores, measures.calibration, {"perfect": lambda x: x}),
    }
    if cost is not None:
        for side in y:
            found[side]["cost"] = round(
                found[side]["false_positives"] * cost["false_positive"]
                + found[side]["false_negatives"] * cost["false_negative"],
                measures.DIGITS,
            )
            found[side]["base_cost"] = _base_cost(y[side], cost)
        curves["costs.json"] = _costs(y["validation"], scores["validation"], cost)
    shown = _curves(curves, threshold)
    parts = [
        f"<p>Called so from a probability of {threshold:g} on.</p>",
        table(what, turned(found)),
        picture("curves", shown),
    ]
    report = page(f"Classification: {what}", parts)
    return {
        "metrics.json": found | {"threshold": threshold},
        **curves,
        "curves.png": shown,
        "report.html": report,
    }


def _base_cost(y: Array, cost: Mapping[str, float]) -> float:
    """What it costs to call all rows the same, whichever is cheaper."""
    came = int(y.sum())
    return round(
        min(came * cost["false_negative"], (len(y) - came) * cost["false_positive"]), measures.DIGITS
    )


def _together(
    x: str,
    y: Mapping[str, Array],
    scores: Mapping[str, Array],
    curve: Callable[[Array, Array], Curve],
    ideal: Mapping[str, Callable[[float], float]],
) -> list[dict[str, float]]:
    """One row for each point of the x axis at which both sides have a value."""
    found = {side: curve(y[side], scores[side]) for side in y if 0 < y[side].sum() < len(y[side])}
    shared = set.intersection(*(set(each) for each in found.values())) if found else set()
    return [
        {x: at}
        | {side: each[at] for side, each in found.items()}
        | {name: line(at) for name, line in ideal.items()}
        for at in sorted(shared)
    ]


def _costs(y: Array, score: Array, cost: Mapping[str, float]) -> list[dict[str, float]]:
    found = measures.costs(y, score, cost["false_positive"], cost["false_negative"])
    return [{"threshold": round(at, measures.DIGITS), "cost": found[at]} for at in sorted(found) if at <= 1]


def _curves(curves: Mapping[str, list[dict[str, float]]], threshold: float) -> bytes:
    with drawing(9, 4 * ((len(curves) + 1) // 2)) as figure:
        every = figure.subplots((len(curves) + 1) // 2, 2, squeeze=False).ravel()
        for axes, (file, rows) in zip(every, curves.items(), strict=False):
            x, *lines = rows[0] if rows else ("",)
            for colour, name in zip(COLOURS, lines, strict=False):
                look = (
                    {"color": QUIET, "linestyle": "--"}
                    if name in ("chance", "perfect")
                    else {"color": colour}
                )
                axes.plot([row[x] for row in rows], [row[name] for row in rows], label=name, **look)
            if x == "threshold":
                axes.axvline(threshold, color=QUIET, linestyle=":", label=f"chosen: {threshold:g}")
            labelled(axes, CURVES[file][0], x.replace("_", " "), CURVES[file][1])
            if lines:
                axes.legend()
        for axes in every[len(curves) :]:
            axes.set_axis_off()
        return png(figure)


def _several(names: list[Any], y: Mapping[str, Array], probability: Mapping[str, Array]) -> dict[str, Any]:
    found = {side: measures.several(y[side], probability[side]) for side in y}
    called = probability["holdout"].argmax(axis=1)
    shown = confusion_picture(
        [str(name) for name in names], measures.confusion(y["holdout"], called, len(names))
    )
    parts = [table("Both sides", turned(found)), picture("confusion", shown)]
    return {"metrics.json": found, "confusion.png": shown, "report.html": page("Classification", parts)}


def confusion_picture(names: list[str], counts: npt.NDArray[np.int64]) -> bytes:
    """Which class (down) was called which (across), on the holdout."""
    with drawing(1.6 + 0.7 * len(names), 1.2 + 0.6 * len(names)) as figure:
        axes = figure.subplots()
        axes.imshow(counts, cmap="Blues")
        axes.set(
            title="Holdout", xlabel="called", ylabel="is", xticks=range(len(names)), yticks=range(len(names))
        )
        axes.set_xticklabels(names)
        axes.set_yticklabels(names)
        for (down, across), count in np.ndenumerate(counts):
            axes.text(
                across,
                down,
                str(count),
                ha="center",
                va="center",
                color="white" if count > counts.max() / 2 else "black",
            )
        return png(figure)
