"""pipelines/flights.yaml and the functions that it names agree."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).resolve().parents[3] / "pipelines" / "flights.yaml"
STAGES: dict[str, dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))["stages"]


def inputs(declared: dict[str, Any]) -> set[str]:
    joined = declared.get("join")
    return {leaf["name"] for leaf in joined} if joined else set(declared)


@pytest.mark.parametrize("name", STAGES)
def test_inputs_and_parameters_are_those_of_the_function(name: str) -> None:
    module, _, function = STAGES[name]["run"].partition(":")
    found = inspect.signature(getattr(import_module(module), function)).parameters.values()
    keyword_only = {parameter.name for parameter in found if parameter.kind is parameter.KEYWORD_ONLY}
    assert {parameter.name for parameter in found} - keyword_only == inputs(STAGES[name]["input"])
    assert keyword_only == set(STAGES[name].get("params", {})), (
        "every parameter is declared, so that it is seen"
    )


def test_every_other_file_of_evaluate_is_declared() -> None:
    plots = [next(iter(plot)) for plot in STAGES["evaluate"]["plots"]]
    assert [*STAGES["evaluate"]["metrics"], *plots] == ["metrics.json", "roc.json", "calibration.json"]
