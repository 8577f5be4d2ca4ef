"""Pipeline files -> pipelines, or every problem of every file in one error.

    check({"pipelines/flights.yaml": "pipeline: flights\\n…"}, Known(sources={"flights_raw"}))

Pure: what else the rules must know of the project comes in as `Known`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trunkline.errors import Problem, SpecError
from trunkline.model import Pipeline
from trunkline.spec import build
from trunkline.spec.datasets import Datasets, Known, ticks_name
from trunkline.spec.drafts import PipelineDraft, pipeline_draft
from trunkline.spec.read import ScalarNode, read
from trunkline.spec.rules import FILE_RULES, STAGE_RULES, WORLD_RULES
from trunkline.spec.say import Say, kind_of
from trunkline.spec.world import World

__all__ = ["Known", "check"]

_NOTHING = Known()


def check(texts: Mapping[str, str], known: Known = _NOTHING) -> tuple[Pipeline, ...]:
    """The pipelines, sorted by name, of texts by file (`pipelines/<name>.yaml`). Raises SpecError."""
    problems: list[Problem] = []
    drafts: list[PipelineDraft] = []
    unread: set[str] = set()
    for file, text in sorted(texts.items()):
        try:
            drafts.append(_draft(file, text))
        except SpecError as error:
            problems += error.problems
            unread.add(_stem(file))
    known = replace(known, sources=known.sources | _clocks(drafts))
    world = World(tuple(drafts), known, Datasets(_stage_names(drafts), known, unread))
    _apply_rules(world)
    for draft in drafts:
        problems += draft.say.problems
    if problems:
        raise SpecError(list(dict.fromkeys(problems)))
    pipelines = (build.pipeline(draft, world) for draft in drafts)
    return tuple(sorted(pipelines, key=lambda pipeline: pipeline.name))


def _draft(file: str, text: str) -> PipelineDraft:
    root = read(text, file)
    say = Say(file, text)
    if isinstance(root, ScalarNode) and kind_of(root) == "empty":
        raise SpecError([Problem(file, 0, 0, "the file is empty", f"begin with pipeline: {_stem(file)}")])
    return pipeline_draft(root, file, say)


def _stem(file: str) -> str:
    return file.rpartition("/")[2].partition(".")[0]


def _stage_names(drafts: list[PipelineDraft]) -> dict[str, tuple[str, ...]]:
    names: dict[str, tuple[str, ...]] = {}
    for draft in drafts:
        for stage in draft.stages:
            names[stage.pipeline] = (*names.get(stage.pipeline, ()), stage.name.text)
    return names


def _clocks(drafts: list[PipelineDraft]) -> set[str]:
    """The datasets of cron inputs, which may not be there yet."""
    return {
        ticks_name(stage.pipeline, leaf.name)
        for draft in drafts
        for stage in draft.stages
        for leaf in stage.leaves
        if leaf.ticks and leaf.name
    }


def _apply_rules(world: World) -> None:
    for pipeline in world.pipelines:
        for file_rule in FILE_RULES:
            file_rule(pipeline, world)
    for stage in world.stages:
        for stage_rule in STAGE_RULES:
            stage_rule(stage, world)
    for world_rule in WORLD_RULES:
        world_rule(world)
