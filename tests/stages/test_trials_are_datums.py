"""The search of `stages/tune.py` on the real engine: what a grid that changes costs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.stages.learning import LENGTHS, iris
from tests.support import Tree

STAGES = Path(__file__).resolve().parents[2] / "stages"

PIPELINE = """\
pipeline: search

stages:
  grid:
    run: stages.tune:grid
    params: {C: [0.1, 1.0], fit_intercept: [true, false]}
  trial:
    run: stages.tune:trial
    input: {trial: grid/*, train: flowers_raw/train, validation: flowers_raw/validation}
    params:
      features: {number: [sepal_length, petal_length]}
      target: species
      estimator: LogisticRegression
      folds: 2
  select:
    run: stages.tune:select
    input: {trials: trial}
    params: {by: validation_log_loss}
    metrics: [metrics.json]
"""


@pytest.fixture
def search(tree: Tree) -> Tree:
    for module in STAGES.glob("*.py"):
        shutil.copy(module, tree.write(f"stages/{module.name}", ""))
    rows = iris()[["species", *LENGTHS]]
    write(tree, rows[:90], rows[90:])
    tree.write("pipelines/search.yaml", PIPELINE)
    tree.dvc("add", "-q", "data/flowers_raw")
    tree.commit("Start")
    return tree


def write(tree: Tree, train: pd.DataFrame, validation: pd.DataFrame) -> None:
    tree.write("data/flowers_raw/train/rows.csv", train.to_csv(index=False))
    tree.write("data/flowers_raw/validation/rows.csv", validation.to_csv(index=False))


def change(tree: Tree, old: str, new: str) -> dict[str, tuple[int, int, int]]:
    """(run, reused, dropped) of each stage after an edit of the pipeline file."""
    text = tree.read("pipelines/search.yaml")
    assert old in text
    tree.write("pipelines/search.yaml", text.replace(old, new))
    tree.trunkline("run")
    return tree.counts()


def test_only_what_is_new_in_the_grid_is_computed(search: Tree) -> None:
    search.trunkline("run")
    assert search.counts() == {
        "search.grid": (1, 0, 0),
        "search.trial": (4, 0, 0),
        "search.select": (1, 0, 0),
    }
    before = search.contents("data/search/trial")
    assert sorted(before) == [
        f"data/search/trial/C_{strength}-fit_intercept_{also}.parquet"
        for strength in ("0.1", "1.0")
        for also in ("False", "True")
    ]

    grown = change(search, "C: [0.1, 1.0]", "C: [0.1, 1.0, 10.0]")
    assert grown == {"search.grid": (1, 0, 0), "search.trial": (2, 4, 0), "search.select": (1, 0, 0)}
    after = search.contents("data/search/trial")
    assert before.items() <= after.items()
    assert len(after) == 6
    assert chosen(search) == best(search)

    smaller = change(search, "C: [0.1, 1.0, 10.0]", "C: [1.0, 10.0]")
    assert smaller["search.trial"] == (0, 4, 2)
    back = change(search, "C: [1.0, 10.0]", "C: [0.1, 1.0]")
    assert back["search.trial"] == (0, 4, 2)
    assert search.contents("data/search/trial") == before

    rows = iris()[["species", *LENGTHS]]
    write(search, rows[:90], rows[100:])
    search.trunkline("run")
    assert search.counts()["search.trial"] == (4, 0, 0)


def chosen(tree: Tree) -> object:
    return json.loads(tree.read("data/search/select/chosen.json"))


def best(tree: Tree) -> object:
    """The choice made again by hand, from the files of the trials."""
    files = sorted((tree.root / "data/search/trial").iterdir())
    rows = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    return json.loads(rows["parameters"].iloc[int(np.argmin(rows["validation_log_loss"]))])
