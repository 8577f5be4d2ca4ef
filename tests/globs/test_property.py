"""Laws of globs, against a reference written another way (`trees`)."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.globs import trees
from trunkline.globs import Pattern
from trunkline.globs.machine import Group, Node, OneOf, Text, Wild, compile_nodes
from trunkline.globs.matches import matches
from trunkline.globs.pattern import expression

listings = st.lists(trees.paths(), max_size=12).map(lambda paths: _tidy(paths))


@given(trees.globs(), st.lists(trees.paths(), min_size=1, max_size=6))
@settings(deadline=None)
def test_a_path_matches_where_the_reference_says_so(
    glob: tuple[trees.Sequence_, ...], paths: list[str]
) -> None:
    pattern = Pattern(trees.render(glob))
    for path in paths:
        captures = pattern.match(path)
        assert (captures is not None) == trees.means(glob, path)
        assert captures is None or len(captures) == pattern.groups
        assert captures is None or all(capture in path for capture in captures)


@given(trees.globs(), listings)
@settings(deadline=None)
def test_matches_are_the_candidates_that_match(glob: tuple[trees.Sequence_, ...], files: list[str]) -> None:
    pattern = Pattern(trees.render(glob))
    directories = {path[:cut] for path in files for cut in range(len(path)) if path[cut] == "/"}
    expected = {(path, False) for path in files if trees.means(glob, path)}
    expected |= {(path, True) for path in directories if trees.means(glob, path)}
    found = list(matches(pattern, files))
    assert sorted((path, directory) for path, _, directory in found) == sorted(expected)
    assert all(captures == pattern.match(path) for path, captures, _ in found)


@given(trees.globs(), listings)
@settings(deadline=None)
def test_what_a_glob_matches_lies_in_its_literal_prefix(
    glob: tuple[trees.Sequence_, ...], files: list[str]
) -> None:
    pattern = Pattern(trees.render(glob))
    for path, _, _ in matches(pattern, files):
        assert f"{path}/".startswith(f"{pattern.literal_prefix}/" if pattern.literal_prefix else "")
        assert pattern.depth is None or path.count("/") + 1 == pattern.depth


@given(trees.globs(), trees.paths())
@settings(deadline=None)
def test_machine_and_regular_expression_agree(glob: tuple[trees.Sequence_, ...], path: str) -> None:
    """Captures and their greed too, where a regular expression says the same."""
    flat = [_with_sets(node) for part in glob for node in (Text("/"), *part)][1:]
    source = expression(flat)
    if source is not None:
        found = re.fullmatch(source, path, re.DOTALL)
        groups = Pattern(trees.render(glob)).groups
        assert compile_nodes(flat, groups)(path) == (None if found is None else found.groups(""))


def _tidy(paths: list[str]) -> list[str]:
    """Sorted, without files that are also directories."""
    directories = {path[:cut] for path in paths for cut in range(len(path)) if path[cut] == "/"}
    return sorted(set(paths) - directories)


def _with_sets(node: Node) -> Node:
    """The same with the sets of `trees` as regular expressions."""
    match node:
        case Group(options, repeat, number):
            return Group(tuple(tuple(map(_with_sets, option)) for option in options), repeat, number)
        case OneOf(name):
            return OneOf("[" + "".join("\\" + char for char in trees.SETS[name]) + "]")
        case Text() | Wild():
            return node
