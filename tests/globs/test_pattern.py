from __future__ import annotations

import pytest

from trunkline.globs import GlobError, Pattern, Template

# (glob, path, captures; None where it does not match)
CASES: list[tuple[str, str, tuple[str, ...] | None]] = [
    ("/", "", ()),
    ("/", "a", None),
    ("/train", "train", ()),
    ("/train", "train/a", None),
    ("/*", "a.csv", ()),
    ("/*", "a/b.csv", None),
    ("/*", ".hidden", ()),
    ("/*/*", "a/b", ()),
    ("/*/*", "a", None),
    ("/a*c", "ac", ()),
    ("/a*c", "a/c", None),
    ("/**", "a/b/c", ()),
    ("/**/c", "a/b/c", ()),
    ("/**/c", "c", None),
    ("/a**c", "a/b/c", ()),
    ("/?.csv", "a.csv", ()),
    ("/?.csv", ".csv", None),
    ("/a?b", "a/b", None),
    ("/[a-c]", "b", ()),
    ("/[a-c]", "d", None),
    ("/[!a-c]", "d", ()),
    ("/[^a-c]", "b", None),
    ("/[]a]", "]", ()),
    ("/[a-]", "-", ()),
    (r"/[\]\\]", "\\", ()),
    ("/[.-0]x", "/x", None),
    ("/a[!b]c", "a/c", None),
    ("/[&&~~||a]", "~", ()),
    ("/[--0]x", ".x", ()),
    ("/{a,b}.csv", "b.csv", ()),
    ("/{a,b}.csv", "c.csv", None),
    ("/{a,b/{c,d}}", "b/d", ()),
    ("/{,x}a", "a", ()),
    ("/a,b|c", "a,b|c", ()),
    ("/(*)-(*).txt", "a-b.txt", ("a", "b")),
    ("/(*).parquet", "2013-01-01.parquet", ("2013-01-01",)),
    ("/((*)-(*)).csv", "a-b.csv", ("a-b", "a", "b")),
    ("/(a|b)/(**)", "b/c/d", ("b", "c/d")),
    ("/@(a|b)", "b", ("b",)),
    ("/?(a)b", "b", ("",)),
    ("/?(a)b", "ab", ("a",)),
    ("/*(a|b)c", "abac", ("aba",)),
    ("/*(a|b)c", "c", ("",)),
    ("/+(a|b)c", "abc", ("ab",)),
    ("/+(a|b)c", "c", None),
    ("/*(+(a))b", "aab", ("aa", "aa")),
    ("/+([0-9]).csv", "2013.csv", ("2013",)),
    ("/+([0-9]).csv", ".csv", None),
    ("/*(ab)c", "ababc", ("abab",)),
    ("/*(*).csv", "a.b.csv", ("a.b",)),
    ("/+(*).csv", ".csv", ("",)),
    ("/*(**)", "a/b", ("a/b",)),
    ("/!(a/b)/b", "a/b", ("a",)),
    ("/!(**)/b", "a/b", None),
    ("/{!(a),b}c", "ac", None),
    ("/{!(a),b}c", "bc", ("b",)),
    ("/!(*.tmp)", "a.csv", ("a.csv",)),
    ("/!(*.tmp)", "a.tmp", None),
    ("/!(a|b)", "b", None),
    ("/!(a|b)", "ab", ("ab",)),
    ("/!(a)/x", "b/x", ("b",)),
    ("/!(a)*", "ab", ("ab",)),
    ("/!(x)", "a/b", None),
    ("/!(*.tmp).csv", "a.tmp.csv", None),
    ("/!(*.tmp).csv", "a.csv", ("a",)),
    ("/!(!(a))", "a", ("a", "")),
    ("/!(!(a))", "b", None),
    ("/!((a))-(*)", "b-c", ("b", "", "c")),
    ("/(a(b)|c)", "c", ("c", "")),
    (r"/\*\(\)", "*()", ()),
    (r"/a\/b", "a/b", ()),
    ("/a.c", "abc", None),
    ("/a+b@c!d^e", "a+b@c!d^e", ()),
    ("/é*", "éa", ()),
    ("/a*", "a\nb", ()),
]


@pytest.mark.parametrize(("glob", "path", "captures"), CASES)
def test_match(glob: str, path: str, captures: tuple[str, ...] | None) -> None:
    assert Pattern(glob).match(path) == captures


