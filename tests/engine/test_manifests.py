"""Manifests are found by content, opened only where their facts are not known yet."""

from __future__ import annotations

from pathlib import Path

from tests.engine.world import World
from tests.plan.values import leaf, stage

STAGE = stage(leaf("raw", "/*"))


def test_facts_are_remembered_and_outlive_the_cache(tmp_path: Path) -> None:
    world = made(tmp_path)
    manifests, oid = world.cached_manifests(), world.store.datasets[STAGE.manifest_path].version.oid
    world.opened.clear()
    facts = manifests.facts(oid)
    assert facts is not None
    assert facts.total == 2
    assert len(world.opened) == 1
    world.store.gone.add(oid)
    assert world.cached_manifests().facts(oid) == facts
    assert len(world.opened) == 1
    assert world.cached_manifests().rows(oid) is None


def test_what_is_not_in_the_cache_or_damaged_there_is_none(tmp_path: Path) -> None:
    world = made(tmp_path)
    oid = world.store.datasets[STAGE.manifest_path].version.oid
    manifests = world.cached_manifests()
    assert manifests.facts("0" * 32 + ".dir") is None
    rows = manifests.rows(oid)
    assert rows is not None
    assert [row.datum.name for row in rows] == ["a", "b"]
    world.store.gone.update(world.manifests)
    assert manifests.rows(oid) is None
    world.facts.known.clear()
    assert manifests.facts(oid) is None


def made(root: Path) -> World:
    world = World(root)
    world.write("stages/s.py", "def s(raw):\n    return raw\n")
    world.store.fill("data/raw", {"a": "1", "b": "2"})
    world.run(STAGE)
    return world
