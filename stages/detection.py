"""Which things are in a picture, and where? NanoDet, with all that stands around the network.

    detector   nanodet.onnx             ->  model.onnx
    detect     model.onnx, chelsea.png  ->  chelsea.json, chelsea.png with the boxes drawn

    {"image": "astronaut.png", "width": 512, "height": 512, "objects":
     [{"label": "person", "score": 0.743, "box": [20.1, 3.9, 462.0, 510.2]}, …]}

The network alone takes 416 x 416 normalised pixels and says, for each of 3,549 cells, how much it looks
like each of 80 things, and how far the box of such a thing would reach to the four sides. `detector`
puts the rest into the ONNX file:

    input   image: uint8[1,height,width,3]   red, green, blue; any size
    output  boxes: float[k,4]                left, top, right, bottom, in pixels of the picture
            scores: float[k]                 from 1 to 0, the highest first
            labels: int64[k]                 their names are the metadata `classes`
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from PIL import Image, ImageDraw, ImageFont

from stages.graph import Graph
from stages.predict import classes, session_of
from stages.vision import rgb

SIZE = 416
STRIDES = (8, 16, 32)
# A distance is the mean of 11 numbers, 0 to 10, weighted by what the network says; its unit is the stride.
STEPS = 11
# Of the pictures that the network learnt from: blue, green, red.
MEAN = (103.53, 116.28, 123.675)
DEVIATION = (57.375, 57.12, 58.395)

NAMES = (
    "person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant, "
    "stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe, "
    "backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat, "
    "baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, "
    "banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, "
    "potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, "
    "oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush"
)
COCO = NAMES.split(", ")

COLOURS = ("#d7263d", "#1b998b", "#2e5eaa", "#f46036", "#8e44ad", "#6b8e23")

Floats = npt.NDArray[np.float32]


def detector(
    network: Path, *, least_score: float = 0.4, most_overlap: float = 0.5, most: int = 100
) -> dict[str, bytes]:
    """`model.onnx`: from a picture to boxes.

    What scores below `least_score` is no find. Of two boxes of one class that share more than
    `most_overlap` of what they cover together, the one with the lower score goes. At most `most` boxes
    of a class are left.
    """
    graph = Graph("nanodet")
    names = [f"{part}_{stride}" for part in ("scores", "boxes") for stride in STRIDES]
    heads = graph.include(onnx.load(network), "nanodet_", names, images=_pixels(graph))
    boxes = graph.add("Concat", *(_boxes(graph, heads, stride) for stride in STRIDES), axis=1)
    boxes = graph.add("Mul", boxes, _scale(graph))
    scores = graph.add("Concat", *(heads[f"scores_{stride}"] for stride in STRIDES), axis=1)
    by_class = graph.add("Transpose", scores, perm=[0, 2, 1])
    limits = (np.array([most]), np.array([most_overlap], np.float32), np.array([least_score], np.float32))
    kept = graph.add("NonMaxSuppression", boxes, by_class, *(graph.constant(limit) for limit in limits))
    _finds(graph, boxes, by_class, kept)
    graph.output("boxes", ["k", 4]).output("scores", ["k"]).output("labels", ["k"], "int64")
    return {"model.onnx": graph.model(classes=COCO)}


def detect(model: Path, image: Path, *, width: int = 3) -> dict[str, Any]:
    """`<image>.json`, what was found, the surest first, and `<image>.png`, with boxes `width` pixels wide."""
    pixels = rgb(image)
    session = session_of(model.read_bytes())
    names = classes(session) or COCO
    boxes, scores, labels = session.run(["boxes", "scores", "labels"], {"image": pixels})
    found = [
        {"label": names[label], "score": round(float(score), 6), "box": [round(float(v), 1) for v in box]}
        for box, score, label in zip(boxes, scores, labels, strict=True)
    ]
    _, high, wide, _ = pixels.shape
    report = {"image": image.name, "width": wide, "height": high, "objects": found}
    return {f"{image.stem}.json": report, f"{image.stem}.png": drawn(pixels[0], found, width)}


def drawn(pixels: npt.NDArray[np.uint8], found: list[dict[str, Any]], width: int) -> bytes:
    """The picture as PNG, each box in the colour of its class; names and scores do not cover each other."""
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    font = ImageFont.load_default(size=max(12, picture.height // 30))
    for item in reversed(found):
        left, top, right, bottom = item["box"]
        corners = (left, top, max(left, right), max(top, bottom))
        pen.rectangle(corners, outline=_colour(item), width=width)
    taken: list[tuple[float, float, float, float]] = []
    for item in found:
        text = f"{item['label']} {item['score']:.2f}"
        _, _, wide, high = pen.textbbox((0, 0), text, font=font)
        wide, high = wide + 2 * width, high + 2 * width
        x = min(item["box"][0], max(0, picture.width - wide))
        y = max(0, item["box"][1] - high)
        for other in sorted(taken, key=lambda place: place[1]):
            y = other[3] if _meet((x, y, x + wide, y + high), other) else y
        taken.append((x, y, x + wide, y + high))
        pen.rectangle(taken[-1], _colour(item))
        pen.text((x + width, y + width), text, "white", font)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _colour(item: dict[str, Any]) -> str:
    return COLOURS[COCO.index(item["label"]) % len(COLOURS)]


def _meet(one: tuple[float, ...], two: tuple[float, ...]) -> bool:
    return one[0] < two[2] and two[0] < one[2] and one[1] < two[3] and two[1] < one[3]


def _pixels(graph: Graph) -> str:
    """From the input `image` to what the network takes; sides are stretched to a square."""
    graph.image_input()
    floats = graph.add("Transpose", graph.add("Cast", "image", to="float"), perm=[0, 3, 1, 2])
    square = graph.resize(floats, SIZE, "linear")
    blue_first = graph.add("Gather", square, graph.constant(np.array([2, 1, 0])), axis=1)
    centred = graph.add("Sub", blue_first, graph.constant(np.array(MEAN, np.float32).reshape(1, 3, 1, 1)))
    return graph.add("Div", centred, graph.constant(np.array(DEVIATION, np.float32).reshape(1, 3, 1, 1)))


def _boxes(graph: Graph, heads: dict[str, str], stride: int) -> str:
    """`float[1,cells,4]`: the boxes of a head, in the network's pixels."""
    shape = graph.constant(np.array([1, -1, 4, STEPS]))
    shares = graph.add("Softmax", graph.add("Reshape", heads[f"boxes_{stride}"], shape), axis=3)
    steps = graph.constant((np.arange(STEPS) * stride).astype(np.float32).reshape(STEPS, 1))
    flat = graph.constant(np.array([1, -1, 4]))
    distances = graph.add("Reshape", graph.add("MatMul", shares, steps), flat)
    towards = graph.add("Mul", distances, graph.constant(np.array([-1, -1, 1, 1], np.float32)))
    boxes = graph.add("Add", towards, graph.constant(np.tile(centres(stride), 2)[None]))
    return graph.add("Clip", boxes, graph.constant(np.float32(0)), graph.constant(np.float32(SIZE)))


