from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from stages.flights.clean import clean
from stages.flights.split import split
from stages.split import places

KEY = ("carrier", "flight", "origin", "time_hour")
Day = Callable[[str], tuple[pa.Table, pa.Table]]
Keys = set[tuple[object, ...]]


@pytest.fixture(scope="module")
def rows(day: Day) -> pa.Table:
    return pa.concat_tables(
        [clean(*day(name))["rows"] for name in ("2013-01-01", "2013-06-30", "2013-12-02")]
    )


def parts(rows: pa.Table, fraction: float = 0.2, start: str = "2013-12-02") -> dict[str, pa.Table]:
    return split(rows, test_fraction=fraction, key=KEY, holdout_from=start)


def keys(rows: pa.Table) -> Keys:
    return set(zip(*(rows[name].to_pylist() for name in KEY), strict=True))


def test_every_row_has_one_side(rows: pa.Table) -> None:
    found = parts(rows)
    assert list(found) == ["train", "test", "recent"]
    assert sum(part.num_rows for part in found.values()) == rows.num_rows
    assert set.union(*(keys(part) for part in found.values())) == keys(rows)
    assert all(part.num_rows for part in found.values())


def test_the_share_is_about_what_was_asked_for(rows: pa.Table) -> None:
    past = parts(rows, start="2014-01-01")
    assert past["recent"].num_rows == 0
    assert 0.17 < past["test"].num_rows / rows.num_rows < 0.23


def test_a_row_never_changes_sides_whatever_comes_beside_it(rows: pa.Table) -> None:
    whole = parts(rows)
    order = np.random.default_rng(3).permutation(rows.num_rows)
    for other in (
        rows.slice(100, 500),
        rows.take(order),
        pa.concat_tables([rows.slice(7), rows.slice(0, 7)]),
    ):
        for side, part in parts(other).items():
            assert keys(part) == keys(whole[side]) & keys(other)


def test_it_does_not_depend_on_the_process_or_the_stored_unit(rows: pa.Table) -> None:
    first = pa.table({"carrier": ["UA"], "flight": [1545], "origin": ["EWR"], "time_hour": [1357034400000]})
    frozen = 0.29794016743923846
    for unit in ("s", "ms", "us"):
        instant = first["time_hour"].cast(pa.timestamp("ms", "UTC")).cast(pa.timestamp(unit, "UTC"))
        assert places(first.set_column(3, "time_hour", instant), KEY) == [frozen]


def test_neighbouring_fields_are_not_run_together() -> None:
    table = pa.table({"a": ["1", "11"], "b": ["12", "2"]})
    one, other = places(table, ["a", "b"])
    assert one != other


def test_a_larger_share_only_moves_rows_from_train_to_test(rows: pa.Table) -> None:
    assert keys(parts(rows, 0.1)["test"]) < keys(parts(rows, 0.3)["test"])


def test_recent_days_are_on_no_other_side(rows: pa.Table) -> None:
    found = parts(rows)
    assert {str(value) for value in found["recent"]["date"].to_pylist()} == {"2013-12-02"}
    for side in ("train", "test"):
        assert max(found[side]["date"].to_pylist()).isoformat() < "2013-12-02"


def test_a_side_without_rows_keeps_the_schema(rows: pa.Table) -> None:
    for part in parts(rows.slice(0, 0)).values():
        assert part.num_rows == 0
        assert part.schema == rows.schema


@pytest.mark.parametrize("fraction", [-0.1, 1.5])
def test_a_share_is_a_share(rows: pa.Table, fraction: float) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        parts(rows, fraction)
