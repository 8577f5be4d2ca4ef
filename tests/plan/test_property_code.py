"""Laws of a module's meaning."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden.digests.examples import SOURCES
from trunkline.digest import digest
from trunkline.plan.code import canonical, imports

UNFIT = {"not Python", "other encoding", "long sum", "invalid escape"}  # for `ast.parse` as it is
PYTHON = sorted(SOURCES.keys() - UNFIT)


@pytest.mark.parametrize("name", PYTHON)
def test_another_formatting_means_the_same(name: str) -> None:
    """What `ast.unparse` writes differs in every quote, blank and line."""
    source = SOURCES[name]
    assert canonical(ast.unparse(ast.parse(source)).encode("utf-8", "surrogatepass")) == canonical(
        source.encode()
    )
    assert canonical(source.encode()) != digest("source", source.encode())


@pytest.mark.parametrize("name", PYTHON)
def test_no_statement_can_be_left_out(name: str) -> None:
    """Docstrings apart, a module without one of its statements means another thing."""
    lines = ast.parse(SOURCES[name]).body
    for index, statement in enumerate(lines):
        if isinstance(statement, ast.Expr) and index == 0 and name != "docstring that is read":
            continue
        rest = ast.unparse(ast.Module(lines[:index] + lines[index + 1 :], []))
        assert canonical(rest.encode("utf-8", "surrogatepass")) != canonical(SOURCES[name].encode())


names = st.sampled_from(["a", "b", "c"])
values = st.one_of(names, st.integers(0, 20).map(str), st.text("ab1:)]( =", max_size=4).map(repr))
expressions = st.recursive(
    values,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(inner, max_size=3).map(lambda items: f"f({', '.join(items)})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]} + {pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"{{{pair[0]}: {pair[1]}}}"),
    ),
    max_leaves=6,
)


@given(st.lists(expressions, max_size=3), st.lists(expressions, max_size=3))
@settings(deadline=None)
def test_two_modules_mean_the_same_where_their_trees_are_equal(one: list[str], other: list[str]) -> None:
    first, second = ("\n".join(f"x = {line}" for line in lines) for lines in (one, other))
    same = ast.dump(ast.parse(first)) == ast.dump(ast.parse(second))
    assert (canonical(first.encode()) == canonical(second.encode())) == same


@given(st.binary())
@settings(deadline=None)
def test_no_bytes_are_an_error(source: bytes) -> None:
    assert len(canonical(source)) == 64
    assert isinstance(imports(source, "a.b", False), tuple)
