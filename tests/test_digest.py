"""`digest` and its laws; the frozen digests stand in tests/golden."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.digest import _encode, digest, md5_bytes, md5_file, tree_bytes, tree_oid

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.binary(),
)
values = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)), max_leaves=8
)


def encoded(value: object) -> bytes:
    out: list[bytes] = []
    _encode(value, out)
    return b"".join(out)


def typed(value: object) -> object:
    """The value with the types of all its parts, so that 1, 1.0 and True differ under `==`."""
    match value:
        case list():
            return ("list", *map(typed, value))
        case dict():
            return ("dict", tuple((key, typed(value[key])) for key in sorted(value)))
        case _:
            return (type(value).__name__, value)


@given(values, values)
@settings(deadline=None)
def test_digests_are_equal_where_the_values_are(one: object, other: object) -> None:
    assert (digest("t", one) == digest("t", other)) == (typed(one) == typed(other))


@given(values, values)
@settings(deadline=None)
def test_no_encoding_begins_another(one: object, other: object) -> None:
    """What stands one after the other can therefore be told apart."""
    if typed(one) != typed(other):
        assert not encoded(one).startswith(encoded(other))
        assert not encoded(other).startswith(encoded(one))


@given(st.lists(values), st.lists(values))
@settings(deadline=None)
def test_where_a_list_ends_matters(one: list[object], other: list[object]) -> None:
    if one and other:
        assert digest("t", [one, other]) != digest("t", [*one, *other])
        assert digest("t", [one, other]) != digest("t", [[*one, other[0]], other[1:]])


@given(st.dictionaries(st.text(), values), st.randoms())
@settings(deadline=None)
def test_the_order_of_keys_does_not_matter(mapping: dict[str, object], random: object) -> None:
    keys = list(mapping)
    random.shuffle(keys)  # type: ignore[attr-defined]
    assert digest("t", {key: mapping[key] for key in keys}) == digest("t", mapping)


@given(values, st.text("abc", min_size=1), st.text("abc", min_size=1))
@settings(deadline=None)
def test_tags_are_told_apart(value: object, one: str, other: str) -> None:
    assert (digest(one, value) == digest(other, value)) == (one == other)


@pytest.mark.parametrize(
    "pair",
    [
        (1, True),
        (0, False),
        (1, 1.0),
        (0, 0.0),
        (1, "1"),
        ("1", b"1"),
        (None, "None"),
        ([], {}),
        ("", None),
        ([], None),
    ],
)
def test_types_are_told_apart(pair: tuple[object, object]) -> None:
    assert digest("t", pair[0]) != digest("t", pair[1])


def test_what_is_the_same() -> None:
    assert digest("t", [1, 2]) == digest("t", (1, 2))
    assert digest("t", 0.0) == digest("t", -0.0)


@pytest.mark.parametrize(
    "value",
    [{1}, object(), float("nan"), float("inf"), -float("inf"), {1: 2}, {"a": [set()]}, bytearray(b"a"), 1j],
)
def test_a_value_without_canonical_form_is_an_error(value: object) -> None:
    with pytest.raises(TypeError, match="canonical form"):
        digest("t", value)


@given(st.binary(max_size=3_000_000))
@settings(deadline=None, max_examples=10)
def test_content_hashes_are_md5(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = Path(tmp_path_factory.mktemp("file")) / "data"
    path.write_bytes(data)
    expected = hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert md5_file(str(path)) == md5_bytes(data) == expected


def test_a_file_longer_than_a_block(tmp_path: Path) -> None:
    data = bytes(range(256)) * 9000
    (tmp_path / "data").write_bytes(data)
    assert md5_file(str(tmp_path / "data")) == hashlib.md5(data, usedforsecurity=False).hexdigest()


listings = st.dictionaries(st.text(min_size=1), st.text("0123456789abcdef", min_size=32, max_size=32))


@given(listings, st.randoms())
@settings(deadline=None)
def test_a_listing_is_sorted_json_whatever_the_order(files: dict[str, str], random: object) -> None:
    pairs = list(files.items())
    random.shuffle(pairs)  # type: ignore[attr-defined]
    data = tree_bytes(pairs)
    assert json.loads(data) == [{"md5": files[path], "relpath": path} for path in sorted(files)]
    assert tree_oid(pairs) == md5_bytes(data) + ".dir"
    assert data.isascii()


def test_a_listing_as_dvc_writes_it() -> None:
    assert tree_bytes([("b/2.csv", "7d79"), ("é.csv", "5d41")]) == (
        b'[{"md5": "7d79", "relpath": "b/2.csv"}, {"md5": "5d41", "relpath": "\\u00e9.csv"}]'
    )
