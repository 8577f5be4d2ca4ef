from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest
from PIL import Image

from stages import vision
from stages.graph import Graph
from stages.vision import EPSILON, classifier, classify, folded, rgb
from tests.stages import torch_files

Array = npt.NDArray[np.float64]

CHANNELS = (4, 6, 5, 8, 7, 6, 9, 10)  # a stem and seven groups, far fewer than the real one has
STRIDES, SIZES, BLOCKS = (1, 2, 2, 2, 1, 2, 1), (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 3, 3, 4, 1)
FEATURES, CLASSES = 12, 3


def random_weights(seed: int = 3) -> dict[str, npt.NDArray[np.float32]]:
    """A network of EfficientNet-Lite0's form with other numbers."""
    random = np.random.default_rng(seed)
    weights: dict[str, Any] = {}

    def layer(convolution: str, normalisation: str, out: int, inside: int, size: int) -> None:
        kernel = random.normal(size=(out, inside, size, size)) * np.sqrt(2 / (inside * size * size))
        weights[f"{convolution}.weight"] = kernel
        weights[f"{normalisation}.weight"] = random.uniform(0.5, 2, out)
        weights[f"{normalisation}.bias"] = random.normal(size=out) / 2
        weights[f"{normalisation}.running_mean"] = random.normal(size=out) / 4
        weights[f"{normalisation}.running_var"] = random.uniform(0.1, 2, out)

    layer("_conv_stem", "_bn0", CHANNELS[0], 3, 3)
    number = 0
    for group, blocks in enumerate(BLOCKS):
        for block in range(blocks):
            name = f"_blocks.{number}."
            inside = CHANNELS[group] if block == 0 else CHANNELS[group + 1]
            wide = inside if number == 0 else inside * 2
            if number:
                layer(f"{name}_expand_conv", f"{name}_bn0", wide, inside, 1)
            layer(f"{name}_depthwise_conv", f"{name}_bn1", wide, 1, SIZES[group])
            layer(f"{name}_project_conv", f"{name}_bn2", CHANNELS[group + 1], wide, 1)
            number += 1
    layer("_conv_head", "_bn1", FEATURES, CHANNELS[-1], 1)
    weights["_fc.weight"] = random.normal(size=(CLASSES, FEATURES))
    weights["_fc.bias"] = random.normal(size=CLASSES)
    return {name: np.asarray(value, np.float32) for name, value in weights.items()}


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "labels.json").write_text(json.dumps(["cat", "dög", "cup"]))
    return torch_files.write(folder / "small.pth", random_weights()), folder / "labels.json"


