"""The kills: at a point, or at a random moment; of trunkline itself, of its template, of a worker."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from tests.torture.forks import family, nobody_left
from tests.torture.life import Life
from trunkline.points import Point

BY_PUT = (
    Point.SOURCE_KEPT, Point.SOURCE_STAGED, Point.SOURCE_MOVED, Point.COMMIT_STAGED, Point.COMMIT_MADE,
    Point.HEAD_MOVED, Point.IGNORE_WRITTEN,
)  # fmt: skip
BY_REMOVE = (Point.SOURCE_REMOVED,)
BY_COMMAND = (*BY_PUT, *BY_REMOVE)
BY_WORKERS = (Point.WORKER_FORKED, Point.WORKER_GIVEN, Point.WORKER_WROTE, Point.WORKER_ANSWERED)
BY_COLLECTOR = (Point.PURGE_NOTED, Point.RESULTS_FORGOTTEN, Point.OBJECT_REMOVED)  # has tests of its own
BY_RUN = tuple(point for point in Point if point not in (*BY_COMMAND, *BY_WORKERS, *BY_COLLECTOR))
ONCE = {Point.COMPILED, Point.SOURCES_VERSIONED, Point.RUN_COMPLETE}  # reached once in a run
TARGETS = ("trunkline", "template", "worker")

_KILLED = -signal.SIGKILL


class Kills:
    """Kills one life after another; counts what was hit."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.random: Counter[str] = Counter()

    # ------------------------------------------------------------ at a point

    def at(self, life: Life, point: Point, number: int = 1) -> bool:
        """Let what comes by `point` be killed there; whether it was. Then all must hold."""
        life.did(f"kill at {point}:{number}")
        if point in BY_COMMAND:
            hit = self._command(life, point, number)
        elif point in BY_WORKERS:
            hit = self._workers(life, point, number)
        else:
            hit = self._run(life, point, number)
        self.hits[point] += hit
        life.check()
        if point is Point.OBJECT_QUARANTINED:
            life.orderly(life.run(), 0)
            life.gone = False
            life.check()
        return hit

    def _command(self, life: Life, point: Point, number: int) -> bool:
        """In `put` or `rm`, which want a clean dataset."""
        acts: dict[Point, Callable[..., str]] = {
            Point.SOURCE_REMOVED: life.changes.remove,
            Point.IGNORE_WRITTEN: life.changes.put_new,
        }
        acts.get(point, life.changes.put)(crash=f"{point}:{number}")
        code = life.changes.last.code
        life.demand(code in (_KILLED, 0), f"{point}: {life.changes.last}")
        if point is Point.HEAD_MOVED or code == 0:
            left = life.tree.git("status", "--porcelain").out
            life.demand(not left, f"committed, and yet there is:\n{left}")
        return code == _KILLED

    def _run(self, life: Life, point: Point, number: int) -> bool:
        self._lead_to(life, point)
        done = life.run(crash=f"{point}:{number}")
        if done.code != _KILLED:
            life.orderly(done, 0)
        return done.code == _KILLED

    def _workers(self, life: Life, point: Point, number: int) -> bool:
        """One process that comes by is killed, and the run goes on; or all are, and it fails."""
        life.change(life.changes.script)
        if life.rng.random() < 0.2 and point is not Point.WORKER_ANSWERED:
            done = life.run(crash=f"{point}:1")
            life.orderly(done, 3)
            return True
        mark = life.root.parent / "mark"
        done = life.run(crash=f"{point}:{number}:{mark}")
        life.orderly(done, 0)
        hit = mark.exists()
        mark.unlink(missing_ok=True)
        return hit

    def _lead_to(self, life: Life, point: Point) -> None:
        """Change something, so that a run comes by `point`."""
        changes = life.changes
        match point:
            case Point.LOCK_NOTED:
                life.change(changes.lose_lock)
            case Point.RUN_SEALED:
                if life.run(crash=Point.STAGE_BEGUN).code != _KILLED:
                    life.change(changes.edit)
                    life.run(crash=Point.STAGE_BEGUN)
            case Point.OBJECT_QUARANTINED:
                _spoil_a_source(life)
            case Point.POINTER_ASIDE | Point.POINTER_WRITTEN | Point.OBJECT_COPIED | Point.SOURCE_SAVED:
                life.change(changes.edit)
            case _:
                if life.rng.random() < 0.7:
                    life.change(life.rng.choice((changes.edit, changes.code, changes.add, changes.param)))
                else:
                    life.change()
                    life.change(changes.edit)

    # ------------------------------------------------------------ at any moment

    def timed(self, life: Life, target: str, took: float) -> None:
        """Kill at a random moment of a run that takes about so long."""
        moment = life.rng.random() * took
        life.did(f"kill {target} after {moment:.3f} s")
        running = life.start()
        begun = time.monotonic()
        while time.monotonic() - begun < moment and not running.ended():
            time.sleep(0.001)
        hit = _kill(running.pid, target, running.ended)
        done = running.done()
        nobody_left()
        self.random[target] += hit
        if target == "trunkline":
            life.demand(done.code in (_KILLED, 0), f"{done}")
        else:
            life.orderly(done, 0)
        life.check()


def _kill(run: int, target: str, ended: Callable[[], bool]) -> bool:
    """Kill the run, or one of its processes as soon as there is one; whether somebody was killed."""
    while not ended():
        found = family(run)
        victims = {"trunkline": [run], "template": found.template, "worker": found.workers}[target]
        for pid in victims[:1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                return True
    return False


def _spoil_a_source(life: Life) -> None:
    """Damage the object of a file that the next run reads: it must be put aside, and made anew."""
    life.gone = True
    life.change(life.changes.param)
    raw = life.root / "data/raw"
    wanted = {path.read_bytes() for path in raw.iterdir()}
    objects = [path for path in life.objects() if path.suffix != ".dir" and path.read_bytes() in wanted]
    path = life.rng.choice(objects)
    life.did(f"spoil {path.parent.name}{path.name}")
    path.unlink()
    path.write_bytes(b"spoilt")
    path.chmod(0o444)
