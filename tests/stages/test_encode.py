from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.encode import decode, encode

ROWS = pa.table({"id": [1, 2, 3, 4], "kind": ["b", "a", None, "b"], "size": [7, 8, 7, 9]})


def test_one_column_for_each_category() -> None:
    out = encode(ROWS, columns=["kind", "size"])
    expected = pd.get_dummies(ROWS.to_pandas(), columns=["kind", "size"], dtype=float)
    pd.testing.assert_frame_equal(out["rows"].to_pandas(), expected)
    assert out["encoding.json"] == {"kind": ["a", "b"], "size": [7, 8, 9]}


def test_the_inverse_brings_back_every_value_through_the_files(tmp_path: Path) -> None:
    out = encode(ROWS, columns=["kind", "size"])
    pq.write_table(out["rows"], tmp_path / "rows.parquet")
    (tmp_path / "encoding.json").write_text(json.dumps(out["encoding.json"]))
    assert decode(pq.read_table(tmp_path / "rows.parquet"), tmp_path / "encoding.json") == ROWS


@pytest.mark.parametrize("seed", range(5))
def test_it_is_an_inverse_of_any_table(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    texts = [("x", "y_1", "", "ä b", None)[place] for place in random.integers(0, 5, 30)]
    rows = pa.table(
        {"t": pa.array(texts, pa.string()), "k": random.integers(-3, 3, 30), "x": random.random(30)}
    )
    out = encode(rows, columns=["t", "k"])
    (tmp_path / "e.json").write_text(json.dumps(out["encoding.json"]))
    assert decode(out["rows"], tmp_path / "e.json") == rows


def test_probabilities_come_back_as_the_likeliest(tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text('{"kind": ["a", "b", "c"]}')
    rows = pa.table({"kind_a": [0.2, 0.5], "kind_b": [0.7, 0.1], "kind_c": [0.1, 0.4]})
    assert decode(rows, tmp_path / "e.json").to_pydict() == {"kind": ["b", "a"]}


def test_declared_categories_fix_the_columns_and_their_order() -> None:
    out = encode(ROWS, columns=["kind"], categories={"kind": ["c", "b", "a"]})
    assert out["rows"].column_names == ["id", "kind_c", "kind_b", "kind_a", "size"]
    assert out["rows"]["kind_c"].to_pylist() == [0.0] * 4


def test_what_cannot_be_encoded_says_why(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="kind is b; the declared categories are a"):
        encode(ROWS, columns=["kind"], categories={"kind": ["a"]})
    with pytest.raises(ValueError, match="no column colour"):
        encode(ROWS, columns=["colour"])
    (tmp_path / "e.json").write_text('{"kind": ["a"]}')
    with pytest.raises(ValueError, match="no column kind_a; there are id, kind, size"):
        decode(ROWS, tmp_path / "e.json")
