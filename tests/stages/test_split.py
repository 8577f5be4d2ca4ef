"""`split`: every method's promise, and the report against scipy and against brute force."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from scipy.stats import ks_2samp  # type: ignore[import-untyped]

from stages.alike import ONE_IN_TWENTY, kolmogorov_smirnov, total_variation
from stages.split import METHODS, SIDES, split

COLUMNS = {"random": [], "stratified": ["answer"], "group": ["shop"], "time": ["day", "hour"], "key": ["id"]}


def made(rows: int = 600, seed: int = 1) -> pa.Table:
    random = np.random.default_rng(seed)
    return pa.table(
        {
            "id": np.arange(rows),
            "shop": random.integers(0, 60, rows),
            "day": random.integers(0, 30, rows),
            "hour": random.integers(0, 24, rows),
            "answer": random.choice(["yes", "no"], rows, p=[0.12, 0.88]),
            "income": random.normal(50, 10, rows),
        }
    )


def ids(found: dict[str, Any], side: str) -> set[int]:
    return set(found[side]["id"].to_pylist())


@pytest.mark.parametrize("method", METHODS)
def test_every_row_has_one_side_in_the_old_order(method: str) -> None:
    rows = made()
    found = split(rows, method=method, columns=COLUMNS[method])
    assert sorted(i for side in SIDES for i in found[side]["id"].to_pylist()) == rows["id"].to_pylist()
    assert found["report.json"]["rows"] == {side: found[side].num_rows for side in SIDES} | {"unused": 0}
    for side in SIDES:
        assert found[side]["id"].to_pylist() == sorted(found[side]["id"].to_pylist())
        assert found[side].schema == rows.schema
    assert abs(found["holdout"].num_rows - 120) <= 25
    assert abs(found["validation"].num_rows - 120) <= 25


@pytest.mark.parametrize("method", METHODS)
def test_validation_is_drawn_anew_and_the_holdout_stays(method: str) -> None:
    draws = [split(made(), method=method, columns=COLUMNS[method], validation_seed=seed) for seed in range(3)]
    assert len({frozenset(ids(draw, "holdout")) for draw in draws}) == 1
    assert len({frozenset(ids(draw, "validation")) for draw in draws}) == 3


@pytest.mark.parametrize("method", ["random", "stratified", "group", "key"])
def test_another_seed_is_another_holdout(method: str) -> None:
    one, other = (split(made(), method=method, columns=COLUMNS[method], seed=seed) for seed in (7, 8))
    assert ids(one, "holdout") != ids(other, "holdout")


@pytest.mark.parametrize("columns", [["answer"], ["answer", "day"]])
def test_a_stratified_split_keeps_the_shares_of_all_values_together(columns: list[str]) -> None:
    rows = made()
    found = split(rows, method="stratified", columns=columns)
    for value in set(zip(*(rows[name].to_pylist() for name in columns), strict=True)):
        counts = {
            s: sum(v == value for v in zip(*(found[s][c].to_pylist() for c in columns), strict=True))
            for s in SIDES
        }
        whole = sum(counts.values())
        assert abs(counts["holdout"] - 0.2 * whole) <= 1
        assert abs(counts["validation"] - 0.2 * whole) <= 2
    assert found["holdout"].num_rows == found["validation"].num_rows == 120


def test_a_group_is_on_one_side() -> None:
    found = split(made(), method="group", columns=["shop"])
    shops = [set(found[side]["shop"].to_pylist()) for side in SIDES]
    assert sum(map(len, shops)) == len(set.union(*shops)) == 60
    assert all(shops)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_by_time_nothing_is_learnt_from_the_future(steps: int) -> None:
    rows = made()
    found = split(rows, method="time", columns=["day", "hour"], validation_seed=steps)
    when = {
        s: list(zip(found[s]["day"].to_pylist(), found[s]["hour"].to_pylist(), strict=True)) for s in SIDES
    }
    assert max(when["train"]) < min(when["validation"])
    assert max(when["validation"]) < min(when["holdout"])
    unused = found["report.json"]["rows"]["unused"]
    assert abs(unused - 120 * steps) <= 5
    assert unused + sum(found[side].num_rows for side in SIDES) == rows.num_rows


def test_by_time_the_shares_are_exact_where_every_row_has_its_own_moment() -> None:
    found = split(made(), method="time", columns=["id"], test_fraction=0.3, validation_fraction=0.1)
    assert [(min(ids(found, side)), max(ids(found, side))) for side in SIDES] == [
        (0, 359),
        (360, 419),
        (420, 599),
    ]


def test_a_key_stays_on_its_side_whatever_is_added() -> None:
    small, large = (split(made(rows), method="key", columns=["id"]) for rows in (300, 600))
    for side in SIDES:
        assert ids(small, side) == {i for i in ids(large, side) if i < 300}


def test_the_statistic_is_that_of_kolmogorov_and_smirnov() -> None:
    found = split(made())
    for side in ("validation", "holdout"):
        one, other = (found[each]["income"].to_numpy() for each in ("train", side))
        assert found["report.json"]["columns"]["income"][side] == pytest.approx(
            ks_2samp(one, other).statistic, abs=1e-6
        )
        brute = max(abs((one <= x).mean() - (other <= x).mean()) for x in [*one, *other])
        assert kolmogorov_smirnov(one, other) == pytest.approx(brute, abs=1e-12)


def test_one_draw_in_twenty_is_above_what_is_called_chance() -> None:
    random = np.random.default_rng(5)
    limit = ONE_IN_TWENTY * np.sqrt(2 / 200)
    draws = [kolmogorov_smirnov(random.random(200), random.random(200)) > limit for _ in range(1000)]
    assert 0.025 < np.mean(draws) < 0.075


def test_shares_of_classes_are_counted() -> None:
    found = split(made())
    column = found["report.json"]["columns"]["answer"]
    counted: dict[str, npt.NDArray[np.bool_]] = {
        s: np.array(found[s]["answer"].to_pylist()) == "yes" for s in SIDES
    }
    assert column["shares"]["yes"] == {side: round(float(yes.mean()), 6) for side, yes in counted.items()}
    assert column["holdout"] == pytest.approx(
        abs(counted["holdout"].mean() - counted["train"].mean()), abs=1e-6
    )
    assert total_variation({"a": 1.0}, {"b": 1.0}) == 1.0
    assert total_variation({"a": 0.5, "b": 0.5}, {"b": 0.25, "c": 0.75}) == 0.75


def test_missing_values_are_told_and_not_compared() -> None:
    rows = pa.table({"x": [None, 1.0, 2.0, float("nan")] * 25})
    report = split(rows)["report.json"]["columns"]["x"]
    assert set(report) == {"kind", "validation", "holdout", "missing"}
    assert sum(report["missing"].values()) / 3 == pytest.approx(0.5, abs=0.15)


def test_sides_that_are_not_alike_fail() -> None:
    rows = made().append_column("drift", pa.array(np.arange(600.0)))
    for method, columns in (("time", ["id"]), ("group", ["shop"])):
        with pytest.raises(ValueError, match=r"more than max_statistic 0\.0: .*income on validation"):
            split(rows, method=method, columns=columns, max_statistic=0.0)
    with pytest.raises(ValueError, match=r"drift on holdout: 1\.000"):
        split(rows, method="time", columns=["id"], max_statistic=0.9)
    split(rows.drop_columns(["drift"]), method="time", columns=["id"], max_statistic=0.9)
    split(rows, max_statistic=0.2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "hash"}, "one of random, stratified, group, time, key"),
        ({"method": "random", "columns": ["id"]}, "takes no columns"),
        ({"method": "group"}, "needs columns"),
        ({"method": "group", "columns": ["city"]}, "no column city; there are id, shop"),
        ({"test_fraction": 0.5, "validation_fraction": 0.5}, "together below 1"),
        ({"test_fraction": -0.1}, "from 0"),
        ({"method": "time", "columns": ["id"], "validation_seed": 9}, "before the first of 600 rows"),
    ],
)
def test_what_cannot_be_split_says_why(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split(made(), **options)


def test_a_gap_has_no_group() -> None:
    with pytest.raises(ValueError, match="shop is missing in 1 rows"):
        split(pa.table({"shop": ["a", None, "b"]}), method="group", columns=["shop"])
