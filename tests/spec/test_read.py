from __future__ import annotations

import pytest

from trunkline.errors import SpecError
from trunkline.model import Mark
from trunkline.spec.read import MappingNode, load, pairs, read, value
from trunkline.spec.say import Say
from trunkline.spec.values import MAX_DEPTH


def message(text: str, *, limit: int = 1 << 20) -> str:
    with pytest.raises(SpecError) as caught:
        read(text, "x.yaml", limit=limit)
    return caught.value.problems[0].message


@pytest.mark.parametrize("pure", [False, True])
def test_nodes_know_their_line_and_column(pure: bool) -> None:
    text = "a: 1\nbé: {c: [x, 'yy']}\n"
    root = read(text, "x.yaml", pure=pure)
    assert isinstance(root, MappingNode)
    (key, mapping) = pairs(root)[1]
    assert isinstance(mapping, MappingNode)
    (_, items) = pairs(mapping)[0]
    say = Say("x.yaml", text)
    assert say.mark(key) == Mark("x.yaml", 2, 1)
    assert say.mark(items.value[1]) == Mark("x.yaml", 2, 13)


def test_value_is_what_load_gives() -> None:
    text = "a: &x {p: [1, 2.5, null, on]}\nb: {<<: *x, q: 0o17}\n"
    expected = {"a": {"p": [1, 2.5, None, "on"]}, "b": {"p": [1, 2.5, None, "on"], "q": 15}}
    assert value(read(text, "x.yaml")) == load(text) == expected


def test_an_empty_text_is_an_empty_mapping() -> None:
    assert load("") == load("# nothing\n") == {}
    assert value(read("", "x.yaml")) is None


def test_merged_pairs_keep_the_place_of_their_source() -> None:
    root = read("a: &x {p: 1}\nb:\n  <<: *x\n  q: 2\n", "x.yaml")
    assert isinstance(root, MappingNode)
    merged = pairs(root)[1][1]
    assert isinstance(merged, MappingNode)
    assert [(key.value, key.start_mark.line) for key, _ in pairs(merged)] == [("p", 0), ("q", 3)]


def test_depth_is_limited_before_anything_recurses() -> None:
    deep = MAX_DEPTH - 1
    assert load("k: " + "[" * deep + "]" * deep)
    assert message("k: " + "[" * 100_000) == f"nested more than {MAX_DEPTH} levels deep"


def test_size_is_limited() -> None:
    assert message("k: " + "x" * 50, limit=50) == "the file is longer than 50 characters"


def test_aliases_may_repeat_but_not_explode() -> None:
    assert len(load("a: &x [1, 2, 3]\nb: [" + ", ".join(["*x"] * 1000) + "]")["b"]) == 1000
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 9)]
    assert message("\n".join(lines)) == "the aliases of this file expand to too much"


def test_every_duplicate_key_is_reported() -> None:
    with pytest.raises(SpecError) as caught:
        read("a: 1\nb: {c: 1, c: 2}\na: 3\n", "x.yaml")
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(2, 11), (3, 1)]


def test_a_large_lock_is_one_pass() -> None:
    stage = "  s{n}:\n    cmd: x\n    deps:\n    - path: a\n      md5: 0a{n}\n      size: {n}\n"
    text = "stages:\n" + "".join(stage.replace("{n}", str(n)) for n in range(1000))
    stages = load(text)["stages"]
    assert len(stages) == 1000
    assert stages["s7"] == {"cmd": "x", "deps": [{"path": "a", "md5": "0a7", "size": 7}]}
