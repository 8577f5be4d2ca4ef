"""Datums on other machines: two Dask workers that have nothing of the project, and a remote in between."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.runners.conftest import CODE, Bench, everything, take
from tests.runners.machines import Machines, code_of, needs_dask, until
from tests.s3 import S3, Bucket, s3
from tests.support import Tree
from trunkline.digest import md5_bytes
from trunkline.errors import TrunklineError
from trunkline.model import Command, Dask
from trunkline.runners.dask import DaskPool
from trunkline.runners.objects import Remote

needs_dask()
psutil: Any = pytest.importorskip("psutil")  # it comes with Dask


SLOW = """
    import os, pathlib, time

    def wait(*, n: int, place: str):
        # says where it is, and goes on when it may
        pathlib.Path(place, f"{n}.{os.getpid()}").write_text(os.environ["HOME"])
        while not os.path.exists(os.path.join(place, "go")):
            time.sleep(0.02)
        return {f"{n}.txt": str(n * n)}

    def end_worker(*, n: int, place: str):
        import psutil
        if n == 0:
            worker = psutil.Process().parents()[1]  # above it: what its process was forked from
            pathlib.Path(place, f"{n}.{os.getpid()}").write_text(str(worker.pid))
            worker.kill()
            time.sleep(100)
        return {f"{n}.txt": str(n)}
"""


@pytest.fixture(autouse=True)
def _hash_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A local cluster gives its processes one hash seed by setting ours; what comes after it had none."""
    monkeypatch.setenv("PYTHONHASHSEED", "")
    monkeypatch.delenv("PYTHONHASHSEED")


@pytest.fixture
def pools(bench: Bench) -> Iterator[Callable[..., DaskPool]]:
    """Makes pools over a remote that is a directory."""
    made: list[DaskPool] = []

    def make(address: str = "", **options: Any) -> DaskPool:
        remote = Remote({"url": str(bench.base / "remote")})
        made.append(DaskPool(Dask(address), lambda: remote, code_of(bench.root), **options))
        return made[-1]

    yield make
    for pool in made:
        pool.close(now=True)


def begun(place: Path) -> dict[str, list[str]]:
    """Datum -> what its attempts wrote when they began."""
    found: dict[str, list[str]] = {}
    for path in sorted(place.glob("*.*")):
        found.setdefault(path.name.partition(".")[0], []).append(path.read_text())
    return found


def alive(process: Any) -> bool:
    """Whether it runs; one that nobody has waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


# ---------------------------------------------------------------- nothing in common but a remote


STAGES = '''\
"""As in every project `letters`, but slow enough for two to share, and telling where they are."""

import os
import time
from pathlib import Path

from stages.helper import shout


def upper(raw: Path, *, suffix: str):
    print("in", os.environ["HOME"])
    time.sleep(1)
    return {f"{raw.stem}.txt": shout(raw.read_text()) + suffix}


def count(texts: Path):
    return {f"{texts.stem}.json": {"characters": len(texts.read_text())}}


def total(counts: list[Path]):
    import json

    return {"metrics.json": {"characters": sum(json.loads(p.read_text())["characters"] for p in counts)}}
'''


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    with s3() as made:
        yield made


def on_dask(project: Tree, pool: str) -> None:
    """Let the pipeline `letters` say where its datums are computed."""
    text = project.read("pipelines/letters.yaml")
    project.write("pipelines/letters.yaml", text.replace("\nstages:", f"\npool: {pool}\n\nstages:", 1))


def test_two_machines_that_share_a_remote_give_what_this_one_gives(
    project: Tree, bucket: Bucket, cluster: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.restore(2)
    for name, value in S3.items():
        monkeypatch.setenv(name, value)
    project.write("stages/letters.py", STAGES)
    alone = project.copy(tmp_path / "alone" / "project")
    alone.trunkline("run")
    project.dvc("remote", "add", "-d", "store", "s3://data/x")
    project.dvc("remote", "modify", "store", "endpointurl", bucket.url)
    on_dask(project, f'{{dask: "{cluster.address}"}}')
    seen = {machine: machine.opened for machine in cluster.living}

    project.trunkline("run")

    assert project.published() == alone.published()
    assert project.read("dvc.lock") == alone.read("dvc.lock")
    logs = project.contents(".trunkline/runs")
    places = {text.decode().split()[1] for path, text in logs.items() if "logs/letters.upper" in path}
    assert places == {str(machine.home) for machine in seen}, "both have computed"
    for machine, before in seen.items():
        assert machine.opened == before, "nothing of the project, nor of its cache, was opened there"
        assert machine.fetched, "the inputs came from the remote"
    inputs = {md5_bytes(content) for content in project.contents("data/letters_raw").values()}
    assert inputs < bucket.md5s()
    assert alone.counts() == project.counts()
    assert "up to date" in project.trunkline("run").out


# ---------------------------------------------------------------- workers that die


def test_a_killed_worker_costs_its_datums_one_try(
    bench: Bench, cluster: Machines, pools: Callable[..., DaskPool], tmp_path: Path
) -> None:
    cluster.restore(2)
    bench.code(SLOW)
    place = tmp_path / "place"
    place.mkdir()
    pool = pools(cluster.address)
    works = [bench.work("wait", params={"n": n, "place": str(place)}) for n in range(5)]
    for work in works:
        pool.submit(work)
    pool.ready()
    until(lambda: len(begun(place)) == 2, "both workers are at work")

    (hit,) = [name for name, homes in begun(place).items() if homes == [str(cluster.living[0].home)]]
    cluster.living[0].process.kill()
    until(lambda: not pool.ready() and len(cluster.living) == 1, "it is dead")
    (place / "go").touch()
    outcomes = {outcome.datum: outcome for outcome in (take(pool) for _ in works)}

    assert [bench.out(outcomes[work.datum], f"{n}.txt") for n, work in enumerate(works)] == [
        str(n * n).encode() for n in range(5)
    ]
    tries = {name: len(attempts) for name, attempts in begun(place).items()}
    assert tries == {**dict.fromkeys("01234", 1), hit: 2}


def test_three_workers_that_die_are_enough(
    bench: Bench, cluster: Machines, pools: Callable[..., DaskPool], tmp_path: Path
) -> None:
    """Dask's own scheduler would give a datum to a fourth, as it is configured by default."""
    bench.code(SLOW)
    for machine in cluster.living:
        machine.end()
    cluster.add(nanny=True)
    pool = pools(cluster.address)

    outcomes = everything(
        pool, [bench.work("end_worker", params={"n": n, "place": str(tmp_path)}) for n in range(3)]
    )
    cluster.living[0].end()

    (failure,) = [outcome.failure for outcome in outcomes.values() if outcome.failure]
    assert failure.kind == "WorkerDied"
    said = failure.message.replace("127.0.0.1", "HOST")
    assert re.sub(r":\d+", ":PORT", said) == (
        "the Dask worker that computed it ended in the middle, 3 times, on tcp://HOST:PORT, "
        "tcp://HOST:PORT, tcp://HOST:PORT; the usual cause is lack of memory"
    )
    assert len(set(re.findall(r":\d+", said))) == 3
    assert len(begun(tmp_path)["0"]) == 3


