"""The converter, on a small TensorFlow.js model that has each operation once, computed by numpy too."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from tools.nanodet_onnx import converted, weights

Array = npt.NDArray[Any]
RANDOM = np.random.default_rng(4)
KERNEL = RANDOM.normal(size=(3, 3, 3, 4)).astype(np.float16)  # height, width, in, out
BIAS = RANDOM.normal(size=4).astype(np.float16)
# 13 x 13 = 169 cells, of which one number each is a score, three are box numbers
VALID = {"s": base64.b64encode(b"VALID").decode()}


def ints(*values: int) -> dict[str, Any]:
    return {"list": {"i": [str(value) for value in values]}}


def node(name: str, operation: str, *inputs: str, **attributes: Any) -> dict[str, Any]:
    return {"name": name, "op": operation, "input": list(inputs), "attr": attributes}


CONSTANTS: dict[str, Array] = {
    "kernel": KERNEL,
    "bias": BIAS,
    "last": np.array([0, 2, 3, 1], np.int32),
    "first": np.array([0, 3, 1, 2], np.int32),
    "pads": np.array([[0, 0], [0, 0], [1, 0], [0, 1]], np.int32),
    "axis": np.array(1, np.int32),
    "size": np.array([26, 26], np.int32),
    "sizes": np.array([80, 44], np.int32),
    "flat": np.array([1, 80, 676], np.int32),
    "flat_boxes": np.array([1, 44, 676], np.int32),
    "indices": np.zeros((0, 1), np.int32),
    "three": np.array([3], np.int32),
    "none": np.zeros(0, np.int32),
    "nought": np.array(0, np.int32),
}
NODES = [
    node("input_1", "Placeholder"),
    *(node(name, "Const") for name in CONSTANTS),
    node("zeros", "SparseToDense", "indices", "three", "none", "nought"),
    node("shape", "AddV2", "flat", "zeros"),
    node("shape_boxes", "AddV2", "flat_boxes", "zeros"),
    node("padded", "Pad", "input_1", "pads"),
    node("turned", "Transpose", "padded", "last"),
    node("conv", "Conv2D", "turned", "kernel", strides=ints(1, 16, 16, 1), padding=VALID),
    node("biased", "Add", "conv", "bias"),
    node("pool", "MaxPool", "biased", ksize=ints(1, 2, 2, 1), strides=ints(1, 2, 2, 1), padding=VALID),
    node("large", "ResizeBilinear", "pool", "size", half_pixel_centers={"b": True}),
    node("both", "Add", "large", "biased"),
    node("back", "Transpose", "both", "first"),
    node("leaky", "LeakyRelu", "back", alpha={"f": 0.1}),
    node("many", "ConcatV2", *["leaky"] * 31, "axis"),
    node("parts", "SplitV", "many", "sizes", "axis"),
    node("likely", "Sigmoid", "parts"),
    node("cells", "Reshape", "likely", "shape"),
    node("cells_boxes", "Reshape", "parts:1", "shape_boxes"),
    node("turn", "Const"),
    node("rows", "Transpose", "cells", "turn"),
    node("rows_boxes", "Transpose", "cells_boxes", "turn"),
    node("scores", "Identity", "rows"),
    node("boxes", "Identity", "rows_boxes"),
]
CONSTANTS["turn"] = np.array([0, 2, 1], np.int32)


def model(
    folder: Path, nodes: list[dict[str, Any]], constants: dict[str, Array] = CONSTANTS
) -> dict[str, Any]:
    described = []
    for name, value in constants.items():
        kind = {"quantization": {"dtype": "float16"}} if value.dtype == np.float16 else {}
        dtype = "float32" if kind else value.dtype.name
        described.append({"name": name, "shape": list(value.shape), "dtype": dtype} | kind)
    (folder / "weights.bin").write_bytes(b"".join(value.tobytes() for value in constants.values()))
    outputs = {
        name: {"name": f"{name}:0", "tensorShape": {"dim": [{"size": "1"}, {"size": "676"}, {"size": size}]}}
        for name, size in (("scores", "80"), ("boxes", "44"))
    }
    return {
        "modelTopology": {"node": nodes},
        "weightsManifest": [{"paths": ["weights.bin"], "weights": described}],
        "signature": {"outputs": outputs},
    }


def by_hand(images: Array) -> tuple[Array, Array]:
    """Channels last, as TensorFlow has them."""
    x = np.pad(images[0].transpose(1, 2, 0), ((1, 0), (0, 1), (0, 0)))
    y = np.zeros((26, 26, 4))
    for row in range(26):
        for column in range(26):
            patch = x[row * 16 : row * 16 + 3, column * 16 : column * 16 + 3]
            y[row, column] = np.tensordot(patch, KERNEL.astype(float), 3) + BIAS.astype(float)
    pooled = y.reshape(13, 2, 13, 2, 4).max(axis=(1, 3))
    places = np.clip((np.arange(26) + 0.5) / 2 - 0.5, 0, 12)
    low, share = np.floor(places).astype(int), places % 1
    high = np.minimum(low + 1, 12)
    wide = pooled[low] * (1 - share)[:, None, None] + pooled[high] * share[:, None, None]
    large = wide[:, low] * (1 - share)[None, :, None] + wide[:, high] * share[None, :, None]
    both = large + y
    leaky = np.where(both > 0, both, both * 0.1).transpose(2, 0, 1)
    many = np.concatenate([leaky] * 31)
    scores = 1 / (1 + np.exp(-many[:80]))
    return scores.reshape(80, 676).T, many[80:].reshape(44, 676).T


def test_the_file_computes_what_the_model_does(tmp_path: Path) -> None:
    data = converted(json.loads(json.dumps(model(tmp_path, NODES))), tmp_path)
    images = np.random.default_rng(5).normal(size=(1, 3, 416, 416)).astype(np.float32)
    session = onnxruntime.InferenceSession(data)
    scores, boxes = session.run(["scores_16", "boxes_16"], {"images": images})
    wanted = by_hand(images)
    assert wanted[1].std() > 1
    np.testing.assert_allclose(scores[0], wanted[0], atol=1e-5)
    np.testing.assert_allclose(boxes[0], wanted[1], atol=1e-4)
    assert converted(model(tmp_path, NODES), tmp_path) == data


def test_weights_are_the_published_bits(tmp_path: Path) -> None:
    found = weights(model(tmp_path, NODES), tmp_path)
    assert found["kernel"].dtype == np.float16
    assert found["kernel"].tobytes() == KERNEL.tobytes()
    assert found["sizes"].tolist() == [80, 44]


def test_what_is_not_known_is_refused(tmp_path: Path) -> None:
    strange = [*NODES[:-2], node("scores", "Tanh", "rows"), NODES[-1]]
    with pytest.raises(ValueError, match="scores: the operation Tanh is not known here"):
        converted(model(tmp_path, strange), tmp_path)
    padded = [
        n | {"attr": n["attr"] | {"padding": {"s": "U0FNRQ=="}}} if n["name"] == "conv" else n for n in NODES
    ]
    with pytest.raises(ValueError, match="conv: padding VALID is expected"):
        converted(model(tmp_path, padded), tmp_path)
    described = model(tmp_path, NODES)
    (tmp_path / "weights.bin").write_bytes((tmp_path / "weights.bin").read_bytes() + b"x")
    with pytest.raises(ValueError, match=r"weights\.bin: \d+ bytes, \d+ are described"):
        weights(described, tmp_path)
