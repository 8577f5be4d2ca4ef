"""One project from its first run to its end: changed, killed, looked at, and compared in the end."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.support import Done, Tree
from tests.torture import checks
from tests.torture.checks import Look, Seen
from tests.torture.forks import Forks, Running, nobody_left
from tests.torture.world import RUN, Changes, sources_only

_QUESTIONS = (
    ("show", "latest"),
    ("logs", "latest"),
    ("datums", "mill.upper", "--run", "latest"),
    ("lineage", "data/mill/total/metrics.json"),
    ("why", "mill.twice"),
)


class Wrong(AssertionError):
    """Something that must hold did not."""


class Life:
    """A project at `root`. `trace` says what was done to it, `asks_dvc` how often `dvc status` is asked."""

    def __init__(self, root: Path, forks: Forks, rng: random.Random, *, asks_dvc: float = 1.0) -> None:
        self.tree = Tree(root)
        self.root = root
        self.forks = forks
        self.rng = rng
        self.changes = Changes(self.tree, forks, rng)
        self.trace: list[str] = []
        self.gone = False  # objects may be missing or damaged; only the end counts
        self.ran = False  # an undisturbed run came to its end
        self.ended = False  # nothing more can be demanded of it
        self._asks_dvc = asks_dvc
        self._recorded: set[str] = set()

    def did(self, what: str) -> None:
        """Remember this for the case that something is wrong."""
        self.trace.append(what)

    def change(self, how: Callable[[], str] | None = None) -> None:
        """One random change, or this one."""
        self.did((how or self.changes.any)())

    def run(self, *more: str, crash: str = "") -> Done:
        """`trunkline run`, to its end."""
        return self.forks.run(self.root, *RUN, *more, crash=crash)

    def start(self, *more: str, crash: str = "") -> Running:
        """Start `trunkline run`."""
        return self.forks.start(self.root, *RUN, *more, crash=crash)

    # ------------------------------------------------------------ after a crash

    def check(self, *, manifests: bool = False) -> Seen:
        """See that all holds that must hold at any moment. Raises Wrong."""
        nobody_left()
        plan = self.forks.start(self.root, "trunkline", "plan", "--json")
        asked = self.rng.random() < self._asks_dvc
        status = self.forks.start(self.root, "dvc", "status", "--json") if asked else None
        look = self.look(manifests)
        if self.rng.random() < 0.3:
            # 1: a file that was published by a run which was killed before dvc.lock named it
            self.orderly(self.forks.run(self.root, "trunkline", *self.rng.choice(_QUESTIONS)), 0, 1, 2)
        said = None if status is None else self._answer(status, "dvc status")
        problems = [
            *look.problems,
            *checks.plan_is_right(look, self._answer(plan, "trunkline plan")["data"]),
            *(checks.status_is_right(look, said, gone=self.gone) if said is not None else ()),
        ]
        if not self.gone and (lost := self._recorded - look.keys):
            problems.append(f"{len(lost)} recorded results are lost")
        self._recorded = look.keys
        self.demand(not problems, *problems)
        return look

    def look(self, manifests: bool = False) -> Seen:
        """What is there. In a process of its own, since reading Parquet starts threads."""

        def act() -> int:
            look = Look(self.root, gone=self.gone)
            print(json.dumps(asdict(look.everything(manifests=manifests)), default=list))
            return 0

        data = self._answer(self.forks.call(self.root, act, "look"), "the look")
        found = {name: set(value) if isinstance(value, list) else value for name, value in data.items()}
        return Seen(**{**found, "problems": data["problems"]})

    def _answer(self, running: Running, what: str) -> Any:
        """The JSON that a command printed, after warnings perhaps."""
        done = running.done()
        self.demand(done.code == 0, f"{what} gave {done.code}:\n{done.out}")
        at = done.out.find("\n{") + 1
        try:
            return json.JSONDecoder().raw_decode(done.out[at:])[0]
        except ValueError as error:
            raise Wrong(f"{what} answered {done.out!r}") from error

    def demand(self, holds: bool, *problems: str) -> None:
        """Raise Wrong unless it holds."""
        if not holds:
            raise Wrong("\n".join(problems))

    def orderly(self, done: Done, *codes: int) -> None:
        """See that a command ended with one of these codes, and with words for people."""
        self.demand(done.code in codes, f"exit code {done.code}, expected {codes}:\n{done.out}")
        for word in ("Traceback", "defect of trunkline"):
            self.demand(word not in done.out, f"an error that nobody has foreseen:\n{done.out}")

    # ------------------------------------------------------------ undisturbed

    def finish(self) -> None:
        """An undisturbed run: it repeats nothing, and what it leaves equals a run from scratch."""
        self.settle()
        self._equals_scratch()

    def settle(self) -> None:
        """The same, as far as can be told without a run from scratch."""
        before = self._recorded
        running = self.start("--json")
        done = running.done()
        self.orderly(done, 0)
        self._unlocked(running.pid)
        look = self.check(manifests=True)
        if not self.gone:
            self._repeats_nothing(json.loads(done.out[done.out.index("{") :])["data"], look, before)
        self.demand(look.matching == look.stages | look.pointers, f"not up to date: {look}")
        self._cleared_away()
        self.tree.commit("A round")
        self.ran = True

    def _repeats_nothing(self, answer: Mapping[str, Any], look: Seen, before: set[str]) -> None:
        for stage in answer["stages"]:
            new = set(look.current.get(stage["stage"], ())) - before
            ran = stage["datums"]["run"]
            self.demand(
                ran <= len(new), f"{stage['stage']} ran {ran} datums, only {len(new)} were not recorded"
            )

    def _equals_scratch(self) -> None:
        scratch = sources_only(self.tree, self.root.parent / "scratch")
        done = self.forks.run(scratch.root, *RUN)
        self.orderly(done, 0)
        found, expected = self.tree.published(), scratch.published()
        differ = [path for path in {**found, **expected} if found.get(path) != expected.get(path)]
        self.demand(not differ, f"not as from scratch: {sorted(differ)}")
        shutil.rmtree(scratch.root)

    def _cleared_away(self) -> None:
        left = checks.leftovers(self.root)
        self.demand(not left, f"left behind: {left}")
        runs = self._answer(self.forks.start(self.root, "trunkline", "runs", "--json"), "trunkline runs")
        states = {run["state"] for run in runs["data"]}
        self.demand("running" not in states, f"runs are {states}")

    def _unlocked(self, pid: int) -> None:
        """DVC's lock may still name the dead, never the run that came to its end."""
        path = self.root / ".dvc/tmp/rwlock"
        held = json.loads(path.read_text()) if path.exists() else {}
        owners = [
            *held.get("write", {}).values(),
            *(o for some in held.get("read", {}).values() for o in some),
        ]
        self.demand(not [owner for owner in owners if owner["pid"] == pid], f"locked: {held}")

    # ------------------------------------------------------------ elsewhere

    def moved(self, to: Path) -> Life:
        """The same project, copied to another place."""
        shutil.copytree(self.root, to, symlinks=True)
        other = Life(to, self.forks, self.rng, asks_dvc=self._asks_dvc)
        other.trace = [*self.trace, f"moved to {to}"]
        other.changes.take_over(self.changes)
        return other

    def objects(self) -> list[Path]:
        """All objects of the cache."""
        return sorted((self.root / ".dvc/cache/files/md5").glob("*/*"))


def overwrite(path: Path, data: bytes) -> None:
    """Write to a file in place, whatever its mode."""
    mode = path.stat().st_mode
    with suppress(PermissionError):
        os.chmod(path, 0o644)
    path.write_bytes(data)
    os.chmod(path, mode)
