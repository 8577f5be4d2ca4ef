"""Tells the entries of dvc.yaml that are compiled from pipelines from those that people wrote.

A stage is ours by its `cmd: trunkline exec pipeline.stage`; metrics, plots and models by lying in
what such a stage puts out, today or until now; parameters by being a pipeline file.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trunkline.model import Pipeline
from trunkline.spec.splice import Layout, content, parsed, split

LAYOUT = Layout(
    "dvc.yaml",
    {"stages": True, "metrics": False, "plots": False, "params": False, "artifacts": True},
    "DVC",
    "write it in block style, one entry a line, as `dvc stage add` does",
)

_COMMAND = re.compile(r"trunkline exec ([a-z][a-z0-9_]*)\.([a-z][a-z0-9_]*)").fullmatch
_PIPELINE_FILE = re.compile(r"pipelines/[a-z][a-z0-9_]*\.yaml").fullmatch


class Owned:
    """Which entries are ours: those of the pipelines, and those of stages that dvc.yaml still has."""

    def __init__(self, document: Mapping[str, Any], pipelines: Sequence[Pipeline] = ()) -> None:
        refs = {(pipeline.name, stage.name) for pipeline in pipelines for stage in pipeline.stages}
        refs |= {ref for _, stage in content(document, "stages") if (ref := _ref(stage)) is not None}
        self._outs = {f"data/{pipeline}/{stage}" for pipeline, stage in refs}

    def __call__(self, section: str, value: Any) -> bool:
        """Whether an entry of a section is ours."""
        if section == "stages":
            return _ref(value) is not None
        if section == "params":
            return isinstance(value, str) and _PIPELINE_FILE(value) is not None
        if section == "artifacts":
            return isinstance(value, dict) and self._inside(value.get("path"))
        return self._inside(next(iter(value), "") if isinstance(value, dict) else value)

    def _inside(self, path: Any) -> bool:
        return isinstance(path, str) and "/".join(path.split("/")[:3]) in self._outs


def stage_names(existing: str) -> tuple[str, ...]:
    """The names of all stages of dvc.yaml, in its order. Raises SpecError."""
    return tuple(str(name) for name, _ in content(parsed(existing, LAYOUT), "stages"))


def foreign_outputs(existing: str) -> frozenset[str]:
    """The paths of what hand-written DVC stages put out, relative to the project's root.

    Left out is what lies outside, and what is not written out (`${…}` in a stage for many values).
    Raises SpecError.
    """
    _, others = split(parsed(existing, LAYOUT), "stages", Owned({}))
    return frozenset(path for _, stage in others for path in _outputs(stage))


def _outputs(stage: Any) -> Iterator[str]:
    body = stage.get("do", stage) if isinstance(stage, dict) else {}
    if not isinstance(body, dict):
        return
    for key in ("outs", "metrics", "plots"):
        for out in body.get(key) or ():
            path = str(next(iter(out), "") if isinstance(out, dict) else out)
            full = posixpath.normpath(posixpath.join(str(body.get("wdir") or "."), path))
            if "${" not in full and "://" not in path and not full.startswith(("/", "..")):
                yield full


def _ref(stage: Any) -> tuple[str, str] | None:
    """(pipeline, stage) where an entry of `stages` is ours."""
    command = stage.get("cmd") if isinstance(stage, dict) else None
    match = _COMMAND(command) if isinstance(command, str) else None
    return (match[1], match[2]) if match is not None else None
