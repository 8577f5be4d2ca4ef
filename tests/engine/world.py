"""A project in memory: datasets, a cache, dvc.lock, results. For what plans; nothing is executed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from pathlib import Path

from tests.plan.values import snapshot
from trunkline import listing
from trunkline.digest import digest, md5_bytes
from trunkline.engine.code import Code
from trunkline.engine.gather import Gather
from trunkline.engine.manifests import ManifestFacts, Manifests
from trunkline.engine.planner import Planner
from trunkline.errors import MissingData
from trunkline.model import (
    Changes,
    Datum,
    DatumPlan,
    Decision,
    File,
    Kept,
    LockEntry,
    LockItem,
    ManifestRow,
    Recovered,
    Result,
    Snapshot,
    Stage,
    StagePlan,
    Version,
)
from trunkline.plan import decide

WRITER = "trunkline/1 pyarrow/1"


class Facts:
    """What is remembered by content hash."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], str] = {}

    def get(self, kind: str, key: str) -> str | None:
        return self.known.get((kind, key))

    def put(self, kind: str, key: str, value: str) -> None:
        self.known[kind, key] = value


class Store:
    """Datasets and dvc.lock. `looked` counts how often each path was looked at."""

    def __init__(self) -> None:
        self.datasets: dict[str, Snapshot] = {}
        self.listings: dict[str, tuple[File, ...]] = {}
        self.lock: dict[str, LockEntry] = {}
        self.gone: set[str] = set()
        self.looked: list[str] = []

    @property
    def objects(self) -> str:
        raise AssertionError

    def fill(self, path: str, files: Mapping[str, str]) -> Version:
        """Make the dataset at `path` hold these files."""
        found = self.datasets[path] = snapshot(files)
        self.listings[found.version.oid] = found.files
        return found.version

    def version(self, path: str) -> Version | None:
        self.looked.append(path)
        found = self.datasets.get(path)
        return found.version if found else None

    def snapshot(self, path: str, *, fresh: bool = True) -> Snapshot | None:
        return self.datasets.get(path)

    def listing(self, oid: str) -> tuple[File, ...]:
        if oid not in self.listings or oid in self.gone:
            raise MissingData(f"{oid} is not in the cache")
        return self.listings[oid]

    def object_path(self, md5: str) -> str:
        return md5

    def evicted(self, files: Iterable[File], near: str = "") -> set[str]:
        return {file.md5 for file in files} & self.gone

    def changes(self, path: str, since: str) -> Changes | None:
        return None  # so that everything is planned as a whole

    def names(self, path: str) -> Set[str] | None:
        raise AssertionError

    def intact(self, path: str) -> bool:
        raise AssertionError

    def patched(self, path: str, gone: Collection[str], files: Sequence[File]) -> Snapshot:
        raise AssertionError

    def patch(self, path: str, gone: Collection[str], files: Sequence[File]) -> Version:
        raise AssertionError

    def is_executable(self, path: str) -> bool:
        return path.endswith(".sh")

    def lock_entry(self, dvc_name: str) -> LockEntry | None:
        return self.lock.get(dvc_name)

    # What executes is not for planning.

    def scratch(self) -> str:
        raise AssertionError

    def adopt(self, directory: str, files: Sequence[File]) -> None:
        raise AssertionError

    def save_source(self, path: str) -> Snapshot:
        raise AssertionError

    def checkout(self, path: str, files: Sequence[File]) -> Version:
        raise AssertionError

    def ensure_inputs(self, datasets: Sequence[tuple[str, Sequence[File]]]) -> None:
        raise AssertionError

    def quarantine(self, objects: Iterable[str]) -> None:
        raise AssertionError

    def save_manifest(
        self,
        path: str,
        rows: Sequence[ManifestRow],
        transform: str,
        packages: Mapping[str, str] | None = None,
        kept: Kept | None = None,
    ) -> Version:
        raise AssertionError

    def write_lock(self, dvc_name: str, entry: LockEntry, order: Sequence[str] = ()) -> None:
        raise AssertionError

    def holding(
        self, command: str, read: Sequence[str], write: Sequence[str]
    ) -> AbstractContextManager[None]:
        raise AssertionError


