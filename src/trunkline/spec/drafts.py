"""Pipeline files as drafts: nodes sorted by key, what has the wrong form reported and left out.

The rules look at drafts, so that one wrong key does not hide the other problems of its file.
"""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.spec.fields import Fields, Text, fields_of
from trunkline.spec.inputs import InputDraft, LeafDraft, input_draft
from trunkline.spec.keys import DEPLOY, PIPELINE, SCHEDULE, STAGE
from trunkline.spec.read import Node, ScalarNode
from trunkline.spec.say import Say


@dataclass(slots=True)
class StageDraft:
    """One stage as it is written."""

    pipeline: str
    name: Text
    node: Node
    fields: Fields
    input: InputDraft | None
    say: Say

    @property
    def ref(self) -> str:
        """`pipeline.stage`."""
        return f"{self.pipeline}.{self.name.text}"

    @property
    def leaves(self) -> list[LeafDraft]:
        """Every leaf of the input, in the order in which it is written."""
        return [] if self.input is None else list(self.input.leaves())


@dataclass(slots=True)
class PipelineDraft:
    """One file as it is written. `name` is None where the file does not say it."""

    file: str
    name: Text | None
    fields: Fields
    stages: list[StageDraft]
    schedules: list[Fields]
    deploy: Fields | None
    say: Say


def pipeline_draft(root: Node, file: str, say: Say) -> PipelineDraft:
    """The draft of a file; what has the wrong form is reported."""
    advice = "begin with pipeline: and the name of this file"
    fields = fields_of(root, root, "a pipeline file", PIPELINE, say, advice)
    name = fields.text("pipeline")
    # Stages are looked up by the file's own name where the file does not give one.
    known = name.text if name is not None else file.rpartition("/")[2].partition(".")[0]
    stages = [stage_draft(known, key, node, say) for key, node in fields.pairs("stages")]
    schedules = [
        fields_of(node, node, "a schedule", SCHEDULE, say, 'write {cron: "0 3 * * *"}')
        for node in fields.items("schedules")
    ]
    deploy = fields.values.get("deploy")
    place = fields_of(deploy, fields.keys["deploy"], "'deploy'", DEPLOY, say) if deploy is not None else None
    return PipelineDraft(file, name, fields, stages, schedules, place, say)


def stage_draft(pipeline: str, key: ScalarNode, node: Node, say: Say) -> StageDraft:
    """The draft of a stage; what has the wrong form is reported."""
    advice = "write below it run: module:function, or cmd: [program, argument]"
    fields = fields_of(node, key, f"stage '{key.value}'", STAGE, say, advice)
    written = fields.values.get("input")
    draft = input_draft(written, fields.keys["input"], say) if written is not None else None
    return StageDraft(pipeline, Text(str(key.value), key), node, fields, draft, say)
