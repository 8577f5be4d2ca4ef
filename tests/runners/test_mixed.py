"""Which of several pools is taken from; that all comes back is in test_pools."""

from __future__ import annotations

from collections import deque

from tests.runners.conftest import CODE, Bench, take
from trunkline.model import Outcome, Work
from trunkline.ports import Pool
from trunkline.runners.mixed import MixedPool
from trunkline.runners.pools import InlinePool


class Away:
    """A pool whose datums are done when the test says so, or when it has been asked often enough."""

    def __init__(self, patience: float = float("inf")) -> None:
        self.patience = patience
        self.waiting: deque[Work] = deque()
        self.done: deque[Outcome] = deque()
        self.asked = 0
        self.closed: list[bool] = []

    def submit(self, work: Work, expected: float | None = None) -> None:
        self.waiting.append(work)

    def finish(self) -> None:
        work = self.waiting.popleft()
        self.done.append(Outcome(work.stage, work.datum, (), 0.0, ""))

    def ready(self, timeout: float = 0) -> bool:
        self.asked += 1
        if self.asked > self.patience:
            self.finish()
        return bool(self.done)

    def next(self, timeout: float | None = None) -> Outcome | None:
        return self.done.popleft()

    def cancel(self, stage: str) -> list[Outcome]:
        self.waiting = deque(work for work in self.waiting if work.stage != stage)
        return [outcome for outcome in self.done if outcome.stage == stage]

    def close(self, *, now: bool = False) -> None:
        self.closed.append(now)


def test_what_is_ready_elsewhere_comes_first_then_what_can_be_done_here(bench: Bench) -> None:
    bench.code(CODE)
    pools: dict[str, Pool] = {"here": InlinePool(), "a": (one := Away()), "b": (two := Away())}
    made: list[str] = []

    def make(name: str) -> Pool:
        made.append(name)
        return pools[name]

    pool = MixedPool(lambda work: work.stage.partition(".")[0], make)
    works = {
        name: bench.work("number", params={"n": n}, stage=f"{name[:-1]}.s")
        for n, name in enumerate(("a1", "here1", "a2", "here2", "b1"))
    }
    for work in works.values():
        pool.submit(work)
    assert made == ["a", "here", "b"], "each pool is made once, when it is needed"

    one.finish()
    order = [take(pool).datum for _ in range(3)]
    assert order == [works[name].datum for name in ("a1", "here1", "here2")]
    two.finish()
    assert take(pool).datum == works["b1"].datum
    one.finish()
    assert take(pool).datum == works["a2"].datum

    pool.close(now=True)
    assert one.closed == two.closed == [True]


def test_two_pools_elsewhere_are_asked_in_turn(bench: Bench) -> None:
    pools = {"a": Away(), "b": Away(3)}
    pool = MixedPool(lambda work: work.stage.partition(".")[0], pools.__getitem__)
    for name in pools:
        pool.submit(bench.work("number", params={"n": 1}, stage=f"{name}.s"))
    assert take(pool).stage == "b.s"
    assert pools["a"].asked == 4
