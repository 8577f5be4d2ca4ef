from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.graph import Cycle, topological


def test_dependencies_come_first() -> None:
    assert topological(["c", "b", "a"], {"c": ["b"], "b": ["a"]}) == ["a", "b", "c"]


def test_order_is_kept_where_nothing_forbids_it() -> None:
    assert topological(["d", "b", "c", "a"], {"b": ["a"]}) == ["d", "c", "a", "b"]
    assert topological(["d", "b", "c", "a"], {"d": ["a"]}) == ["b", "c", "a", "d"]


def test_dependencies_that_are_no_nodes_do_not_count() -> None:
    assert topological(["a"], {"a": ["elsewhere"], "b": ["a"]}) == ["a"]
    assert topological([], {}) == []


@pytest.mark.parametrize(
    ("deps", "path"),
    [
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, ("a", "b", "c", "a")),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, ("b", "c", "b")),
        ({"a": ["d"], "b": ["c"], "c": ["b", "d"]}, ("b", "c", "b")),
    ],
)
def test_a_cycle_is_named_without_what_only_leads_to_it(
    deps: dict[str, list[str]], path: tuple[str, ...]
) -> None:
    with pytest.raises(Cycle) as caught:
        topological(["a", "b", "c", "d"], deps)
    assert caught.value.path == path
    assert str(caught.value) == " -> ".join(path)


graphs = st.integers(1, 8).flatmap(
    lambda size: st.dictionaries(
        st.sampled_from(range(size)), st.sets(st.sampled_from(range(size)), max_size=3)
    ).map(
        lambda deps: (list(map(str, range(size))), {str(k): {str(v) for v in vs} for k, vs in deps.items()})
    )
)


@given(graphs)
@settings(deadline=None)
def test_the_result_is_the_first_valid_order_or_a_real_cycle(
    graph: tuple[list[str], dict[str, set[str]]],
) -> None:
    nodes, deps = graph
    cycle: tuple[str, ...] = ()
    found: list[str] = []
    try:
        found = topological(nodes, deps)
    except Cycle as error:
        cycle = error.path
    done: list[str] = []
    while ready := [n for n in nodes if n not in done and deps.get(n, set()) <= set(done)]:
        done.append(ready[0])
    assert found == ([] if cycle else done)
    assert bool(cycle) == (len(done) < len(nodes))
    assert all(dep in deps[node] for node, dep in pairwise(cycle))
    assert cycle[:1] == cycle[-1:]
