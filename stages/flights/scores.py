"""Counts from which the quality of a two-class model follows, of one size for any number of rows.

A score from 0 to 1 falls into one of 100,000 bins, apart for rows that were late and rows that were
not. ROC, area, calibration and confusion follow from those integers, as if every score had been
rounded to its bin; log loss and Brier score are summed from the scores as they are.
"""

from __future__ import annotations

from math import log

import numpy as np
import numpy.typing as npt

BINS = 100_000
CURVE_POINTS = 101
CALIBRATION_BINS = 20
# A share among fewer rows than this says little; the calibration curve leaves it out.
FEWEST = 50
# All that is written is rounded to this many digits: sums may differ beyond them by processor.
DIGITS = 6

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


class Scores:
    """Running counts: `add` as the data goes by, then read off what is wanted."""

    def __init__(self) -> None:
        self.late: Counts = np.zeros(BINS, np.int64)
        self.on_time: Counts = np.zeros(BINS, np.int64)
        self._log_loss = 0.0
        self._squares = 0.0

    def add(self, probability: Floats, late: npt.NDArray[np.bool_]) -> None:
        """Count rows: the predicted probability of each, and what came."""
        place = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
        self.late += np.bincount(place[late], minlength=BINS)
        self.on_time += np.bincount(place[~late], minlength=BINS)
        given = np.clip(np.where(late, probability, 1 - probability), 1e-15, 1)
        self._log_loss -= float(np.log(given).sum())
        self._squares += float(np.square(1 - given).sum())

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return int(self.late.sum() + self.on_time.sum())

    def metrics(self, threshold: float) -> dict[str, float]:
        """The numbers for `dvc metrics`; those that are not defined for these rows are left out.

        `base_…` is the best that a constant answer reaches, which knows only how many were late.
        """
        rows, late = self.rows, int(self.late.sum())
        if not rows:
            return {"rows": 0}
        share = late / rows
        found: dict[str, float] = {"rows": rows, "base_rate": share}
        found |= self._called(threshold) | {"base_accuracy": max(share, 1 - share)}
        found |= {"log_loss": self._log_loss / rows, "base_log_loss": _entropy(share)}
        found |= {"brier": self._squares / rows, "base_brier": share * (1 - share)}
        if 0 < late < rows:
            found["auc"] = self.auc()
        return {name: _rounded(value) for name, value in found.items()}

    def _called(self, threshold: float) -> dict[str, float]:
        """The confusion matrix where a row is called late from `threshold` on, and what it implies."""
        first = round(threshold * BINS)
        hits, misses = int(self.late[first:].sum()), int(self.late[:first].sum())
        alarms, quiet = int(self.on_time[first:].sum()), int(self.on_time[:first].sum())
        found: dict[str, float] = {"true_late": hits, "false_late": alarms}
        found |= {"false_on_time": misses, "true_on_time": quiet}
        found["accuracy"] = (hits + quiet) / self.rows
        if hits + alarms:
            found["precision"] = hits / (hits + alarms)
        if hits + misses:
            found["recall"] = hits / (hits + misses)
        return found

    def auc(self) -> float:
        """The chance that a late row scores above one that was not; equal bins count half."""
        below = np.cumsum(self.on_time) - self.on_time
        wins = int((self.late * (2 * below + self.on_time)).sum())
        return wins / (2 * int(self.late.sum()) * int(self.on_time.sum()))

    def roc(self) -> dict[float, float]:
        """The share of late rows found, at each share of the others called late by mistake."""
        if not (self.late.any() and self.on_time.any()):
            return {}
        at = np.linspace(0, 1, CURVE_POINTS)
        found = np.interp(at, _from_the_top(self.on_time), _from_the_top(self.late))
        return {_rounded(x): _rounded(y) for x, y in zip(at, found, strict=True)}

    def calibration(self) -> dict[float, float]:
        """The share that came late, by predicted probability (the middle of 20 equal bins)."""
        late_in, rest_in = (c.reshape(CALIBRATION_BINS, -1).sum(axis=1) for c in (self.late, self.on_time))
        return {
            _rounded((place + 0.5) / CALIBRATION_BINS): _rounded(late / (late + rest))
            for place, (late, rest) in enumerate(zip(late_in, rest_in, strict=True))
            if late + rest >= FEWEST
        }


def _from_the_top(counts: Counts) -> Floats:
    """0, then the share of all that lies in the highest bin, the two highest, … up to 1."""
    sums = np.cumsum(counts[::-1])
    return np.concatenate([[0.0], sums / sums[-1]])


def _entropy(share: float) -> float:
    return -sum(part * log(part) for part in (share, 1 - share) if part > 0)


def _rounded(value: float) -> float:
    return value if isinstance(value, int) else round(float(value), DIGITS)
