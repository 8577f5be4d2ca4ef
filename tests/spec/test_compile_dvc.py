"""Real DVC over a compiled dvc.yaml: it loads, runs, locks what we declare, and finds metrics in outputs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.spec.samples import FLIGHTS
from tests.support import Done, Tree
from trunkline.model import Pipeline
from trunkline.spec import Known, check, compile_dvc, deps, foreign_outputs, load, stage_names, stale

# Every scalar that YAML 1.1 and 1.2, or C and Python readers, are known to part over.
PARAMS = """\
    params:
      words: [on, off, yes, no, 'true', ~, "null", 1.2.3, 0x, é, a#b]
      times:
      - 12:30
      - 1:2:3
      numbers: [1e-05, 1e5, 010, 0o10, 0x1F, 0b11, 1_000, +5, -0.0, .5, 5., 12345678901234567890]
      nested: {b: {}, a: [], text: "two\\nlines, a\\ttab"}
      folded: >-
        a b
         c
      base: {<<: {p: 1, q: 2}, q: 3}
"""

# Does what `trunkline exec` will do, as far as DVC can see it.
STAND_IN = """\
#!/bin/sh
set -e
pipeline=${2%%.*} stage=${2#*.}
out=data/$pipeline/$stage
mkdir -p $out/train $out/test data/$pipeline/.manifests/$stage
echo $2 | tee $out/train/part $out/test/part $out/model.onnx > data/$pipeline/.manifests/$stage/rows
echo '{"auc": 0.75}' > $out/metrics.json
echo '[{"fpr": 0, "tpr": 1}]' > $out/roc.json
"""

CODE = {
    f"flights.{name}": (f"stages/{name}.py",) for name in ("ingest", "clean", "split", "train", "evaluate")
}
BY_HAND = "stages:\n  # by hand\n  base:\n    cmd: mkdir -p models && echo base > models/base\n    outs: [models/base]\n"


def pipelines(tree: Tree) -> tuple[Pipeline, ...]:
    known = Known(
        sources=frozenset({"flights_raw", "weather_raw"}), foreign=foreign_outputs(tree.read("dvc.yaml"))
    )
    return check({"pipelines/flights.yaml": tree.read("pipelines/flights.yaml")}, known)


@pytest.fixture
def dvc(tree: Tree, tmp_path: Path) -> Callable[..., Done]:
    stand_in = tmp_path / "bin" / "trunkline"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    path = os.pathsep.join([str(stand_in.parent), os.environ.get("PATH", "")])
    return lambda *arguments: tree.command(sys.executable, "-m", "dvc", *arguments, PATH=path)


def test_dvc_runs_and_locks_what_is_compiled(tree: Tree, dvc: Callable[..., Done]) -> None:
    text = FLIGHTS.replace("    params: {target: arr_delay, late_after: 15}\n", PARAMS)
    text = text.replace("{model: train/model.onnx, ", "{base: models/base, model: train/model.onnx, ")
    tree.write(
        "pipelines/flights.yaml", text.replace("plots: [roc.json]", "plots: [{roc.json: {x: fpr, y: tpr}}]")
    )
    for name in ("flights", "weather"):
        tree.write(f"data/{name}_raw/2013-01-01.csv", name)
    for files in CODE.values():
        tree.write(files[0], "x = 1\n")
    tree.write("dvc.yaml", BY_HAND)
    compiled = compile_dvc(BY_HAND, found := pipelines(tree), CODE)
    tree.write("dvc.yaml", compiled)
    dvc("add", "-q", "data/flights_raw", "data/weather_raw")
    dvc("repro", "-q")
    assert tree.read("dvc.yaml") == compiled

    lock = load(tree.read("dvc.lock"))["stages"]
    stages = {stage.dvc_name: stage for stage in found[0].stages}
    ours = [name for name in stage_names(compiled) if name in stages]
    assert [name for name in lock if name in stages] == ours
    for name, stage in stages.items():
        entry = lock[name]
        assert entry["cmd"] == stage.command
        assert [dep["path"] for dep in entry["deps"]] == list(deps(stage, CODE.get(stage.ref, ())))
        assert [out["path"] for out in entry["outs"]] == sorted([stage.path, stage.manifest_path])
        (params,) = entry["params"].values()
        assert repr(params) == repr({f"stages.{stage.name}": stage.declaration})
        assert stale(compiled, stage, CODE.get(stage.ref, ())) == []

    assert json.loads(dvc("status", "--json").out) == {}
    metrics = json.loads(dvc("metrics", "show", "--json").out)[""]["data"]
    assert metrics["data/flights/evaluate/metrics.json"]["data"] == {"auc": 0.75}
    plots = json.loads(dvc("plots", "show", "--json").out)["data"]
    assert list(plots) == ["data/flights/evaluate/roc.json"]
    assert "flights-train" in dvc("dag", "--mermaid").out
    shown = json.loads(dvc("exp", "show", "--json").out)[0]["data"]
    assert shown["params"]["pipelines/flights.yaml"]["data"]["stages"]["train"]["params"]["epochs"] == 5


def test_what_dvc_adds_beside_it_leaves_ours_alone(tree: Tree, dvc: Callable[..., Done]) -> None:
    tree.write("pipelines/flights.yaml", FLIGHTS)
    tree.write("dvc.yaml", BY_HAND)
    compiled = compile_dvc(BY_HAND, found := pipelines(tree), CODE)
    tree.write("dvc.yaml", compiled)
    dvc(
        "stage",
        "add",
        "-q",
        "-n",
        "report",
        "-d",
        "data/flights/evaluate",
        "-M",
        "report.json",
        "make report",
    )
    text = tree.read("dvc.yaml")
    assert stage_names(text) == (*stage_names(compiled), "report")
    assert compile_dvc(text, found, CODE) == text
    assert foreign_outputs(text) == {"models/base", "report.json"}
    assert load(compile_dvc(text, [], {}))["stages"].keys() == {"base", "report"}
    assert dvc("stage", "list", "--name-only").out.split() == list(stage_names(text))
