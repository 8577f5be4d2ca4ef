"""Rules about when a pipeline runs by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trunkline.spec import cron, interval, rrule
from trunkline.spec.drafts import PipelineDraft, StageDraft
from trunkline.spec.keys import SLUG_PATTERN, WHEN
from trunkline.spec.names import did_you_mean, listed
from trunkline.spec.read import MappingNode, Node, ScalarNode, SequenceNode, pairs, value
from trunkline.spec.rules.plain import plain
from trunkline.spec.say import Say, is_text, kind_of
from trunkline.spec.world import World

_SLUG = re.compile(SLUG_PATTERN).match


def one_way_each(pipeline: PipelineDraft, world: World) -> None:
    """A schedule says in exactly one way when it is."""
    for schedule in pipeline.schedules:
        written = [word for word in WHEN if schedule.has(word)]
        if not written and isinstance(schedule.key, MappingNode):
            message = "a schedule has neither 'cron' nor 'interval' nor 'rrule'"
            pipeline.say.at(schedule.key, message, 'write cron: "0 3 * * *", or interval: 1h')
        for word in written[1:]:
            message = f"a schedule has both '{written[0]}' and '{word}'"
            pipeline.say.at(schedule.keys[word], message, "make two schedules of it")
        if schedule.has("anchor") and not schedule.has("interval"):
            advice = "take it out; a cron and a rrule say themselves when they begin"
            pipeline.say.at(schedule.keys["anchor"], "'anchor' belongs to 'interval'", advice)


def crons(pipeline: PipelineDraft, world: World) -> None:
    """A cron expression has five fields of what is possible there."""
    for schedule in pipeline.schedules:
        expression = schedule.text("cron")
        if expression is not None and (fault := cron.fault(expression.text)):
            pipeline.say.at(expression.node, fault, f"write {cron.EXAMPLE}")


def intervals(pipeline: PipelineDraft, world: World) -> None:
    """An interval is longer than nothing, and its anchor is a moment."""
    for schedule in pipeline.schedules:
        node, anchor = schedule.values.get("interval"), schedule.values.get("anchor")
        if node is not None and (fault := interval.fault(value(node))):
            pipeline.say.at(node, fault, f"write {interval.EXAMPLE}")
        if anchor is not None and interval.moment(value(anchor)) is None:
            pipeline.say.at(anchor, f"'{anchor.value}' is no moment", f"write {interval.ANCHOR_EXAMPLE}")


def rrules(pipeline: PipelineDraft, world: World) -> None:
    """A recurrence rule is one that can be met."""
    for schedule in pipeline.schedules:
        rule = schedule.text("rrule")
        if rule is not None and (fault := rrule.fault(rule.text)):
            pipeline.say.at(rule.node, fault, f"write {rrule.EXAMPLE}")


def timezones(pipeline: PipelineDraft, world: World) -> None:
    """A time zone is one that there is."""
    for schedule in pipeline.schedules:
        zone = schedule.text("timezone")
        if zone is None or zone.text == "UTC" or world.known.timezones is None:
            continue
        zones = world.known.timezones()
        if zone.text not in zones:
            advice = did_you_mean(zone.text, zones, "write a name such as Europe/Berlin")
            pipeline.say.at(zone.node, f"there is no time zone '{zone.text}'", advice)


def slugs(pipeline: PipelineDraft, world: World) -> None:
    """A schedule's name is a name, and its own."""
    seen: set[str] = set()
    for schedule in pipeline.schedules:
        slug = schedule.text("slug")
        if slug is not None and not _SLUG(slug.text):
            advice = "write small letters and digits, with - or _ between them"
            pipeline.say.at(slug.node, f"'{slug.text}' cannot be the slug of a schedule", advice)
        elif slug is not None and slug.text in seen:
            pipeline.say.at(slug.node, f"two schedules are called '{slug.text}'", "rename one of them")
        seen.add(slug.text if slug is not None else "")


# ---------------------------------------------------------------- parameters


def parameters(pipeline: PipelineDraft, world: World) -> None:
    """A schedule's parameters are those that its stages have."""
    stages = {stage.name.text: stage for stage in pipeline.stages}
    for schedule in pipeline.schedules:
        for name, node in schedule.pairs("parameters"):
            _stage_parameters(name, node, stages, pipeline.say)


def _stage_parameters(name: ScalarNode, node: Node, stages: dict[str, StageDraft], say: Say) -> None:
    stage = stages.get(str(name.value))
    if stage is None:
        advice = did_you_mean(str(name.value), stages, f"its stages: {listed(stages) or 'none'}")
        say.at(name, f"this pipeline has no stage '{name.value}'", advice)
        return
    if not isinstance(node, MappingNode):
        message = f"the parameters of stage '{name.value}' must be a mapping; this is {kind_of(node)}"
        say.at(node, message, f"write {name.value}: {{parameter: value}}")
        return
    declared = [str(key.value) for key, _ in stage.fields.pairs("params")]
    for key, child in pairs(node):
        if str(key.value) not in declared:
            advice = did_you_mean(str(key.value), declared, f"its parameters: {listed(declared) or 'none'}")
            say.at(key, f"stage '{name.value}' has no parameter '{key.value}'", advice)
        plain(child, say)
        _no_templates(child, say)


def _no_templates(node: Node, say: Say) -> None:
    """Prefect puts something else where it finds its templates and references."""
    for each in _scalars(node):
        if is_text(each) and ("{{" in each.value or each.value in ("$ref", "__prefect_kind")):
            message = f"'{each.value}' means something of its own to Prefect"
            say.at(each, message, "set this parameter in the stage itself")


def _scalars(node: Node) -> Iterator[ScalarNode]:
    """The scalars in a node, keys too."""
    if isinstance(node, MappingNode):
        for key, child in pairs(node):
            yield key
            yield from _scalars(child)
    elif isinstance(node, SequenceNode):
        for child in node.value:
            yield from _scalars(child)
    elif isinstance(node, ScalarNode):
        yield node
