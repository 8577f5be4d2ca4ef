"""What one stage is in dvc.yaml, as plain values.

    flights-clean:
      cmd: trunkline exec flights.clean
      deps: [data/flights/ingest, data/flights/weather, stages/clean.py]
      params: [{pipelines/flights.yaml: [stages.clean]}]
      outs: [data/flights/clean, data/flights/.manifests/clean]

The whole subtree of the stage is a parameter, so that every edit of it makes DVC call us. Never
`persist` or `always_changed`: they break protection, the run-cache and `dvc status`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trunkline.globs import Pattern
from trunkline.model import Leaf, Pipeline, Stage


def deps(stage: Stage, code_files: Sequence[str]) -> tuple[str, ...]:
    """The paths that a stage depends on, in the order in which DVC locks them.

    What does not propagate is none: DVC would run the stage for it.
    """
    leaves = (leaf for leaf in stage.leaves if leaf.propagation)
    return tuple(sorted({*map(_dep, leaves), *code_files}))


def _dep(leaf: Leaf) -> str:
    prefix = Pattern(leaf.glob).literal_prefix
    return f"{leaf.dataset.path}/{prefix}" if prefix else leaf.dataset.path


def stage_entry(stage: Stage, code_files: Sequence[str]) -> dict[str, Any]:
    """The stage as DVC will read it from dvc.yaml."""
    paths = list(deps(stage, code_files))
    return {
        "cmd": stage.command,
        **({"deps": paths} if paths else {}),
        "params": [{stage.pipeline_file: [f"stages.{stage.name}"]}],
        "outs": [stage.path, stage.manifest_path],
    }


def metrics(pipeline: Pipeline) -> list[str]:
    """A pipeline's metrics for `dvc metrics`."""
    return [f"{stage.path}/{path}" for stage in pipeline.stages for path in stage.metrics]


def plots(pipeline: Pipeline) -> list[str | dict[str, Any]]:
    """A pipeline's plots for `dvc plots`."""
    found: list[str | dict[str, Any]] = []
    for stage in pipeline.stages:
        for plot in stage.plots:
            path = f"{stage.path}/{plot.path}"
            found.append({path: dict(plot.options)} if plot.options else path)
    return found


def artifacts(pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """A pipeline's models for `dvc artifacts`."""
    return {
        stage.model.name: {"path": f"{stage.path}/{stage.model.path}", "type": "model"}
        for stage in pipeline.stages
        if stage.model is not None
    }
