"""Other values for parameters, in the text of a pipeline file: nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.errors import UsageError
from trunkline.spec import load
from trunkline.spec.override import override

TEXT = """\
pipeline: p   # a pipeline
stages:
  train:
    run: stages.p:train
    params: {epochs: 5, seed: 7, name: x}   # few
  split:
    run: stages.p:split
    params:
      fraction: 0.2  # of the rows
      keys:
        - a
        - b
      # what follows is deep
      deep:
        one: 1
      empty:
      text: |
        hello
        you

      quoted: 'q'
    input: {raw: raw/*}
"""


def changed(**params: dict[str, Any]) -> list[str]:
    """The lines that became others, new ones only."""
    old = TEXT.splitlines()
    return [line for line in override(TEXT, "f.yaml", params).splitlines() if line not in old]


def test_only_the_values_change() -> None:
    assert changed(train={"epochs": 10}) == ["    params: {epochs: 10, seed: 7, name: x}   # few"]
    assert changed(split={"fraction": 0.1}) == ["      fraction: 0.1  # of the rows"]
    assert override(TEXT, "f.yaml", {}) == TEXT
    assert override(TEXT, "f.yaml", {"train": {}}) == TEXT


@pytest.mark.parametrize(
    "value",
    [1, -2, 1e-05, 1e300, 0.5, True, False, None, "", "x", "1", "yes", "a: b", "#", "it's", "é\n", "{", "- x",
     [], [1, "x", [None]], {}, {"a b": {"c": [1]}}, float("inf")],
    ids=repr,
)  # fmt: skip
def test_every_value_is_read_back_whatever_stood_there(value: object) -> None:
    for stage, name in [
        ("train", "epochs"), ("train", "name"), ("split", "keys"), ("split", "deep"), ("split", "empty"),
        ("split", "text"), ("split", "quoted"),
    ]:  # fmt: skip
        text = override(TEXT, "f.yaml", {stage: {name: value}})
        wanted = load(TEXT)
        wanted["stages"][stage]["params"][name] = value
        assert load(text) == wanted
        assert [
            line for line in text.splitlines() if "#" in line and '"' not in line and "'" not in line
        ] == [line for line in TEXT.splitlines() if "#" in line] or stage == "train", "comments stay"


def test_several_at_once() -> None:
    text = override(
        TEXT, "f.yaml", {"train": {"seed": 1, "epochs": 2}, "split": {"keys": ["c"], "quoted": 3}}
    )
    assert load(text)["stages"]["train"]["params"] == {"epochs": 2, "seed": 1, "name": "x"}
    assert load(text)["stages"]["split"]["params"]["keys"] == ["c"]
    assert "# what follows is deep" in text


def test_what_is_not_declared_is_refused() -> None:
    def refused(params: dict[str, Any]) -> UsageError:
        with pytest.raises(UsageError) as raised:
            override(TEXT, "f.yaml", params)
        return raised.value

    error = refused({"trian": {"epochs": 1}})
    assert (error.message, error.hint) == ("there is no stage 'trian'", "did you mean train?")
    error = refused({"train": {"epoch": 1}})
    assert (error.message, error.hint) == ("there is no parameter of train 'epoch'", "did you mean epochs?")
    assert "not a mapping" in refused({"train": 3}).message
    assert "cannot be" in refused({"train": {"epochs": {1, 2}}}).message


def test_an_anchor_in_the_way_is_said() -> None:
    text = "stages:\n  a: {params: &p {x: 1}}\n  b: {params: *p}\n"
    with pytest.raises(UsageError, match="without changing others") as raised:
        override(text, "f.yaml", {"a": {"x": 2}})
    assert "anchor" in raised.value.hint
