"""Time, memory and processors: what a datum may take, and what becomes of one that takes more."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from tests.runners.conftest import CODE, Bench, everything, take
from tests.runners.test_processes import alive, pids_in
from trunkline.model import Command, DatumSet, Resources
from trunkline.runners import limits
from trunkline.runners.pools import AdaptivePool, apart
from trunkline.runners.processes import ProcessPool
from trunkline.runners.room import Queues, Room, processors
from trunkline.runners.worker import execute

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
MORE = """
    import ctypes, mmap, multiprocessing, subprocess
    from pathlib import Path

    def stuck(*, place, seconds=1000):
        # deaf to signals, and it does not let go of the interpreter
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
        for apart in (False, True):
            child = subprocess.Popen(["sleep", "1000"], start_new_session=apart)
            Path(place, str(child.pid)).touch()
        Path(place, str(os.getpid())).touch()
        ctypes.PyDLL(None).sleep(seconds)

    def hoard(*, megabytes: int, parts: int = 1):
        kept = []
        for _ in range(megabytes // 10):
            kept.append(bytearray(os.urandom(1000) * 10_000))
        return {"done.txt": str(len(kept))}

    def hoard_in_children(*, megabytes: int):
        children = [multiprocessing.get_context("fork").Process(target=grow, args=(megabytes,)) for _ in range(2)]
        for child in children: child.start()
        for child in children: child.join()
        return {"done.txt": ""}

    def grow(megabytes):
        kept = hoard(megabytes=megabytes)
        time.sleep(1000)

    def reserve():
        space = mmap.mmap(-1, 64 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
        time.sleep(0.2)
        return {"done.txt": ""}

    def share():
        kept = bytearray(os.urandom(1000) * 100_000)
        children = [os.fork() for _ in range(2)]
        if 0 in children:
            time.sleep(0.5)
            os._exit(0)
        for child in children: os.waitpid(child, 0)
        return {"done.txt": ""}

    def where():
        mine = sorted(os.sched_getaffinity(0))
        return {"cpus.txt": f"{mine} {os.environ.get('OMP_NUM_THREADS')}"}

    def alone(*, lock):
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL))
        time.sleep(0.01)
        os.unlink(lock)
        return {"a.txt": ""}

    def meet_all(*, me: str, all: list, place: str):
        open(os.path.join(place, me), "w").close()
        while not all or {*all} - {*os.listdir(place)}:
            if not all:
                break
            time.sleep(0.01)
        return {"pid.txt": f"{os.getpid()}"}
