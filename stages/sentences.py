"""Texts as points: what a published network makes of a sentence, and a small model behind it.

    embed   model.onnx, tokenizer.json, train/tweets.parquet  ->  train/tweets.parquet: label, embedding
    head    train, validation                                 ->  model.onnx, report.json
    compare holdout as text and as points, the models         ->  metrics.json

The network (all-MiniLM-L6-v2) has a vector for each token; the mean of these, of length 1, stands for
the text: 384 numbers. Texts of one meaning lie close to each other, also where they share no word.

Texts go through the network one by one. Its 8-bit arithmetic measures the range of the numbers in a
batch anew each time, so that in a batch a text's embedding would depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tokenizers import Tokenizer

from stages.beside import side_by_side
from stages.graph import Graph
from stages.heads import fitted
from stages.predict import session_of

Floats = npt.NDArray[np.float32]


def embed(model: Path, tokenizer: Path, rows: pa.Table, *, longest: int = 48) -> pa.Table:
    """`label` and `embedding` of each row's `text`, of which the first `longest` tokens are read."""
    words = Tokenizer.from_file(str(tokenizer))
    words.enable_truncation(longest)
    words.no_padding()
    session = session_of(model.read_bytes())
    points = [_embedded(session, words.encode(text).ids) for text in rows["text"].to_pylist()]
    return pa.table({"label": rows["label"], "embedding": pa.array(points, pa.list_(pa.float32()))})


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
    graph.name(graph.add("ArgMax", probability, axis=1, keepdims=0), "label")
    graph.output("label", [None], "int64").output("probability", [None, len(classes)])
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


def probability(model: Path, **inputs: npt.NDArray[Any]) -> Floats:
    """What a classifier's file says of these rows."""
    answer: Floats = session_of(model.read_bytes()).run(["probability"], inputs)[0]
    return answer


def points(rows: pa.Table) -> Floats:
    """The column `embedding` as a matrix."""
    return np.array(rows["embedding"].to_pylist(), dtype=np.float32)


def _embedded(session: Any, ids: list[int]) -> list[float]:
    tokens = np.array([ids], dtype=np.int64)
    inputs = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "token_type_ids": tokens * 0}
    mean = session.run(["last_hidden_state"], inputs)[0][0].mean(axis=0)
    unit: list[float] = (mean / np.linalg.norm(mean)).tolist()
    return unit
