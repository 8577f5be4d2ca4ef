"""Run ids: RFC 9562's layout, ordered as text."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from trunkline.errors import UsageError
from trunkline.ledger import ids


def test_layout_is_that_of_rfc_9562() -> None:
    made = uuid.UUID(ids.uuid7())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122


def test_example_of_rfc_9562() -> None:
    # Appendix A.6: 2022-02-22 14:22:22 UTC-5, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F
    text = ids._text(0x017F22E279B0, (0xCC3 << 62) | 0x18C4DC0C0C07398F)
    assert text == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    assert ids.run_time(text) == 1645557742.0


def test_every_id_is_greater_than_the_one_before() -> None:
    made = [ids.uuid7() for _ in range(5_000)]
    assert made == sorted(set(made))


def test_ids_of_several_threads_are_distinct() -> None:
    made: list[str] = []

    def work() -> None:
        made.extend(ids.uuid7() for _ in range(1_000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 4_000


def test_a_clock_that_steps_back_keeps_the_order() -> None:
    first = ids._after((0, 0), 2_000, 1 << 79)
    second = ids._after(first, 1_000, 5 << 48)
    assert first < second
    assert second == (2_000, first[1] + 6)


def test_the_counter_overflows_into_the_next_millisecond() -> None:
    full = (2_000, (1 << 74) - 1)
    assert ids._after(full, 2_000, 7 << 6) == (2_001, 7)


def test_run_time_is_the_clock() -> None:
    before = time.time_ns() // 1_000_000
    made = ids.run_time(ids.uuid7())
    # ids of the same process may run ahead of the clock by the overflow's millisecond
    assert before <= round(made * 1000) <= time.time_ns() // 1_000_000 + 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "017f22e2",
        "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
        "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
    ],
)
def test_what_is_no_id(text: str) -> None:
    assert not ids.is_id(text)
    with pytest.raises(UsageError, match="not the id of a run"):
        ids.run_time(text)
