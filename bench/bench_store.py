"""What the store costs, as ratios against bare scripts and DVC, all measured in one run.

    python -m bench.bench_store [--files 100000] [--small 20000] [--large 200] [--no-dvc]

    {"nothing_to_do": {"files": 100000, "walk": {"cpu": 0.27, "wall": 0.28}, …,
                       "ratios": {"version/walk": 1.4, "version/dvc status": 0.05}},
     "commit_20000_small": {…}, "commit_200_large": {…}}

Floors: `walk` is `scandir` + `stat` in Python. `hash_link` hashes every file and links it into a
cache: the least that versions it. `hash_link_link` also links it to where it is used, as a stage's
output that was made in a scratch directory must be. Every case gets fresh files, flushed to the
disk before the clock starts; `settle` (the one `syncfs`) is in ours.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from trunkline.model import File
from trunkline.store.hashing import hash_files
from trunkline.store.store import DvcStore

Times = dict[str, float]
_ENVIRONMENT = {**os.environ, "DVC_NO_ANALYTICS": "1"}


def timed(work: Callable[[], object]) -> Times:
    """CPU (user and system, children included) and wall seconds of one call."""
    os.sync()
    before, start = _cpu(), time.perf_counter()
    work()
    return {"cpu": round(_cpu() - before, 4), "wall": round(time.perf_counter() - start, 4)}


def best(times: Sequence[Times]) -> Times:
    """The least of several runs, of CPU and of wall."""
    return {key: min(each[key] for each in times) for key in ("cpu", "wall")}


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def ratios(times: dict[str, Times], ours: str) -> dict[str, float]:
    """Ours against every other, by CPU, and by wall where CPU does not say all."""
    found: dict[str, float] = {}
    for name, each in times.items():
        if name != ours:
            found[f"{ours}/{name} cpu"] = round(times[ours]["cpu"] / each["cpu"], 3)
            found[f"{ours}/{name} wall"] = round(times[ours]["wall"] / each["wall"], 3)
    return found


# ---------------------------------------------------------------- projects and files


class Project:
    """An empty git and DVC project that is gone afterwards."""

    def __init__(self) -> None:
        self.root = tempfile.mkdtemp(prefix="trunkline-bench-")
        self.run("git", "init", "-q")
        self.dvc("init", "-q")

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def run(self, *argv: str) -> None:
        subprocess.run(argv, cwd=self.root, check=True, env=_ENVIRONMENT, stdout=subprocess.DEVNULL)

    def dvc(self, *argv: str) -> None:
        self.run(sys.executable, "-m", "dvc", *argv)

    def store(self) -> DvcStore:
        return DvcStore(self.root, write_manifest=lambda *_: ())

    def path(self, *parts: str) -> str:
        return os.path.join(self.root, *parts)


def make(folder: str, count: int, size: int, per_folder: int = 1000) -> None:
    """`count` files of `size` random bytes."""
    for number in range(count):
        if number % per_folder == 0:
            inside = os.path.join(folder, f"{number // per_folder:04}") if count > per_folder else folder
            os.makedirs(inside, exist_ok=True)
        with open(f"{inside}/{number:08}.bin", "wb") as stream:
            stream.write(os.urandom(size))


def names_of(folder: str) -> list[str]:
    return [
        os.path.relpath(os.path.join(where, name), folder)
        for where, _, names in os.walk(folder)
        for name in names
    ]


# ---------------------------------------------------------------- nothing to do


def walk(root: str) -> int:
    """The floor: every directory read, every file looked at."""
    found, waiting = 0, [root]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    entry.stat()
                    found += 1
    return found


def nothing_to_do(count: int, *, with_dvc: bool) -> dict[str, Any]:
    """A dataset of many small files of which none changed."""
    with Project() as project:
        make(project.path("data/x"), count, 16)
        first = project.store()
        saved = timed(lambda: first.save_source("data/x"))
        first.close()

        def version() -> None:
            store = project.store()
            assert store.version("data/x") == store.pointer("data/x.dvc")
            store.close()

        times = {
            "walk": best([timed(lambda: walk(project.path("data/x"))) for _ in range(5)]),
            "version": best([timed(version) for _ in range(5)]),
        }
        if with_dvc:
            project.dvc("status", "-q")  # fills DVC's own memory
            times["dvc_status"] = best([timed(lambda: project.dvc("status", "-q")) for _ in range(2)])
        snapshot = best([timed(lambda: _snapshot(project)) for _ in range(3)])
    return {
        "files": count,
        **times,
        "first_save": saved,
        "snapshot": snapshot,
        "ratios": ratios(times, "version"),
    }


def _snapshot(project: Project) -> None:
    store = project.store()
    store.snapshot("data/x")
    store.close()


# ---------------------------------------------------------------- a new output


def hash_link(source: str, cache: str, workspace: str | None = None) -> None:
    """The floor: hash every file, link it into the cache, and on to the workspace if asked."""
    for fan in range(256):
        os.makedirs(f"{cache}/{fan:02x}")
    for name in names_of(source):
        hasher = hashlib.md5(usedforsecurity=False)
        with open(f"{source}/{name}", "rb", buffering=0) as stream:
            while block := stream.read(1 << 20):
                hasher.update(block)
        md5 = hasher.hexdigest()
        target = f"{cache}/{md5[:2]}/{md5[2:]}"
        os.link(f"{source}/{name}", target)
        if workspace is not None:
            os.makedirs(os.path.dirname(f"{workspace}/{name}"), exist_ok=True)
            os.link(target, f"{workspace}/{name}")


def publish(store: DvcStore, scratch: str) -> None:
    """What a worker and the engine do with a stage's new output: hash, adopt, link, settle."""
    names = names_of(scratch)
    paths = [f"{scratch}/{name}" for name in names]
    hashes = hash_files(paths, [os.path.getsize(path) for path in paths])
    files = [File(name, md5, stat[1]) for name, (stat, md5) in zip(names, hashes, strict=True)]
    store.adopt(scratch, files)
    store.checkout("data/p/s", files)
    store.settle()


