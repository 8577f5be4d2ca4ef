"""How good are predictions? Each measure from its definition, in NumPy.

    regression(y, p)                 rmse, mae, r2; in the units of y, y squared for none
    binary(y, score, threshold)      accuracy, precision, recall, specificity, f1, auc, log_loss, brier, the four counts
    several(y, probability)          accuracy, precision, recall, f1 as means over the classes, log_loss

`y` is 1 where the positive class came and 0 elsewhere, for `several` the place of the class. A row is
called positive from `threshold` on. What cannot be said (the precision of a model that never says
yes) is left out. Every number is rounded to six digits, as sums differ beyond them by processor.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DIGITS = 6
CURVE_POINTS = 101
CALIBRATION_BINS = 10
# A share among fewer rows than this says little; the calibration curve leaves it out.
FEWEST = 10

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Metrics = dict[str, float]


def regression(y: Floats, predicted: Floats) -> Metrics:
    """Errors in the units of the target, and beside them the best that one constant could reach.

    On these very rows: their mean has the lowest RMSE, their median the lowest MAE.
    """
    errors, spread = predicted - y, y - y.mean()
    found: dict[str, float] = {
        "rmse": float(np.sqrt(np.mean(errors**2))),
        "mae": float(np.mean(np.abs(errors))),
    }
    found |= {
        "base_rmse": float(np.sqrt(np.mean(spread**2))),
        "base_mae": float(np.mean(np.abs(y - np.median(y)))),
    }
    if spread.any():
        found["r2"] = float(1 - np.sum(errors**2) / np.sum(spread**2))
    return {"rows": len(y)} | _rounded(found)


def binary(y: Whole, score: Floats, threshold: float) -> Metrics:
    """A two-class model at one threshold, and over all of them."""
    called = score >= threshold
    counts = {
        "true_positives": int((called & (y == 1)).sum()),
        "false_positives": int((called & (y == 0)).sum()),
        "false_negatives": int((~called & (y == 1)).sum()),
        "true_negatives": int((~called & (y == 0)).sum()),
    }
    hits, alarms, misses, quiet = counts.values()
    share = float(y.mean())
    found: dict[str, float] = {
        "base_rate": share,
        "base_accuracy": max(share, 1 - share),
        "accuracy": (hits + quiet) / len(y),
    }
    for name, part, whole in (
        ("precision", hits, hits + alarms),
        ("recall", hits, hits + misses),
        ("specificity", quiet, quiet + alarms),
        ("f1", 2 * hits, 2 * hits + alarms + misses),
    ):
        if whole:
            found[name] = part / whole
    if 0 < share < 1:
        found["auc"] = auc(y, score)
    found |= {
        "log_loss": log_loss(y, np.column_stack([1 - score, score])),
        "brier": float(np.mean((score - y) ** 2)),
    }
    return {"rows": len(y)} | counts | _rounded(found)


def several(y: Whole, probability: Floats) -> Metrics:
    """A model of any number of classes, which calls the likeliest one."""
    table = confusion(y, probability.argmax(axis=1), probability.shape[1])
    hits, said, came = np.diag(table), table.sum(axis=0), table.sum(axis=1)
    there = came > 0
    found: dict[str, float] = {
        "accuracy": hits.sum() / len(y),
        "base_accuracy": came.max() / len(y),
        "precision": np.mean((hits / np.maximum(said, 1))[there]),
        "recall": np.mean((hits / np.maximum(came, 1))[there]),
        "f1": np.mean((2 * hits / np.maximum(said + came, 1))[there]),
        "log_loss": log_loss(y, probability),
    }
    return {"rows": len(y)} | _rounded(found)


def confusion(y: Whole, called: Whole, classes: int) -> Whole:
    """How many rows of each class (down) were called each class (across)."""
    table = np.bincount(y * classes + called, minlength=classes * classes)
    return table.reshape(classes, classes).astype(np.int64)


def auc(y: Whole, score: Floats) -> float:
    """The chance that a positive row scores above a negative one; equal scores count half."""
    values, place = np.unique(score, return_inverse=True)
    positive = np.bincount(place[y == 1], minlength=len(values))
    negative = np.bincount(place[y == 0], minlength=len(values))
    below = np.cumsum(negative) - negative
    return float((positive * (2 * below + negative)).sum() / (2 * positive.sum() * negative.sum()))


def log_loss(y: Whole, probability: Floats) -> float:
    """The mean of -log of the probability that was given to what came."""
    given = probability[np.arange(len(y)), y]
    return float(-np.log(np.clip(given, 1e-15, 1)).mean())


def counts_by_threshold(y: Whole, score: Floats) -> tuple[Floats, Whole, Whole]:
    """Every threshold that matters, from the highest: true and false positives from it on."""
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    hits = np.cumsum(y[order])[last]
    return score[order][last], hits.astype(np.int64), (last + 1 - hits).astype(np.int64)


def roc(y: Whole, score: Floats) -> dict[float, float]:
    """True positive rate at each false positive rate of a grid; straight between thresholds."""
    _, hits, alarms = counts_by_threshold(y, score)
    at = np.linspace(0, 1, CURVE_POINTS)
    found = np.interp(at, np.append(0, alarms) / alarms[-1], np.append(0, hits) / hits[-1])
    return dict(zip(_list(at), _list(found), strict=True))


def precision_recall(y: Whole, score: Floats) -> dict[float, float]:
    """Precision at the highest threshold that reaches each recall of a grid."""
    _, hits, alarms = counts_by_threshold(y, score)
    at = np.linspace(0, 1, CURVE_POINTS)[1:]
    # Rounded up from below: 0.07 * 100 is a little more than 7.
    wanted = np.ceil(at * hits[-1] - 1e-9)
    place = np.searchsorted(hits, wanted)
    return dict(zip(_list(at), _list(hits[place] / (hits + alarms)[place]), strict=True))


def calibration(y: Whole, score: Floats) -> dict[float, float]:
    """The share of positives by predicted probability: the middle of ten equal bins."""
    place = np.minimum((score * CALIBRATION_BINS).astype(np.int64), CALIBRATION_BINS - 1)
    rows, came = (np.bincount(place, weights=w, minlength=CALIBRATION_BINS) for w in (np.ones(len(y)), y))
    middle = (np.arange(CALIBRATION_BINS) + 0.5) / CALIBRATION_BINS
    there = rows >= FEWEST
    return dict(zip(_list(middle[there]), _list(came[there] / rows[there]), strict=True))


def costs(y: Whole, score: Floats, false_positive: float, false_negative: float) -> dict[float, float]:
    """What the mistakes cost in all, at each threshold that matters; above the highest, nothing is called."""
    thresholds, hits, alarms = counts_by_threshold(y, score)
    total = alarms * false_positive + (y.sum() - hits) * false_negative
    never = {float(np.nextafter(thresholds[0], np.inf)): float(y.sum() * false_negative)}
    return never | dict(zip(thresholds.tolist(), total.tolist(), strict=True))


def cheapest(y: Whole, score: Floats, false_positive: float, false_negative: float) -> float:
    """The threshold at which the mistakes cost least; of several the highest.

    Halfway to the next lower score and rounded, so that it does not hang on the last digit of one
    row's; the score itself where no rounded number lies between the two.
    """
    found = costs(y, score, false_positive, false_negative)
    best = min(found, key=lambda at: (found[at], -at))
    below = max((at for at in found if at < best), default=-np.inf)
    middle = round(best if below == -np.inf else (best + below) / 2, DIGITS)
    return middle if below < middle <= best else best


def _list(values: Floats) -> list[float]:
    rounded: list[float] = np.round(values, DIGITS).tolist()
    return rounded


def _rounded(found: dict[str, float]) -> Metrics:
    return {name: round(float(value), DIGITS) for name, value in found.items()}
