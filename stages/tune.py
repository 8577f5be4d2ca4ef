"""A search over hyperparameters whose trials are datums.

    grid     params -> hidden_4-l2_0.01.json            {"hidden": [4], "l2": 0.01}, a file a trial
    trial    one file, train, validation -> one row     what a model with these hyperparameters scores
    select   all rows -> chosen.json                    the hyperparameters that the next stage trains with

A trial is a datum of its own: trials are computed beside each other, and a grid that grows computes
what is new. Nothing here sees the holdout. `draw` is a trial of another kind: the same
hyperparameters, with the rows of training and validation drawn anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from stages.estimators import estimator as by_name
from stages.measures import log_loss
from stages.neural import Network
from stages.split import split
from stages.train import answers, frame, input_types, prepared

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Features = Mapping[str, Sequence[str]]

# All that is written is rounded to this many digits: sums may differ beyond them by processor.
DIGITS = 6


def grid(**values: Any) -> dict[str, dict[str, Any]]:
    """Every combination of the parameters that have a list of values, one JSON file each.

    What has one value and no list is the same in every file. A name is made of the tried values
    alone, so a longer list leaves the files that there were as they are. Raises ValueError.
    """
    tried = {name: each for name, each in values.items() if isinstance(each, list | tuple)}
    fixed = {name: each for name, each in values.items() if name not in tried}
    empty = [name for name, each in tried.items() if not each]
    if empty or not tried:
        raise ValueError(
            f"{', '.join(empty) or 'the grid'} has no values to try; write a list like [0.01, 0.1]"
        )
    points = [dict(zip(tried, each, strict=True)) for each in product(*tried.values())]
    files = [("-".join(f"{name}_{_text(each)}" for name, each in point.items()), point) for point in points]
    if len(dict(files)) < len(files):
        raise ValueError("the grid has a value twice: write each once")
    return {f"{name}.json": point | fixed for name, point in files}


def _text(value: Any) -> str:
    """A value as a part of a file's name: 0.01, relu, 16x8 for the list [16, 8]."""
    text = "x".join(_text(each) for each in value) if isinstance(value, list | tuple) else str(value)
    if not text or not all(sign.isalnum() or sign in "._+-" for sign in text):
        raise ValueError(
            f"{value!r} cannot be part of a file's name: numbers, words and lists of these are needed"
        )
    return text


def trial(
    trial: Path,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    *,
    features: Features,
    target: str | list[str],
    estimator: str | None = None,
    options: Mapping[str, Any] | None = None,
    scale: str | None = "standard",
    folds: int = 5,
    seed: int = 7,
) -> pa.Table:
    """One row: what the hyperparameters in the file `trial` reach.

    `train_…`: on the rows that the model learnt from. `cv_…`: the mean over `folds` parts of the
    training side, each predicted by a model that learnt from the others, and `cv_…_std` its spread;
    with `folds: 0` none, as for rows in time, whose neighbours would give the answers away.
    `validation_…`: on the validation side. `target` is a column; for a `Network` a list of one-hot
    columns. The file may name the `estimator`, too.
    """
    point = json.loads(trial.read_text())
    model = learner(estimator, {**(options or {}), **point}, features, scale, seed)
    row: dict[str, Any] = {"trial": trial.stem, "parameters": json.dumps(point)}
    with threadpool_limits(limits=1):
        parts = [
            fit_and_score(model, features, target, train.iloc[learnt], {"cv": train.iloc[kept]})
            for learnt, kept in _folds(model, _answers(model, train, target), folds, seed)
        ]
        for name in parts[0] if parts else ():
            values = [part[name] for part in parts]
            row |= {name: float(np.mean(values)), f"{name}_std": float(np.std(values))}
        row |= fit_and_score(model, features, target, train, {"train": train, "validation": validation})
    return pa.Table.from_pylist([_rounded(row)])


def draw(
    draw: Path,
    rows: pa.Table,
    chosen: Path,
    *,
    sides: Mapping[str, Any],
    features: Features,
    target: str | list[str],
    estimator: str | None = None,
    options: Mapping[str, Any] | None = None,
    scale: str | None = "standard",
    seed: int = 7,
) -> pa.Table:
    """One row: what the chosen hyperparameters reach if validation is drawn with the seed in the file `draw`.

    `sides` are the parameters of `split`; the holdout that it cuts off is the same for every draw,
    and not looked at.
    """
    point, best = json.loads(draw.read_text()), json.loads(chosen.read_text())
    parts = split(rows, **{**sides, **point})
    train, validation = (parts[name].to_pandas() for name in ("train", "validation"))
    model = learner(estimator, {**(options or {}), **best}, features, scale, seed)
    with threadpool_limits(limits=1):
        found = fit_and_score(model, features, target, train, {"train": train, "validation": validation})
    return pa.Table.from_pylist([_rounded({"draw": draw.stem, **point, "rows": len(validation), **found})])


