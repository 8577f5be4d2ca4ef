"""Drafts that keep every rule -> the values of `model`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from trunkline.globs import Pattern
from trunkline.model import (
    WORK_POOL,
    CatchUp,
    Command,
    Cron,
    Cross,
    Dask,
    DatumSet,
    Deploy,
    Function,
    Group,
    Input,
    Interval,
    Join,
    Leaf,
    Model,
    Pipeline,
    Plot,
    Reprocess,
    Resources,
    RRule,
    Schedule,
    Stage,
    Ticks,
    Union,
)
from trunkline.spec import interval, quantities, rrule, ticks
from trunkline.spec.datasets import ticks_dataset
from trunkline.spec.drafts import PipelineDraft, StageDraft
from trunkline.spec.fields import Fields
from trunkline.spec.inputs import InputDraft, LeafDraft
from trunkline.spec.keys import WHEN
from trunkline.spec.names import function_parts, package_name
from trunkline.spec.read import MappingNode, Node, value
from trunkline.spec.world import World


def pipeline(draft: PipelineDraft, world: World) -> Pipeline:
    """The pipeline of a draft without problems."""
    assert draft.name is not None
    slugs = _slugs(draft.schedules)
    stages = tuple(_stage(stage, world) for stage in draft.stages)
    return Pipeline(
        name=draft.name.text,
        stages=stages,
        description=_text(draft.fields, "description"),
        schedules=(*map(_schedule, draft.schedules, slugs), *_clocks(stages, slugs)),
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


def _clocks(stages: Sequence[Stage], slugs: Sequence[str]) -> Iterator[Schedule]:
    """A schedule for each cron input, so that a deployed pipeline runs when it ticks."""
    clocks = {leaf.name: leaf.ticks for stage in stages for leaf in stage.leaves if leaf.ticks is not None}
    taken = set(slugs)
    for name, each in clocks.items():
        when = ticks.when(each)
        if when is not None:
            slug = "-".join(["tick", *filter(None, name.split("_"))])
            others = (f"{slug}-{number}" for number in count(2))
            slug = slug if slug not in taken else next(other for other in others if other not in taken)
            taken.add(slug)
            yield Schedule(slug, when)


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
        datum_tries=fields.count("datum_tries", 3),
        datum_timeout=quantities.duration(declaration.get("datum_timeout")),
        job_timeout=quantities.duration(declaration.get("job_timeout")),
        datum_set=_datum_set(declaration.get("datum_set_spec")),
        parallelism=declaration.get("parallelism"),
        accept_return_code=tuple(sorted(set(declaration.get("accept_return_code", ())))),
        err_cmd=_err_cmd(declaration),
        reprocess=Reprocess(declaration.get("reprocess_spec", Reprocess.UNTIL_SUCCESS)),
        resources=_resources(declaration.get("resources")),
        secrets=tuple(declaration.get("secrets", ())),
        fingerprint=_packages(declaration),
        declaration=declaration,
        mark=draft.say.mark(draft.name.node),
    )


def _packages(declaration: Mapping[str, Any]) -> tuple[str, ...]:
    written = declaration.get("fingerprint", {}).get("packages", ())
    return tuple(sorted({package_name(name) for name in written}))


def _datum_set(written: Mapping[str, int] | None) -> DatumSet | None:
    return None if written is None else DatumSet(**written)


def _resources(written: Mapping[str, Any] | None) -> Resources | None:
    if written is None:
        return None
    cpu = written.get("cpu")
    return Resources(None if cpu is None else float(cpu), quantities.memory(written.get("memory")))


def _err_cmd(declaration: Mapping[str, Any]) -> Command | None:
    argv = declaration.get("err_cmd")
    return None if argv is None else Command(tuple(argv), tuple(declaration.get("err_stdin", ())))


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


_MADE_OF_INPUTS: Mapping[str, Callable[[tuple[Input, ...]], Input]] = {
    "cross": Cross,
    "union": Union,
    "join": Join,
    "group": Group,
}


def _input(draft: InputDraft, stage: StageDraft, world: World) -> Input:
    if isinstance(draft, LeafDraft):
        return _ticks(draft, stage) if draft.ticks else _leaf(draft, stage, world)
    return _MADE_OF_INPUTS[draft.word](tuple(_input(child, stage, world) for child in draft.inputs))


def _leaf(draft: LeafDraft, stage: StageDraft, world: World) -> Leaf:
    found = world.found(draft, stage)
    assert found is not None
    return Leaf(
        name=draft.name or "",
        dataset=found.dataset,
        glob=Pattern(found.glob).text,
        join_on=_text(draft.fields, "join_on"),
        group_by=_text(draft.fields, "group_by"),
        outer_join=draft.flag("outer_join"),
        empty_files=draft.flag("empty_files"),
        reference=draft.flag("reference"),
        propagation=draft.text("propagation") is None,
        mark=stage.say.mark(draft.place),
    )


def _ticks(draft: LeafDraft, stage: StageDraft) -> Leaf:
    name, start = draft.name or "", draft.fields.values.get("start")
    moment = interval.moment(value(start)) if start is not None else None
    return Leaf(
        name=name,
        dataset=ticks_dataset(stage.pipeline, name),
        glob="/*",
        ticks=Ticks(_text(draft.fields, "spec"), ticks.whole(moment or ""), draft.flag("overwrite")),
        mark=stage.say.mark(draft.place),
    )


def _text(fields: Fields, name: str) -> str:
    text = fields.text(name)
    return "" if text is None else text.text
