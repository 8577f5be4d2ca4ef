"""Rules about what a stage puts out."""

from __future__ import annotations

from trunkline.spec.drafts import StageDraft
from trunkline.spec.fields import Fields, Text, fields_of
from trunkline.spec.keys import MODEL, PLOT
from trunkline.spec.names import NAME, NAME_ADVICE
from trunkline.spec.read import MappingNode, pairs
from trunkline.spec.rules.paths import check_path, paths
from trunkline.spec.say import Say, is_text, kind_of
from trunkline.spec.world import World


def model_fields(stage: StageDraft, world: World) -> None:
    """`model` has a name and a path in the stage's dataset."""
    if "model" not in stage.fields.values:
        return
    fields = _subfields(stage, "model")
    name, path = fields.text("name"), fields.text("path")
    if name is not None and not NAME(name.text):
        stage.say.at(name.node, f"'{name.text}' cannot be the name of a model", NAME_ADVICE)
    if path is not None:
        check_path(path, "relative to the stage's outputs, such as model.onnx", stage.say)


def _subfields(stage: StageDraft, name: str) -> Fields:
    key, node = stage.fields.keys[name], stage.fields.values[name]
    return fields_of(node, key, f"'{name}' of {stage.fields.what}", MODEL, stage.say)


def metrics_paths(stage: StageDraft, world: World) -> None:
    """`metrics` names files of the stage's dataset, each once."""
    list(paths(stage, "metrics", "relative to the stage's outputs, such as metrics.json"))


def plots_paths(stage: StageDraft, world: World) -> None:
    """`plots` names files of the stage's dataset, each once, with DVC's options if any."""
    seen: set[str] = set()
    for node in stage.fields.items("plots"):
        written = pairs(node) if isinstance(node, MappingNode) else []
        place = written[0][0] if len(written) == 1 else node
        if not is_text(place):
            advice = "write roc.json, or {roc.json: {x: fpr, y: tpr}}"
            stage.say.at(
                node, f"a plot must be a path, or one path with its options; this is {kind_of(node)}", advice
            )
            continue
        path = Text(str(place.value), place)
        check_path(path, "relative to the stage's outputs, such as roc.json", stage.say, seen)
        if written:
            options = fields_of(written[0][1], place, f"the plot '{path.text}'", PLOT, stage.say)
            _no_substitution(options, stage.say)


def _no_substitution(options: Fields, say: Say) -> None:
    for name in options.values:
        for text in options.texts(name):
            if "${" in text.text:
                say.at(text.node, "'${' would be replaced by DVC", "leave it out")


def outputs_do_not_overlap(stage: StageDraft, world: World) -> None:
    """A stage's outputs do not lie in what a hand-written DVC stage puts out, nor around it."""
    for own in (
        f"data/{stage.pipeline}/{stage.name.text}",
        f"data/{stage.pipeline}/.manifests/{stage.name.text}",
    ):
        for path in sorted(world.known.foreign):
            if f"{own}/".startswith(f"{path}/") or f"{path}/".startswith(f"{own}/"):
                message = f"{stage.fields.what} writes to {own}, and a hand-written DVC stage to {path}"
                stage.say.at(stage.name.node, message, "rename one of them")
