"""Worker processes: they run beside each other, die alone, and end with us."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runners.conftest import CODE, Bench, everything, take
from trunkline.model import Command, Function
from trunkline.runners.pools import AdaptivePool
from trunkline.runners.processes import ProcessPool


@pytest.fixture
def pool(request: pytest.FixtureRequest) -> Iterator[ProcessPool]:
    made = ProcessPool(request.param)
    yield made
    made.close(now=True)


outside = pytest.mark.parametrize("pool", [2, 1], indirect=True, ids=["two workers", "one worker"])


@pytest.mark.parametrize("pool", [2], indirect=True)
def test_datums_run_beside_each_other(pool: ProcessPool, bench: Bench, tmp_path: Path) -> None:
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
        ("exit", "its process {} ended with exit code 3, in the middle of the datum"),
        ("SIGKILL", "its process {} was killed by SIGKILL; the usual cause is lack of memory"),
        ("SIGSEGV", "its process {} was killed by SIGSEGV; the usual cause is a fault in compiled code"),
    ],
)
@pytest.mark.parametrize("expected", [None, 0.0001])
def test_a_dying_worker_fails_the_datum_that_it_held_and_no_other(
    pool: ProcessPool, how: str, message: str, expected: float | None, bench: Bench
) -> None:
    bench.code(CODE)
    works = [bench.work("end", params={"n": n, "how": how}, scratch="stage") for n in range(30)]

    outcomes = everything(pool, works, expected)

    failures = {n: outcomes[work.datum].failure for n, work in enumerate(works)}
    failed = {n: failure for n, failure in failures.items() if failure}
    assert list(failed) == [5]
    log = bench.log(works[5])
    said, pid = re.fullmatch(r"(before\n(\d+): the end\n).*", log, re.DOTALL).groups()  # type: ignore[union-attr]
    assert log.startswith(said)
    assert (failed[5].kind, failed[5].message) == ("WorkerDied", message.format(pid))
    if how == "SIGSEGV":
        assert "Fatal Python error: Segmentation fault" in log


@outside
def test_all_workers_may_die(pool: ProcessPool, bench: Bench) -> None:
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
    outcomes = {outcome.datum: outcome for outcome in (take(pool), take(pool))}
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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_template_that_is_lost_while_nothing_runs_costs_nothing(bench: Bench) -> None:
    bench.code(CODE)
    works = [bench.work("end", params={"n": n, "how": "exit"}) for n in (1, 2)]
    pool = ProcessPool(1)
    try:
        everything(pool, works[:1])
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        (template,) = [int(child) for child in children if b"trunkline.runners" in command_line(child)]
        workers = Path(f"/proc/{template}/task/{template}/children").read_text().split()
        os.kill(template, signal.SIGKILL)
        assert not any(alive(int(worker), patience=10) for worker in workers)
        outcomes = everything(pool, works[1:])
    finally:
        pool.close(now=True)
    assert [outcome.failure for outcome in outcomes.values()] == [None]


def test_a_module_that_ends_its_process_fails_the_datums_that_need_it(bench: Bench) -> None:
    bench.code(CODE)
    bench.code("import os\nos._exit(7)\n", "stages.bad")
    pool = ProcessPool(1)
    works = [bench.work(Function("stages.bad", "f")), bench.work("number", params={"n": 2})]

    outcomes = everything(pool, works)
    pool.close()

    failure = outcomes[works[0].datum].failure
    assert failure is not None
    assert re.fullmatch(
        r"its process \d+ ended with exit code 7, in the middle of the datum", failure.message
    )
    assert outcomes[works[1].datum].failure is None


def test_a_module_is_imported_with_its_stages_env_and_in_the_root(bench: Bench) -> None:
    bench.code(
        """
        import os
        SEEN = f"{os.environ.get('MODE')} {os.getcwd()}"
        def f():
            return {"seen.txt": SEEN}
        """
    )
    pool = ProcessPool(1)
    (with_env,) = everything(pool, [bench.work("f", env={"MODE": "fast"})]).values()
    pool.close()
    pool = ProcessPool(1)
    (without,) = everything(pool, [bench.work("f")]).values()
    pool.close()

    assert bench.out(with_env, "seen.txt").decode() == f"fast {bench.root}"
    assert bench.out(without, "seen.txt").decode() == f"None {bench.root}"


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
    outcome = take(pool)
    pool.close()

    assert outcome.failure is not None
    assert outcome.failure.damaged == (given.object(given.files[0]),)


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
@pytest.mark.parametrize("pool", [2], indirect=True)
def test_closing_now_ends_workers_and_all_that_they_started(
    pool: ProcessPool, bench: Bench, tmp_path: Path
) -> None:
    place = tmp_path / "pids"
    place.mkdir()
    bench.code(ESCAPE)
    script = "sleep 1000 & echo > $P/$!; setsid sleep 1000 & echo > $P/$!; echo > $P/$$; sleep 1000"
    pool.submit(bench.work("f", params={"place": f"{place}/"}))
    pool.submit(bench.work(Command(("sh", "-c", script)), env={"P": str(place)}, stage="pipe.other"))
    pool.ready(0)
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
    outcome = take(pool)

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


# ---------------------------------------------------------------- what a datum leaves running

LEFT = """
    import os, subprocess
    def f(*, place, apart):
        child = os.posix_spawnp("sleep", ["sleep", "1000"], os.environ, setsid=apart)
        inner = subprocess.run(
            ["sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $!"], capture_output=True, start_new_session=apart
        )
        for pid in (child, int(inner.stdout)):
            open(os.path.join(place, str(pid)), "w").close()
        return {"pid.txt": str(os.getpid())}
    def g():
        done = subprocess.run(["true"])
        return {"pid.txt": str(os.getpid())}
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("apart", [False, True])
def test_what_a_function_leaves_running_ends_with_its_datum(
    apart: bool, bench: Bench, tmp_path: Path
) -> None:
    place = tmp_path / "pids"
    place.mkdir()
    bench.code(LEFT)
    pool = ProcessPool(1)
    works = [bench.work("f", params={"place": str(place), "apart": apart}), bench.work("g"), bench.work("g")]

    outcomes = everything(pool, works, 0.0001)

    assert [outcome.failure for outcome in outcomes.values()] == [None] * 3
    assert [pid for pid in pids_in(place, 2) if alive(pid)] == []
    pids = [bench.out(outcomes[work.datum], "pid.txt") for work in works]
    assert pids[0] != pids[1] == pids[2], "what the worker remembered of them is gone with it"
    pool.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_function_that_leaves_processes_running_is_computed_elsewhere_from_then_on(
    bench: Bench, tmp_path: Path
) -> None:
    place = tmp_path / "pids"
    place.mkdir()
    bench.code(LEFT)
    mine = subprocess.Popen(["sleep", "1000"])
    pool = AdaptivePool(1)
    works = [bench.work("f", params={"place": str(place), "apart": False}) for _ in range(2)]
    try:
        outcomes = everything(pool, works, 0.0001)

        pids = [bench.out(outcomes[work.datum], "pid.txt") == str(os.getpid()).encode() for work in works]
        assert pids == [True, False]
        ended = [alive(pid, patience=0.5) for pid in sorted(pids_in(place, 4))]
        assert ended.count(True) <= 1, "whom its parent left behind is out of our reach here"
        assert mine.poll() is None
    finally:
        mine.kill()
        mine.wait()
        pool.close()
        for pid in pids_in(place, 4):
            if alive(pid, patience=0.1):
                os.kill(pid, signal.SIGKILL)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_leaves_a_commands_group_ends_with_it_too(bench: Bench, tmp_path: Path) -> None:
    place = tmp_path / "pids"
    place.mkdir()
    pool = ProcessPool(1)
    script = f"setsid sh -c 'sleep 1000 & touch {place}/$!; touch {place}/$$; wait' & sleep 0.2"
    works = [bench.work(Command(("sh", "-c", script))), bench.work(Command(("true",)))]

    outcomes = everything(pool, works)

    assert [outcome.failure for outcome in outcomes.values()] == [None, None]
    assert [pid for pid in pids_in(place, 2) if alive(pid)] == []
    pool.close()
