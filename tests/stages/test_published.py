"""The published models on real pictures and texts, where the data of the course has been written (`make course`).

What stands here is what docs/course/ says of them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa
import pytest
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from demo.course import current
from demo.sources import SOURCES
from stages.detection import detect, detector
from stages.digits import PIXELS, pictures
from stages.sentences import embed
from stages.vision import classifier, classify

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data"


def needs(*names: str) -> pytest.MarkDecorator:
    there = all(current(ROOT, source) for source in SOURCES if source.name in names)
    return pytest.mark.skipif(not there, reason=f"{', '.join(names)}: `make course` fetches the data")


@needs("efficientnet_raw", "images_raw")
def test_what_is_in_the_pictures(tmp_path: Path) -> None:
    folder = DATA / "efficientnet_raw"
    model = tmp_path / "model.onnx"
    model.write_bytes(classifier(folder / "efficientnet-lite0.pth", folder / "labels.json")["model.onnx"])
    found = {}
    for image in sorted((DATA / "images_raw").iterdir()):
        (report,) = classify(model, image, top=1).values()
        found[image.name] = (report["classes"][0]["label"], round(report["classes"][0]["probability"], 2))
    assert found == {
        "astronaut.png": ("football helmet", 0.16),
        "chelsea.png": ("a cat having a striped coat", 0.39),
        "china.jpg": ("palace", 0.36),
        "coffee.png": ("espresso", 0.95),
        "flower.jpg": ("daisy", 0.32),
        "rocket.jpg": ("missile", 0.27),
    }


@needs("images_raw")
def test_what_is_found_in_the_pictures(tmp_path: Path) -> None:
    model = tmp_path / "model.onnx"
    model.write_bytes(detector(ROOT / "demo/nanodet/nanodet.onnx")["model.onnx"])
    found = {}
    for image in sorted((DATA / "images_raw").iterdir()):
        objects = detect(model, image)[f"{image.stem}.json"]["objects"]
        found[image.name] = [(item["label"], round(item["score"], 2)) for item in objects]
    assert found == {
        "astronaut.png": [("person", 0.73)],
        "chelsea.png": [("person", 0.59), ("cat", 0.4)],
        "china.jpg": [],
        "coffee.png": [("cup", 0.53)],
        "flower.jpg": [],
        "rocket.jpg": [],
    }


@needs("minilm_raw")
def test_texts_of_one_meaning_lie_close_to_each_other() -> None:
    texts = ["My flight was cancelled again", "They have called off the plane", "I love this phone"]
    rows = pa.table({"text": texts, "label": [0, 0, 1]})
    folder = DATA / "minilm_raw"
    points = np.array(embed(folder / "model.onnx", folder / "tokenizer.json", rows)["embedding"].to_pylist())
    near = points @ points.T
    assert near[0, 1] > 2 * max(near[0, 2], near[1, 2])


# ---------------------------------------------------------------- what the models learnt of them reach


def reported(pipeline: str) -> dict[str, Any]:
    file = DATA / pipeline / "compare/metrics.json"
    if not file.exists():
        pytest.skip(f"{file.relative_to(ROOT)} is not there: `make course` makes it")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def rows(dataset: str) -> pd.DataFrame:
    (file,) = (DATA / dataset).glob("*.parquet")
    return pd.read_parquet(file)


def test_what_sentiment_reports_is_what_scikit_learn_says_of_the_same_answers() -> None:
    found, holdout = reported("sentiment"), rows("sentiment/few/holdout")
    text = holdout[["text"]].to_numpy(object)
    points = np.array(rows("sentiment/embed/holdout")["embedding"].tolist(), np.float32)
    truth = holdout["label"].to_numpy()
    for name, stage, feed in (
        ("tfidf", "tfidf", {"text": text}),
        ("tfidf_few", "tfidf_few", {"text": text}),
        ("minilm_few", "head", {"embedding": points}),
    ):
        session = onnxruntime.InferenceSession(DATA / f"sentiment/{stage}/model.onnx")
        score = session.run(["probability"], feed)[0][:, 1].astype(float)
        called = score >= 0.5
        wanted = {
            "accuracy": metrics.accuracy_score(truth, called),
            "auc": metrics.roc_auc_score(truth, score),
            "log_loss": metrics.log_loss(truth, score),
            "brier": metrics.brier_score_loss(truth, score),
            "f1": metrics.f1_score(truth, called),
            "precision": metrics.precision_score(truth, called),
            "recall": metrics.recall_score(truth, called),
        }
        assert {measure: found[name][measure] for measure in wanted} == pytest.approx(wanted, abs=1e-5)
    assert (found["rows"], found["base_accuracy"]) == (len(truth), round(1 - truth.mean(), 6))


def test_what_vision_reports_of_the_digits_is_what_scikit_learn_says() -> None:
    found, sides = reported("vision"), {side: rows(f"vision/split/{side}") for side in ("train", "holdout")}
    truth = sides["holdout"]["digit"].to_numpy()
    by_hand = make_pipeline(MinMaxScaler(), LogisticRegression(max_iter=1000))
    by_hand.fit(sides["train"][PIXELS], sides["train"]["digit"])
    session = onnxruntime.InferenceSession(DATA / "vision/head/model.onnx")
    shown = pictures(pa.Table.from_pandas(sides["holdout"]))
    network = np.concatenate([session.run(["probability"], {"image": each[None]})[0] for each in shown])
    for name, chances in (("pixels", by_hand.predict_proba(sides["holdout"][PIXELS])), ("network", network)):
        called, exact = chances.argmax(axis=1), chances.astype(float)
        wanted = {
            "accuracy": metrics.accuracy_score(truth, called),
            "log_loss": metrics.log_loss(truth, exact / exact.sum(axis=1, keepdims=True)),
            "f1": metrics.f1_score(truth, called, average="macro"),
        }
        assert {measure: found[name][measure] for measure in wanted} == pytest.approx(wanted, abs=1e-4)
    assert found["rows"] == len(truth)
    assert found["base_accuracy"] == pytest.approx(np.bincount(truth).max() / len(truth), abs=1e-6)
