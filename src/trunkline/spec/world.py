"""What the rules may look at beside the stage or file that they check."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.spec.datasets import Datasets, Found, Known
from trunkline.spec.drafts import PipelineDraft, StageDraft
from trunkline.spec.inputs import LeafDraft


@dataclass(frozen=True, slots=True)
class World:
    """Every pipeline file as it is written, and what is known of the project beside them."""

    pipelines: tuple[PipelineDraft, ...]
    known: Known
    datasets: Datasets

    @property
    def stages(self) -> list[StageDraft]:
        """Every stage of every file."""
        return [stage for pipeline in self.pipelines for stage in pipeline.stages]

    def found(self, leaf: LeafDraft, stage: StageDraft) -> Found | None:
        """The one dataset that a leaf stands for, None where it is not exactly one."""
        found = self.datasets.find(leaf, stage.pipeline)
        return found[0] if len(found) == 1 else None
