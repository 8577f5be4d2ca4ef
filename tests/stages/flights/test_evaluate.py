from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn import metrics

from stages.files import parquet_files, tables
from stages.flights.evaluate import evaluate, probabilities
from stages.flights.train import train


@pytest.fixture(scope="module")
def model(sides: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / "model.onnx"
    file.write_bytes(train(sides / "train")["model.onnx"])
    return file


@pytest.fixture(scope="module")
def found(model: Path, sides: Path) -> dict[str, Any]:
    return evaluate(model, sides / "test", sides / "recent", sides / "counts", threshold=0.3)


def test_both_holdouts_are_measured_as_scikit_learn_does(
    found: dict[str, Any], model: Path, sides: Path
) -> None:
    session = onnxruntime.InferenceSession(model.read_bytes())
    for holdout in ("test", "recent"):
        rows = pa.concat_tables(tables(parquet_files(sides / holdout)))
        late, scores = rows["late"].to_numpy(), probabilities(session, rows)
        measured = found["metrics.json"][holdout]
        assert measured["rows"] == rows.num_rows
        assert measured["auc"] == pytest.approx(metrics.roc_auc_score(late, scores), abs=1e-4)
        assert measured["log_loss"] == pytest.approx(metrics.log_loss(late, scores), abs=1e-5)
        assert measured["recall"] == pytest.approx(metrics.recall_score(late, scores >= 0.3), abs=1e-6)


def test_rows_read_and_removed_are_summed_over_the_days(found: dict[str, Any], sides: Path) -> None:
    rows = found["metrics.json"]["rows"]
    kept = sum(
        pq.read_metadata(f).num_rows for s in ("train", "test", "recent") for f in (sides / s).iterdir()
    )
    assert rows["kept"] == kept
    removed = [rows[reason] for reason in ("incomplete", "not_arrived", "duplicate", "impossible")]
    assert rows["read"] - sum(removed) == kept


def test_curves_have_a_line_for_each_holdout_and_the_ideal(found: dict[str, Any]) -> None:
    assert all(row.keys() == {"false_alarms", "test", "recent", "chance"} for row in found["roc.json"])
    assert all(row.keys() == {"predicted", "test", "recent", "perfect"} for row in found["calibration.json"])
    assert len(found["roc.json"]) == 101
    assert found["calibration.json"]


def test_what_is_written_is_the_same_each_time_and_is_plain_json(
    found: dict[str, Any], model: Path, sides: Path
) -> None:
    again = evaluate(model, sides / "test", sides / "recent", sides / "counts", threshold=0.3)
    assert json.dumps(again, allow_nan=False) == json.dumps(found, allow_nan=False)


def test_a_holdout_without_rows_is_not_an_error(model: Path, sides: Path, tmp_path: Path) -> None:
    schema = pq.read_schema(next((sides / "test").iterdir()))
    pq.write_table(schema.empty_table(), tmp_path / "2013-01-01.parquet")
    found = evaluate(model, sides / "test", tmp_path, sides / "counts")
    assert found["metrics.json"]["recent"] == {"rows": 0}
    assert found["roc.json"][0].keys() == {"false_alarms", "test", "chance"}
    neither = evaluate(model, tmp_path, tmp_path, tmp_path)
    assert neither["roc.json"] == []
    assert "<svg" in neither["report.html"]


def test_the_page_shows_the_numbers_and_needs_nothing_else(found: dict[str, Any]) -> None:
    page = found["report.html"]
    text = Text(page).text
    measured = found["metrics.json"]
    for holdout in ("test", "recent"):
        for name in ("rows", "true_late", "false_late", "false_on_time", "true_on_time"):
            assert f"{measured[holdout][name]:,}" in text
        for name in ("auc", "log_loss", "base_log_loss", "accuracy", "base_accuracy", "base_rate"):
            assert f"{measured[holdout][name]:.3f}" in text
    assert f"{measured['rows']['not_arrived']:,}" in text
    assert "://" not in page
    assert not any(word in page for word in ("<script", "<link", "@import", "src="))


def test_the_charts_are_well_formed_and_inside_their_frame(found: dict[str, Any]) -> None:
    page = found["report.html"]
    charts = [part.partition("</svg>")[0] + "</svg>" for part in page.split("<figcaption>")[1:]]
    charts = [chart[chart.index("<svg") :] for chart in charts]
    assert len(charts) == 2
    for chart in charts:
        lines = ElementTree.fromstring(chart).findall("polyline")
        assert len(lines) == 3
        for line in lines:
            points = np.array([point.split(",") for point in line.attrib["points"].split()], float)
            assert ((points >= 44) & (points <= 364)).all()


class Text(HTMLParser):
    """The text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.text += data
