"""Rules about one pipeline file, and about all of them together."""

from __future__ import annotations

from trunkline.graph import Cycle, topological
from trunkline.model import DatasetKind
from trunkline.spec.drafts import PipelineDraft, StageDraft
from trunkline.spec.inputs import LeafDraft
from trunkline.spec.names import NAME, NAME_ADVICE
from trunkline.spec.read import value
from trunkline.spec.world import World


def pipeline_name(pipeline: PipelineDraft, world: World) -> None:
    """A pipeline's name is a name."""
    name = pipeline.name
    if name is not None and not NAME(name.text):
        pipeline.say.at(name.node, f"'{name.text}' cannot be the name of a pipeline", NAME_ADVICE)


def file_name(pipeline: PipelineDraft, world: World) -> None:
    """A pipeline is in the file of its name."""
    name = pipeline.name
    if name is None or not NAME(name.text) or pipeline.file == f"pipelines/{name.text}.yaml":
        return
    stem = pipeline.file.rpartition("/")[2].partition(".")[0]
    advice = f"rename the file to pipelines/{name.text}.yaml"
    if stem != name.text and NAME(stem):
        advice = f"write pipeline: {stem}, or {advice}"
    pipeline.say.at(name.node, f"the pipeline '{name.text}' is in {pipeline.file}", advice)


def has_stages(pipeline: PipelineDraft, world: World) -> None:
    """A pipeline has a stage."""
    fields = pipeline.fields
    if "stages" in fields.values and not fields.pairs("stages"):
        advice = 'write a stage below it, such as clean: {run: "stages.clean:clean"}'
        pipeline.say.at(fields.keys["stages"], "'stages' is empty", advice)


def no_source_of_that_name(pipeline: PipelineDraft, world: World) -> None:
    """A pipeline is not called like a source dataset: both would be data/<name>."""
    name = pipeline.name
    if name is not None and name.text in world.known.sources:
        message = f"'{name.text}' is also a source dataset: both would be data/{name.text}"
        pipeline.say.at(name.node, message, "rename one of them")


def one_clock_a_name(pipeline: PipelineDraft, world: World) -> None:
    """Cron inputs of one name tick alike: they are one dataset."""
    first: dict[str | None, LeafDraft] = {}
    for leaf in (leaf for stage in pipeline.stages for leaf in stage.leaves if leaf.ticks):
        other = first.setdefault(leaf.name, leaf)
        if _clock(leaf) != _clock(other):
            message = f"there are two cron inputs '{leaf.name}', which tick at other times"
            pipeline.say.at(leaf.place, message, "give one of them another name, or write the same for both")


def _clock(leaf: LeafDraft) -> list[object]:
    return [value(node) for _, node in sorted(leaf.fields.values.items())]


# ---------------------------------------------------------------- all files together


def one_file_each(world: World) -> None:
    """No two files declare the same pipeline."""
    first: dict[str, PipelineDraft] = {}
    for pipeline in world.pipelines:
        name = pipeline.name
        if name is not None and first.setdefault(name.text, pipeline) is not pipeline:
            message = f"the pipeline '{name.text}' is declared in {first[name.text].file} too"
            pipeline.say.at(name.node, message, "give one of them another name")


def one_stage_a_model(world: World) -> None:
    """No two stages make a model of the same name."""
    first: dict[str, StageDraft] = {}
    for stage in world.stages:
        for key, node in stage.fields.pairs("model"):
            if key.value == "name" and first.setdefault(str(node.value), stage) is not stage:
                message = f"the model '{node.value}' is made by the stage {first[str(node.value)].ref} too"
                stage.say.at(node, message, "give one of them another name")


def no_cycles(world: World) -> None:
    """No stage reads, by way of others, what it writes; also from file to file."""
    stages = {stage.ref: stage for stage in world.stages}
    reads = {ref: _upstream(stage, world) for ref, stage in stages.items()}
    while True:
        try:
            topological(tuple(stages), reads)
        except Cycle as cycle:
            path = _from_smallest(cycle.path)
            stage, leaf = stages[path[0]], reads[path[0]].pop(path[1])
            story = f"{path[0]} reads {', which reads '.join(path[1:])}"
            node = leaf.dataset.node if leaf.dataset is not None else leaf.place
            stage.say.at(node, f"a cycle: {story}", "take one of these inputs out")
        else:
            return


def _upstream(stage: StageDraft, world: World) -> dict[str, LeafDraft]:
    """The stages that a stage reads, itself apart, each with the input that says so."""
    found: dict[str, LeafDraft] = {}
    for leaf in stage.leaves:
        one = world.found(leaf, stage)
        if one is not None and one.dataset.kind is DatasetKind.STAGE and one.dataset.name != stage.ref:
            found.setdefault(one.dataset.name, leaf)
    return found


def _from_smallest(path: tuple[str, ...]) -> tuple[str, ...]:
    """The same cycle, begun where its name is smallest: one message, wherever it was found."""
    ring = path[:-1]
    start = ring.index(min(ring))
    return (*ring[start:], *ring[:start], ring[start])
