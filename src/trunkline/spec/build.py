"""Drafts that keep every rule -> the values of `model`."""

from __future__ import annotations

from trunkline.model import (
    Command,
    Cross,
    Function,
    Input,
    Join,
    Leaf,
    Model,
    Pipeline,
    Plot,
    Schedule,
    Stage,
)
from trunkline.spec.drafts import PipelineDraft, StageDraft
from trunkline.spec.fields import Fields
from trunkline.spec.inputs import InputDraft, LeafDraft
from trunkline.spec.names import function_parts
from trunkline.spec.read import MappingNode, Node, value
from trunkline.spec.world import World


def pipeline(draft: PipelineDraft, world: World) -> Pipeline:
    """The pipeline of a draft without problems."""
    assert draft.name is not None
    schedules = (value(node) for node in draft.fields.items("schedules"))
    return Pipeline(
        name=draft.name.text,
        stages=tuple(_stage(stage, world) for stage in draft.stages),
        description=_text(draft.fields, "description"),
        schedules=tuple(Schedule(each["cron"], each.get("timezone", "UTC")) for each in schedules),
    )


def _stage(draft: StageDraft, world: World) -> Stage:
    fields = draft.fields
    declaration = value(draft.node)
    model = declaration.get("model")
    return Stage(
        pipeline=draft.pipeline,
        name=draft.name.text,
        run=_run(fields),
        input=_input(draft.input, draft, world) if draft.input is not None else None,
        params=declaration.get("params", {}),
        model=Model(model["name"], model["path"]) if model is not None else None,
        metrics=tuple(path.text for path in fields.texts("metrics")),
        plots=tuple(_plot(node) for node in fields.items("plots")),
        env=declaration.get("env", {}),
        code=tuple(path.text for path in fields.texts("code")),
        declaration=declaration,
        mark=draft.say.mark(draft.name.node),
    )


def _run(fields: Fields) -> Function | Command:
    run = fields.text("run")
    if run is None:
        argv, stdin = fields.texts("cmd"), fields.texts("stdin")
        return Command(tuple(word.text for word in argv), tuple(line.text for line in stdin))
    parts = function_parts(run.text)
    assert parts is not None
    return Function(*parts)


def _plot(node: Node) -> Plot:
    written = value(node)
    if not isinstance(node, MappingNode):
        return Plot(written)
    ((path, options),) = written.items()
    return Plot(path, options)


def _input(draft: InputDraft, stage: StageDraft, world: World) -> Input:
    if isinstance(draft, LeafDraft):
        return _leaf(draft, stage, world)
    inputs = tuple(_input(child, stage, world) for child in draft.inputs)
    return Join(inputs) if draft.word == "join" else Cross(inputs)


def _leaf(draft: LeafDraft, stage: StageDraft, world: World) -> Leaf:
    found = world.found(draft, stage)
    assert found is not None
    join_on = draft.join_on.text if draft.join_on is not None else ""
    return Leaf(draft.name or "", found.dataset, found.glob, join_on, stage.say.mark(draft.place))


def _text(fields: Fields, name: str) -> str:
    text = fields.text(name)
    return "" if text is None else text.text
