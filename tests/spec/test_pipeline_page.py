"""The inputs that docs/pipeline-file.md shows: each is one, and gives the datums that stand below it."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.plan.values import snapshot
from trunkline.model import Stage
from trunkline.plan.datums import datums
from trunkline.spec import Known, check
from trunkline.spec.keys import GROUPS, LEAF, TICKS

PAGE = (Path(__file__).parents[2] / "docs/pipeline-file.md").read_text().partition("\n## Inputs\n")[2]
SECTION = PAGE.partition("\n## A Python stage\n")[0]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```\n", SECTION, re.MULTILINE | re.DOTALL)
INPUTS = [text for kind, text in BLOCKS if kind == "yaml"]
LISTING = next(text for kind, text in BLOCKS if kind == "text")
FOLLOWED = [
    (text, below)
    for (kind, text), (other, below) in pairwise(BLOCKS)
    if (kind, other) == ("yaml", "text") and below != LISTING
]
FILES = {line.partition(":")[0]: line.partition(":")[2].split() for line in LISTING.splitlines()}


def declared(text: str) -> list[Stage]:
    """A stage for each input of a block, in a pipeline that has the stages which the page speaks of."""
    others = "".join(f"  {name}: {{cmd: [x]}}\n" for name in ("clean", "split", "train"))
    found = re.split(r"^(?=input:)", text, flags=re.MULTILINE)[1:]
    body = "".join(
        f"  s{number}:\n    cmd: [x]\n" + "".join(f"    {line}\n" for line in each.splitlines())
        for number, each in enumerate(found)
    )
    known = Known(sources=frozenset({"flights_raw", *FILES}))
    [pipeline] = check({"pipelines/p.yaml": f"pipeline: p\nstages:\n{others}{body}"}, known)
    return list(pipeline.stages[3:])


@pytest.mark.parametrize("text", INPUTS)
def test_what_the_page_shows_is_an_input(text: str) -> None:
    assert all(stage.leaves for stage in declared(text))


@pytest.mark.parametrize(("text", "below"), FOLLOWED)
def test_it_gives_the_datums_that_the_page_says(text: str, below: str) -> None:
    [stage] = declared(text)
    there = {name: snapshot(paths) for name, paths in FILES.items()}
    found = [
        [datum.name, *(f"{item.dataset}/{item.path}".rstrip("/") for item in datum.items)]
        for datum in datums(stage, there)
    ]
    assert found == [line.split() for line in below.splitlines()]


def test_every_kind_of_input_has_an_example_and_every_key_is_told() -> None:
    shown = "".join(text for text, _ in FOLLOWED)
    assert all(f"{word}:" in shown for word in GROUPS)
    assert [key.name for key in (*LEAF, *TICKS) if f"`{key.name}`" not in SECTION] == []
