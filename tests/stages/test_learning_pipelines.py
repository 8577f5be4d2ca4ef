"""The files of iris, forecast and segments: they agree with their functions, and nothing leaks."""

from __future__ import annotations

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "pipelines"
STAGES: dict[str, dict[str, dict[str, Any]]] = {
    name: yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))["stages"]
    for name in ("iris", "forecast", "segments")
}
NAMES = [(pipeline, stage) for pipeline, stages in STAGES.items() for stage in stages]


@pytest.mark.parametrize(("pipeline", "stage"), NAMES)
def test_inputs_and_parameters_are_those_of_the_function(pipeline: str, stage: str) -> None:
    declared = STAGES[pipeline][stage]
    module, _, function = declared["run"].partition(":")
    inputs, params = declared.get("input", {}), declared.get("params", {})
    inspect.signature(getattr(import_module(module), function)).bind(**inputs, **params)
    assert not inputs.keys() & params.keys()


def test_no_stage_but_the_last_look_reads_the_holdout() -> None:
    for pipeline, judges in (("iris", ["holdout"]), ("forecast", ["evaluate", "predict"])):
        readers = [
            name
            for name, stage in STAGES[pipeline].items()
            if any(dataset in ("split", "split/holdout") for dataset in stage.get("input", {}).values())
        ]
        assert readers == judges


@pytest.mark.parametrize(("pipeline", "learner"), [("iris", "network"), ("forecast", "train")])
def test_what_is_chosen_is_chosen_on_validation_before_the_last_look(pipeline: str, learner: str) -> None:
    stages = STAGES[pipeline]
    assert stages["trial"]["input"]["validation"] == "split/validation"
    assert stages["split"]["params"]["validation_fraction"] > 0
    assert stages["select"]["params"]["by"].startswith("validation_")
    assert stages[learner]["input"]["chosen"] == "select/chosen.json"
    assert not stages[learner]["params"].keys() & {"estimator", "options"}
    assert not {"holdout", "evaluate"} & {
        dataset.partition("/")[0] for s in stages.values() for dataset in s.get("input", {}).values()
    }


def test_the_draws_of_iris_cut_off_the_holdout_of_split_and_learn_as_the_trials_do() -> None:
    stages = STAGES["iris"]
    split = dict(stages["split"]["params"])
    assert split.pop("validation_seed") in stages["seeds"]["params"]["validation_seed"]
    assert stages["draw"]["params"]["sides"] == split
    assert len(stages["seeds"]["params"]["validation_seed"]) == 20
    for name in ("features", "target", "seed"):
        assert (
            stages["draw"]["params"][name]
            == stages["trial"]["params"][name]
            == stages["network"]["params"][name]
        )


def test_a_forecast_knows_nothing_younger_than_its_horizon() -> None:
    stages = STAGES["forecast"]
    lags = stages["lags"]["params"]
    made = {f"{column}_{hours}h" for column, wanted in lags["hours"].items() for hours in wanted}
    assert min(min(wanted) for wanted in lags["hours"].values()) >= lags["horizon"] == 24
    calendar = {"hr", "weekday", "workingday", "holiday"}
    assert set(stages["train"]["params"]["features"]["number"]) == made | calendar
    assert stages["evaluate"]["params"]["baseline"] in made
    assert stages["split"]["params"]["method"] == "time"
    for name in ("features", "target", "scale", "seed"):
        assert stages["trial"]["params"][name] == stages["train"]["params"][name]
    assert stages["trial"]["params"]["folds"] == 0, "a random part lies between hours of the others"


def test_segments_are_not_told_what_they_are_compared_with() -> None:
    stages = STAGES["segments"]
    known = stages["describe"]["params"]["known"]
    assert all(known in stages[name]["params"]["without"] for name in ("cluster", "segments"))
    for name in ("starts", "seed"):
        assert stages["cluster"]["params"][name] == stages["segments"]["params"][name]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_value_stands_for_itself(path: Path) -> None:
    """Behind an alias, `dvc exp run -S` changes nothing, and does not say so."""
    tokens = yaml.scan(path.read_text(encoding="utf-8"))
    assert not [token.start_mark.line + 1 for token in tokens if isinstance(token, yaml.AliasToken)]
