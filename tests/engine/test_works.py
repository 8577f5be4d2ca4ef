"""A datum as Work: it carries what its stage declares, and is refused without its secrets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.world import World
from trunkline.engine.works import RunPaths, Works, unset_secrets
from trunkline.errors import UsageError
from trunkline.model import Command, Dataset, DatasetKind, DatumSet, Leaf, Resources, Stage
from trunkline.plan.datums import datums

RAW = Dataset("raw", "data/raw", DatasetKind.SOURCE)
STAGE = Stage(
    "p",
    "s",
    Command(("true",)),
    input=Leaf("raw", RAW, "/(*)", group_by="$1"),
    datum_timeout=9.0,
    job_timeout=90.0,
    datum_set=DatumSet(number=2),
    parallelism=3,
    accept_return_code=(4,),
    err_cmd=Command(("sh",), ("exit 0",)),
    resources=Resources(1.0, 1 << 30),
    secrets=("B", "A"),
)


def test_it_carries_what_its_stage_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.store.fill("data/raw", {"a.txt": "a"})
    monkeypatch.setattr(type(world.store), "objects", "/objects")
    planner = world.planner()
    works = Works(planner, world.store, "/root", RunPaths("run", "/runs/run"), frozenset("ABCD"))
    snapshots = planner.snapshots(STAGE)

    (work,) = works.of(STAGE, datums(STAGE, snapshots), snapshots, "/scratch")

    for field in ("job_timeout", "datum_set", "parallelism", "err_cmd", "resources", "secrets"):
        assert getattr(work, field) == getattr(STAGE, field)
    assert (work.timeout, work.accept, work.failed) == (9.0, (4,), None)
    assert work.hidden == ("C", "D"), "what others declare, and it does not"
    assert (work.stage, work.root, work.scratch, work.run_id) == ("p.s", "/root", "/scratch", "run")


def test_secrets_must_be_there() -> None:
    assert unset_secrets(STAGE, {"A": "1", "B": "2"}) is None
    assert unset_secrets(replace(STAGE, secrets=()), {}) is None

    one, two = unset_secrets(STAGE, {"A": "1", "B": ""}), unset_secrets(STAGE, {})

    assert isinstance(one, UsageError)
    assert one.message == "stage p.s needs the secret B, and it is not set in this environment"
    assert (one.where, one.hint) == (
        "pipelines/p.yaml",
        "type `export B=…`, then the command again; nothing was run",
    )
    assert two is not None
    assert two.message == "stage p.s needs the secrets B, A, and they are not set in this environment"
