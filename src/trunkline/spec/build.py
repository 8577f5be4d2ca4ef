"""Drafts that keep every rule -> the values of `model`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from trunkline.model import (
    WORK_POOL,
    CatchUp,
    Command,
    Cron,
    Cross,
    Dask,
    Deploy,
    Function,
    Input,
    Interval,
    Join,
    Leaf,
    Model,
    Pipeline,
    Plot,
    RRule,
    Schedule,
    Stage,
)
from trunkline.spec import interval, rrule
from trunkline.spec.drafts import PipelineDraft, StageDraft
from trunkline.spec.fields import Fields
from trunkline.spec.inputs import InputDraft, LeafDraft
from trunkline.spec.keys import WHEN
from trunkline.spec.names import function_parts
from trunkline.spec.read import MappingNode, Node, value
from trunkline.spec.world import World


def pipeline(draft: PipelineDraft, world: World) -> Pipeline:
    """The pipeline of a draft without problems."""
    assert draft.name is not None
    slugs = _slugs(draft.schedules)
    return Pipeline(
        name=draft.name.text,
        stages=tuple(_stage(stage, world) for stage in draft.stages),
        description=_text(draft.fields, "description"),
        schedules=tuple(map(_schedule, draft.schedules, slugs)),
        catch_up=CatchUp(_text(draft.fields, "catch_up") or CatchUp.LATEST),
        branch=_text(draft.fields, "branch") or "main",
        commit_to=_text(draft.fields, "commit_to"),
        deploy=_deploy(draft.deploy) if draft.deploy is not None else Deploy(),
        pool=_pool(draft.fields),
    )


def _slugs(schedules: Sequence[Fields]) -> list[str]:
    """Every schedule's slug: as it is written, else its kind, numbered from the second of a kind on."""
    found = [_text(schedule, "slug") for schedule in schedules]
    for index, schedule in enumerate(schedules):
        kind = next(word for word in WHEN if schedule.has(word))
        names = (kind if number == 1 else f"{kind}-{number}" for number in count(1))
        found[index] = found[index] or next(name for name in names if name not in found)
    return found


def _schedule(fields: Fields, slug: str) -> Schedule:
    return Schedule(
        slug=slug,
        when=_when(fields),
        timezone=_text(fields, "timezone") or "UTC",
        active=fields.flag("active", True),
        parameters={str(key.value): value(node) for key, node in fields.pairs("parameters")},
    )


def _when(fields: Fields) -> Cron | Interval | RRule:
    if fields.has("cron"):
        return Cron(" ".join(_text(fields, "cron").split()))
    if fields.has("rrule"):
        return RRule(rrule.normal(_text(fields, "rrule")))
    seconds = interval.seconds(value(fields.values["interval"]))
    anchor = fields.values.get("anchor")
    moment = interval.moment(value(anchor)) if anchor is not None else interval.ANCHOR
    assert seconds is not None
    assert moment is not None
    return Interval(seconds, moment)


def _deploy(fields: Fields) -> Deploy:
    variables = {str(key.value): value(node) for key, node in fields.pairs("job_variables")}
    pool = _text(fields, "work_pool")
    return Deploy(pool or WORK_POOL, variables, _text(fields, "repository"))


def _pool(fields: Fields) -> Dask | None:
    if "pool" not in fields.values:
        return None
    written = value(fields.values["pool"])
    return Dask() if isinstance(written, str) else Dask(written["dask"])


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
        datum_tries=fields.count("datum_tries", 1),
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
