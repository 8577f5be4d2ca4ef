"""One suite for every pool, and what is special to each. Real processes throughout."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runners.conftest import Bench
from trunkline.model import Command, Function, Outcome, Work
from trunkline.ports import Pool
from trunkline.runners.pools import AdaptivePool, InlinePool, Load, outgrown
from trunkline.runners.processes import ProcessPool

POOLS: dict[str, Callable[[], Pool]] = {
    "inline": InlinePool,
    "processes": lambda: ProcessPool(2),
    "one process": lambda: ProcessPool(1),
    "adaptive": lambda: AdaptivePool(2),
    "adaptive at once": lambda: AdaptivePool(2, enough=0.0),
}  # add yours here
OUTSIDE = ("processes", "one process")


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    made = POOLS[request.param]()
    yield made
    made.close(now=True)


every = pytest.mark.parametrize("pool", POOLS, indirect=True)
outside = pytest.mark.parametrize("pool", OUTSIDE, indirect=True)

CODE = """
    import os, signal, sys, time
    import pandas as pd

    def number(*, n: int):
        return {f"{n}.txt": str(n * n)}

    def frame(raw: pd.DataFrame, *, n: int = 1) -> pd.DataFrame:
        return raw * n

    def fail(*, n: int):
        print("about to fail")
        if n % 3 == 0:
            raise ValueError(f"no {n}")
        return {f"{n}.txt": str(n)}

    def end(*, n: int, how: str):
        if n == 5:
            print("before")
            os.write(1, b"the end\\n")
            if how == "exit":
                os._exit(3)
            os.kill(os.getpid(), getattr(signal, how))
            time.sleep(100)
        return {f"{n}.txt": str(n)}

    def process():
        return {"pid.txt": f"{os.getpid()}"}

    def meet(*, me: str, other: str, place: str):
        # ends only if both are at it at once
        open(os.path.join(place, me), "w").close()
        while not os.path.exists(os.path.join(place, other)):
            time.sleep(0.01)
        return {f"{me}.txt": str(os.getpid())}

    def pause(*, seconds: float):
        time.sleep(seconds)
        return {f"{os.getpid()}-{time.monotonic_ns()}.txt": ""}

    def echo(*, text: str):
        return {"size.txt": str(len(text)), "back.txt": text}
