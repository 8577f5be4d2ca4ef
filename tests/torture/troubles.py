"""What can go wrong around a run: no space, no permission, damaged data, other commands at the same time.

Each is done to a life that is in order, and leaves it so that an undisturbed run must bring it to what a run
from scratch makes.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.torture.forks import Running
from tests.torture.kills import BY_RUN
from tests.torture.life import Life, overwrite

_DISK = 64  # megabytes of the file system that is filled up
_BLOCK = 4096


class Skipped(Exception):
    """What is needed for it is not there."""


# ---------------------------------------------------------------- the file system


def full_disk(life: Life, took: float) -> None:
    """The project, cache and all, is on a disk with some blocks left, or none."""
    with _mounted(life.root.parent / "disk", "-t", "tmpfs", "-o", f"size={_DISK}m", "tmpfs") as disk:
        other = life.moved(disk / "project")
        try:
            _on_a_full_disk(other)
        finally:
            life.trace = other.trace


def _on_a_full_disk(life: Life) -> None:
    life.finish()
    for _ in range(4):
        life.change(life.changes.code)
        life.change(life.changes.edit)
        ballast = life.root.parent / "ballast"
        blocks = life.rng.choice((0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144))
        life.did(f"{blocks} blocks are left")
        _fill(ballast, blocks)
        life.orderly(life.run(), 0, 2, 3)
        life.orderly(life.forks.run(life.root, "trunkline", "plan"), 0)
        ballast.unlink()
        life.check()
    life.finish()


def _fill(ballast: Path, blocks: int) -> None:
    """Leave so many blocks free."""
    free = os.statvfs(ballast.parent)
    ballast.write_bytes(bytes(max(0, free.f_bavail - blocks) * free.f_frsize))


def read_only_cache(life: Life, took: float) -> None:
    """Nothing can be written to the cache: all is said, nothing is lost."""
    cache = str(life.root / ".dvc/cache")
    with _mounted(Path(cache), "--bind", cache):
        _mount("-o", "remount,bind,ro", cache)
        life.orderly(life.run(), 0)
        life.change(life.changes.code)
        life.change(life.changes.edit)
        life.orderly(life.run(), 3)
        life.check()


@contextmanager
def _mounted(place: Path, *how: str) -> Iterator[Path]:
    place.mkdir(exist_ok=True)
    _mount(*how, str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _mount(*arguments: str) -> None:
    if os.geteuid():
        raise Skipped("only root can mount a file system")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Skipped(done.stderr.strip())


# ---------------------------------------------------------------- objects


def damaged_objects(life: Life, took: float) -> None:
    """Objects are overwritten in place (their links with them), replaced by others, or gone."""
    life.gone = True
    kept: dict[Path, bytes] = {}
    for path in life.rng.sample(life.objects(), 6):
        data = path.read_bytes()
        kept[path] = data
        how = life.rng.choice(("overwrite", "replace", "delete"))
        life.did(f"{how} {path.parent.name}{path.name}")
        if how == "overwrite":
            overwrite(path, _flipped(data))
        else:
            path.unlink()
            if how == "replace":
                path.write_bytes(_flipped(data))
                path.chmod(0o444)
    if life.rng.random() < 0.5:
        life.change()
    if life.rng.random() < 0.5:
        point = life.rng.choice(BY_RUN)
        life.did(f"kill at {point}")
        life.run(crash=f"{point}")
        life.check()
    life.finish()
    _put_back(kept)
    life.gone = False


def _flipped(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:] if data else b"x"


def _put_back(kept: dict[Path, bytes]) -> None:
    """What nothing needed meanwhile is as it was."""
    for path, data in kept.items():
        if not path.exists() or path.read_bytes() != data:
            path.unlink(missing_ok=True)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            path.chmod(0o444)


# ---------------------------------------------------------------- at the same time


def gc_meanwhile(life: Life, took: float) -> None:
    """`dvc gc` removes what nothing names yet; `dvc commit` brings back what dvc.lock has named meanwhile."""
    life.gone = True
    _beside(life, took, ("dvc", "gc", "-w", "-f"))
    life.finish()
    life.orderly(life.forks.run(life.root, "dvc", "commit", "-q", "-f"), 0)
    life.gone = False
    missing = [problem for problem in life.look().problems if problem.startswith("dvc.lock")]
    life.demand(not missing, *missing)
    life.ended = True


def checkout_meanwhile(life: Life, took: float) -> None:
    """`dvc checkout` puts back what dvc.lock names."""
    _beside(life, took, ("dvc", "checkout", *life.rng.choice(((), ("-f",)))))


def runs_at_once(life: Life, took: float) -> None:
    """Two `trunkline run` and a `dvc repro`."""
    _work(life)
    life.orderly(life.forks.run(life.root, "trunkline", "compile"), 0)
    runs = [life.start(), life.start()]
    repro = life.forks.start(life.root, "dvc", "repro", "-q")
    if life.rng.random() < 0.5:
        _wait(life.rng.random() * took, *runs)
        life.did("kill one of them")
        life.rng.choice((*runs, repro)).kill()
    for run in runs:
        life.orderly(run.done(), 0, 3, -9)
    life.demand("Traceback" not in (said := repro.done().out), said)
    life.check()


def killed_repro(life: Life, took: float) -> None:
    """`dvc repro`, of which a stage's `trunkline exec` is killed at some point."""
    _work(life)
    life.orderly(life.forks.run(life.root, "trunkline", "compile"), 0)
    mark = life.root.parent / "mark"
    point, number = life.rng.choice(BY_RUN), life.rng.choice((1, 1, 2, 5))
    life.did(f"kill its exec at {point}:{number}")
    done = life.forks.run(life.root, "dvc", "repro", "-q", crash=f"{point}:{number}:{mark}")
    life.demand("Traceback" not in done.out, done.out)
    mark.unlink(missing_ok=True)
    life.check()


def _beside(life: Life, took: float, command: tuple[str, ...]) -> None:
    """A run, and from some moment on another command."""
    _work(life)
    run = life.start()
    _wait(life.rng.random() * took, run)
    life.did(" ".join(command))
    other = life.forks.start(life.root, *command)
    life.orderly(run.done(), 0, 3)
    said = other.done().out
    life.demand("Traceback" not in said, said)
    life.check()


def _work(life: Life) -> None:
    life.change(life.changes.code)
    life.change(life.changes.script)
    life.change(life.changes.edit)


def _wait(seconds: float, *runs: Running) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < seconds and not all(run.ended() for run in runs):
        time.sleep(0.001)


TROUBLES: dict[str, Callable[[Life, float], None]] = {
    trouble.__name__.replace("_", " "): trouble
    for trouble in (
        full_disk, read_only_cache, damaged_objects, gc_meanwhile, checkout_meanwhile, runs_at_once, killed_repro,
    )
}  # fmt: skip