def centres(stride: int) -> Floats:
    """(x, y) of the middle of each cell, row by row, in the network's pixels."""
    cells = SIZE // stride
    y, x = np.divmod(np.arange(cells * cells), cells)
    return ((np.stack([x, y], axis=1) + 0.5) * stride).astype(np.float32)


def _scale(graph: Graph) -> str:
    """(width, height, width, height) of the picture over those of the network."""
    sides = graph.add("Shape", "image", start=1, end=3)
    order = graph.add("Gather", sides, graph.constant(np.array([1, 0, 1, 0])))
    return graph.add("Div", graph.add("Cast", order, to="float"), graph.constant(np.float32(SIZE)))


def _finds(graph: Graph, boxes: str, by_class: str, kept: str) -> None:
    """The outputs; `kept` is `int64[k,3]`: picture, class, cell."""
    scores = graph.add("GatherND", by_class, kept)
    count = graph.add("Shape", scores)
    best, order = graph.split("TopK", 2, scores, count)
    kept = graph.add("Gather", kept, order)
    column = [graph.constant(np.int64(number)) for number in (1, 2)]
    flat = graph.add("Squeeze", boxes, graph.constant(np.array([0])))
    graph.name(graph.add("Gather", flat, graph.add("Gather", kept, column[1], axis=1)), "boxes")
    graph.name(best, "scores")
    graph.name(graph.add("Gather", kept, column[0], axis=1), "labels")
