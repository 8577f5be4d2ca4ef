"""pipelines/carseats.yaml and pipelines/credit.yaml and the functions that they name agree."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
STAGES: dict[str, dict[str, Any]] = {
    f"{name}.{stage}": declared
    for name in ("carseats", "credit")
    for stage, declared in yaml.safe_load((PIPELINES / f"{name}.yaml").read_text(encoding="utf-8"))[
        "stages"
    ].items()
}
# What says who somebody is, or stands for it; what is known only after the decision, or is a part of it.
PROTECTED = {
    "black",
    "hispan",
    "white",
    "male",
    "married",
    "dep",
    "old",
    "min30",
    "suffolk",
    "mi",
    "bd",
    "vr",
}
DECISION = {"action", "approve", "typur", "inss", "inson", "review", "gdlin"}


@pytest.mark.parametrize("name", STAGES)
def test_inputs_and_parameters_are_those_of_the_function(name: str) -> None:
    module, _, function = STAGES[name]["run"].partition(":")
    found = inspect.signature(getattr(import_module(module), function)).parameters.values()
    keyword_only = {parameter.name for parameter in found if parameter.kind is parameter.KEYWORD_ONLY}
    inputs = {parameter.name: parameter.default for parameter in found if parameter.name not in keyword_only}
    needed = {each for each, default in inputs.items() if default is inspect.Parameter.empty}
    assert needed <= set(STAGES[name]["input"]) <= inputs.keys()
    assert set(STAGES[name].get("params", {})) <= keyword_only


def test_the_credit_model_sees_nothing_that_it_must_not() -> None:
    features = STAGES["credit.train"]["params"]["features"]
    used = {*features["number"], *features["category"], STAGES["credit.sigmoid"]["params"]["feature"]}
    kept = set(STAGES["credit.clean"]["params"]["keep"])
    assert not kept & (PROTECTED | DECISION)
    assert used <= kept - {"reject"}


def test_both_lines_differ_in_their_features_alone() -> None:
    one, several = (dict(STAGES[f"carseats.{name}"]["params"]) for name in ("one", "several"))
    assert len(one.pop("features")) == 1 < len(several.pop("features"))
    assert one == several