@pytest.mark.parametrize(
    ("glob", "prefix", "depth", "groups", "bare", "wild"),
    [
        ("/", "", 0, 0, True, False),
        ("/train", "train", 1, 0, True, False),
        ("/a/b.csv", "a/b.csv", 2, 0, True, False),
        ("/*", "", 1, 0, True, True),
        ("/train/*", "train", 2, 0, True, True),
        ("/a/*/*", "a", 3, 0, True, True),
        ("/a/b*/c", "a", 3, 0, False, True),
        (r"/a\*/*", "a*", 2, 0, True, True),
        (r"/*/\*", "", 2, 0, False, True),
        ("/(*)", "", 1, 1, False, True),
        ("/(a)", "", 1, 1, False, True),
        ("/**", "", None, 0, False, True),
        ("/a/{b,c/d}", "a", None, 0, False, True),
        ("/a/{b,c}", "a", 2, 0, False, True),
        ("/!(a/b)", "", 1, 1, False, True),
        ("/*(a|(b))", "", 1, 2, False, True),
    ],
)
def test_shape(glob: str, prefix: str, depth: int | None, groups: int, bare: bool, wild: bool) -> None:
    pattern = Pattern(glob)
    assert (pattern.literal_prefix, pattern.depth, pattern.groups) == (prefix, depth, groups)
    assert (pattern.bare, pattern.has_wildcards) == (bare, wild)


@pytest.mark.parametrize(
    ("glob", "position", "message"),
    [
        ("*", 0, "it does not begin with '/'"),
        ("", 0, "it does not begin with '/'"),
        ("//", 1, "a name is missing between two '/'"),
        ("/a//", 3, "a name is missing between two '/'"),
        ("/a//b", 3, "a name is missing between two '/'"),
        ("/a/../b", 3, "'..' cannot be a part of it"),
        ("/.", 1, "'.' cannot be a part of it"),
        (r"/\.\./a", 1, "'..' cannot be a part of it"),
        ("/a(b", 2, "'(' is never closed"),
        ("/a*(b", 3, "'(' is never closed"),
        ("/a{b,c", 2, "'{' is never closed"),
        ("/a[b", 2, "'[' is never closed"),
        ("/a[", 2, "'[' is never closed"),
        ("/a[]", 2, "'[' is never closed"),
        ("/a[a-", 2, "'[' is never closed"),
        ("/a)", 2, "')' closes nothing"),
        ("/a}", 2, "'}' closes nothing"),
        ("/{a)}", 3, "')' closes nothing"),
        ("/a\\", 2, "'\\' stands before nothing"),
        ("/[z-a]", 2, "'z-a' runs backwards"),
        ("/[[:alpha:]]", 2, "'[:' begins no class here"),
    ],
)
def test_errors_point_into_the_glob(glob: str, position: int, message: str) -> None:
    with pytest.raises(GlobError) as caught:
        Pattern(glob)
    assert (caught.value.position, caught.value.message) == (position, message)
    assert isinstance(caught.value, ValueError)
    assert caught.value.advice


@pytest.mark.parametrize("glob", ["/*(*).csv", "/+(a|aa)b", "/*(*(a|*))b", "/!(*a*a*a*)b"])
def test_repetition_takes_no_exponential_time(glob: str) -> None:
    """As regular expressions, these need more steps than there are atoms, and never end."""
    assert Pattern(glob).match("a" * 100 + "c" * 100) is None


@pytest.mark.parametrize(
    ("template", "captures", "text", "numbers"),
    [
        ("$1", ["a"], "a", (1,)),
        ("$2-$1", ["a", "b"], "b-a", (2, 1)),
        ("${1}0", ["a"], "a0", (1,)),
        ("$10", ["a"], "", (10,)),
        ("x$", ["a"], "x$", ()),
        ("$$1", ["a"], "$a", (1,)),
        ("$0", ["a"], "", (0,)),
        ("", [], "", ()),
    ],
)
def test_template(template: str, captures: list[str], text: str, numbers: tuple[int, ...]) -> None:
    compiled = Template(template)
    assert (compiled.expand(captures), tuple(place.number for place in compiled.places)) == (text, numbers)
    for number, start, length in compiled.places:
        assert template[start : start + length] in (f"${number}", f"${{{number}}}")


def test_repr_shows_the_glob() -> None:
    assert repr(Pattern("/*")) == "Pattern('/*')"


def test_sets_are_no_nested_sets() -> None:
    """`[[` and `--` in a regular expression's set are warned about, and warnings are errors."""
    assert Pattern("/[[a]").match("[") == ()


@pytest.mark.parametrize("glob", ["/a", "/*", "/(*).csv", "/**", "/{a,b}/c", "/!(a)"])
def test_a_slash_at_the_end_means_nothing(glob: str) -> None:
    with_slash, without = Pattern(glob + "/"), Pattern(glob)
    for path in ["a", "b.csv", "a/c", "a/"]:
        assert with_slash.match(path) == without.match(path)
    assert (with_slash.text, with_slash.literal_prefix) == (without.text, without.literal_prefix)
