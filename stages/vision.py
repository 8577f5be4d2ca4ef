"""What is in a picture? A published network, as one ONNX file that takes pictures as they are.

    classifier   efficientnet-lite0.pth, labels.json  ->  model.onnx
    classify     model.onnx, coffee.png               ->  coffee.json

    {"image": "coffee.png", "width": 600, "height": 400,
     "classes": [{"label": "espresso", "class": 967, "probability": 0.953391}, …]}

`classifier` writes the network down layer by layer, with the weights of the file; nothing is trained.
What has to be done to a picture first is inside the ONNX file too:

    input   image: uint8[1,height,width,3]    red, green, blue; any size
            its middle, a square of 0.875 of the shorter side, at 224 x 224, (x - 127) / 128
    output  probability: float[1,1000]        by class; their names are the metadata `classes`
            features: float[1,1280]           what the network sees, before it decides
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from stages.graph import Graph
from stages.predict import classes, session_of
from stages.weights import Array, tensors

EPSILON = 1e-3  # of the network's batch normalisations
# (kernel, stride, blocks) of EfficientNet-Lite0's seven groups; the number of channels is that of the weights.
GROUPS = ((3, 1, 1), (3, 2, 2), (5, 2, 2), (3, 2, 3), (5, 1, 3), (5, 2, 4), (3, 1, 1))


def classifier(
    weights: Path,
    labels: Path,
    *,
    size: int = 224,
    middle: float = 0.875,
    shift: float = 127.0,
    scale: float = 128.0,
) -> dict[str, bytes]:
    """`model.onnx`: EfficientNet-Lite0 with these weights. Raises ValueError.

    `labels` is a JSON list with a name for each class. The picture's middle is a square of `middle` of
    the shorter side; it becomes `size` pixels wide, and of each value `(value - shift) / scale`.
    """
    names = json.loads(labels.read_text(encoding="utf-8"))
    graph = Graph("efficientnet_lite0")
    layers = tensors(weights)
    x = picture(graph, size, middle, shift, scale)
    graph.name(network(graph, layers, x), "features")
    _decide(graph, layers, len(names))
    graph.output("probability", [1, len(names)])
    graph.output("features", [1, layers["_fc.weight"].shape[1]])
    return {"model.onnx": graph.model(classes=names)}


def classify(model: Path, image: Path, *, top: int = 5) -> dict[str, Any]:
    """`<image>.json`: the likeliest classes of a picture, the likeliest first."""
    pixels = rgb(image)
    session = session_of(model.read_bytes())
    names = classes(session) or []
    probability = session.run(["probability"], {"image": pixels})[0][0]
    best = np.argsort(-probability, kind="stable")[:top]
    likeliest = [
        {"label": names[i], "class": int(i), "probability": round(float(probability[i]), 6)} for i in best
    ]
    _, height, width, _ = pixels.shape
    return {
        f"{image.stem}.json": {"image": image.name, "width": width, "height": height, "classes": likeliest}
    }


def rgb(image: Path) -> npt.NDArray[np.uint8]:
    """A picture as `uint8[1,height,width,3]`. Raises ValueError where the file is none."""
    try:
        with Image.open(image) as opened:
            return np.asarray(opened.convert("RGB"))[None]
    except OSError as error:
        raise ValueError(f"{image.name} is no picture that can be read: {error}") from error


def picture(graph: Graph, size: int, middle: float, shift: float, scale: float) -> str:
    """From the input `image` to `float[1,3,size,size]`. Smaller by Pillow's bicubic filter, to a rounding."""
    graph.image_input()
    sides = graph.add("Shape", "image", start=1, end=3)
    shorter = graph.add("Cast", graph.add("ReduceMin", sides, keepdims=0), to="float")
    side = graph.add("Cast", graph.add("Mul", shorter, graph.constant(np.float32(middle))), to="int64")
    first = graph.add("Div", graph.add("Sub", sides, side), graph.constant(np.array([2, 2])))
    last = graph.add("Add", first, side)
    square = graph.add("Slice", "image", first, last, graph.constant(np.array([1, 2])))
    channels = graph.add("Transpose", graph.add("Cast", square, to="float"), perm=[0, 3, 1, 2])
    resized = graph.resize(channels, size, "cubic")
    bounded = graph.add("Clip", resized, graph.constant(np.float32(0)), graph.constant(np.float32(255)))
    centred = graph.add("Sub", bounded, graph.constant(np.float32(shift)))
    return graph.add("Div", centred, graph.constant(np.float32(scale)))