@pytest.fixture(scope="module")
def model(sources: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / "model.onnx"
    file.write_bytes(classifier(*sources, size=40)["model.onnx"])
    return file


# ---------------------------------------------------------------- the network, computed by numpy alone


def convolution(x: Array, kernel: Array, stride: int, apart: bool) -> Array:
    """Written out: padded as TensorFlow's SAME does, one output position after the other."""
    size = kernel.shape[2]
    side = -(-x.shape[1] // stride)
    padding = max((side - 1) * stride + size - x.shape[1], 0)
    around = (padding // 2, padding - padding // 2)
    x = np.pad(x, ((0, 0), around, around))
    out = np.zeros((kernel.shape[0], side, side))
    for row in range(side):
        for column in range(side):
            patch = x[:, row * stride : row * stride + size, column * stride : column * stride + size]
            out[:, row, column] = (
                (patch * kernel[:, 0]).sum(axis=(1, 2)) if apart else np.tensordot(kernel, patch, 3)
            )
    return out


def by_hand(x: Array, weights: dict[str, Any]) -> tuple[Array, Array]:
    """Features and probabilities, with every normalisation as it is defined, behind its convolution."""

    def layer(x: Array, name: str, norm: str, stride: int = 1, bounded: bool = True) -> Array:
        kernel = weights[f"{name}.weight"].astype(np.float64)
        y = convolution(x, kernel, stride, name.endswith("depthwise_conv"))
        gamma, beta, mean, variance = (
            weights[f"{norm}.{part}"].astype(np.float64)[:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        y = np.asarray(gamma * (y - mean) / np.sqrt(variance + 0.001) + beta)
        return np.clip(y, 0, 6) if bounded else y

    x = layer(x, "_conv_stem", "_bn0", 2)
    number = 0
    for group, blocks in enumerate(BLOCKS):
        for block in range(blocks):
            name, y = f"_blocks.{number}.", x
            if number:
                y = layer(y, f"{name}_expand_conv", f"{name}_bn0")
            y = layer(y, f"{name}_depthwise_conv", f"{name}_bn1", STRIDES[group] if block == 0 else 1)
            y = layer(y, f"{name}_project_conv", f"{name}_bn2", bounded=False)
            x = x + y if block else y
            number += 1
    features = layer(x, "_conv_head", "_bn1").mean(axis=(1, 2))
    logits = weights["_fc.weight"].astype(np.float64) @ features + weights["_fc.bias"]
    chances = np.exp(logits - logits.max())
    return features, chances / chances.sum()


@pytest.mark.parametrize("seed", [1, 2])
def test_the_file_computes_what_the_network_is_defined_to(model: Path, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (53, 70, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(str(model))
    probability, features = session.run(["probability", "features"], {"image": image[None]})
    wanted, chances = by_hand(seen(image, 40), random_weights())
    assert wanted.std() > 0.1, "a network that answers the same to all would pass"
    np.testing.assert_allclose(features[0], wanted, atol=2e-4)
    np.testing.assert_allclose(probability[0], chances, atol=1e-4)


def seen(image: npt.NDArray[np.uint8], size: int) -> Array:
    """What the network is shown: cut and resized as the file does, which the next test compares with Pillow."""
    graph = Graph("picture")
    graph.name(vision.picture(graph, size, 0.875, 127.0, 128.0), "x")
    graph.output("x", [1, 3, size, size])
    session = onnxruntime.InferenceSession(graph.model())
    shown: Array = session.run(["x"], {"image": image[None]})[0][0].astype(np.float64)
    return shown


@pytest.mark.parametrize(("height", "width"), [(300, 451), (97, 64), (512, 512), (20, 33), (24, 24)])
def test_pictures_are_cut_and_resized_as_pillow_does(height: int, width: int) -> None:
    random = np.random.default_rng(height)
    coarse = random.integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    image = np.array(Image.fromarray(coarse).resize((width, height)))
    side = int(min(height, width) * 0.875)
    left, top = (width - side) // 2, (height - side) // 2
    cut = Image.fromarray(image).crop((left, top, left + side, top + side))
    wanted = np.array(cut.resize((56, 56), Image.Resampling.BICUBIC), np.float64)
    found = seen(image, 56).transpose(1, 2, 0) * 128 + 127
    assert np.abs(found - wanted).max() < 2.5, "Pillow rounds to whole numbers, twice"
    assert np.abs(found - wanted).mean() < 0.5


def test_a_normalisation_is_folded_into_its_convolution() -> None:
    weights = random_weights()
    kernel, bias = folded(weights, "_conv_head", "_bn1")
    x = np.random.default_rng(0).normal(size=CHANNELS[-1])
    y = weights["_conv_head.weight"][:, :, 0, 0] @ x
    wanted = (y - weights["_bn1.running_mean"]) / np.sqrt(weights["_bn1.running_var"] + EPSILON)
    wanted = wanted * weights["_bn1.weight"] + weights["_bn1.bias"]
    np.testing.assert_allclose(kernel[:, :, 0, 0] @ x + bias, wanted, rtol=1e-5)


def test_the_file_takes_any_size_and_says_its_classes(model: Path) -> None:
    session = onnxruntime.InferenceSession(str(model))
    (image,) = session.get_inputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", [1, "height", "width", 3])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["cat", "dög", "cup"]
    assert {output.name: output.shape for output in session.get_outputs()} == {
        "probability": [1, CLASSES],
        "features": [1, FEATURES],
    }


def test_equal_weights_are_equal_bytes(sources: tuple[Path, Path], model: Path) -> None:
    assert classifier(*sources, size=40)["model.onnx"] == model.read_bytes()
    assert classifier(*sources, size=41)["model.onnx"] != model.read_bytes()


def test_the_likeliest_classes_come_first(model: Path, tmp_path: Path) -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    found = classify(model, tmp_path / "noise.png", top=2)
    assert list(found) == ["noise.json"]
    report = found["noise.json"]
    assert (report["image"], report["width"], report["height"]) == ("noise.png", 80, 60)
    _, chances = by_hand(seen(pixels, 40), random_weights())
    best = np.argsort(-chances)[:2]
    assert [one["class"] for one in report["classes"]] == best.tolist()
    assert [one["label"] for one in report["classes"]] == [["cat", "dög", "cup"][i] for i in best]
    np.testing.assert_allclose([one["probability"] for one in report["classes"]], chances[best], atol=1e-4)


def test_pictures_of_every_kind_become_red_green_and_blue(tmp_path: Path) -> None:
    Image.new("L", (3, 2), 7).save(tmp_path / "grey.png")
    Image.new("RGBA", (3, 2), (1, 2, 3, 0)).save(tmp_path / "clear.png")
    assert rgb(tmp_path / "grey.png").tolist() == np.full((1, 2, 3, 3), 7).tolist()
    assert rgb(tmp_path / "clear.png")[0, 0, 0].tolist() == [1, 2, 3]
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"text\.png is no picture that can be read"):
        rgb(tmp_path / "text.png")


def test_wrong_weights_and_labels_are_said(tmp_path: Path, sources: tuple[Path, Path]) -> None:
    labels = tmp_path / "two.json"
    labels.write_text('["a", "b"]')
    with pytest.raises(ValueError, match="the weights are for 3 classes, the labels name 2"):
        classifier(sources[0], labels, size=40)
    other = torch_files.write(tmp_path / "other.pth", {"a": np.zeros(1, np.float32)})
    with pytest.raises(
        ValueError, match=r"the weights have no _bn0\.weight: EfficientNet-Lite0's are needed"
    ):
        classifier(other, sources[1], size=40)
