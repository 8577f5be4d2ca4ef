"""The published models on real pictures and texts, where the data of the course has been written (`make course`).

What stands here is what docs/course/ says of them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from demo.course import current
from demo.sources import SOURCES
from stages.detection import detect, detector
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
