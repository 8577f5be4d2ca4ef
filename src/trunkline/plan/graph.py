"""Which stages, in which order: values only."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from trunkline.errors import UsageError
from trunkline.graph import Cycle, topological
from trunkline.model import DatasetKind, Pipeline, Stage

__all__ = ["Cycle", "order", "select", "topological", "upstream"]


def order(pipelines: Sequence[Pipeline]) -> tuple[Stage, ...]:
    """Every stage after those it reads; otherwise by pipeline name, then as declared. Raises Cycle."""
    stages = {
        stage.ref: stage
        for pipeline in sorted(pipelines, key=lambda pipeline: pipeline.name)
        for stage in pipeline.stages
    }
    deps = {ref: upstream(stage) for ref, stage in stages.items()}
    return tuple(stages[ref] for ref in topological(tuple(stages), deps))


def upstream(stage: Stage) -> tuple[str, ...]:
    """The stages (`pipeline.stage`) whose datasets this one reads, in the order of its inputs."""
    names = (leaf.dataset.name for leaf in stage.leaves if leaf.dataset.kind is DatasetKind.STAGE)
    return tuple(dict.fromkeys(names))


def select(stages: Sequence[Stage], targets: Collection[str], downstream: bool = False) -> tuple[Stage, ...]:
    """The targets (`pipeline.stage`) and all that they need, in the order of `stages`.

    With `downstream`: the targets and all that needs them, as `dvc repro --downstream` has it.
    Raises UsageError for a target that is no stage.
    """
    above = {stage.ref: upstream(stage) for stage in stages}
    if unknown := sorted(set(targets) - above.keys()):
        raise UsageError(f"there is no stage {unknown[0]!r}", hint=f"there are: {', '.join(sorted(above))}")
    wanted = _reach(targets, _reversed(above) if downstream else above)
    return tuple(stage for stage in stages if stage.ref in wanted)


def _reversed(edges: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for node, others in edges.items():
        for other in others:
            found.setdefault(other, []).append(node)
    return found


def _reach(start: Collection[str], edges: Mapping[str, Collection[str]]) -> set[str]:
    seen: set[str] = set()
    queue = list(start)
    while queue:
        node = queue.pop()
        if node not in seen:
            seen.add(node)
            queue.extend(edges.get(node, ()))
    return seen
