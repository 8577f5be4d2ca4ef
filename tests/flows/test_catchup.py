"""Which missed runs are made up for: `none`, `latest`, `all`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from trunkline.flows.catchup import Due, settle, skip

THREE = datetime(2026, 1, 2, 3, tzinfo=UTC)
DAY = timedelta(days=1)


def test_all_runs_each() -> None:
    assert skip("all", Due(THREE), [Due(THREE + DAY)], (THREE + 2 * DAY).timestamp()) == ""


def test_latest_runs_the_last_that_is_due() -> None:
    due = [Due(THREE + number * DAY) for number in range(3)]
    said = [skip("latest", mine, due, None) for mine in due]
    assert said == [
        "due 2026-01-02 03:00:00 UTC, and a later run is due since 2026-01-04 03:00:00 UTC (catch_up: latest)",
        "due 2026-01-03 03:00:00 UTC, and a later run is due since 2026-01-04 03:00:00 UTC (catch_up: latest)",
        "",
    ]


def test_runs_that_are_due_at_once_all_run() -> None:
    assert skip("latest", Due(THREE), [Due(THREE)], None) == ""


def test_a_later_run_that_came_to_nothing_makes_up_for_none() -> None:
    for state in ("CANCELLED", "CRASHED", "FAILED"):
        assert skip("latest", Due(THREE), [Due(THREE + DAY, state=state)], None) == ""
    for state in ("SCHEDULED", "PENDING", "RUNNING", "COMPLETED"):
        assert skip("latest", Due(THREE), [Due(THREE + DAY, state=state)], None) != ""


def test_a_later_run_with_other_parameters_is_another_matter() -> None:
    other = Due(THREE + DAY, {"params": {"train": {"epochs": 3}}})
    assert skip("latest", Due(THREE), [other], None) == ""


def test_none_leaves_out_what_was_due_before_the_worker_came_up() -> None:
    up = THREE + DAY
    assert skip("none", Due(THREE), [], up.timestamp()) == (
        "due 2026-01-02 03:00:00 UTC, before the worker came up 2026-01-03 03:00:00 UTC (catch_up: none)"
    )
    assert skip("none", Due(up), [Due(up + DAY)], up.timestamp()) == ""
    assert skip("none", Due(THREE), [], None) == "", "nobody knows when it came up"
    assert skip("latest", Due(THREE), [], up.timestamp()) == ""


MISSED = [Due(THREE + number * DAY, id=str(number)) for number in (2, 0, 1)]


@pytest.mark.parametrize(
    ("policy", "settled"),
    [("none", ("012", "", "")), ("latest", ("01", "2", "")), ("all", ("", "0", "12"))],
)
def test_what_was_missed_is_settled_when_a_worker_comes_up(policy: str, settled: tuple[str, ...]) -> None:
    assert tuple("".join(each.id for each in part) for part in settle(policy, MISSED)) == settled
    assert settle(policy, []) == ([], [], [])


def test_the_latest_is_one_for_each_set_of_parameters() -> None:
    other = [Due(each.at, {"params": {"train": {"epochs": 3}}}, id=f"{each.id}'") for each in MISSED]
    settled = settle("latest", [*MISSED, *other])
    assert [each.id for each in settled.first] == ["2", "2'"]
    assert [each.id for each in settled.dropped] == ["0", "0'", "1", "1'"]