# ---------------------------------------------------------------- ends


def test_a_cancelled_datum_ends_and_its_worker_lives_on(
    bench: Bench, cluster: Machines, pools: Callable[..., DaskPool], tmp_path: Path
) -> None:
    cluster.restore(2)
    bench.code(SLOW)
    pool = pools(cluster.address)
    for n in range(4):
        pool.submit(bench.work("wait", params={"n": n, "place": str(tmp_path)}))
    pool.ready()
    until(lambda: len(begun(tmp_path)) == 2, "both workers are at work")
    processes = [psutil.Process(int(path.suffix[1:])) for path in tmp_path.glob("*.*")]

    pool.close(now=True)

    until(lambda: not any(map(alive, processes)), "the datums' processes have ended")
    assert len(begun(tmp_path)) == 2, "what was queued was not begun"
    assert len(cluster.living) == 2
    bench.code(CODE)
    (outcome,) = everything(pools(cluster.address), [bench.work("number", params={"n": 7})]).values()
    assert bench.out(outcome, "7.txt") == b"49"


def test_a_local_cluster_ends_with_its_pool(
    bench: Bench, pools: Callable[..., DaskPool], tmp_path: Path
) -> None:
    bench.code(SLOW)
    pool = pools(workers=2)
    before = set(psutil.Process().children(recursive=True))
    for n in range(4):
        pool.submit(bench.work("wait", params={"n": n, "place": str(tmp_path)}))
    pool.ready()
    until(lambda: len(begun(tmp_path)) == 2, "both workers are at work")
    started = set(psutil.Process().children(recursive=True)) - before
    started = {process for process in started if "resource_tracker" not in " ".join(process.cmdline())}
    assert len(started) >= 6, "workers, templates, and the datums' processes"

    pool.close(now=True)

    until(lambda: not any(map(alive, started)), "all its processes have ended")
    assert bench.left() == []


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_ended_leaves_no_local_cluster(
    project: Tree, tmp_path: Path, how: signal.Signals
) -> None:
    """Ended from outside, or by ctrl-C, which reaches its workers too."""
    project.write("stages/letters.py", STAGES.replace("0.3", "300"))
    project.dvc("remote", "add", "-d", "store", str(tmp_path / "remote"))
    on_dask(project, "dask")
    said = tmp_path / "said"
    with said.open("wb") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "trunkline", "run"],
            cwd=project.root,
            env=project.environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    started: set[Any] = set()
    try:
        until(lambda: _at_work(run.pid, started), "datums are being computed")
    finally:
        os.killpg(run.pid, how) if how is signal.SIGINT else run.kill()
        code = run.wait()
    until(lambda: not any(map(alive, started)), "all its processes have ended")
    if how is signal.SIGINT:
        assert code == 130
        assert "Traceback" not in said.read_text()