"""


@pytest.fixture
def code(bench: Bench) -> None:
    bench.code(CODE + MORE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "pids"
    made.mkdir()
    return made


# ---------------------------------------------------------------- time


def test_a_command_that_takes_too_long_ends_with_what_it_started(bench: Bench, place: Path) -> None:
    script = f"sleep 1000 & touch {place}/$!; touch {place}/$$; echo said >&2; exec sleep 1000 2>&-"
    work = bench.work(Command(("sh", "-c", script)), timeout=0.5)

    outcome = execute(work)

    assert outcome.failure is not None
    assert outcome.failure.kind == "TimedOut"
    said = "it took longer than its datum_timeout of 0.5s, and was ended\n    said"
    assert outcome.failure.message == said
    assert bench.log(work).startswith("said\n")
    assert [pid for pid in pids_in(place, 2) if alive(pid)] == []
    assert bench.left() == []


@linux
def test_a_function_that_takes_too_long_ends_with_its_worker(bench: Bench, code: None, place: Path) -> None:
    pool = ProcessPool(1)
    works = [
        bench.work("number", params={"n": 1}, timeout=100.0),
        bench.work("stuck", params={"place": str(place)}, timeout=0.3),
        bench.work("number", params={"n": 2}, timeout=100.0),
    ]

    outcomes = everything(pool, works, 0.0001)  # short ones: the worker holds all three

    failures = [outcomes[work.datum].failure for work in works]
    assert [failure and failure.kind for failure in failures] == [None, "TimedOut", None]
    assert failures[1] is not None
    assert failures[1].message == "it took longer than its datum_timeout of 0.3s, and was ended"
    assert [pid for pid in pids_in(place, 3) if alive(pid)] == []
    pool.close()


def test_a_worker_says_what_each_datum_may_take(tmp_path: Path) -> None:
    shared = limits.Shared()
    first, second = shared.take(), shared.take()
    listener, wake = os.pipe()
    os.set_blocking(listener, False)
    slot = limits.Slot(shared, second, wake)

    seen = []
    for timeout, memory in ((5.0, None), (50.0, 7), (None, None)):
        slot.count()
        slot.begin(timeout, Resources(memory=memory))
        seen.append(shared.read(second))
        slot.end()

    assert [(limit.memory, limit.begun) for limit in seen] == [(0, 1), (7, 2), (0, 2)]
    assert seen[1].deadline - seen[0].deadline > 40
    assert seen[2].deadline == 0
    assert shared.read(second)[:2] == (0, 0)
    assert shared.read(first) == (0, 0, 0)
    assert os.read(listener, 10) == b"\0\0", "the template is woken where there is something to watch"
    os.close(listener)
    os.close(wake)


def test_what_may_have_to_be_ended_is_never_computed_here(bench: Bench, code: None) -> None:
    pool = AdaptivePool(1)
    (outcome,) = everything(pool, [bench.work("process", job_timeout=1000.0)], 0.0001).values()
    pool.close()

    assert bench.out(outcome, "pid.txt") != str(os.getpid()).encode()
    for declared in ({"timeout": 9.0}, {"resources": Resources(cpu=1)}, {"secrets": ("HOME",)}):
        assert apart(bench.work("process", **declared))
    assert not apart(bench.work("process", parallelism=1, err_cmd=Command(("sh",))))


# ---------------------------------------------------------------- memory


@linux
@pytest.mark.parametrize(
    ("function", "megabytes"), [("hoard", 2000), ("hoard_in_children", 400)], ids=["itself", "its children"]
)
def test_a_function_that_takes_too_much_memory_is_ended(
    function: str, megabytes: int, bench: Bench, code: None
) -> None:
    pool = ProcessPool(1)
    limit = Resources(memory=300_000_000)
    works = [
        bench.work(function, params={"megabytes": megabytes}, resources=limit),
        bench.work("hoard", params={"megabytes": 50}, resources=limit),
    ]

    outcomes = everything(pool, works, 0.0001)

    failure = outcomes[works[0].datum].failure
    assert failure is not None
    assert failure.kind == "OutOfMemory"
    assert re.fullmatch(
        r"it took [\d.]+ [MG]iB of memory, more than the 286 MiB that `resources: \{memory: …\}` allows it, "
        "and was ended",
        failure.message,
    )
    assert outcomes[works[1].datum].failure is None
    pool.close()


@linux
def test_a_command_that_takes_too_much_memory_is_ended(bench: Bench) -> None:
    grow = "import os, time; kept = [os.urandom(1000) * 10_000 for _ in range(200)]; time.sleep(1000)"
    command = Command(("sh", "-c", f"{sys.executable} -c '{grow}'; true"))

    outcome = bench.do(command, resources=Resources(memory=200_000_000))

    assert outcome.failure is not None
    assert outcome.failure.kind == "OutOfMemory"


@linux
def test_memory_that_is_merely_reserved_or_shared_does_not_count(bench: Bench, code: None) -> None:
    pool = ProcessPool(2, modules=["trunkline.runners.convert"])  # pandas and Arrow, in the template
    few, some = Resources(memory=180_000_000), Resources(memory=290_000_000)
    works = [
        bench.work("reserve", resources=few, stage="p.reserve"),
        bench.work("share", resources=some, stage="p.share"),
    ]

    outcomes = everything(pool, works)

    assert [outcome.failure for outcome in outcomes.values()] == [None, None]
    pool.close()


# ---------------------------------------------------------------- processors


@pytest.mark.skipif(len(limits.available()) < 2 or sys.platform != "linux", reason="needs two processors")
def test_a_datum_keeps_to_the_processors_that_it_declares(
    bench: Bench, code: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    pool = ProcessPool(1)
    one = Resources(cpu=0.5)
    works = [
        bench.work("where", resources=one),
        bench.work("where", resources=one, env={"OMP_NUM_THREADS": "7"}),
        bench.work("where"),
        bench.work(Command(("sh", "-c", "nproc > pfs/out/cpus.txt")), resources=one),
    ]
    seen = []
    for work in works:  # one after another: by the same worker
        pool.submit(work)
        seen.append(bench.out(take(pool), "cpus.txt").decode().strip())
    pool.close()

    every = list(limits.available())
    assert re.fullmatch(r"\[\d+\] 1", seen[0])
    assert re.fullmatch(r"\[\d+\] 7", seen[1])
    assert seen[2:] == [f"{every} None", "1"]


def test_what_fits_beside_what(bench: Bench) -> None:
    room = Room(4)
    plain, two, half = (bench.work("f", resources=Resources(cpu=cpu)) for cpu in (None, 2.0, 0.5))
    many, huge = bench.work("f", parallelism=16), bench.work("f", resources=Resources(cpu=9.0))
    all_memory = bench.work("f", resources=Resources(memory=1 << 60))
    some_memory = bench.work("f", resources=Resources(memory=1 << 20))

    assert [room.lanes(work) for work in (plain, two, half, many, huge)] == [4, 2, 8, 16, 1]
    assert room.lanes(bench.work("f", parallelism=3)) == 3
    assert room.fits(plain, [plain] * 3)
    assert not room.fits(plain, [plain] * 4)
    assert not room.fits(two, [plain] * 3)
    assert room.fits(half, [two, plain, half])
    assert room.fits(huge, [])
    assert not room.fits(huge, [half])
    assert not room.fits(all_memory, [plain])
    assert not room.fits(some_memory, [all_memory])


def test_processors_are_those_that_others_have_not_taken(bench: Bench) -> None:
    two = bench.work("f", resources=Resources(cpu=1.5))

    assert processors(two, (3, 0, 1, 2), []) == (0, 3)
    assert processors(two, (3, 0, 1, 2), [(0, 3)]) == (1, 2)
    assert processors(two, (3, 0), []) == (0, 3)
    assert processors(bench.work("f", resources=Resources(cpu=4)), (3, 0, 1, 2), []) == ()
    assert processors(bench.work("f"), (3, 0, 1, 2), []) == ()


# ---------------------------------------------------------------- how many


@pytest.mark.parametrize("expected", [None, 0.0001])
def test_no_more_datums_of_a_stage_at_a_time_than_declared(
    expected: float | None, bench: Bench, code: None, tmp_path: Path
) -> None:
    pool = ProcessPool(3)
    lock = str(tmp_path / "lock")
    works = [bench.work("alone", params={"lock": lock}, parallelism=1) for _ in range(12)]
    beside = [
        bench.work("meet", params={"me": me, "other": other, "place": str(tmp_path)}, stage="p.other")
        for me, other in ("ab", "ba")
    ]

    outcomes = everything(pool, [*works, *beside], expected)

    assert [outcome.failure for outcome in outcomes.values()] == [None] * 14
    pool.close()


def test_more_datums_than_processors_where_that_is_declared(bench: Bench, code: None, place: Path) -> None:
    pool = AdaptivePool(1)
    names = list("abcd")
    works = [
        bench.work(
            "meet_all", params={"me": me, "all": names, "place": str(place)}, parallelism=4, timeout=60.0
        )
        for me in names
    ]

    outcomes = everything(pool, works)

    assert len({bench.out(outcome, "pid.txt") for outcome in outcomes.values()}) == 4
    pool.close()


def test_a_set_goes_to_one_worker_at_once(bench: Bench, code: None, place: Path) -> None:
    pool = ProcessPool(2)
    works = [
        bench.work(
            "meet_all",
            params={"me": str(n), "all": ["0", "3"] if n in (0, 3) else [], "place": str(place)},
            datum_set=DatumSet(number=3),
        )
        for n in range(6)
    ]

    outcomes = everything(pool, works, 10.0)

    pids = [bench.out(outcomes[work.datum], "pid.txt") for work in works]
    assert pids == [pids[0]] * 3 + [pids[3]] * 3
    assert pids[0] != pids[3]
    pool.close()


@pytest.mark.parametrize(
    ("declared", "sizes"),
    [
        (DatumSet(number=4), [4, 4, 2]),
        (DatumSet(size_bytes=25), [2, 2, 2, 2, 2]),
        (DatumSet(size_bytes=5), [1] * 10),
        (DatumSet(size_bytes=1000), [10]),
        (DatumSet(per_worker=2), [3, 3, 3, 1]),
        (DatumSet(per_worker=100), [1] * 10),
    ],
)
def test_how_many_datums_make_a_set(declared: DatumSet, sizes: list[int], bench: Bench) -> None:
    given = [bench.one("raw", "a.txt", "0123456789")]
    queues = Queues()
    for _ in range(10):
        queues.append(bench.work("f", given, datum_set=declared))

    made = []
    while queues:
        work = next(queues.first())
        made.append(len(queues.take(work.stage, queues.set_size(work, 2))))
    assert made == sizes


# ---------------------------------------------------------------- a stage is given up


@linux
def test_giving_up_a_stage_ends_what_runs_of_it_and_nothing_else(
    bench: Bench, code: None, place: Path
) -> None:
    pool = ProcessPool(2)
    stuck = [bench.work("stuck", params={"place": str(place)}, stage="p.stuck") for _ in range(2)]
    other = [bench.work("process", stage="p.other") for _ in range(2)]
    pool.submit(other[0])
    take(pool)
    pool.submit(stuck[0])
    assert pool.next(0.05) is None
    pids = pids_in(place, 3)
    pool.submit(stuck[1], 0.001)
    pool.submit(other[1])

    assert pool.cancel("p.stuck") == []

    assert [pid for pid in pids if alive(pid)] == []
    outcome = take(pool)
    assert (outcome.stage, outcome.failure) == ("p.other", None)
    assert pool.outstanding == 0
    assert pool.cancel("p.nothing") == []
    pool.submit(bench.work("process", stage="p.other"))
    take(pool)
    pool.close()


def test_what_was_done_before_a_stage_is_given_up_is_kept(bench: Bench, code: None, place: Path) -> None:
    pool = ProcessPool(1)
    for n in range(3):
        params = {"me": str(n), "all": [], "place": str(place)}
        pool.submit(bench.work("meet_all", name=str(n), params=params, stage="p.a"), 0.0001)
    pool.submit(bench.work("process", stage="p.b"))
    assert not pool.ready(0)
    pids_in(place, 3)  # the third has begun, the others are answered and not taken in

    done = pool.cancel("p.a")

    assert len(done) >= 2
    assert all(outcome.stage == "p.a" and outcome.failure is None for outcome in done)
    assert take(pool).stage == "p.b"
    assert pool.outstanding == 0
    pool.close()
