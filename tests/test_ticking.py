"""Clocks on a real project: what is written when a run begins is what a plan had said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.plan.values import stage
from tests.support import Tree
from trunkline.errors import MissingData, StoreError, UsageError
from trunkline.model import Dataset, DatasetKind, Leaf, Stage, Ticks
from trunkline.project import Project
from trunkline.ticking import Clocks, Due, told

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
START = "2026-03-01T09:00:00+00:00"


@pytest.fixture
def tree(_empty: Path, tmp_path: Path) -> Tree:
    return Tree(_empty).copy(tmp_path / "project")


def reads(clock: Ticks) -> Stage:
    return stage(Leaf("tick", Dataset("p_tick", "data/p_tick", DatasetKind.SOURCE), "/*", ticks=clock))


def run(tree: Tree, clock: Ticks, now: datetime) -> tuple[list[str], bool]:
    """What is in the dataset after a run began at this moment, and whether its pointer is new."""
    with Project(str(tree.root)) as project:
        clocks = Clocks(project.root, project.store, now)
        [expected] = clocks.due([reads(clock)])
        [(written, fresh)] = clocks.write([reads(clock), reads(clock)])
        assert written.after == expected.after, "what is said beforehand is what is done"
        assert project.store.pointer("data/p_tick.dvc") == written.after.version
    found = sorted(path.name for path in (tree.root / "data/p_tick").iterdir())
    assert found == [file.path for file in written.after.files]
    return found, fresh


def test_every_missed_tick_is_a_file_one_by_one(tree: Tree) -> None:
    hourly = Ticks("@every 1h", START)
    hours = [f"2026-03-01T{hour}:00:00Z" for hour in (10, 11, 12, 13, 14)]
    assert run(tree, hourly, NOON) == (hours[:3], True)
    assert run(tree, hourly, NOON + timedelta(minutes=59)) == (hours[:3], False)
    assert run(tree, hourly, NOON + timedelta(hours=2)) == (hours, True)
    assert "/p_tick" in tree.read("data/.gitignore")


def test_overwriting_keeps_the_newest(tree: Tree) -> None:
    daily = Ticks("@daily", overwrite=True)
    assert run(tree, daily, NOON) == (["2026-03-01T00:00:00Z"], True)
    assert run(tree, daily, NOON + timedelta(days=3)) == (["2026-03-04T00:00:00Z"], True)
    tree.write("data/p_tick/2026-03-01T00:00:00Z", "")  # as a kill between writing and removing leaves it
    assert run(tree, daily, NOON + timedelta(days=3)) == (["2026-03-04T00:00:00Z"], False)


def test_before_its_first_tick_the_dataset_is_empty(tree: Tree) -> None:
    assert run(tree, Ticks("@never"), NOON) == ([], True)
    assert run(tree, Ticks("@never"), NOON) == ([], False)


def test_ticks_may_be_put_by_hand(tree: Tree) -> None:
    run(tree, Ticks("@never"), NOON)
    tree.write("data/p_tick/2026-03-01T11:22:33Z", "")
    with Project(str(tree.root)) as project:
        assert project.store.version("data/p_tick") != project.store.pointer("data/p_tick.dvc")
        [due] = Clocks(project.root, project.store, NOON).due([reads(Ticks("@hourly"))])
    assert due.new == ("2026-03-01T12:00:00Z",), "from the last tick on, whoever made it"


def test_ticks_that_are_not_there_are_not_made_anew(tree: Tree) -> None:
    run(tree, Ticks("@hourly", START), NOON)
    for file in (tree.root / "data/p_tick").iterdir():
        file.unlink()
    (tree.root / "data/p_tick").rmdir()
    with Project(str(tree.root)) as project:
        clocks = Clocks(project.root, project.store, NOON)
        assert list(clocks.due([reads(Ticks("@hourly", START))])) == []
        with pytest.raises(MissingData, match="the ticks of the input `tick` are not there") as caught:
            list(clocks.write([reads(Ticks("@hourly", START))]))
    assert "dvc pull data/p_tick.dvc" in caught.value.hint


def test_somebody_s_files_are_left_alone(tree: Tree) -> None:
    tree.write("data/p_tick/a.csv", "1")
    with Project(str(tree.root)) as project, pytest.raises(StoreError) as caught:
        list(Clocks(project.root, project.store, NOON).due([reads(Ticks("@hourly"))]))
    assert caught.value.message == "data/p_tick holds files that are no ticks"
    assert "another name" in caught.value.hint


def test_an_absurd_number_of_ticks_is_refused(tree: Tree) -> None:
    with Project(str(tree.root)) as project, pytest.raises(UsageError) as caught:
        list(
            Clocks(project.root, project.store, NOON).write(
                [reads(Ticks("@every 1s", "1990-01-01T00:00:00+00:00"))]
            )
        )
    assert caught.value.message == (
        "the cron input `tick` of stage p.s cannot catch up: "
        "more than 100,000 ticks are due since 1990-01-01T00:00:00Z"
    )
    assert caught.value.where == "pipelines/p.yaml"
    assert not (tree.root / "data/p_tick").exists()


def test_what_is_told(tree: Tree) -> None:
    with Project(str(tree.root)) as project:
        clocks = Clocks(project.root, project.store, NOON)

        def said(clock: Ticks) -> str:
            [due] = clocks.due([reads(clock)])
            assert isinstance(due, Due)
            return told(due)

        assert said(Ticks("@daily")) == "data/p_tick: 1 tick is due, 2026-03-01T00:00:00Z"
        span = "2026-03-01T10:00:00Z to 2026-03-01T12:00:00Z"
        assert said(Ticks("@hourly", START)) == f"data/p_tick: 3 ticks are due, {span}"
