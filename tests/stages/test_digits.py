from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from stages.digit_head import compare, head
from stages.digits import PIXELS, embed, pictures
from stages.train import train as learn
from stages.vision import classifier
from tests.stages import torch_files
from tests.stages.test_vision import random_weights


def digits(start: int, stop: int) -> pa.Table:
    data, target = load_digits(return_X_y=True)
    columns = {name: data[start:stop, i].astype(np.int64) for i, name in enumerate(PIXELS)}
    return pa.table(columns | {"digit": target[start:stop]})


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of the right form that has learnt nothing: its features are still features."""
    folder = tmp_path_factory.mktemp("network")
    weights = torch_files.write(folder / "small.pth", random_weights())
    (folder / "labels.json").write_text('["a", "b", "c"]')
    (folder / "model.onnx").write_bytes(classifier(weights, folder / "labels.json", size=48)["model.onnx"])
    return folder / "model.onnx"


def test_a_digit_is_dark_on_light_in_the_middle() -> None:
    rows = digits(0, 3)
    found = pictures(rows)
    assert found.shape == (3, 224, 224, 3)
    assert found.dtype == np.uint8
    assert (found[..., 0] == found[..., 1]).all()
    assert (found[:, :64] == 255).all()
    assert (found[:, -64:] == 255).all()
    inside = found[0, 64:-64, 64:-64, 0].astype(float)
    coarse = 255 - np.array([rows[name][0].as_py() for name in PIXELS]) * 255 / 16
    middles = [int((place + 1.5) * 96 / 10) for place in range(8)]  # with a margin of a pixel of its own
    assert np.corrcoef(inside[np.ix_(middles, middles)].ravel(), coarse)[0, 1] > 0.98
    with pytest.raises(ValueError, match="there is no column pixel_0_0; a digit has pixel_0_0 to pixel_7_7"):
        pictures(rows.drop_columns(["pixel_0_0"]))


def test_the_head_is_the_network_with_another_last_step(network: Path) -> None:
    sides = [embed(network, digits(0, 60)), embed(network, digits(60, 90))]
    assert sides[0]["digit"].to_pylist() == digits(0, 60)["digit"].to_pylist()
    found = head(network, *sides, strengths=[0.1])
    session, before = onnxruntime.InferenceSession(found["model.onnx"]), onnxruntime.InferenceSession(network)
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == list(range(10))
    assert [each.name for each in session.get_inputs()] == ["image"]
    shapes = {each.name: each.shape for each in session.get_outputs()}
    assert shapes == {"label": [1], "probability": [1, 10]}
    x = np.array(sides[0]["embedding"].to_pylist())
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    deviation[deviation == 0] = 1
    model = LogisticRegression(C=0.1, max_iter=5000).fit(
        (x - mean) / deviation, sides[0]["digit"].to_pylist()
    )
    for picture in pictures(digits(100, 103)):
        features = before.run(["features"], {"image": picture[None]})[0]
        probability, label = session.run(["probability", "label"], {"image": picture[None]})
        np.testing.assert_allclose(probability, model.predict_proba((features - mean) / deviation), atol=1e-3)
        assert label.tolist() == [probability[0].argmax()]


def test_both_models_see_the_same_digits(network: Path, tmp_path: Path) -> None:
    rows, holdout = digits(0, 200), digits(200, 240)
    sides = [embed(network, rows.slice(0, 60)), embed(network, rows.slice(60, 60))]
    (tmp_path / "network.onnx").write_bytes(head(network, *sides)["model.onnx"])
    learnt = learn(rows.to_pandas(), target="digit", features={"number": PIXELS}, options={"max_iter": 500})
    (tmp_path / "pixels.onnx").write_bytes(learnt["model.onnx"])
    found = compare(holdout, tmp_path / "network.onnx", tmp_path / "pixels.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx")
    called = [int(session.run(["label"], {"image": each[None]})[0][0]) for each in pictures(holdout)]
    truth = holdout["digit"].to_pylist()
    metrics = found["metrics.json"]
    assert metrics["rows"] == 40
    assert metrics["network"]["accuracy"] == pytest.approx(np.mean(np.equal(called, truth)), abs=1e-6)
    data = rows.select(PIXELS).to_pandas().to_numpy(float)
    mean, deviation = data.mean(axis=0), data.std(axis=0)
    deviation[deviation == 0] = 1
    model = LogisticRegression(max_iter=500).fit((data - mean) / deviation, rows["digit"].to_pylist())
    held = (holdout.select(PIXELS).to_pandas().to_numpy(float) - mean) / deviation
    assert metrics["pixels"]["accuracy"] == pytest.approx(model.score(held, truth), abs=1e-6)
    assert found["confusion.json"] == [
        {"digit": digit, "called": call} for digit, call in zip(truth, called, strict=True)
    ]