"""


def everything(pool: Pool, works: list[Work], expected: float | None = None) -> dict[str, Outcome]:
    for work in works:
        pool.submit(work, expected)
    outcomes = [pool.next() for _ in works]
    assert {outcome.datum for outcome in outcomes} == {work.datum for work in works}
    return {outcome.datum: outcome for outcome in outcomes}


# ---------------------------------------------------------------- every pool


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


# ---------------------------------------------------------------- processes


@pytest.mark.parametrize("pool", ["processes"], indirect=True)
def test_datums_run_beside_each_other(pool: Pool, bench: Bench, tmp_path: Path) -> None:
    bench.code(CODE)
    works = [
        bench.work("meet", params={"me": me, "other": other, "place": str(tmp_path)})
        for me, other in ("ab", "ba")
    ]

    outcomes = everything(pool, works)

    pids = {bench.out(outcome, outcome.files[0].path) for outcome in outcomes.values()}
    assert len(pids) == 2
    assert str(os.getpid()).encode() not in pids


@outside
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("exit", "its process ended with exit code 3, in the middle of the datum"),
        ("SIGKILL", "its process was killed by SIGKILL; the usual cause is lack of memory"),
        ("SIGSEGV", "its process was killed by SIGSEGV"),
    ],
)
@pytest.mark.parametrize("expected", [None, 0.0001])
def test_a_dying_worker_fails_the_datum_that_it_held_and_no_other(
    pool: Pool, how: str, message: str, expected: float | None, bench: Bench
) -> None:
    bench.code(CODE)
    works = [bench.work("end", params={"n": n, "how": how}, scratch="stage") for n in range(30)]

    outcomes = everything(pool, works, expected)

    failures = {n: outcomes[work.datum].failure for n, work in enumerate(works)}
    failed = {n: failure for n, failure in failures.items() if failure}
    assert list(failed) == [5]
    assert (failed[5].kind, failed[5].message) == ("WorkerDied", message)
    log = bench.log(works[5])
    assert "the end\n" in log
    if how == "SIGSEGV":
        assert "Fatal Python error: Segmentation fault" in log


@outside
def test_all_workers_may_die(pool: Pool, bench: Bench) -> None:
    bench.code(CODE)
    works = [bench.work("end", params={"n": 5, "how": "exit"}) for _ in range(6)]

    outcomes = everything(pool, works)

    assert all(outcome.failure and outcome.failure.kind == "WorkerDied" for outcome in outcomes.values())


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_losing_the_template_costs_what_was_running(bench: Bench, tmp_path: Path) -> None:
    place = tmp_path / "pids"
    place.mkdir()
    bench.code(CODE)
    bench.code(ESCAPE, "stages.escape")
    pool = ProcessPool(1)
    escape = Function("stages.escape", "f")
    works = [bench.work(escape, params={"place": f"{place}/"}), bench.work("number", params={"n": 2})]
    for work in works:
        pool.submit(work)
    pool.ready(0)
    pids = pids_in(place, 3)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    (template,) = [int(child) for child in children if b"trunkline.runners" in command_line(child)]

    os.kill(template, signal.SIGKILL)
    outcomes = {outcome.datum: outcome for outcome in (pool.next(), pool.next())}
    pool.close()

    survivors = {pid for pid in pids if alive(pid, patience=1)}
    for pid in survivors:
        os.kill(pid, signal.SIGKILL)
    assert len(survivors) == 1  # who left the session of a worker whose reaper is gone
    failure = outcomes[works[0].datum].failure
    assert (failure and failure.message) == "its process was lost"
    assert outcomes[works[1].datum].failure is None


def command_line(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_an_input_that_a_dying_datum_wrote_to_is_named_as_damaged(bench: Bench) -> None:
    bench.code(
        """
        import os
        import pyarrow.dataset as ds
        def f(raw: ds.Dataset):
            os.chmod(raw.files[0], 0o644)
            with open(raw.files[0], "a") as stream:
                stream.write("3\\n")
            os._exit(1)
        """
    )
    given = bench.one("raw", "a.csv", "n\n1\n")
    pool = ProcessPool(1)
    pool.submit(bench.work("f", [given]))
    outcome = pool.next()
    pool.close()

    assert outcome.failure is not None
    assert outcome.failure.damaged == (given.files[0].object,)


def alive(pid: int, *, patience: float = 10) -> bool:
    """Whether a process still runs, after some seconds of patience with its end."""
    for _ in range(int(patience * 50)):
        try:
            with open(f"/proc/{pid}/stat") as stream:
                if stream.read().rpartition(")")[2].split()[0] == "Z":
                    return False
        except OSError:
            return False
        time.sleep(0.02)
    return True


def pids_in(place: Path, count: int) -> list[int]:
    """The process ids that appear as files in `place`."""
    while len(names := [name for name in os.listdir(place) if name.isdecimal()]) < count:
        time.sleep(0.01)
    return [int(name) for name in names]


ESCAPE = """
    import os, subprocess, sys, time
    SLEEP = [sys.executable, "-c", "import os, sys, time; open(sys.argv[1] + str(os.getpid()), 'w'); time.sleep(1000)"]
    def f(*, place):
        subprocess.Popen([*SLEEP, place])
        subprocess.Popen([*SLEEP, place], start_new_session=True)
        open(place + str(os.getpid()), "w").close()
        time.sleep(1000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("pool", ["processes"], indirect=True)
def test_closing_now_ends_workers_and_all_that_they_started(pool: Pool, bench: Bench, tmp_path: Path) -> None:
    place = tmp_path / "pids"
    place.mkdir()
    bench.code(ESCAPE)
    script = "sleep 1000 & echo > $P/$!; setsid sleep 1000 & echo > $P/$!; echo > $P/$$; sleep 1000"
    pool.submit(bench.work("f", params={"place": f"{place}/"}))
    pool.submit(bench.work(Command(("sh", "-c", script)), env={"P": str(place)}, stage="pipe.other"))
    pool.ready(0)  # type: ignore[attr-defined]
    pids = pids_in(place, 6)

    pool.close(now=True)

    assert [pid for pid in pids if alive(pid)] == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_a_worker_left_running_ends_with_it(bench: Bench, tmp_path: Path) -> None:
    place = tmp_path / "pids"
    place.mkdir()
    bench.code(
        """
        import os, subprocess, sys, time
        def f(*, place):
            for session in (False, True):
                subprocess.Popen(["sleep", "1000"], start_new_session=session, stdout=subprocess.DEVNULL)
            for name in os.listdir("/proc/self/task"):
                children = open(f"/proc/self/task/{name}/children").read().split()
                for child in children:
                    open(os.path.join(place, child), "w").close()
            os._exit(0)
        """
    )
    pool = ProcessPool(2)
    pool.submit(bench.work("f", params={"place": str(place)}))
    outcome = pool.next()

    assert outcome.failure is not None
    assert [pid for pid in pids_in(place, 2) if alive(pid)] == []
    pool.close()


# ---------------------------------------------------------------- a whole program with a pool

PROGRAM = """
    print("main is imported")
    import os, sys
    sys.path.insert(0, {here!r})
    from pathlib import Path
    from tests.runners.conftest import Bench
    from trunkline.model import Command
    from trunkline.runners.pools import AdaptivePool
    from trunkline.runners.processes import ProcessPool

    bench = Bench(Path({base!r}))
    pool = {pool}
    try:
        for work in {works}:
            pool.submit(work)
        for _ in range({count}):
            outcome = pool.next()
            print(outcome.failure or [file.path for file in outcome.files])
    except KeyboardInterrupt:
        print("interrupted")
        pool.close(now=True)
        raise SystemExit(130)
    pool.close()
"""


def program(bench: Bench, works: str, *, pool: str = "ProcessPool(2)", count: int = 1) -> list[str]:
    """A program without a .py name, as console scripts are."""
    path = bench.base / "program"
    here = str(Path(__file__).resolve().parents[2])
    path.write_text(
        textwrap.dedent(PROGRAM).format(here=here, base=str(bench.base), pool=pool, works=works, count=count)
    )
    return [sys.executable, "-W", "error", str(path)]


@pytest.mark.parametrize(
    "preload", ["", "import threading\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()\n"]
)
def test_the_program_itself_is_not_imported_again_and_nothing_warns(preload: str, bench: Bench) -> None:
    """Also where a stage's module starts a thread, with which no fork is safe."""
    bench.code(textwrap.dedent(CODE) + preload)

    works = "[bench.work('number', params={'n': n}) for n in range(4)]"
    done = subprocess.run(program(bench, works, count=4), capture_output=True, text=True, check=False)

    assert sorted(done.stdout.splitlines()) == [
        "['0.txt']",
        "['1.txt']",
        "['2.txt']",
        "['3.txt']",
        "main is imported",
    ]
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["function", "command"])
def test_when_the_program_is_killed_all_its_processes_end(kind: str, bench: Bench, tmp_path: Path) -> None:
    place = tmp_path / "pids"
    place.mkdir()
    bench.code(ESCAPE)
    script = "sleep 1000 & echo > $P/$!; setsid sleep 1000 & echo > $P/$!; echo > $P/$$; sleep 1000"
    works = {
        "function": f"[bench.work('f', params={{'place': '{place}/'}})]",
        "command": f"[bench.work(Command(('sh', '-c', {script!r})), env={{'P': '{place}'}})]",
    }
    # the adaptive pool takes commands to processes for this very reason
    pool = "ProcessPool(1)" if kind == "function" else "AdaptivePool(1)"
    process = subprocess.Popen(program(bench, works[kind], pool=pool), stdout=subprocess.DEVNULL)
    pids = pids_in(place, 3)

    process.kill()
    process.wait()

    assert [pid for pid in pids if alive(pid)] == []


