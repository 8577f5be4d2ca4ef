"""Texts as points: what a published network makes of a sentence.

    embed   model.onnx, tokenizer.json, train/split.parquet  ->  train/split.parquet: label, embedding

The network (all-MiniLM-L6-v2) has a vector for each token; the mean of these, of length 1, stands for
the text: 384 numbers. Texts of one meaning lie close to each other, also where they share no word.

Texts go through the network one by one. Its 8-bit arithmetic measures the range of the numbers in a
batch anew each time, so that in a batch a text's embedding would depend on its neighbours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from stages.predict import session_of


def embed(model: Path, tokenizer: Path, rows: pa.Table, *, longest: int = 48) -> pa.Table:
    """`label` and `embedding` of each row's `text`, of which the first `longest` tokens are read."""
    words = Tokenizer.from_file(str(tokenizer))
    words.enable_truncation(longest)
    words.no_padding()
    session = session_of(model.read_bytes())
    points = [_embedded(session, words.encode(text).ids) for text in rows["text"].to_pylist()]
    return pa.table({"label": rows["label"], "embedding": pa.array(points, pa.list_(pa.float32()))})


def _embedded(session: Any, ids: list[int]) -> list[float]:
    tokens = np.array([ids], dtype=np.int64)
    inputs = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "token_type_ids": tokens * 0}
    mean = session.run(["last_hidden_state"], inputs)[0][0].mean(axis=0)
    unit: list[float] = (mean / np.linalg.norm(mean)).tolist()
    return unit
