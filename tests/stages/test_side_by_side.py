from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from sklearn.metrics import accuracy_score, log_loss

from stages.network import network_onnx
from stages.neural import Network
from stages.side_by_side import side_by_side
from stages.train import train
from tests.stages.learning import LENGTHS, SPECIES, iris

TRAIN, HOLDOUT = iris()[:100], iris()[100:].reset_index(drop=True)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    file = tmp_path / "network.onnx"
    file.write_bytes(
        network_onnx(Network((2,), epochs=20).fit(TRAIN[LENGTHS], TRAIN[SPECIES]), LENGTHS, SPECIES)
    )
    return file


@pytest.fixture
def logistic(tmp_path: Path) -> Path:
    file = tmp_path / "logistic.onnx"
    file.write_bytes(train(TRAIN, target="species", features={"number": LENGTHS})["model.onnx"])
    return file


def test_models_of_both_kinds_are_measured_as_scikit_learn_measures(network: Path, logistic: Path) -> None:
    rows = pa.Table.from_pandas(HOLDOUT)
    metrics = side_by_side(rows, target=SPECIES, ours=network, theirs=logistic)["metrics.json"]
    assert [*metrics] == ["rows", "ours", "theirs"]
    answers = HOLDOUT[SPECIES].to_numpy().argmax(axis=1)
    chances = Network((2,), epochs=20).fit(TRAIN[LENGTHS], TRAIN[SPECIES]).predict_proba(HOLDOUT[LENGTHS])
    assert metrics["ours"]["accuracy"] == pytest.approx(
        accuracy_score(answers, chances.argmax(axis=1)), abs=1e-6
    )
    assert metrics["ours"]["log_loss"] == pytest.approx(log_loss(answers, chances), abs=1e-5)
    assert metrics["ours"]["wrong"] == (chances.argmax(axis=1) != answers).sum() > 0
    assert metrics["rows"] == len(HOLDOUT)
    assert metrics["theirs"]["log_loss"] < metrics["ours"]["log_loss"]


def test_the_picture_shows_every_model(network: Path, logistic: Path) -> None:
    rows = pa.Table.from_pandas(HOLDOUT)
    both = side_by_side(rows, target=SPECIES, ours=network, theirs=logistic)["confusion.png"]
    assert both.startswith(b"\x89PNG")
    assert both == side_by_side(rows, target=SPECIES, ours=network, theirs=logistic)["confusion.png"]
    assert both != side_by_side(rows, target=SPECIES, ours=network)["confusion.png"]


def test_a_model_of_other_classes_is_told(network: Path) -> None:
    with pytest.raises(ValueError, match="ours knows 3 classes, the target has 2 columns"):
        side_by_side(pa.Table.from_pandas(HOLDOUT), target=SPECIES[:2], ours=network)
