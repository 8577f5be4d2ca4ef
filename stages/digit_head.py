"""A network that knows a thousand things is taught ten more: the digits.

    head      model.onnx, train, validation   ->  model.onnx, report.json
    compare   holdout, the models             ->  metrics.json, confusion.json

The network stays as it is; only the last step, from its 1,280 features to ten classes, is learnt. The
model of `head` is the network without its old last step and with the new one: it takes pictures

    input   image: uint8[1,height,width,3]
    output  label: int64[1], probability: float[1,10]

as every model of pictures does, and answers with digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa

from stages.beside import side_by_side
from stages.digits import pictures
from stages.graph import Graph
from stages.heads import fitted, points
from stages.predict import run, session_of


def head(
    model: Path,
    train: pa.Table,
    validation: pa.Table,
    *,
    strengths: Sequence[float] = (0.01, 0.1, 1.0, 10.0),
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
    graph.label(probability, found.classes, rows=1).output("probability", [1, len(found.classes)])
    return {"model.onnx": graph.model(classes=found.classes), "report.json": found.report}


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
