"""Each row to one side for ever: to train on, to test on, or later than both.

    2013-01-01.parquet  ->  train/2013-01-01.parquet   665 rows
                            test/2013-01-01.parquet    166 rows
                            recent/2013-01-01.parquet    0 rows, as the day is before the holdout

The side of a row is a function of the row alone, never of the other rows nor of chance. It stays
where it is when data is added, and no row that was tested on is ever trained on later. A larger
`test_fraction` only moves rows from train to test.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from stages.split import places


def split(
    flights: pa.Table, *, test_fraction: float, key: Sequence[str], holdout_from: str
) -> dict[str, pa.Table]:
    """The rows of `flights` by side; together they are all rows, in the same order.

    `holdout_from` is an ISO date: rows of that day and later are `recent`. Of the others, those
    whose hashed `key` falls below `test_fraction` are `test`. Raises ValueError.
    """
    if not 0 <= test_fraction <= 1:
        raise ValueError(f"test_fraction is {test_fraction}: a share of the rows, from 0 to 1, is needed")
    recent = pc.greater_equal(flights["date"], pa.scalar(date.fromisoformat(str(holdout_from))))
    drawn = pa.array([place < test_fraction for place in places(flights, key)], pa.bool_())
    test = pc.and_(drawn, pc.invert(recent))
    train = pc.invert(pc.or_(drawn, recent))
    return {"train": flights.filter(train), "test": flights.filter(test), "recent": flights.filter(recent)}
