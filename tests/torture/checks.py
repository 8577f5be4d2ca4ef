"""What must hold after a crash, found by reading and hashing every file, without trunkline's help.

cache       an object has the content that its name says; nothing else lies beside the objects
named       what dvc.lock and the pointers name is in the cache
recorded    so is what the results index names
whole       a file in the workspace of a stage is one that the cache has: no half of one
answers     `dvc status` and `trunkline plan` call up to date exactly what is: compared with dvc.lock,
            dvc.yaml and the pipeline file as they are
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

OBJECT = re.compile(r"[0-9a-f]{30}(\.dir)?")
LEFTOVER = re.compile(r"\..+\.[0-9]+\.[0-9a-f]{8}|.+\.[0-9]+\.tmp")


@dataclass
class Seen:
    """What one look found. `matching`: what is as dvc.lock and dvc.yaml, or its pointer, say."""

    problems: list[str] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    stages: set[str] = field(default_factory=set)
    below: set[str] = field(default_factory=set)  # the stages that read what others make
    pointers: set[str] = field(default_factory=set)
    matching: set[str] = field(default_factory=set)
    current: dict[str, list[str]] = field(default_factory=dict)  # the keys of the manifests in the workspace


class Look:
    """One look at the project at `root`. `gone`: objects may be missing or damaged: somebody has seen to it."""

    def __init__(self, root: Path, *, gone: bool = False) -> None:
        self._root = root
        self._gone = gone
        self._objects: dict[str, Path] = {}
        self._hashes: dict[Path, str] = {}
        self.seen = Seen()

    def everything(self, *, manifests: bool = False) -> Seen:
        """All but what the two tools answer; the manifests only where they are asked for."""
        self._cache()
        lock = self._lock()
        self._committed()
        for pointer in sorted((self._root / "data").glob("*.dvc")):
            self._pointer(pointer)
        self._recorded()
        self._whole()
        self._stages(lock)
        if manifests:
            self._manifests()
        return self.seen

    def _problem(self, text: str) -> None:
        self.seen.problems.append(text)

    # ------------------------------------------------------------ the cache

    def _cache(self) -> None:
        objects = self._root / ".dvc/cache/files/md5"
        for path in sorted(objects.glob("*/*")):
            name = path.parent.name + path.name
            if not OBJECT.fullmatch(path.name) or len(path.parent.name) != 2:
                self._problem(f"no object: {path}")
            elif self._md5(path) != name.removesuffix(".dir"):
                self.seen.damaged.add(name)
                if not self._gone:
                    self._problem(f"the object {path} has another content")
            else:
                self._objects[name] = path

    def _md5(self, path: Path) -> str:
        if path not in self._hashes:
            self._hashes[path] = hashlib.md5(path.read_bytes()).hexdigest()
        return self._hashes[path]

    def _named(self, oid: str, by: str) -> None:
        """See that an object, and what it lists, is there."""
        if self._gone:
            return
        if oid not in self._objects:
            self._problem(f"{by} names {oid}, which the cache has not")
        elif oid.endswith(".dir"):
            for row in json.loads(self._objects[oid].read_bytes()):
                self._named(row["md5"], f"{by}, {row['relpath']}")

    # ------------------------------------------------------------ what names it

    def _lock(self) -> dict[str, Any]:
        path = self._root / "dvc.lock"
        if not path.exists():
            return {}
        stages: dict[str, Any] = _yaml(path.read_bytes())["stages"]
        for name, entry in stages.items():
            for out in entry["outs"]:
                self._named(out["md5"], f"dvc.lock, {name}")
        return stages

    def _pointer(self, pointer: Path) -> None:
        self.seen.pointers.add(f"data/{pointer.name}")
        (out,) = _yaml(pointer.read_bytes())["outs"]
        self._named(out["md5"], pointer.name)
        if self._oid(pointer.with_suffix("")) == out["md5"]:
            self.seen.matching.add(f"data/{pointer.name}")

    def _committed(self) -> None:
        """What the last commit says of the dataset."""
        show = ["git", "show", "HEAD:data/raw.dvc"]
        done = subprocess.run(show, cwd=self._root, capture_output=True, check=True)
        (out,) = _yaml(done.stdout)["outs"]
        self._named(out["md5"], "HEAD:data/raw.dvc")

    def _recorded(self) -> None:
        path = self._root / ".dvc/cache/trunkline/results.db"
        if not path.exists():
            return
        try:
            rows = _results(path)
        except sqlite3.OperationalError:  # on a read-only file system its log cannot be opened
            with tempfile.TemporaryDirectory() as folder:
                for part in path.parent.glob(f"{path.name}*"):
                    shutil.copyfile(part, os.path.join(folder, part.name))
                rows = _results(Path(folder, path.name))
        for key, files in rows:
            self.seen.keys.add(key)
            for md5 in files.decode().split("\0")[1::3]:
                self._named(md5, f"the result {key}")

    def _whole(self) -> None:
        whole = {self._md5(path) for path in self._objects.values()}
        for path in _files(self._root / "data/mill"):
            if path.name != ".gitignore" and self._md5(path) not in whole and not self._gone:
                self._problem(f"{path} is in the workspace, and no object: half of a file?")

    def _manifests(self) -> None:
        import pyarrow.parquet as pq

        for folder in sorted((self._root / "data/mill/.manifests").glob("*/")):
            keys: list[str] = []
            for path in _files(folder):
                keys += pq.ParquetFile(path).read(["key"], use_threads=False).column("key").to_pylist()
            self.seen.current[f"mill.{folder.name}"] = keys

    # ------------------------------------------------------------ what is up to date

    def _stages(self, lock: Mapping[str, Any]) -> None:
        declared = _yaml((self._root / "dvc.yaml").read_bytes())["stages"]
        for name, stage in declared.items():
            self.seen.stages.add(name)
            if any(path.startswith("data/mill/") for path in stage["deps"]):
                self.seen.below.add(name)
            if name in lock and self._matches(stage, lock[name]):
                self.seen.matching.add(name)

    def _matches(self, stage: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
        deps = {item["path"]: item["md5"] for item in entry["deps"]}
        outs = {item["path"]: item["md5"] for item in entry["outs"]}
        wanted_outs = {next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"]}
        return (
            stage["cmd"] == entry["cmd"]
            and set(stage["deps"]) == deps.keys()
            and wanted_outs == outs.keys()
            and all(self._oid(self._root / path) == md5 for path, md5 in {**deps, **outs}.items())
            and all(self._params(part) == entry["params"] for part in stage["params"])
        )

    def _params(self, part: Mapping[str, list[str]]) -> dict[str, Any]:
        ((file, keys),) = part.items()
        data = _yaml((self._root / file).read_bytes())
        return {file: {key: _inside(data, key) for key in keys}}

    def _oid(self, path: Path) -> str:
        """The content hash of a file or a directory, as DVC defines it."""
        if path.is_file():
            return self._md5(path)
        if not path.is_dir():
            return ""
        rows = [
            {"md5": self._md5(file), "relpath": file.relative_to(path).as_posix()} for file in _files(path)
        ]
        rows.sort(key=lambda row: row["relpath"])
        return hashlib.md5(json.dumps(rows, sort_keys=True).encode()).hexdigest() + ".dir"


def status_is_right(seen: Seen, status: Mapping[str, Any], *, gone: bool = False) -> Iterator[str]:
    """Where `dvc status` says something else than the files. `gone` as in `Look`."""
    for name in sorted(seen.stages | seen.pointers):
        said = status.get(name)
        if (said is None) != (name in seen.matching) and not (gone and "not in cache" in str(said)):
            yield f"dvc status says of {name}: {said or 'up to date'}, and that is not so"


def plan_is_right(seen: Seen, plan: Mapping[str, Any]) -> Iterator[str]:
    """Where `trunkline plan` says something else than the files.

    Below a stage that is stale it answers for inputs as they will be, which nobody else can tell.
    """
    stale = False
    for stage in plan["stages"]:
        name = stage["stage"].replace(".", "-", 1)
        current = stage["decision"] == "reuse" and not stage["reasons"]
        told = not (stale and name in seen.below)
        if current and told and name not in seen.matching:
            yield f"plan calls {name} up to date, and it is not"
        if not current and told and name in seen.matching:
            yield f"plan calls {name} stale, and it is not: {stage['reasons']}"
        stale = stale or not current


def _results(path: Path) -> list[tuple[str, bytes]]:
    base = sqlite3.connect(path)
    try:
        return base.execute("SELECT key, files FROM results").fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):  # killed before the tables were made
            raise
        return []
    finally:
        base.close()


def leftovers(root: Path) -> list[str]:
    """What a killed process has left, and nobody has cleared away."""
    found = [str(path) for path in (root / ".dvc/cache/trunkline/scratch").glob("*")]
    for folder, below, names in os.walk(root):
        below[:] = [name for name in below if name not in (".git", "cache")]
        found += [os.path.join(folder, name) for name in names if LEFTOVER.fullmatch(name)]
    return found


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path


def _inside(data: Any, key: str) -> Any:
    for part in key.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _yaml(data: bytes) -> Any:
    return yaml.load(data, yaml.CSafeLoader)
