from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from stages.normalise import normalise

RANDOM = np.random.default_rng(8)
SIDES = {
    side: pa.table(
        {"id": np.arange(rows), "price": RANDOM.normal(100, 20, rows), "age": RANDOM.integers(18, 90, rows)}
    )
    for side, rows in (("train", 50), ("validation", 20), ("holdout", 30))
}
COLUMNS = ["price", "age"]


@pytest.mark.parametrize(("method", "scaler"), [("minmax", MinMaxScaler()), ("standard", StandardScaler())])
def test_every_side_is_scaled_as_train_says(method: str, scaler: MinMaxScaler | StandardScaler) -> None:
    out = normalise(**SIDES, columns=COLUMNS, method=method)
    scaler.fit(SIDES["train"].select(COLUMNS).to_pandas())
    for side, rows in SIDES.items():
        expected = scaler.transform(rows.select(COLUMNS).to_pandas())
        found = np.column_stack([out[side][name].to_numpy() for name in COLUMNS])
        np.testing.assert_allclose(found, expected, atol=1e-12)
        assert out[side]["id"] == rows["id"]
    back = out["holdout"]["price"].to_numpy() * out["statistics.json"]["price"]["scale"]
    np.testing.assert_allclose(
        back + out["statistics.json"]["price"]["shift"], SIDES["holdout"]["price"].to_numpy()
    )


def test_other_sides_have_no_say() -> None:
    wild = SIDES | {"holdout": SIDES["holdout"].set_column(1, "price", pa.array([1e9] * 30))}
    one, other = (normalise(**sides, columns=COLUMNS) for sides in (SIDES, wild))
    assert one["statistics.json"] == other["statistics.json"]
    assert one["train"] == other["train"]


def test_gaps_stay_and_a_constant_is_only_shifted() -> None:
    rows = pa.table({"price": [1.0, None, 3.0], "age": [5, 5, 5]})
    out = normalise(rows, rows, rows, columns=COLUMNS)["train"]
    assert out.to_pydict() == {"price": [0.0, None, 1.0], "age": [0.0, 0.0, 0.0]}


def test_what_cannot_be_scaled_says_why() -> None:
    rows = pa.table({"price": [None, float("nan")], "city": ["a", "b"]})
    for columns, method, message in (
        (["price"], "minmax", "price has no value in train"),
        (["city"], "minmax", "city cannot be scaled, it is no number"),
        (["age"], "minmax", "no column age; there are price, city"),
        (["price"], "robust", "minmax or standard"),
    ):
        with pytest.raises(ValueError, match=message):
            normalise(rows, rows, rows, columns=columns, method=method)