@pytest.mark.parametrize("pool", ["ProcessPool(2)", "AdaptivePool(2)"])
def test_an_interrupt_is_the_programs_matter_and_workers_do_not_answer_it(
    pool: str, bench: Bench, tmp_path: Path
) -> None:
    place = tmp_path / "pids"
    place.mkdir()
    bench.code(
        "import os, time\ndef f(*, place):\n    open(place + str(os.getpid()), 'w').close()\n    time.sleep(1000)\n"
    )
    works = f"[bench.work('f', params={{'place': '{place}/'}}, stage=f'p.s{{n}}') for n in range(2)]"
    process = subprocess.Popen(
        program(bench, works, pool=pool),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    pids = pids_in(place, 2)

    os.killpg(process.pid, signal.SIGINT)  # what a terminal does
    out, err = process.communicate(timeout=60)

    assert (process.returncode, out.splitlines(), err) == (130, ["main is imported", "interrupted"], "")
    if sys.platform == "linux":
        assert [pid for pid in pids if alive(pid)] == []


def test_processes_that_cannot_start_are_one_clear_error(bench: Bench) -> None:
    bench.code(CODE)
    works = "[sys.path.clear() or bench.work('number', params={'n': 1})]"
    done = subprocess.run(program(bench, works), capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "TrunklineError: worker processes cannot be kept running: " in done.stderr
    assert "No module named 'trunkline'" in done.stderr


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
