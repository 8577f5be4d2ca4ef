"""Pipelines -> the text of dvc.yaml.

What is not compiled from pipelines is somebody else's, and keeps every byte, comments and order
included. An entry of ours that already says the right thing keeps its text as well. Stages are
written upstream first: that is the order in which DVC runs and locks them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trunkline.errors import SpecError
from trunkline.graph import topological
from trunkline.model import DatasetKind, Pipeline, Stage
from trunkline.spec import entries
from trunkline.spec.owned import LAYOUT, Owned
from trunkline.spec.say import Say
from trunkline.spec.splice import Content, child_of, content, key_of, nodes, parsed, spliced, split

_FILE = LAYOUT.file


def compile_dvc(existing: str, pipelines: Sequence[Pipeline], code: Mapping[str, Sequence[str]]) -> str:
    """The new text of dvc.yaml, "" where nothing is left. `code`: stage -> its code files.

    Raises SpecError where a hand-written entry has a name that we need, or where the file is
    written so that it cannot be edited.
    """
    document = parsed(existing, LAYOUT)
    owned = Owned(document, pipelines)
    wanted = _wanted(pipelines, code)
    _check_clashes(existing, document, wanted, owned)
    return spliced(existing, LAYOUT, wanted, owned)


def stale(existing: str, stage: Stage, code_files: Sequence[str]) -> list[str]:
    """How dvc.yaml differs from what it should say of a stage, in words. Raises SpecError."""
    found = dict(content(parsed(existing, LAYOUT), "stages")).get(stage.dvc_name)
    if not isinstance(found, dict):
        return [f"{_FILE} has no stage {stage.dvc_name}"]
    wanted = entries.stage_entry(stage, code_files)
    differences: list[str] = []
    for key in [*wanted, *(key for key in found if key not in wanted)]:
        have, want = found.get(key), wanted.get(key)
        if key in ("deps", "outs") and isinstance(have or [], list) and isinstance(want or [], list):
            differences += _list_differences(key, have or [], want or [])
        elif have != want:
            differences.append(f"{key} is {_shown(have)}, and should be {_shown(want)}")
    return differences


def _list_differences(key: str, have: Sequence[Any], want: Sequence[Any]) -> list[str]:
    gone = [f"{key}: {path} should not be there" for path in have if path not in want]
    return [f"{key}: {path} is missing" for path in want if path not in have] + gone


def _shown(value: Any) -> str:
    return "not there" if value is None else f"'{value}'" if isinstance(value, str) else repr(value)


def _wanted(pipelines: Sequence[Pipeline], code: Mapping[str, Sequence[str]]) -> dict[str, Content]:
    """What is ours in each section, in its order."""
    by_name = sorted(pipelines, key=lambda pipeline: pipeline.name)
    return {
        "stages": [
            (stage.dvc_name, entries.stage_entry(stage, code.get(stage.ref, ())))
            for stage in _upstream_first(by_name)
        ],
        "metrics": [(None, path) for pipeline in by_name for path in entries.metrics(pipeline)],
        "plots": [(None, plot) for pipeline in by_name for plot in entries.plots(pipeline)],
        "params": [(None, pipeline.file) for pipeline in by_name],
        "artifacts": [item for pipeline in by_name for item in entries.artifacts(pipeline).items()],
    }


def _upstream_first(pipelines: Sequence[Pipeline]) -> list[Stage]:
    stages = {stage.ref: stage for pipeline in pipelines for stage in pipeline.stages}
    reads = {
        ref: [leaf.dataset.name for leaf in stage.leaves if leaf.dataset.kind is DatasetKind.STAGE]
        for ref, stage in stages.items()
    }
    return [stages[ref] for ref in topological(tuple(stages), reads)]


def _check_clashes(
    existing: str, document: Mapping[str, Any], wanted: Mapping[str, Content], owned: Owned
) -> None:
    say = Say(_FILE, existing)
    for section, what in (("stages", "stage"), ("artifacts", "model")):
        _, others = split(document, section, owned)
        for name in sorted({str(name) for name, _ in others} & {str(name) for name, _ in wanted[section]}):
            message = f"the {what} '{name}' is written by hand here, and compiled from a pipeline too"
            root = nodes(existing, LAYOUT)
            say.at(key_of(child_of(root, section), name) or root, message, "rename one of them")
    if say.problems:
        raise SpecError(say.problems)
