from __future__ import annotations

from typing import Any

import pytest
import yaml
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
_NUMBER = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_VALUE = st.recursive(
    _TEXT | _NUMBER | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(_TEXT, _VALUE, st.sampled_from([0, 2, 4]))
def test_every_reader_reads_back_what_was_written(key: str, value: Any, indent: int) -> None:
    """Ours, DVC's and, in YAML 1.1, Prefect's."""
    text = "top:\n" + " " * indent + "  first: x\n" + "\n".join(emit.entry(key, value, indent + 2)) + "\n"
    if key != "first":
        wanted = {"top": {"first": "x", key: value}}
        assert load(text) == parse_yaml(text, "dvc.yaml") == yaml.safe_load(text) == wanted
        assert repr(load(text)) == repr(yaml.safe_load(text)) == repr(wanted)


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
        ("on", "'on'"),
        ("12:30", "'12:30'"),
        ("a\nb", '"a\\nb"'),
        ("", "''"),
        ("a\tb\u2028\U0001f600", '"a\\x09b\\u2028\U0001f600"'),
    ],
)
def test_quotes_only_where_needed(text: str, written: str) -> None:
    assert emit.scalar(text) == written
