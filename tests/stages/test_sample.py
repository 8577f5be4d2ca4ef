from __future__ import annotations

import pyarrow as pa
import pytest

from stages.sample import sample
from stages.split import split

ROWS = pa.table({"name": [f"row {i}" for i in range(4000)], "value": list(range(4000))})


def test_a_row_stays_in_whatever_is_beside_it() -> None:
    whole = sample(ROWS, share=0.2, key=["name"])["value"].to_pylist()
    half = sample(ROWS.slice(1000, 2000), share=0.2, key=["name"])["value"].to_pylist()
    assert half == [value for value in whole if 1000 <= value < 3000]
    assert whole == sorted(whole)
    assert 0.17 < len(whole) / 4000 < 0.23


def test_a_larger_share_has_all_of_a_smaller_one() -> None:
    small, large = (set(sample(ROWS, share=share)["value"].to_pylist()) for share in (0.1, 0.3))
    assert small < large
    assert sample(ROWS, share=1.0).equals(ROWS)
    assert set(sample(ROWS, share=0.1, seed=8)["value"].to_pylist()) != small


def test_it_has_nothing_to_do_with_the_split() -> None:
    """With one hash for both, all sampled rows would be of the holdout."""
    part = sample(ROWS, share=0.2, key=["name"])
    sides = split(part, method="key", columns=["name"], test_fraction=0.2, validation_fraction=0.0)
    assert 0.14 < sides["holdout"].num_rows / part.num_rows < 0.26


@pytest.mark.parametrize(
    ("share", "key", "message"),
    [
        (0, [], "share is 0: a part of the rows"),
        (1.5, [], "share is 1.5"),
        (0.5, ["nam"], "there is no column nam; there are name, value"),
    ],
)
def test_what_is_wrong_is_said(share: float, key: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sample(ROWS, share=share, key=key)
