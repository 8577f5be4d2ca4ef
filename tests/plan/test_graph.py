from __future__ import annotations

import pytest

from tests.plan.values import leaf, stage, staged
from trunkline.errors import UsageError
from trunkline.model import Cross, Leaf, Pipeline, Stage
from trunkline.plan.graph import Cycle, order, select, upstream


def reads(pipeline: str, name: str, *refs: str) -> Stage:
    """A stage that reads the datasets of other stages, and a source."""
    leaves = [leaf("raw")]
    leaves += [Leaf(f"x{index}", staged(*ref.split("."))) for index, ref in enumerate(refs)]
    return stage(Cross(tuple(leaves)), name, pipeline)


B = Pipeline("b", (reads("b", "z"), reads("b", "y", "b.z", "a.second")))
A = Pipeline("a", (reads("a", "second", "a.first"), reads("a", "first"), reads("a", "third", "b.z")))


def refs(stages: tuple[Stage, ...]) -> list[str]:
    return [stage.ref for stage in stages]


def test_order_is_by_pipeline_and_declaration_where_dependencies_allow() -> None:
    assert refs(order([B, A])) == ["a.first", "a.second", "b.z", "a.third", "b.y"]
    assert order([A, B]) == order([B, A])
    assert order([]) == ()


def test_a_cycle_across_pipelines_is_found() -> None:
    pipelines = [Pipeline("a", (reads("a", "x", "b.y"),)), Pipeline("b", (reads("b", "y", "a.x"),))]
    with pytest.raises(Cycle, match=r"a\.x -> b\.y -> a\.x"):
        order(pipelines)


def test_upstream_are_the_stages_among_the_inputs_once_each() -> None:
    assert upstream(reads("p", "s", "a.x", "b.y", "a.x")) == ("a.x", "b.y")
    assert upstream(stage()) == ()


@pytest.mark.parametrize(
    ("targets", "needed", "dependent"),
    [
        (["a.second"], ["a.first", "a.second"], ["a.second", "b.y"]),
        (["b.y"], ["a.first", "a.second", "b.z", "b.y"], ["b.y"]),
        (["a.third", "a.first"], ["a.first", "b.z", "a.third"], ["a.first", "a.second", "a.third", "b.y"]),
        ([], [], []),
    ],
)
def test_select(targets: list[str], needed: list[str], dependent: list[str]) -> None:
    stages = order([A, B])
    assert refs(select(stages, targets)) == needed
    assert refs(select(stages, targets, downstream=True)) == dependent


def test_select_names_a_target_that_does_not_exist() -> None:
    with pytest.raises(UsageError) as caught:
        select(order([A, B]), {"a.fist"})
    assert caught.value.message == "there is no stage 'a.fist'"
    assert caught.value.hint == "there are: a.first, a.second, a.third, b.y, b.z"
