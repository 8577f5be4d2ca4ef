from __future__ import annotations

from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml, parse_yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.spec import emit, load

_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cn")), max_size=10) | st.sampled_from(
    [
        "1e5",
        "010",
        "yes",
        "null",
        "~",
        "- a",
        "a: b",
        "a #b",
        "'",
        '"',
        " a",
        "a ",
        "2013-01-01",
        "<<",
        "=",
        "*x",
    ]
)
_VALUE = st.recursive(
    _TEXT,
    lambda inner: (
        st.lists(_TEXT | st.dictionaries(_TEXT, inner, min_size=1, max_size=1), min_size=1, max_size=3)
        | st.dictionaries(_TEXT, inner, min_size=1, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(_TEXT, _VALUE, st.sampled_from([0, 2, 4]))
def test_both_readers_read_back_what_was_written(key: str, value: Any, indent: int) -> None:
    text = "top:\n" + " " * indent + "  first: x\n" + "\n".join(emit.entry(key, value, indent + 2)) + "\n"
    if key != "first":
        assert load(text) == parse_yaml(text, "dvc.yaml") == {"top": {"first": "x", key: value}}


def test_the_layout_is_dvcs_own() -> None:
    document = {
        "stages": {"a": {"cmd": "x y", "deps": ["b", "c/d.py"], "params": [{"p.yaml": ["stages.a"]}]}},
        "plots": ["a.json", {"b.json": {"x": "u", "y": ["v", "w"]}}],
    }
    lines = [line for key, value in document.items() for line in emit.entry(key, value)]
    assert "\n".join(lines) + "\n" == dumps_yaml(document)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("data/flights/clean", "data/flights/clean"),
        ("trunkline exec p.s", "trunkline exec p.s"),
        ("1e5", "'1e5'"),
        ("true", "'true'"),
        ("it's", "'it''s'"),
        ("", "''"),
        ("a\tb\u2028\U0001f600", '"a\\x09b\\u2028\U0001f600"'),
    ],
)
def test_quotes_only_where_needed(text: str, written: str) -> None:
    assert emit.scalar(text) == written
