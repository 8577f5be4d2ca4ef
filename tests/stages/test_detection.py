from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from stages.detection import COCO, DEVIATION, MEAN, centres, detect, detector, drawn

ROOT = Path(__file__).resolve().parents[2]
NETWORK = ROOT / "demo/nanodet/nanodet.onnx"
Floats = npt.NDArray[np.floating[Any]]


@pytest.fixture(scope="module")
def image() -> npt.NDArray[np.uint8]:
    pixels: npt.NDArray[np.uint8] = load_sample_image("china.jpg")[:320:2, ::3]
    return pixels


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With limits so low that an ordinary picture gives many boxes, and boxes that overlap."""
    file = tmp_path_factory.mktemp("model") / "model.onnx"
    file.write_bytes(detector(NETWORK, least_score=0.04, most_overlap=0.3)["model.onnx"])
    return file


def heads(image: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Boxes and scores of all cells, from the network's own outputs by numpy alone."""
    session = onnxruntime.InferenceSession(str(NETWORK))
    square = np.array(resized(image), np.float64)
    pixels = (square[..., ::-1] - MEAN) / DEVIATION
    outputs = {each.name: None for each in session.get_outputs()}
    values = session.run(list(outputs), {"images": pixels.transpose(2, 0, 1)[None].astype(np.float32)})
    found = dict(zip(outputs, values, strict=True))
    boxes, scores = [], []
    for stride in (8, 16, 32):
        cells = 416 // stride
        shares = np.exp(found[f"boxes_{stride}"][0].reshape(cells, cells, 4, 11).astype(np.float64))
        shares /= shares.sum(axis=3, keepdims=True)
        for row in range(cells):
            for column in range(cells):
                left, top, right, bottom = (shares[row, column] * np.arange(11)).sum(axis=1) * stride
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                boxes.append([x - left, y - top, x + right, y + bottom])
        scores.append(found[f"scores_{stride}"][0])
    high, wide = image.shape[:2]
    scale = np.array([wide, high, wide, high]) / 416
    return np.clip(np.array(boxes), 0, 416) * scale, np.concatenate(scores)


def resized(image: npt.NDArray[np.uint8]) -> list[list[list[float]]]:
    """By Pillow, in floating point, as it rounds otherwise."""
    parts = [Image.fromarray(image[..., i].astype(np.float32), "F") for i in range(3)]
    small = [np.array(part.resize((416, 416), Image.Resampling.BILINEAR)) for part in parts]
    values: list[list[list[float]]] = np.stack(small, axis=2).tolist()
    return values


def shared(one: Floats, two: Floats) -> float:
    """What two boxes have in common, of what they cover together."""
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    both = max(width, 0) * max(height, 0)
    return float(both / (sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, two)) - both))


def test_boxes_are_what_remains_when_one_looks_at_every_pair(
    model: Path, image: npt.NDArray[np.uint8]
) -> None:
    boxes, scores = heads(image)
    wanted = []
    for label in range(80):
        left = sorted((s, i) for i, s in enumerate(scores[:, label]) if s > 0.04)[::-1]
        kept: list[tuple[float, int]] = []
        for score, place in left:
            if all(shared(boxes[place], boxes[other]) <= 0.3 for _, other in kept):
                kept.append((score, place))
        wanted += [(score, label, boxes[place]) for score, place in kept]
    wanted.sort(key=lambda item: -item[0])
    session = onnxruntime.InferenceSession(str(model))
    found = session.run(["boxes", "scores", "labels"], {"image": image[None]})
    assert len(wanted) > 10
    assert len({label for _, label, _ in wanted}) > 2
    assert (scores > 0.04).sum() > len(wanted), "some boxes had to go"
    np.testing.assert_allclose(found[1], [score for score, _, _ in wanted], atol=2e-4)
    assert found[2].tolist() == [label for _, label, _ in wanted]
    np.testing.assert_allclose(found[0], [box for _, _, box in wanted], atol=0.2)


def test_cells_are_counted_row_by_row() -> None:
    found = centres(32)
    assert found.shape == (169, 2)
    assert found[:2].tolist() == [[16, 16], [48, 16]]
    assert found[-1].tolist() == [400, 400]


def test_the_file_takes_any_size_and_says_its_classes(model: Path) -> None:
    session = onnxruntime.InferenceSession(str(model))
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", [1, "height", "width", 3])
    outputs = {output.name: (output.type, output.shape) for output in session.get_outputs()}
    assert outputs == {
        "boxes": ("tensor(float)", ["k", 4]),
        "scores": ("tensor(float)", ["k"]),
        "labels": ("tensor(int64)", ["k"]),
    }
    classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
    assert (len(classes), classes[0], classes[15], classes[79]) == (80, "person", "cat", "toothbrush")


def test_where_nothing_is_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(detector(NETWORK)["model.onnx"])
    Image.new("RGB", (50, 30), (9, 9, 9)).save(tmp_path / "dark.png")
    found = detect(tmp_path / "model.onnx", tmp_path / "dark.png")
    assert found["dark.json"] == {"image": "dark.png", "width": 50, "height": 30, "objects": []}
    assert Image.open(io.BytesIO(found["dark.png"])).convert("RGB").getcolors() == [(1500, (9, 9, 9))]


def test_equal_parameters_are_equal_bytes(model: Path, image: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    assert detector(NETWORK, least_score=0.04, most_overlap=0.3)["model.onnx"] == model.read_bytes()
    assert detector(NETWORK)["model.onnx"] != model.read_bytes()
    Image.fromarray(image).save(tmp_path / "china.png")
    assert detect(model, tmp_path / "china.png") == detect(model, tmp_path / "china.png")


def test_boxes_are_drawn_where_they_are() -> None:
    black = np.zeros((100, 200, 3), np.uint8)
    cat = {"label": COCO[15], "score": 0.9, "box": [50.0, 40.0, 150.0, 90.0]}
    picture = np.array(Image.open(io.BytesIO(drawn(black, [cat], 2))))
    coloured = picture.max(axis=2) > 0
    assert coloured[40, 50:150].all()
    assert coloured[40:91, 50].all()
    assert coloured[40:91, 150].all()
    assert not coloured[45:85, 55:145].any(), "the inside is as it was"
    assert coloured[20:40, 50:80].any(), "the name stands above"
    assert not coloured[:, :49].any()


def test_names_do_not_cover_each_other() -> None:
    black = np.zeros((100, 200, 3), np.uint8)
    box = [0.0, 0.0, 199.0, 99.0]
    one = [{"label": "person", "score": 0.9, "box": box}]
    two = [*one, {"label": "cat", "score": 0.5, "box": box}]
    pictures = [np.array(Image.open(io.BytesIO(drawn(black, found, 2)))) for found in (one, two)]
    assert (pictures[0][:16, :60] == pictures[1][:16, :60]).all(), "the surer one is read as before"
    assert (pictures[0] != pictures[1]).any(), "and the other one is there too"