def select(trials: pd.DataFrame, *, by: str, goal: str = "lowest") -> dict[str, Any]:
    """The hyperparameters of the best trial, all trials from best to worst, and what the best reached.

    `by` is the column that decides, `goal` lowest or highest. Of equal trials the first by name is
    taken. Raises ValueError.
    """
    if goal not in ("lowest", "highest"):
        raise ValueError(f"goal is {goal!r}: lowest or highest is needed")
    if by not in trials:
        raise ValueError(f"the trials have no column {by}; they have {', '.join(map(str, trials))}")
    ranked = trials.sort_values("trial").sort_values(by, ascending=goal == "lowest", kind="stable")
    rows = [{**row, "parameters": json.loads(row["parameters"])} for row in ranked.to_dict("records")]
    best = dict(rows[0])
    chosen = best.pop("parameters")
    numbers = {name: value for name, value in best.items() if isinstance(value, int | float)}
    return {
        "chosen.json": chosen,
        "trials.json": rows,
        "metrics.json": {"trials": len(rows), "best": numbers},
    }


def fit_and_score(
    model: BaseEstimator,
    features: Features,
    target: str | list[str],
    learnt: pd.DataFrame,
    sides: Mapping[str, pd.DataFrame],
) -> dict[str, float]:
    """`<side>_<measure>` of each side, after learning from `learnt`.

    Measures are log loss and the share of wrong answers; for a regression, the root of the mean
    squared error and the mean absolute error.
    """
    inputs = input_types(learnt, features)
    model = clone(model).fit(frame(learnt, inputs), _answers(model, learnt, target))
    scores: dict[str, float] = {}
    for name, side in sides.items():
        truth = _answers(model, side, target)
        if is_classifier(model):
            one_hot = truth if isinstance(target, list) else truth[:, None] == model.classes_[None, :]
            found = _misses(model.predict_proba(frame(side, inputs)), one_hot.astype(np.float64))
        else:
            found = _errors(model.predict(frame(side, inputs)), truth)
        scores |= {f"{name}_{measure}": value for measure, value in found.items()}
    return scores


def _answers(model: BaseEstimator, rows: pd.DataFrame, target: str | list[str]) -> npt.NDArray[Any]:
    """One column; for a `Network` one-hot columns side by side. Raises ValueError."""
    if isinstance(model, Network) != isinstance(target, list):
        advice = (
            "Network learns one-hot columns, a list" if isinstance(model, Network) else "one column is needed"
        )
        raise ValueError(f"target is {target!r}; {advice}")
    return rows[target].to_numpy(np.float64) if isinstance(target, list) else answers(rows, target, model)


def learner(
    estimator: str | None, options: Mapping[str, Any], features: Features, scale: str | None, seed: int
) -> BaseEstimator:
    """Not fitted yet: `Network` of `stages/neural.py`, or an estimator of scikit-learn behind the columns' preparation.

    An `estimator` among the options goes before the other. Raises ValueError.
    """
    options = {"estimator": estimator, **options}
    kind = options.pop("estimator")
    if kind is None:
        raise ValueError("no estimator is named: name one in the parameters, or in each file of the grid")
    if kind != "Network":
        return Pipeline(
            [("columns", prepared(features, scale)), ("model", by_name(kind, options, seed=seed))]
        )
    if features.get("category"):
        raise ValueError(f"Network takes numbers; encode {', '.join(features['category'])} first")
    return Network(**{"seed": seed, **options})


def _folds(
    model: BaseEstimator, truth: npt.NDArray[Any], folds: int, seed: int
) -> Iterator[tuple[Indices, Indices]]:
    """Which rows to learn from and which to predict, `folds` times; each class in each part alike."""
    if not folds:
        return iter(())
    if not is_classifier(model):
        return iter(KFold(folds, shuffle=True, random_state=seed).split(truth))
    labels = truth.argmax(axis=1) if truth.ndim == 2 else truth
    return iter(StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels, labels))


def _misses(probability: Floats, answers: Floats) -> dict[str, float]:
    strange = int((answers.sum(axis=1) != 1).sum())
    if strange:
        raise ValueError(
            f"{strange} of {len(answers)} rows are of no class that was learnt from: stratify by the target, "
            "use fewer folds, or remove rows without an answer"
        )
    truth = answers.argmax(axis=1)
    return {
        "log_loss": log_loss(truth, probability),
        "error": float((probability.argmax(axis=1) != truth).mean()),
    }


def _errors(predicted: Floats, answers: Floats) -> dict[str, float]:
    off = np.asarray(predicted, np.float64).reshape(-1) - answers.reshape(-1)
    return {"rmse": float(np.sqrt(np.square(off).mean())), "mae": float(np.abs(off).mean())}


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in row.items()}