def commit(count: int, size: int, *, with_dvc: bool, repeat: int) -> dict[str, Any]:
    """A new output of `count` files of `size` bytes."""
    runs: dict[str, list[Times]] = {"hash_link": [], "hash_link_link": [], "ours": []}
    for _ in range(repeat):
        for name in runs:
            with Project() as project:
                runs[name].append(_one_commit(project, name, count, size))
    times = {name: best(each) for name, each in runs.items()}
    if with_dvc:
        with Project() as project:
            make(project.path("data/x"), count, size)
            times["dvc_add"] = timed(lambda: project.dvc("add", "-q", "data/x"))
    return {"files": count, "bytes": size, **times, "ratios": ratios(times, "ours")}


def _one_commit(project: Project, name: str, count: int, size: int) -> Times:
    if name == "ours":
        store = project.store()
        scratch = store.scratch()
        make(scratch, count, size)
        result = timed(lambda: publish(store, scratch))
        store.close()
        return result
    source = project.path("source")
    make(source, count, size)
    workspace = project.path("workspace") if name == "hash_link_link" else None
    return timed(lambda: hash_link(source, project.path("cache"), workspace))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--small", type=int, default=20_000)
    parser.add_argument("--large", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--no-dvc", action="store_true")
    options = parser.parse_args(arguments)
    with_dvc = not options.no_dvc
    found = {
        "nothing_to_do": nothing_to_do(options.files, with_dvc=with_dvc),
        f"commit_{options.small}_small": commit(
            options.small, 4096, with_dvc=with_dvc, repeat=options.repeat
        ),
        f"commit_{options.large}_large": commit(
            options.large, 10 << 20, with_dvc=with_dvc, repeat=options.repeat
        ),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
