"""Pipeline files and the project around them, as the tests of `spec` share them."""

from __future__ import annotations

from trunkline.errors import SpecError
from trunkline.model import Pipeline
from trunkline.spec import Known, check

FLIGHTS = """\
# yaml-language-server: $schema=../schema/pipeline.json
pipeline: flights
description: Which departures arrive more than 15 minutes late? Retrained as each day's flights arrive.

stages:
  ingest:
    run: stages.ingest:ingest_csv
    input: {raw: flights_raw/*}
  weather:
    run: stages.ingest:ingest_csv
    input: {raw: weather_raw/*}
  clean:
    run: stages.clean:clean
    input:
      join:
        - {name: flights, dataset: ingest, glob: "/(*).parquet", join_on: $1}
        - {name: weather, dataset: weather, glob: "/(*).parquet", join_on: $1}
    params: {target: arr_delay, late_after: 15}
  split:
    run: stages.split:split
    input: {flights: clean/*}
    params: {test_fraction: 0.2, key: [carrier, flight, origin, time_hour]}
  train:
    run: stages.train:train
    input: {train: split/train}
    params: {estimator: SGDClassifier, epochs: 5, seed: 7}
    model: {name: flights_late, path: model.onnx}
  evaluate:
    run: stages.evaluate:evaluate
    input: {model: train/model.onnx, test: split/test}
    metrics: [metrics.json]
    plots: [roc.json]

schedules: [{cron: "0 3 * * *", timezone: UTC}]
"""

FUNCTIONS = {
    "stages.clean": frozenset({"clean", "dedupe"}),
    "stages.ingest": frozenset({"ingest_csv"}),
    "stages.split": frozenset({"split"}),
    "stages.train": frozenset({"train"}),
    "stages.evaluate": frozenset({"evaluate"}),
}

KNOWN = Known(
    sources=frozenset({"flights_raw", "weather_raw", "twice", "taken"}),
    foreign=frozenset({"models/base", "twice/by_hand", "data/p/occupied"}),
    functions=FUNCTIONS.get,
    exists=frozenset({"sql/clean.sql", "tools"}).__contains__,
    packages=lambda name: {"scikit-learn": "1.9.1", "numpy": "2.4.6"}.get(name, ""),
    timezones=lambda: frozenset({"UTC", "Europe/Berlin"}),
)


def one(text: str, known: Known = KNOWN) -> Pipeline:
    """The pipeline of one file, which is named after it."""
    name = text.split("pipeline: ", 1)[1].split("\n", 1)[0]
    (pipeline,) = check({f"pipelines/{name}.yaml": text}, known)
    return pipeline


def stage(body: str) -> str:
    """A pipeline `p` with a stage `s` that has this body, which begins in column 5 of line 4."""
    lines = "\n".join("    " + line for line in body.strip("\n").split("\n"))
    return f"pipeline: p\nstages:\n  s:\n{lines}\n"


def files(text: str) -> dict[str, str]:
    """Several files in one text: each begins with a line `=== pipelines/x.yaml`."""
    if not text.startswith("=== "):
        return {"pipelines/p.yaml": text}
    parts = text.split("=== ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def complaints(text: str, known: Known = KNOWN) -> list[str]:
    """What is wrong with the files in a text, each problem's message without its place."""
    try:
        check(files(text), known)
    except SpecError as error:
        return [problem.message for problem in error.problems]
    return []
