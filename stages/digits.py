"""A network that knows a thousand things is taught ten more: the digits.

    embed     model.onnx, train/digits.parquet   ->  train/digits.parquet: digit, embedding
    head      model.onnx, train, validation      ->  model.onnx, report.json
    compare   holdout, the models                ->  metrics.json, confusion.json

The network stays as it is; only the last step, from its 1,280 features to ten classes, is learnt. The
model of `head` is the network without its old last step and with the new one: it takes pictures

    input   image: uint8[1,height,width,3]
    output  probability: float[1,10], label: int64[1]

as every model of pictures does, and answers with digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pyarrow as pa
from PIL import Image

from stages.beside import side_by_side
from stages.graph import Graph
from stages.heads import fitted
from stages.predict import run, session_of
from stages.sentences import points

SIDE = 8
BRIGHTEST = 16  # of the data's pixels
PIXELS = [f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE)]
# The network has learnt from photographs: a smooth, dark digit on a wide light ground is nearer to those
# than squares are. It looks at the middle of a picture only, here at 196 of its 224 pixels.
ENLARGED = 96
MARGIN = 64


def embed(model: Path, rows: pa.Table) -> pa.Table:
    """`digit` and `embedding` of each row: what the network sees in the picture of it."""
    session = session_of(model.read_bytes())
    seen = [session.run(["features"], {"image": picture[None]})[0][0].tolist() for picture in pictures(rows)]
    return pa.table({"digit": rows["digit"], "embedding": pa.array(seen, pa.list_(pa.float32()))})


def head(
    model: Path,
    train: pa.Table,
    validation: pa.Table,
    *,
    strengths: Sequence[float] = (0.01, 0.1, 1.0),
    seed: int = 7,
) -> dict[str, Any]:
    """`model.onnx`: the network with a last step learnt from `train`; `report.json`: how it was chosen."""
    sides = [(points(side), side["digit"].to_pylist()) for side in (train, validation)]
    found = fitted(sides[0], sides[1], strengths, seed)
    graph = Graph("digits")
    graph.image_input()
    network = graph.include(onnx.load(model), "network_", ["features"], image="image")
    matrix, bias = graph.constant(found.matrix), graph.constant(found.bias)
    logits = graph.add("Gemm", network["features"], matrix, bias)
    probability = graph.name(graph.add("Softmax", logits, axis=1), "probability")
    graph.name(graph.add("ArgMax", probability, axis=1, keepdims=0), "label")
    graph.output("probability", [1, len(found.classes)]).output("label", [1], "int64")
    classes = [str(value) for value in found.classes]
    return {"model.onnx": graph.model(classes=classes), "report.json": found.report}


def compare(holdout: pa.Table, network: Path, pixels: Path) -> dict[str, Any]:
    """Both models on the digits of `holdout`: as pictures, and as 64 columns.

    `metrics.json`, and `confusion.json` for `dvc plots`: a line for each digit, right or wrong, with what
    the network took it for.
    """
    seen = session_of(network.read_bytes())
    by_network = [seen.run(["probability"], {"image": one[None]})[0][0] for one in pictures(holdout)]
    by_pixels = run(session_of(pixels.read_bytes()), holdout)["probability"]
    answers = holdout["digit"].to_pylist()
    found = {"network": np.array(by_network), "pixels": by_pixels}
    called = found["network"].argmax(axis=1).tolist()
    lines = [{"digit": digit, "called": call} for digit, call in zip(answers, called, strict=True)]
    return {"metrics.json": side_by_side(found, answers, range(10)), "confusion.json": lines}


def pictures(rows: pa.Table) -> npt.NDArray[np.uint8]:
    """`uint8[rows,224,224,3]`: dark on light, in the middle."""
    missing = [name for name in PIXELS if name not in rows.column_names]
    if missing:
        raise ValueError(f"there is no column {', '.join(missing)}; a digit has {PIXELS[0]} to {PIXELS[-1]}")
    values = np.stack([rows[name].to_numpy() for name in PIXELS], axis=1).reshape(-1, SIDE, SIDE)
    ink = np.pad(np.round(values * (255 / BRIGHTEST)).astype(np.uint8), ((0, 0), (1, 1), (1, 1)))
    smooth = [
        Image.fromarray(255 - digit).resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC) for digit in ink
    ]
    frame = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
    framed = np.pad(np.array(smooth).reshape(-1, ENLARGED, ENLARGED), frame, constant_values=255)
    return np.repeat(framed[..., None], 3, axis=3)
