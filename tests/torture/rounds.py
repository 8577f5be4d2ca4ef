"""All of it in loops: first every point once, then whatever chance wants, until it is enough."""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.torture.forks import Forks, Hangs, become_reaper
from tests.torture.kills import BY_COLLECTOR, BY_COMMAND, BY_RUN, BY_WORKERS, ONCE, TARGETS, Kills
from tests.torture.life import Life, Wrong
from tests.torture.troubles import TROUBLES, Skipped
from tests.torture.world import make
from trunkline.points import Point

_NUMBERS = (1, 1, 1, 2, 3, 5, 8, 13, 21, 34)  # at which time a point is reached
_TRIES = 6  # of hitting a point
_ROUNDS = 6  # of one life
_PER_ROUND = 6  # kills between two undisturbed runs
_FAILURES = 8  # that are enough


class Asked(NamedTuple):
    """How much is to be done: so many kills and troubles, in about so many seconds.

    `short`: no more than every point, and three moments; half of the looks do without `dvc status`.
    """

    kills: int
    seed: int
    seconds: float = 1e9
    files: int = 24
    short: bool = False


class Torture:
    """One torture in an empty `folder`. What does not hold is printed, with what led to it, and kept there."""

    def __init__(self, folder: Path, asked: Asked, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._asked = asked
        self._rng = random.Random(asked.seed)
        (folder / "outputs").mkdir()
        self._forks = Forks(folder / "outputs", environment)
        self._commands = self._shuffled(BY_COMMAND)
        self._points = self._shuffled((*BY_RUN, *BY_WORKERS))
        self._tries: Counter[Point] = Counter()
        self._lives = 0
        self._took = 0.3
        self._begun = time.monotonic()
        self.kills = Kills()
        self.troubles: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}
        self.failures = 0

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._begun

    @property
    def done(self) -> int:
        """How many kills and troubles there were."""
        return sum(self.kills.hits.values()) + sum(self.kills.random.values()) + sum(self.troubles.values())

    def missed(self) -> list[str]:
        """The points at which nobody was killed."""
        return [point for point in Point if point not in BY_COLLECTOR and not self.kills.hits[point]]

    def run(self) -> None:
        """Until it is enough."""
        become_reaper()
        root = self._folder / "template" / "project"
        template = make(root, self._asked.files, self._forks, short=self._asked.short).root
        self._warm(self._born(template))
        while self._goes_on():
            life = self._born(template)
            try:
                self._live(life)
            except (Wrong, Hangs) as error:
                print(f"FAILED, kept in {life.root}\n  {' | '.join(life.trace)}\n{error}", flush=True)
                self.failures += 1
            else:
                shutil.rmtree(life.root.parent)

    def _goes_on(self) -> bool:
        if self.seconds > self._asked.seconds or self.failures >= _FAILURES:
            return False
        return bool(self._commands or self._points) or self.done < self._asked.kills

    def _born(self, template: Path) -> Life:
        self._lives += 1
        root = self._folder / f"life_{self._lives}" / "project"
        shutil.copytree(template, root, symlinks=True)
        return Life(root, self._forks, self._rng, asks_dvc=0.5 if self._asked.short else 1.0)

    def _warm(self, life: Life) -> None:
        """Import what will be needed; see how long a run takes."""
        self._forks.warm(life.root, "trunkline", "run", "--engine", "local")
        self._forks.warm(life.root, "dvc", "status", "--json")
        self._forks.warm(life.root, "trunkline", "rm", "raw", "a0.txt")
        begun = time.monotonic()
        life.run("--force")
        self._took = time.monotonic() - begun
        shutil.rmtree(life.root.parent)

    # ------------------------------------------------------------ a life

    def _live(self, life: Life) -> None:
        if self._rng.random() < 0.5 or self._commands:
            life.did("first run")
            life.settle()  # else the first run is one that is killed
        for number in range(_ROUNDS):
            if life.ended or not self._goes_on():
                return
            if self._commands or self._points:
                self._systematic(life, compare=not self._asked.short or number % 2 == 1)
            else:
                self._by_chance(life)

    def _systematic(self, life: Life, *, compare: bool) -> None:
        """Some of the points that nobody has hit yet; in the short form, a moment too."""
        if self._commands:
            self._at(life, self._commands)
        for _ in range(min(_PER_ROUND, len(self._points))):
            self._at(life, self._points)
        if self._asked.short and (left := [target for target in TARGETS if not self.kills.random[target]]):
            self._at_a_moment(life, left[0])
        self._finish(life, compare=compare or not (self._commands or self._points))

    def _at(self, life: Life, queue: deque[Point]) -> None:
        point = queue.popleft()
        self._tries[point] += 1
        if not self.kills.at(life, point) and self._tries[point] < _TRIES:
            queue.append(point)

    def _at_a_moment(self, life: Life, target: str) -> None:
        life.change()
        life.change(life.changes.script)  # so that there are workers
        self.kills.timed(life, target, 1.2 * self._took)

    def _by_chance(self, life: Life) -> None:
        """A trouble, or some kills; then an undisturbed run."""
        if self._rng.random() < 0.4:
            self._trouble(life)
            return
        if self._rng.random() < 0.3:
            self.kills.at(life, self._rng.choice(BY_COMMAND), self._rng.choice(_NUMBERS[:4]))
        for _ in range(self._rng.randint(1, _PER_ROUND)):
            if self._rng.random() < 0.4:
                self._at_a_moment(life, self._rng.choice(TARGETS))
            else:
                point = self._rng.choice((*BY_RUN, *BY_WORKERS))
                self.kills.at(life, point, 1 if point in ONCE else self._rng.choice(_NUMBERS))
        self._finish(life)

    def _trouble(self, life: Life) -> None:
        name = self._rng.choice([name for name in TROUBLES if name not in self.skipped])
        if not life.ran:
            self._finish(life)
        life.did(name)
        try:
            TROUBLES[name](life, self._took)
        except Skipped as reason:
            self.skipped[name] = str(reason)
            return
        if not life.ended:
            self._finish(life)
        self.troubles[name] += 1

    def _finish(self, life: Life, *, compare: bool = True) -> None:
        life.did("undisturbed run")
        life.finish() if compare else life.settle()

    def _shuffled(self, points: tuple[Point, ...]) -> deque[Point]:
        return deque(self._rng.sample(points, len(points)))
