from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from stages.clean import clean

ROWS = pa.table(
    {
        "name": ["a", "b", "b", "c", "d", "e", "f"],
        "income": ["1200", " 1e3 ", "1e3", "twelve", None, "-5", "1.200,50"],
        "lines": [3.0, 999999.375, 4.0, None, 5.0, 6.0, 7.0],
        "urban": ["Yes", "No", "No", "yes", "Yes", None, "No"],
        "rating": [1, 2, 2, 3, 9, 1, 1],
    }
)
RULES: dict[str, Any] = {
    "markers": {"lines": [999999.375]},
    "numbers": ["income"],
    "mapping": {"urban": {"Yes": 1, "No": 0}},
    "categories": {"rating": [1, 2, 3]},
    "ranges": {"income": [0, None]},
}


def test_what_breaks_a_rule_becomes_missing_and_is_counted() -> None:
    out = clean(ROWS, **RULES)
    assert out["rows"].to_pydict() == {
        "name": ["a", "b", "b", "c", "d", "e", "f"],
        "income": [1200.0, 1000.0, 1000.0, None, None, None, None],
        "lines": [3.0, None, 4.0, None, 5.0, 6.0, 7.0],
        "urban": [1, 0, 0, None, 1, None, 0],
        "rating": [1, 2, 2, 3, None, 1, 1],
    }
    assert out["counts.json"]["missing"] == {
        "income": {"missing": 1, "malformed": 2, "range": 1},
        "lines": {"missing": 1, "marker": 1},
        "urban": {"missing": 1, "malformed": 1},
        "rating": {"category": 1},
    }


def test_a_row_is_removed_once_for_the_reason_why_it_lacks_something() -> None:
    out = clean(ROWS, **RULES, required=["income", "lines"])
    assert out["rows"]["name"].to_pylist() == ["a", "b"]
    counts = out["counts.json"]
    assert counts["removed"] == {"missing": 1, "marker": 1, "malformed": 2, "category": 0, "range": 1}
    assert counts["read"] == counts["kept"] + sum(counts["removed"].values()) == 7


def test_of_duplicates_the_first_stays() -> None:
    out = clean(ROWS, **RULES, duplicates=["name", "income"], keep=["name", "lines"])
    assert out["rows"].to_pydict() == {"name": [*"abcdef"], "lines": [3.0, None, None, 5.0, 6.0, 7.0]}
    assert out["counts.json"]["removed"]["duplicate"] == 1
    # The first of the two is removed as incomplete, so the second is no duplicate of any row that stays.
    out = clean(ROWS, **RULES, required=["lines"], duplicates=["name", "income"])
    assert out["counts.json"]["removed"]["duplicate"] == 0
    assert out["rows"]["name"].to_pylist() == ["a", "b", "d", "e", "f"]


def test_without_rules_nothing_changes() -> None:
    out = clean(ROWS)
    assert out["rows"] == ROWS
    assert out["counts.json"]["kept"] == 7


def test_the_table_of_counts_says_the_same() -> None:
    out = clean(ROWS, **RULES, required=["income"])
    lines = {(line["reason"], line["column"]): line for line in out["counts"].to_pylist()}
    assert lines["malformed", ""]["rows"] == 2
    assert lines["malformed", "income"]["values"] == 2
    assert lines["kept", ""]["rows"] == out["rows"].num_rows


def test_no_row_is_fine() -> None:
    out = clean(ROWS.slice(0, 0), **RULES, required=["income"], duplicates=["name"])
    assert out["counts.json"]["read"] == out["rows"].num_rows == 0


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"required": ["age"], "markers": {"colour": []}}, "a rule names age, colour; the columns are name"),
        ({"ranges": {"rating": [3]}}, r"write \[lowest, highest\]"),
        ({"ranges": {"name": [0, 1]}}, "name it in numbers too"),
    ],
)
def test_a_rule_that_cannot_apply_says_why(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        clean(ROWS, **rules)