class Ledger:
    """Results by key."""

    def __init__(self) -> None:
        self.known: dict[str, Result] = {}
        self.learnt: set[str] = set()
        self.given_up: dict[str, dict[str, Recovered]] = {}

    def results(self, keys: Sequence[str]) -> dict[str, Result]:
        return {key: self.known[key] for key in keys if key in self.known}

    def record(self, stage: str, results: Iterable[Result]) -> None:
        self.known.update((result.key, result) for result in results)

    def recover(self, stage: str, datums: Sequence[Recovered]) -> None:
        self.given_up.setdefault(stage, {}).update((datum.key, datum) for datum in datums)

    def recovered(self, stage: str) -> dict[str, Recovered]:
        return {key: datum for key, datum in self.given_up.get(stage, {}).items() if key not in self.known}

    def knows(self, manifest: str) -> bool:
        return manifest in self.learnt

    def learn(self, manifest: str, rows: Sequence[ManifestRow]) -> None:
        self.learnt.add(manifest)
        for row in rows:
            self.known.setdefault(row.key, Result(row.key, row.files, "", 0.0))

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.known.pop(key, None)

    def seconds(self, stage: str) -> float | None:
        return None


class _Reader:
    """Reads the manifests of a world; a manifest is one file, whose path is its hash."""

    def __init__(self, world: World) -> None:
        self._world = world

    def facts(self, paths: Sequence[str]) -> ManifestFacts:
        return self._open(paths)[0]

    def rows(self, paths: Sequence[str], like: Mapping[str, Datum]) -> tuple[ManifestRow, ...]:
        return self._open(paths)[1]

    def holding(self, names: Sequence[str], ids: Collection[str]) -> list[str]:
        return list(names)

    def _open(self, paths: Sequence[str]) -> tuple[ManifestFacts, tuple[ManifestRow, ...]]:
        (path,) = paths
        self._world.opened.append(path)
        return self._world.manifests[path]


class World:
    """A project over these parts; `root` holds its code. `plan` is by a new planner every time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store()
        self.ledger = Ledger()
        self.facts = Facts()
        self.manifests: dict[str, tuple[ManifestFacts, tuple[ManifestRow, ...]]] = {}
        self.opened: list[str] = []

    def write(self, path: str, text: str) -> None:
        """A code file."""
        full = self.root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_text(text)
        file = File("", md5_bytes(text.encode()), len(text))
        self.store.datasets[path] = Snapshot(Version(file.md5, file.size, None), (file,))

    def code(self) -> Code:
        return Code(str(self.root), self.store.version, self.facts)

    def cached_manifests(self) -> Manifests:
        return Manifests(self.store, self.facts, _Reader(self))

    def planner(self) -> Planner:
        gather = Gather(self.store, self.facts)
        code = Code(str(self.root), gather.version, self.facts)
        return Planner(self.store, self.ledger, self.cached_manifests(), code, gather, WRITER)

    def plan(self, *stages: Stage) -> dict[str, StagePlan]:
        return {plan.stage.name: plan for plan in self.planner().plan(stages).stages}

    def decisions(self, *stages: Stage) -> dict[str, str]:
        return {name: plan.decision.value for name, plan in self.plan(*stages).items()}

    # ------------------------------------------------------------ what a run would do

    def run(self, *stages: Stage, number: int = 1, content: str = "out of {name}") -> None:
        """Bring the stages up to date; each datum writes <its name>.txt."""
        for stage in stages:
            planner = self.planner()
            plan = planner.stage(stage)
            if not plan.up_to_date:
                rows = [self._row(item, number, content) for item in plan.datums]
                self._publish(planner, stage, tuple(row for row in rows if row is not None))

    def _row(self, item: DatumPlan, number: int, content: str) -> ManifestRow | None:
        if item.decision is Decision.DROP:
            return None
        if item.result is None:
            text = content.format(name=item.datum.name)
            files = (File(f"{item.datum.name}.txt", md5_bytes(text.encode()), len(text)),)
            self.ledger.record("", [Result(item.key, files, f"run {number}", 0.1)])
            return ManifestRow(item.datum, item.key, files)
        return ManifestRow(item.datum, item.key, item.result.files)

    def _publish(self, planner: Planner, stage: Stage, rows: tuple[ManifestRow, ...]) -> None:
        files = decide.merge((row.datum.name, row.files) for row in rows)
        version = listing.version(files)
        self.store.datasets[stage.path] = Snapshot(version, files)
        self.store.listings[version.oid] = files
        transform = planner.transform(stage)
        name = digest("manifest of a test", [transform, [[row.key, *row.files] for row in rows]])
        manifest = self.store.fill(stage.manifest_path, {"manifest.parquet": name})
        facts = ManifestFacts(transform, WRITER, len(rows), self.code().packages(stage))
        self.manifests[md5_bytes(name.encode())] = facts, rows
        entry = self.planner().expected(stage)
        outs = sorted((LockItem(stage.path, *version), LockItem(stage.manifest_path, *manifest)))
        self.store.lock[stage.dvc_name] = LockEntry(entry.cmd, entry.deps, entry.params, tuple(outs))


def remembered(facts: Facts, kind: str) -> list[object]:
    """The values remembered of a kind."""
    return [json.loads(value) for (name, _), value in facts.known.items() if name == kind]
