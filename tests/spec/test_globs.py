from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.plan import pattern
from trunkline.spec import globs


@pytest.mark.parametrize(
    ("glob", "captures", "prefix"),
    [
        ("/", 0, ""),
        ("/train", 0, "train"),
        ("/a/b/c.csv", 0, "a/b/c.csv"),
        ("/a/b*.csv", 0, "a"),
        ("/*/b", 0, ""),
        ("/**", 0, ""),
        ("/a/(*)-(*).csv", 2, "a"),
        ("/a/((x)y)", 2, "a"),
        ("/@(a|b)/+(c)/!(d)", 3, ""),
        ("/{a,b(c)}", 1, ""),
        ("/[()]", 0, ""),
        (r"/a\*/\(b\)", 0, "a*/(b)"),
        ("/a!b@c+d", 0, "a!b@c+d"),
    ],
)
def test_shape(glob: str, captures: int, prefix: str) -> None:
    assert globs.scan(glob) == globs.Shape(captures, prefix)


@pytest.mark.parametrize(
    ("glob", "position"),
    [("a", 0), ("/a/", 2), ("//", 1), ("/a//b", 3), ("/..", 1), ("/a/./b", 3), ("/(a", 1), ("/a)", 2),
     ("/{a", 1), ("/}", 1), ("/[a", 1), ("/[z-a]", 2), ("/a\\", 2), ("/[[:digit:]]", 2), ("/@(a", 2)],
)  # fmt: skip
def test_faults_have_a_position(glob: str, position: int) -> None:
    with pytest.raises(globs.GlobError) as caught:
        globs.scan(glob)
    assert caught.value.position == position
    assert caught.value.advice


@settings(max_examples=500, deadline=None)
@given(st.text("ab./*?[]{}()!@+|,-\\^:", max_size=10).map("/".__add__))
def test_the_planner_reads_the_same_language(glob: str) -> None:
    try:
        shape = globs.scan(glob)
    except globs.GlobError:
        if glob.endswith("/"):
            return  # the planner overlooks a "/" at the end
        with pytest.raises(pattern.GlobError):
            pattern.Pattern(glob)
    else:
        planned = pattern.Pattern(glob)
        assert shape == (planned.groups, planned.literal_prefix)


@given(st.text("$1{}20a-", max_size=8))
def test_the_planner_reads_the_same_templates(template: str) -> None:
    assert max(globs.references(template), default=0) == pattern.Template(template).highest
