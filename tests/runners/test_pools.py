"""One suite for every pool, and when the adaptive one takes which way. Real processes throughout."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runners.conftest import CODE, Bench, everything
from tests.runners.machines import Machines, code_of
from trunkline.model import Command, Dask, Outcome
from trunkline.ports import Pool
from trunkline.runners.dask import DaskPool
from trunkline.runners.mixed import MixedPool
from trunkline.runners.objects import Remote
from trunkline.runners.pools import AdaptivePool, InlinePool, Load, outgrown
from trunkline.runners.processes import ProcessPool


def on_dask(request: pytest.FixtureRequest) -> Pool:
    cluster: Machines = request.getfixturevalue("cluster")
    bench: Bench = request.getfixturevalue("bench")
    cluster.restore(2)
    remote = Remote({"url": str(bench.base / "remote")})
    return DaskPool(Dask(cluster.address), lambda: remote, code_of(bench.root))


def half_on_dask(request: pytest.FixtureRequest) -> Pool:
    """Every second datum, by its id."""
    return MixedPool(
        lambda work: int(work.datum[0], 16) % 2 == 0,
        lambda away: on_dask(request) if away else AdaptivePool(2),
    )


POOLS: dict[str, Callable[[pytest.FixtureRequest], Pool]] = {
    "inline": lambda request: InlinePool(),
    "processes": lambda request: ProcessPool(2),
    "one process": lambda request: ProcessPool(1),
    "adaptive": lambda request: AdaptivePool(2),
    "adaptive at once": lambda request: AdaptivePool(2, enough=0.0),
    "dask": on_dask,
    "half on dask": half_on_dask,
}  # add yours here


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    made = POOLS[request.param](request)
    yield made
    made.close(now=True)


every = pytest.mark.parametrize("pool", list(POOLS), indirect=True)


@every
@pytest.mark.parametrize("expected", [None, 0.0001, 3.0])
def test_every_datum_comes_back_once_with_its_outputs(
    pool: Pool, expected: float | None, bench: Bench
) -> None:
    bench.code(CODE)
    works = [bench.work("number", params={"n": n}, scratch="stage") for n in range(40)]

    outcomes = everything(pool, works, expected)

    for work in works:
        outcome = outcomes[work.datum]
        n = work.params["n"]
        assert outcome.failure is None
        assert [file.path for file in outcome.files] == [f"{n}.txt"]
        assert bench.out(outcome, f"{n}.txt") == str(n * n).encode()


@every
def test_submitting_and_taking_may_alternate(pool: Pool, bench: Bench) -> None:
    bench.code(CODE)
    for n in range(3):
        works = [bench.work("number", params={"n": n * 10 + k}, stage=f"pipe.s{n}") for k in range(4)]
        everything(pool, works)


@every
def test_equal_datums_give_equal_outputs_in_every_pool(pool: Pool, bench: Bench) -> None:
    bench.code(CODE)
    inputs = [bench.one("raw", "day.csv", "n,m\n1,2.5\n3,4.5\n")]
    works = [bench.work("frame", inputs, name=f"d{n}", params={"n": n}) for n in range(4)]

    outcomes = everything(pool, works)

    assert [outcomes[work.datum].files for work in works] == [
        bench.do("frame", inputs, name=f"d{n}", params={"n": n}).files for n in range(4)
    ]


@every
def test_a_failure_is_an_outcome_and_the_others_go_on(pool: Pool, bench: Bench) -> None:
    bench.code(CODE)
    works = [bench.work("fail", params={"n": n}) for n in range(9)]

    outcomes = everything(pool, works)

    for work in works:
        failure, n = outcomes[work.datum].failure, work.params["n"]
        assert (failure is not None) == (n % 3 == 0)
        assert bench.log(work).startswith("about to fail\n")
        if failure:
            assert (failure.kind, failure.message) == ("ValueError", f"no {n}")
            assert failure.traceback in bench.log(work)
            assert "trunkline" not in failure.traceback


@every
def test_commands_run_in_every_pool(pool: Pool, bench: Bench) -> None:
    command = Command(("sh", "-c", "echo $PACH_DATUM_ID > pfs/out/$PACH_DATUM_ID; exit ${CODE:-0}"))
    works = [bench.work(command, env={"CODE": str(n)}) for n in range(3)]

    outcomes = everything(pool, works)

    failures = [outcomes[work.datum].failure for work in works]
    assert [failure and failure.message for failure in failures] == [None, "exit code 1", "exit code 2"]
    assert bench.out(outcomes[works[0].datum], works[0].datum).decode().strip() == works[0].datum


@every
def test_a_large_datum_passes(pool: Pool, bench: Bench) -> None:
    bench.code(CODE)
    works = [bench.work("echo", params={"text": "x" * size}) for size in (10, 5_000_000, 10, 3_000_000)]

    outcomes = everything(pool, works, 0.0001)

    sizes = [bench.out(outcomes[work.datum], "size.txt").decode() for work in works]
    assert sizes == ["10", "5000000", "10", "3000000"]


@every
def test_what_the_environment_was_it_is_afterwards(pool: Pool, bench: Bench) -> None:
    bench.code(
        "import os\ndef f():\n    os.chdir('/')\n    return {'a.txt': os.environ['MINE'] + os.getcwd()}\n"
    )
    here = os.getcwd()

    outcomes = everything(pool, [bench.work("f", env={"MINE": "yes"}) for _ in range(3)])

    assert {bench.out(outcome, "a.txt") for outcome in outcomes.values()} == {b"yes/"}
    assert os.getcwd() == here
    assert "MINE" not in os.environ


@every
def test_nothing_is_taken_where_nothing_was_given_nor_given_to_a_closed_pool(
    pool: Pool, bench: Bench
) -> None:
    with pytest.raises(LookupError):
        pool.next()
    pool.close()
    pool.close(now=True)
    with pytest.raises(RuntimeError):
        pool.submit(bench.work("number", params={"n": 1}))


@every
@pytest.mark.parametrize("now", [True, False])
def test_closing_drops_what_is_queued(pool: Pool, now: bool, bench: Bench) -> None:
    bench.code(CODE)
    for _ in range(50):
        pool.submit(bench.work("pause", params={"seconds": 0.05}, scratch="stage"))
    pool.next()

    pool.close(now=now)

    assert len(bench.left()) < 40


# ---------------------------------------------------------------- adaptive


def load(stage: str = "s", queued: int = 1, each: float | None = None, **more: object) -> Load:
    given = {"spent": 0.0, "command": False, **more}
    return Load(stage, queued, each, given["spent"], given["command"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("loads", "warm", "busy", "away"),
    [
        pytest.param([], False, False, "", id="nothing"),
        pytest.param([load("a")], False, False, "", id="one datum"),
        pytest.param([load("a", each=300.0)], False, False, "", id="one long datum has nobody to hold up"),
        pytest.param([load("a", 9)], False, False, "", id="unknown datums are measured first"),
        pytest.param([load("a", 9, 0.1)], False, False, "", id="known to be little"),
        pytest.param([load("a", 9, 0.2)], False, False, "a", id="known to be much"),
        pytest.param([load("a", 9, 0.1, spent=0.5)], False, False, "a", id="much with what was"),
        pytest.param([load("a", 2, spent=2.0)], False, False, "a", id="much already"),
        pytest.param([load("a", 1, spent=2.0)], False, False, "", id="much already but the last"),
        pytest.param([load("a"), load("b")], False, False, "ab", id="two that may be long"),
        pytest.param([load("a", each=3.0), load("b", each=0.1)], False, False, "", id="long and short"),
        pytest.param([load("a", each=3.0), load("b", 9)], False, False, "ab", id="long and unknown"),
        pytest.param([load("a", each=0.1), load("b", each=0.1)], False, False, "", id="two short"),
        pytest.param([load("a")], True, True, "a", id="processes are at work"),
        pytest.param([load("a", each=0.1)], True, True, "", id="short beside processes"),
        pytest.param([load("a")], True, False, "", id="one datum beside idle processes"),
        pytest.param([load("a", 9)], True, False, "a", id="many datums beside idle processes"),
        pytest.param([load("a", command=True)], False, False, "a", id="a command"),
    ],
)  # fmt: skip
def test_what_goes_to_processes(loads: list[Load], warm: bool, busy: bool, away: str) -> None:
    assert outgrown(loads, warm=warm, busy=busy) == set(away)


def where(bench: Bench, outcome: Outcome) -> int:
    return int(bench.out(outcome, "pid.txt"))


def test_little_work_stays_here(bench: Bench) -> None:
    bench.code(CODE)
    pool = AdaptivePool(2)
    outcomes = everything(pool, [bench.work("process") for _ in range(5)])
    pool.close()

    assert {where(bench, outcome) for outcome in outcomes.values()} == {os.getpid()}


def test_a_stage_moves_to_processes_when_it_has_taken_enough(bench: Bench) -> None:
    bench.code(CODE)
    pool = AdaptivePool(2, enough=0.2)
    outcomes = everything(
        pool, [bench.work("pause", params={"seconds": 0.05}, scratch="stage") for _ in range(20)]
    )
    pool.close()

    pids = [int(outcome.files[0].path.partition("-")[0]) for outcome in outcomes.values()]
    assert pids[:3] == [os.getpid()] * 3
    assert os.getpid() not in pids[-10:]


def test_stages_beside_each_other_overlap(bench: Bench, tmp_path: Path) -> None:
    bench.code(CODE)
    pool = AdaptivePool(2)
    works = [
        bench.work("meet", params={"me": me, "other": other, "place": str(tmp_path)}, stage=f"pipe.{me}")
        for me, other in ("ab", "ba")
    ]
    everything(pool, works)
    pool.close()


def test_with_one_worker_functions_stay_here(bench: Bench) -> None:
    bench.code(CODE)
    pool = AdaptivePool(1, enough=0.0)
    outcomes = everything(pool, [bench.work("process", stage=f"pipe.s{n % 2}") for n in range(5)])
    pool.close()

    assert {where(bench, outcome) for outcome in outcomes.values()} == {os.getpid()}