def test_a_run_that_is_killed_leaves_nothing_at_work_elsewhere(
    project: Tree, cluster: Machines, tmp_path: Path
) -> None:
    cluster.restore(2)
    project.write("stages/letters.py", STAGES.replace("0.3", "300"))
    project.dvc("remote", "add", "-d", "store", str(tmp_path / "remote"))
    on_dask(project, f'{{dask: "{cluster.address}"}}')
    run = subprocess.Popen(
        [sys.executable, "-m", "trunkline", "run"],
        cwd=project.root,
        env=project.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    started: set[Any] = set()
    try:
        pids = [machine.process.pid for machine in cluster.living]
        until(lambda: all(_at_work(pid, started, 2) for pid in pids), "both workers are at work")
    finally:
        run.kill()
        run.wait()
    until(lambda: not any(map(alive, started)), "what they were at has ended")
    assert len(cluster.living) == 2


def _at_work(pid: int, started: set[Any], depth: int = 3) -> bool:
    """Whether a datum's process is there, below template, worker and run; all processes between."""
    found = psutil.Process(pid).children(recursive=True)
    started.update(found)
    above = len(psutil.Process(pid).parents())
    return any(len(process.parents()) - above >= depth for process in found if alive(process))


# ---------------------------------------------------------------- what cannot be


def test_without_a_remote(project: Tree) -> None:
    on_dask(project, "dask")
    done = project.trunkline("run", check=False)
    assert done.code == 2
    assert "`pool: dask` needs a DVC remote" in done.err
    assert "type `dvc remote add -d NAME URL`" in done.err


def test_without_dask(project: Tree, tmp_path: Path) -> None:
    on_dask(project, "dask")
    project.dvc("remote", "add", "-d", "store", str(tmp_path / "remote"))
    start = "import sys; sys.modules['distributed'] = None; from trunkline.cli.main import main; sys.exit(main(['run']))"
    done = project.command(sys.executable, "-c", start, check=False)
    assert done.code == 2
    assert "`pool: dask` needs Dask, which is not installed here" in done.err
    assert 'type `pip install "trunkline[dask]"`' in done.err


def test_without_a_scheduler(bench: Bench, pools: Callable[..., DaskPool]) -> None:
    import dask
    import distributed  # noqa: F401 - it fills in what can be configured

    pool = pools("tcp://127.0.0.1:9")
    pool.submit(bench.work("number", params={"n": 1}))
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(TrunklineError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9") as caught,
    ):
        take(pool)
    assert "dask scheduler" in caught.value.hint


# ---------------------------------------------------------------- what a stage declares


def test_what_a_stage_allows_its_datums_holds_there_too(
    cluster: Machines, bench: Bench, pools: Callable[..., DaskPool], tmp_path: Path
) -> None:
    cluster.restore(2)
    bench.code(CODE + SLOW)
    place = tmp_path / "place"
    place.mkdir()
    pool = pools(cluster.address)
    rescue = Command(("sh", "-c", "echo rescued $PACH_DATUM_ID"))
    waiting = {"n": 1, "place": str(place)}
    late = bench.work("wait", params=waiting, timeout=0.5, stage="p.late")
    failed = bench.work("fail", params={"n": 3}, err_cmd=rescue, stage="p.failed")
    secret = bench.work("number", params={"n": 2}, secrets=("NOT_SET_ANYWHERE",), stage="p.secret")

    outcomes = everything(pool, [late, failed, secret])

    kinds = {work.stage: outcomes[work.datum].failure for work in (late, failed, secret)}
    assert {stage: failure and failure.kind for stage, failure in kinds.items()} == {
        "p.late": "TimedOut", "p.failed": "ValueError", "p.secret": "MissingSecret",
    }  # fmt: skip
    assert [outcomes[work.datum].recovered for work in (late, failed)] == [False, True]
    assert bench.log(failed).endswith(f"rescued {failed.datum}\n")


def test_a_stage_is_given_up_there_and_never_more_of_it_than_it_allows(
    cluster: Machines, bench: Bench, pools: Callable[..., DaskPool], tmp_path: Path
) -> None:
    cluster.restore(2)
    bench.code(CODE + SLOW)
    pool = pools(cluster.address)
    works = [
        bench.work("wait", params={"n": n, "place": str(tmp_path)}, parallelism=1, stage="p.wait")
        for n in range(3)
    ]
    other = bench.work("number", params={"n": 5}, stage="p.other")
    for work in (*works, other):
        pool.submit(work)
    outcome = take(pool)
    until(lambda: not pool.ready() and len(begun(tmp_path)) == 1, "one is computed")

    assert (outcome.stage, len(begun(tmp_path))) == ("p.other", 1)
    assert pool.cancel("p.wait") == []

    processes = [psutil.Process(int(path.suffix[1:])) for path in tmp_path.glob("*.*")]
    until(lambda: not any(map(alive, processes)), "it is ended")
    assert pool.outstanding == 0
    assert len(begun(tmp_path)) == 1
