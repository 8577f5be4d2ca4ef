"""Our YAML reader and DVC's read the same values: `dvc repro` and we must see equal parameters.

DVC reads with ruamel.yaml, through a C library where one is installed, else in Python. What a
pipeline file may hold is what all of them read alike; the rest is refused with advice.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml, parse_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from trunkline.errors import SpecError
from trunkline.spec import load, read, value

Reader = Callable[[str], Any]

# The C library is an extra of ruamel.yaml; where it is missing, what it was measured to refuse
# (version 0.2.15) stands in `REFUSED` all the same.
HAS_C_LIBRARY = importlib.util.find_spec("_ruamel_yaml") is not None

DVC: dict[str, Reader] = {
    "dvc": lambda text: parse_yaml(text, "x.yaml"),
    "ruamel, pure": lambda text: YAML(typ="safe", pure=True).load(text) or {},
}
if HAS_C_LIBRARY:
    DVC["ruamel, C"] = lambda text: YAML(typ="safe", pure=False).load(text) or {}

OURS: dict[str, Reader] = {
    "load": load,
    "load, pure": lambda text: load(text, pure=True),
    "read": lambda text: value(read(text, "x.yaml")) or {},
    "read, pure": lambda text: value(read(text, "x.yaml", pure=True)) or {},
}

# What stands behind `k: `.
SCALARS = """\
on|off|yes|no|y|n|Y|N|true|True|TRUE|tRUE|false|null|Null|NULL|~||nan|inf
0|-0|+12|010|0o10|0o8|0x1F|0xfg|0b11|0b2|1_000|_1|1__0|0_|08|1e5|1E5|1e+5|1e-05|1e|1.5|5.|.5|1.e3
-.5e+3|.5e3|1.5E-3|1_0.5_0|.inf|-.INF|+.Inf|.nan|.NaN|1.2.3|12:30|12:30:45|1:2|-1|- 1x|0x|0o
2013-01-01|2013-1-1|2013-01-01 10:00:00|2013-01-01T10:00:00Z|2013-01-01 10:00:00.5 +02:30
2013-01-01T10:00:00.1234567-3|2013-01|20130101|01-01-2013
'a'|"a"|'it''s'|"tab\\t, \\u00e9, \\x41, \\\\, \\"q\\""|'1'|"true"|''|""|"2013-01-01"|"\\U0001F600"
a b c|a#b|a # comment|a:b|s3://bucket/key|C:\\x|a, b|a [b]|a{b}|é|😀|$1|${x}|/*|/(*).csv|a*b|a&b|a!b
a?b|a@b|50%|<<x|=x|~x|-|- a
""".replace("\n", "|").split("|")  # fmt: skip

DOCUMENTS = [
    "",
    "# nothing but a comment\n",
    "---\n",
    "---\na: 1\n...\n",
    "\ufeffa: 1\n",
    "a: 1\r\nb:\r\n- 2\r\n",
    "k: {a: 1, b: [x, 2, null], 'c': {}, \"d\":1}",
    "k: [a, [b], {c: d}, {e: f, g: h}, []]",
    "k: [a: b, c]",
    "k: {a, b: , c: ~}",
    "k:\n- a\n-\n- - b\n  - c\n- d: 1\n  e: 2\n",
    "k:\n  - a\nl:\n    m: n\n",
    "k: |\n  a\n   b\n\n  c\nl: 1",
    "k: |-\n  a\n\n\nl: |+\n  b\n\n\n",
    "k: >\n  a\n  b\n\n  c\n",
    "k: >-\n  # no comment\n  a\n",
    "k: |2\n   a\n  b\n",
    "k: a\n  b\n\n  c\n",
    "k: 'a\n  b\n\n  c'\nl: \"a\\\n  b\"",
    "? a\n: b\n? c\n",
    "1: a\n1.5: b\ntrue: c\n~: d\n'1': e\n",
    "on: 1\noff: 2\nyes: 3\n",
    "a: &x {p: 1, q: [1, 2]}\nb: *x\nc: [*x, *x]\n",
    "a: &x text\nb: *x\n*x : c\n",
    "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3, r: 4}\n",
    "a: &x {p: 1, q: 2}\nb: {z: 0, <<: *x, q: 3}\n",
    "a: &x {p: 1, q: 2}\nb: &y {q: 9, s: 5}\nc:\n  <<: [*x, *y]\n  t: 6\nd:\n  <<: [*y, *x]\n",
    "a: &x {p: {u: 1}}\nb: &y {<<: *x, q: 2}\nc: {<<: *y, p: 3}\n",
    "a: {<<: {p: 1, q: 2}, p: 3}\n",
    "a: {'<<': 1}\n",
    "'<<': 1\n",
]

# What we refuse in a pipeline file: some reader of DVC's refuses it, or reads it otherwise.
REFUSED = {
    "run: in brackets": "k: {run: a:b}",
    "a colon at the end": "k: {a:b: 1}",
    "a colon without space": "k: {a:1}",
    "an address in brackets": "k: [s3://bucket]",
    "a question mark in brackets": "k: [a?b]",
    "a tab before a value": "k:\t1",
    "a tab behind a value": "k: 1\t\n",
    "a tab in plain text": "k: a\tb",
    "duplicate keys": "k: 1\nk: 2",
    "equal keys": "1: a\n1.0: b",
    "duplicate merge keys": "a: &x {p: 1}\nb: {<<: *x, <<: *x}",
    "a list as key": "? [a]\n: 1",
    "a mapping as key": "? {a: 1}\n: 1",
    "a merge of text": "k: {<<: a}",
    "a merge key as text": "k: <<",
    "an equals sign": "k: =",
    "underscores only": "k: +_",
    "an empty number": "k: 0b_",
    "an explicit text": "k: !!str 1",
    "an explicit number": 'k: !!int "1"',
    "no tag": "k: ! 1",
    "an own tag": "k: !x 1",
    "a tag of a list": "k: !!set {a, b}",
    "bytes": "k: !!binary aGVsbG8=",
    "an object": "k: !!python/object/apply:os.system [ls]",
    "YAML 1.1": "%YAML 1.1\n---\nk: on",
    "YAML 1.2": "%YAML 1.2\n---\nk: on",
    "a tag handle": "%TAG ! tag:x,2000:\n---\nk: 1",
    "two documents": "k: 1\n---\nk: 2",
    "an anchor twice": "a: &x 1\nb: &x 2\nc: *x",
    "a long anchor": "k: &x:y 1",
    "a long alias": "k: &x 1\nl: {*x: 1}",
    "an unknown alias": "k: *x",
    "a recursive alias": "k: &x [*x]",
    "a next line": "k: a\x85b",
    "a line separator": "k: 'a\u2028b'",
    "a control character": "k: a\x07b",
    "a vague block": "k: |\n \n  a\n",
    "a tab in a block's indentation": "k: >-\n  \ta\n   b\n",
    "a percent sign": "k: %x",
    "an at sign": "k: @x",
    "a backquote": "k: `x`",
}


def typed(found: Any) -> Any:
    """A value in which 1, 1.0, True and the order of keys differ, and NaN equals itself."""
    if isinstance(found, dict):
        return "map", [(typed(key), typed(child)) for key, child in found.items()]
    if isinstance(found, list):
        return "seq", [typed(child) for child in found]
    return type(found).__name__, found.isoformat() if isinstance(found, date) else repr(found)


def quietly(reader: Reader, text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ruamel warns of anchors that are used again
        return reader(text)


@pytest.mark.parametrize("text", [f"k: {scalar}\n" for scalar in SCALARS] + DOCUMENTS)
def test_the_same_value_or_a_refusal_by_all(text: str) -> None:
    found: dict[str, Any] = {}
    for name, reader in {**DVC, **OURS}.items():
        try:
            found[name] = typed(quietly(reader, text))
        except SpecError:
            found[name] = "refused"
        except Exception as error:
            found[name] = "refused" if name in DVC else error
    assert all(each == found["dvc"] for each in found.values()), found


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("pure", [False, True])
def test_what_readers_disagree_about_is_refused_with_advice(name: str, pure: bool) -> None:
    with pytest.raises(SpecError) as caught:
        read(REFUSED[name], "x.yaml", pure=pure)
    assert all(problem.line for problem in caught.value.problems)


def test_what_only_the_c_library_refuses_is_read_from_files_of_dvc() -> None:
    for text in ("k: {run: a:b}", "k: [s3://bucket]"):
        assert typed(load(text)) == typed(quietly(DVC["ruamel, pure"], text))


def test_equal_values_of_an_alias_are_one_object() -> None:
    text = "a: &x [1]\nb: *x\nc: {<<: {d: *x}}\n"
    for reader in (DVC["dvc"], *OURS.values()):
        found = reader(text)
        assert found["a"] is found["b"] is found["c"]["d"]


# DVC writes line separators as they are, and then reads them as something else.
_TEXT = st.text(
    st.characters(exclude_categories=("Cs", "Cn"), exclude_characters="\x85\u2028\u2029"), max_size=12
)
_SCALAR = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.dates(), _TEXT, st.sampled_from(SCALARS)
)
_VALUE = st.recursive(
    _SCALAR,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(_TEXT.filter(bool), _VALUE, max_size=4))
def test_whatever_dvc_writes_is_read_as_dvc_reads_it(document: dict[str, Any]) -> None:
    text = dumps_yaml(document)
    assert typed(load(text)) == typed(parse_yaml(text, "x.yaml"))


_TOKENS = [
    *SCALARS,
    *["[", "]", "{", "}", ",", ":", "?", "-", "|", ">", "&", "*", "#", "'", '"', "%", "@", "!", "\n"],
    "\n",
    "\n  ",
    "\n- ",
    ": ",
    "- ",
]
_TOKENS += [
    "a: 1\n",
    "b: [1, 2]\n",
    "c: {x: 1}\n",
    "d: |\n  x\n",
    "&x ",
    "*x ",
    "<<: ",
    "  ",
    "\t",
    "e:\n  f: g\n",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_TOKENS), max_size=12).map(lambda tokens: "k: " + "".join(tokens)))
def test_whatever_we_accept_is_read_as_dvc_reads_it(text: str) -> None:
    found = []
    for reader in (OURS["read"], OURS["read, pure"]):
        try:
            found.append(typed(reader(text)))
        except SpecError:
            found.append(None)
    assert found[0] == found[1]
    if found[0] is not None:
        assert all(typed(quietly(reader, text)) == found[0] for reader in DVC.values())
