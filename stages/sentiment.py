"""A small model behind sentence embeddings, and three ways to judge a text side by side.

    head      train, validation                           ->  model.onnx, report.json
    compare   holdout as text and as points, the models   ->  metrics.json

`embedding` is what `stages/sentences.py` makes of a text: the tokenizer is no part of the ONNX file.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from stages.beside import side_by_side
from stages.graph import Graph
from stages.heads import fitted, points
from stages.predict import session_of


def head(
    train: pa.Table,
    validation: pa.Table,
    *,
    strengths: Sequence[float] = (0.001, 0.01, 0.1),
    classes: Sequence[str] = ("negative", "positive"),
    seed: int = 7,
) -> dict[str, Any]:
    """`model.onnx`, from an input `embedding`: float[N,384] to `label` and `probability`; `report.json`."""
    sides = [(points(side), side["label"].to_pylist()) for side in (train, validation)]
    found = fitted(sides[0], sides[1], strengths, seed)
    graph = Graph("sentence_head")
    graph.input("embedding", "float", [None, len(found.matrix)])
    logits = graph.add("Gemm", "embedding", graph.constant(found.matrix), graph.constant(found.bias))
    probability = graph.name(graph.add("Softmax", logits, axis=1), "probability")
    graph.label(probability, classes).output("probability", [None, len(classes)])
    return {"model.onnx": graph.model(classes=classes), "report.json": found.report}


def compare(
    holdout: pa.Table, embedded: pa.Table, tfidf: Path, tfidf_few: Path, minilm: Path
) -> dict[str, Any]:
    """`metrics.json`: three models on the rows of `holdout`; `embedded` has the same rows as points."""
    if holdout["label"].to_pylist() != embedded["label"].to_pylist():
        raise ValueError("holdout and embedded are not the same rows")
    text = np.array(holdout["text"].to_pylist(), dtype=object).reshape(-1, 1)
    found = {
        "tfidf": probability(tfidf, text=text),
        "tfidf_few": probability(tfidf_few, text=text),
        "minilm_few": probability(minilm, embedding=points(embedded)),
    }
    return {"metrics.json": side_by_side(found, holdout["label"].to_pylist(), [0, 1])}


def probability(model: Path, **inputs: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """What a classifier's file says of these rows."""
    answer: npt.NDArray[np.float32] = session_of(model.read_bytes()).run(["probability"], inputs)[0]
    return answer