def network(graph: Graph, weights: dict[str, Array], x: str) -> str:
    """EfficientNet-Lite0 up to its 1280 features: a stem, 16 inverted residual blocks, a head."""
    x = _layer(graph, weights, x, "_conv_stem", "_bn0", stride=2, bounded=True)
    number = 0
    for _kernel, stride, blocks in GROUPS:
        for block in range(blocks):
            x = _block(graph, weights, x, f"_blocks.{number}.", stride if block == 0 else 1, block > 0)
            number += 1
    x = _layer(graph, weights, x, "_conv_head", "_bn1", bounded=True)
    return graph.add("Flatten", graph.add("GlobalAveragePool", x), axis=1)


def _block(graph: Graph, weights: dict[str, Array], x: str, name: str, stride: int, added: bool) -> str:
    """Wider, each channel by itself, narrower; behind the first of its group, `x` is added to it."""
    y = x
    if f"{name}_expand_conv.weight" in weights:
        y = _layer(graph, weights, y, f"{name}_expand_conv", f"{name}_bn0", bounded=True)
    y = _layer(graph, weights, y, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride, bounded=True)
    y = _layer(graph, weights, y, f"{name}_project_conv", f"{name}_bn2")
    return graph.add("Add", x, y) if added else y


def _layer(
    graph: Graph,
    weights: dict[str, Array],
    x: str,
    convolution: str,
    normalisation: str,
    *,
    stride: int = 1,
    bounded: bool = False,
) -> str:
    """A convolution with its batch normalisation folded into it, and where `bounded`, cut to 0..6."""
    kernel, bias = folded(weights, convolution, normalisation)
    y = graph.add(
        "Conv",
        x,
        graph.constant(kernel),
        graph.constant(bias),
        kernel_shape=kernel.shape[2:],
        strides=[stride, stride],
        group=kernel.shape[0] if convolution.endswith("_depthwise_conv") else 1,
        auto_pad="SAME_UPPER",
    )
    if not bounded:
        return y
    return graph.add("Clip", y, graph.constant(np.float32(0)), graph.constant(np.float32(6)))


def folded(weights: dict[str, Array], convolution: str, normalisation: str) -> tuple[Array, Array]:
    """Kernel and bias of the one convolution that does what a convolution and a normalisation do.

    γ (w·x - μ) / √(σ² + ε) + β  is  (γ / √(σ² + ε)) w·x + (β - γ μ / √(σ² + ε)).
    """
    gamma, beta, mean, variance = (
        _weight(weights, f"{normalisation}.{part}").astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    factor = gamma / np.sqrt(variance + EPSILON)
    kernel = _weight(weights, f"{convolution}.weight") * factor[:, None, None, None]
    return kernel.astype(np.float32), (beta - mean * factor).astype(np.float32)


def _decide(graph: Graph, weights: dict[str, Array], classes: int) -> None:
    matrix, bias = _weight(weights, "_fc.weight"), _weight(weights, "_fc.bias")
    if len(bias) != classes:
        raise ValueError(f"the weights are for {len(bias)} classes, the labels name {classes}")
    logits = graph.add("Gemm", "features", graph.constant(matrix), graph.constant(bias), transB=1)
    graph.name(graph.add("Softmax", logits, axis=1), "probability")


def _weight(weights: dict[str, Array], name: str) -> Array:
    if name not in weights:
        raise ValueError(f"the weights have no {name}: EfficientNet-Lite0's are needed")
    return weights[name]
