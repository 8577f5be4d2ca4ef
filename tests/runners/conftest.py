"""A small project on disk: modules with stage functions, a cache of objects, works to execute."""

from __future__ import annotations

import hashlib
import os
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.runners.machines import Machines, machines, needs_dask
from trunkline.digest import md5_bytes
from trunkline.model import Command, Function, Outcome, Work, WorkFile, WorkInput
from trunkline.ports import Pool
from trunkline.runners.worker import Executor


@dataclass
class Bench:
    """Makes work, and looks at what became of it."""

    base: Path
    numbers: Any = field(default_factory=count)

    @property
    def root(self) -> Path:
        return self.base / "project"

    def code(self, text: str, module: str = "stages.mine") -> str:
        """Write a module of the project."""
        path = self.root / (module.replace(".", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return module

    def file(self, path: str, content: bytes | str, *, mode: int = 0o444) -> WorkFile:
        """Put content into the cache as the file `path` of a dataset. Old enough to be trusted."""
        data = content.encode() if isinstance(content, str) else content
        md5 = md5_bytes(data)
        target = self.base / "cache" / md5[:2] / md5[2:]
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            os.utime(target, (1_500_000_000, 1_500_000_000))
        target.chmod(mode)
        return WorkFile(path, md5, len(data))

    def one(self, name: str, path: str, content: bytes | str, dataset: str = "raw") -> WorkInput:
        """A single file as an input."""
        file = self.file(path, content)
        return WorkInput(name, dataset, path, file.md5, False, (file,), str(self.base / "cache"))

    def many(
        self, name: str, files: Mapping[str, bytes | str], path: str = "", dataset: str = "raw"
    ) -> WorkInput:
        """A directory as an input."""
        entries = tuple(self.file(key, content) for key, content in sorted(files.items()))
        return WorkInput(name, dataset, path, "0.dir", True, entries, str(self.base / "cache"))

    def work(
        self,
        run: Function | Command | str = "",
        inputs: Sequence[WorkInput] = (),
        *,
        name: str = "day",
        stage: str = "pipe.stage",
        params: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        join_on: str = "",
        scratch: str = "",
        **declared: Any,
    ) -> Work:
        """One datum; a text names a function of `stages.mine`. `declared` are other fields of Work."""
        number = next(self.numbers)
        return Work(
            stage=stage,
            datum=hashlib.sha256(str(number).encode()).hexdigest(),
            name=name,
            join_on=join_on,
            run=Function("stages.mine", run) if isinstance(run, str) else run,
            inputs=tuple(inputs),
            params=params or {},
            env=env or {},
            root=str(self.root),
            scratch=str(self.base / "scratch" / (scratch or str(number))),
            log=str(self.base / "logs" / f"{number}.log"),
            run_id="01890000-0000-7000-8000-000000000000",
            **declared,
        )

    def do(self, run: Function | Command | str, inputs: Sequence[WorkInput] = (), **options: Any) -> Outcome:
        """Execute one datum here, as a run of its own."""
        work = self.work(run, inputs, **options)
        executor = Executor()
        try:
            return executor.execute(work)
        finally:
            executor.close()

    def log(self, work: Work) -> str:
        """What the datum said."""
        return Path(work.log).read_text() if os.path.exists(work.log) else ""

    def out(self, outcome: Outcome, path: str) -> bytes:
        """The content of an output."""
        return (Path(outcome.scratch) / "pfs/out" / path).read_bytes()

    def left(self) -> list[str]:
        """Every file below the scratch directories."""
        scratch = self.base / "scratch"
        return sorted(str(p.relative_to(scratch)) for p in scratch.rglob("*") if not p.is_dir())


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A Dask scheduler and two workers, each a machine of its own as far as that goes."""
    needs_dask()
    with machines(tmp_path_factory.mktemp("machines"), 2) as made:
        yield made


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.root.mkdir()
    (tmp_path / "scratch").mkdir()
    return made


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
            os.write(1, f"{os.getpid()}: the end\\n".encode())
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


def take(pool: Pool) -> Outcome:
    """The next datum that is done, however long it takes."""
    outcome = pool.next()
    assert outcome is not None
    return outcome


def everything(pool: Pool, works: list[Work], expected: float | None = None) -> dict[str, Outcome]:
    for work in works:
        pool.submit(work, expected)
    outcomes = [take(pool) for _ in works]
    assert {outcome.datum for outcome in outcomes} == {work.datum for work in works}
    return {outcome.datum: outcome for outcome in outcomes}
