"""How good is the model, on flights that it never learnt from?

    metrics.json       {"test": {"rows": 60215, "auc": 0.725, "log_loss": 0.479, …}, "recent": {…}, "rows": {…}}
    roc.json           [{"false_alarms": 0.0, "test": 0.0, "recent": 0.0, "chance": 0.0}, …]
    calibration.json   [{"predicted": 0.025, "test": 0.041, "recent": 0.095, "perfect": 0.025}, …]
    report.html        all of it as one page, for a browser

Two holdouts: `test`, rows drawn by hash from the days that were trained on, and `recent`, days
later than all of those. The model is run by onnxruntime from its file alone, as whoever serves it
would. Scores are counted in bins as the files go by, so memory does not grow with the data; the
bins are so fine that the area under the curve is right to four digits and more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pyarrow as pa

from stages.files import parquet_files, tables
from stages.flights.report import page
from stages.flights.scores import Scores
from stages.predict import TYPES, session_of

LABEL = "late"
CHUNK_ROWS = 16384


def evaluate(
    model: Path, test: Path, recent: Path, counts: Path, *, threshold: float = 0.5
) -> dict[str, Any]:
    """Metrics, plots and a page for both holdouts; a flight is called late from `threshold` on."""
    session = session_of(model.read_bytes())
    holdouts = {"test": score(session, test), "recent": score(session, recent)}
    metrics: dict[str, Any] = {name: scores.metrics(threshold) for name, scores in holdouts.items()}
    metrics["rows"] = total(counts)
    roc = _together("false_alarms", "chance", {name: s.roc() for name, s in holdouts.items()})
    calibration = _together("predicted", "perfect", {name: s.calibration() for name, s in holdouts.items()})
    return {
        "metrics.json": metrics,
        "roc.json": roc,
        "calibration.json": calibration,
        "report.html": page(metrics, roc, calibration, threshold),
    }


def score(session: onnxruntime.InferenceSession, directory: Path) -> Scores:
    """The model's probabilities for every row below `directory`, against what happened."""
    columns = [wanted.name for wanted in session.get_inputs()]
    scores = Scores()
    for rows in tables(parquet_files(directory), [*columns, LABEL], CHUNK_ROWS):
        scores.add(probabilities(session, rows), rows[LABEL].to_numpy())
    return scores


def probabilities(session: onnxruntime.InferenceSession, rows: pa.Table) -> npt.NDArray[np.float64]:
    """The probability of being late for each of `rows`, whose columns the model asks for by name."""
    feed = {
        wanted.name: rows[wanted.name].to_numpy().astype(TYPES[wanted.type]).reshape(-1, 1)
        for wanted in session.get_inputs()
    }
    result: npt.NDArray[np.float64] = session.run(["probability"], feed)[0][:, 1].astype(np.float64)
    return result


def total(counts: Path) -> dict[str, int]:
    """The sum of every column over all files below `counts`."""
    sums: dict[str, int] = {}
    for rows in tables(parquet_files(counts), rows=CHUNK_ROWS):
        for name in rows.column_names:
            sums[name] = sums.get(name, 0) + int(rows[name].to_numpy().sum())
    return sums


def _together(x: str, ideal: str, curves: dict[str, dict[float, float]]) -> list[dict[str, float]]:
    """One row for each point of the x axis at which every curve that there is has a value."""
    curves = {name: curve for name, curve in curves.items() if curve}
    shared = set.intersection(*(set(curve) for curve in curves.values())) if curves else set()
    return [{x: at, **{name: c[at] for name, c in curves.items()}, ideal: at} for at in sorted(shared)]
