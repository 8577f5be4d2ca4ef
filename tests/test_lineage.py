"""Lineage over values: what is found, what is walked to, what is honestly unknown, how it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from trunkline import listing
from trunkline.digest import md5_bytes, tree_oid
from trunkline.ledger.makings import canonical, flat, parameters
from trunkline.lineage import (
    Accepted,
    Artifact,
    Graph,
    History,
    Making,
    Origin,
    RunFact,
    SourceVersion,
    find,
    graph_json,
    render_text,
    walk,
)
from trunkline.lineage.history import within
from trunkline.model import Commit, File, LockEntry, LockItem, ManifestRow

GOLDEN = Path(__file__).parent / "golden" / "lineage"
COMMIT = Commit("c0ffee11" + "0" * 32, "2025-11-20T08:00:00Z", "Ada", "flights_raw: put 365 files")
RUN = "019aacb5-6c1e-7d33-b0c4-8f1f0b2f6a9e"


def md5(content: str) -> str:
    return md5_bytes(content.encode())


@dataclass(frozen=True)
class Lock:
    """What a dvc.lock said at some time."""

    origin: Origin
    entries: Mapping[str, LockEntry]


@dataclass
class Memory:
    """A History in memory, by plain search. `put` makes versions, the rest is what the tests say."""

    snapshots: list[Lock] = field(default_factory=list)
    listings: dict[str, tuple[File, ...]] = field(default_factory=dict)
    pointers: dict[str, list[SourceVersion]] = field(default_factory=dict)
    present: list[str] = field(default_factory=list)
    runs: dict[str, RunFact] = field(default_factory=dict)
    manifests: dict[str, int] = field(default_factory=dict)
    vouched: dict[str, Accepted] = field(default_factory=dict)
    produced: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    tables: dict[str, tuple[ManifestRow, ...]] = field(default_factory=dict)

    def put(self, files: Mapping[str, str]) -> str:
        rows = tuple(File(path, md5(content), len(content)) for path, content in sorted(files.items()))
        oid = tree_oid((row.path, row.md5) for row in rows)
        self.listings[oid] = rows
        return oid

    def source(self, path: str, files: Mapping[str, str], commit: Commit | None = COMMIT) -> str:
        oid = self.put(files)
        self.pointers.setdefault(path, []).insert(0, SourceVersion(oid, 100, len(files), commit))
        self.present = sorted({*self.present, path})
        return oid

    # ---- makings

    def together(self, origin: Origin) -> list[Making]:
        wanted = [lock for lock in self.snapshots if lock.origin[:2] == origin[:2]]
        entries = {name: entry for lock in wanted for name, entry in lock.entries.items()}
        known = {name: plain(entry) for name, entry in entries.items()}
        return [making for making in self.makings() if known.get(making.name) == making.entry]

    def origin(self, making: Making) -> Origin:
        return next(lock.origin for lock in self.snapshots if making in self.together(lock.origin))

    def locks(self) -> list[Mapping[str, LockEntry]]:
        return [lock.entries for lock in self.snapshots]

    def makings(self) -> list[Making]:
        found: list[Making] = []
        for lock in self.snapshots:
            for name, entry in lock.entries.items():
                if all((each.name, each.entry) != (name, plain(entry)) for each in found):
                    found.append(Making.of(len(found), name, plain(entry)))
        return found

    def holding(self, md5: str) -> list[Making]:
        return []

    def makers(self, path: str, md5: str) -> list[Making]:
        return [
            making
            for making in self.makings()
            for out in making.outs
            if (inside := within(path, out.path)) is not None and self.part(out.md5, inside) == md5
        ]

    def readers(self, path: str, md5s: Sequence[str]) -> list[Making]:
        return [m for m in self.makings() if any(dep.path == path and dep.md5 in md5s for dep in m.deps)]

    def with_param(self, key: str, value: object) -> list[Making]:
        wanted = (key, canonical(value))
        return [m for m in self.makings() if wanted in flat(parameters(m.name, m.entry), m.ref)]

    def param_values(self, key: str) -> list[str]:
        found = (flat(parameters(m.name, m.entry), m.ref) for m in self.makings())
        return sorted({value for pairs in found for name, value in pairs if name == key})

    def package_versions(self, package: str) -> list[str]:
        packages = (run.environment.get("packages", {}) for run in self.runs.values())
        return sorted({each[package] for each in packages if package in each})

    def beside(self, path: str, md5: str) -> list[Making]:
        locks = [
            [Making.of(0, name, entry) for name, entry in lock.entries.items()] for lock in self.snapshots
        ]
        names = {
            (each.name, each.cmd, each.deps)
            for lock in locks
            if any((out.path, out.md5) == (path, md5) for each in lock for out in each.outs)
            for each in lock
            if any(within(dep.path, path) for dep in each.deps)
        }
        return [m for m in self.makings() if (m.name, m.cmd, m.deps) in names]

    def locked_at(self, making: Making) -> tuple[str, str] | None:
        since = None
        for lock in self.snapshots:
            if lock.origin.kind == "commit":
                if plain(lock.entries[making.name]) == making.entry:
                    since = lock.origin.id, lock.origin.time
                elif since is not None:
                    break
        return since

    def places(self, role: str) -> set[str]:
        if role == "source":
            return set(self.pointers)
        return {item.path for m in self.makings() for item in (m.outs if role == "out" else m.deps)}

    def versions(self, role: str, path: str) -> list[str]:
        items = (item for m in self.makings() for item in (m.outs if role == "out" else m.deps))
        return sorted({item.md5 for item in items if item.path == path})

    def some(self, ids: Sequence[int]) -> list[Making]:
        return [m for m in self.makings() if m.id in ids]

    # ---- runs

    def run_of(self, ref: str, entry: LockEntry) -> RunFact | None:
        return self.runs.get(ref)

    def runs_of(self, makings: Sequence[Making]) -> dict[int, list[RunFact]]:
        return {m.id: [self.runs[m.ref]] for m in makings if m.ref in self.runs}

    def run_at(self, commit: str) -> dict[int, list[RunFact]]:
        return {id_: some for id_, some in self.runs_of(self.makings()).items() if some[0].commit == commit}

    def run_with(self, package: str, version: str) -> dict[int, list[RunFact]]:
        return {
            id_: some
            for id_, some in self.runs_of(self.makings()).items()
            if some[0].environment.get("packages", {}).get(package) == version
        }

    def accepted(self, ref: str, manifest: str) -> Accepted | None:
        return self.vouched.get(ref)

    # ---- contents

    def listing(self, oid: str) -> tuple[File, ...] | None:
        return self.listings.get(oid)

    def part(self, oid: str, inside: str) -> str | None:
        if not inside:
            return oid
        if not oid.endswith(".dir"):
            return ""
        files = self.listings.get(oid)
        if files is None:
            return None
        found = listing.part(files, inside)
        return found.oid if found is not None else ""

    def parts(self, inside: str, oids: Sequence[str]) -> dict[str, str]:
        found = {oid: self.part(oid, inside) for oid in oids}
        return {oid: md5 for oid, md5 in found.items() if md5 is not None}

    def holds(self, oid: str, md5: str) -> bool | None:
        files = self.listings.get(oid)
        return None if files is None else any(file.md5 == md5 for file in files)

    def producers(self, md5: str) -> Sequence[tuple[str, str, str]]:
        return self.produced.get(md5, [])

    def datums(self, manifest: str) -> int | None:
        return self.manifests.get(manifest)

    def rows(self, manifest: str) -> Sequence[ManifestRow] | None:
        return self.tables.get(manifest)

    # ---- sources

    def sources(self) -> list[str]:
        return self.present

    def source_versions(self, path: str) -> list[SourceVersion]:
        return self.pointers.get(path, [])


def plain(entry: LockEntry) -> LockEntry:
    """As the index has it: parameters by way of JSON."""
    return Making.of(0, "", entry).entry


def item(path: str, oid: str, nfiles: int | None = None) -> LockItem:
    return LockItem(path, oid, 100, nfiles)


def stage(
    name: str, deps: Sequence[LockItem], oid: str, nfiles: int = 1, manifest: str = "", **declared: Any
) -> LockEntry:
    return LockEntry(
        cmd=f"trunkline exec flights.{name}",
        deps=tuple(sorted((*deps, item(f"stages/{name}.py", md5(f"code of {name}"))))),
        params={
            "pipelines/flights.yaml": {
                f"stages.{name}": {"run": f"stages.{name}:{name}", "input": "…", **declared}
            }
        },
        outs=(
            item(f"data/flights/.manifests/{name}", manifest or md5(f"manifest of {oid}") + ".dir", 1),
            item(f"data/flights/{name}", oid, nfiles),
        ),
    )


@dataclass
class Flights:
    """The demo in small: raw -> ingest -> split -> train, evaluate reads train and split."""

    memory: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        memory = self.memory
        self.raw = memory.source("data/flights_raw", {"01.csv": "raw 1", "02.csv": "raw 2"})
        self.ingest = memory.put({"01.parquet": "table 1", "02.parquet": "table 2"})
        self.split = memory.put(
            {"train/01.parquet": "train 1", "train/02.parquet": "train 2", "test/01.parquet": "t"}
        )
        self.train_part = tree_oid([("01.parquet", md5("train 1")), ("02.parquet", md5("train 2"))])
        self.test_part = tree_oid([("01.parquet", md5("t"))])
        self.train = memory.put({"model.onnx": "the model"})
        self.evaluate = memory.put({"metrics.json": "{}"})
        self.entries = {
            "flights-evaluate": stage(
                "evaluate",
                [
                    item("data/flights/split/test", self.test_part, 1),
                    item("data/flights/train/model.onnx", md5("the model")),
                ],
                self.evaluate,
            ),
            "flights-ingest": stage(
                "ingest", [item("data/flights_raw", self.raw, 2)], self.ingest, 2, md5("im") + ".dir"
            ),
            "flights-split": stage(
                "split",
                [item("data/flights/ingest", self.ingest, 2), item("stages/keys.py", md5("helper"))],
                self.split,
                3,
                params={"test_fraction": 0.2, "key": ["carrier", "flight"], "since": date(2013, 1, 1)},
            ),
            "flights-train": stage(
                "train",
                [item("data/flights/split/train", self.train_part, 2)],
                self.train,
                params={"epochs": 5, "sgd": {"alpha": 0.0001}},
                model={"name": "flights_late", "path": "model.onnx"},
            ),
        }
        memory.snapshots.append(Lock(Origin("workspace"), self.entries))

    def with_runs(self) -> Flights:
        environment = {
            "python": "3.11.7", "system": "Linux 6.1.0", "machine": "x86_64",
            "packages": {"numpy": "2.4.6", "scikit-learn": "1.9.1"},
        }  # fmt: skip
        edited = ("stages/train.py", "stages/a.py", "stages/b.py", "stages/c.py")
        for name, run, reuse in (("ingest", 1, 1), ("split", 2, 0), ("train", 1, 0), ("evaluate", 1, 0)):
            self.memory.runs[f"flights.{name}"] = RunFact(
                RUN, "done", "2025-11-22T22:28:44.120Z", "1a2b3c4d" + "0" * 32, "main", edited, environment,
                {"run": run, "reuse": reuse, "drop": 0, "failed": 0, "total": run + reuse}, 1.5,
            )  # fmt: skip
        return self


def names(graph: Graph, kind: str) -> set[str]:
    return {node.name for node in graph.nodes.values() if node.type == kind}


def golden(name: str, text: str) -> None:
    assert text + "\n" == (GOLDEN / name).read_text(encoding="utf-8")


def test_memory_is_a_history() -> None:
    history: History = Memory()
    assert list(history.makings()) == []


# ---------------------------------------------------------------- the model


def test_a_copied_model_is_traced_back_to_the_source() -> None:
    flights = Flights().with_runs()
    graph = walk(Artifact("/tmp/copy.onnx", md5("the model")), flights.memory)
    root = graph.nodes[graph.root]
    assert (root.type, root.name) == ("model", "flights_late")
    assert names(graph, "stage") == {"flights.train", "flights.split", "flights.ingest"}
    assert names(graph, "code") == {
        "stages/train.py",
        "stages/split.py",
        "stages/ingest.py",
        "stages/keys.py",
    }
    assert names(graph, "run") == {RUN}
    assert names(graph, "environment") == {"Python 3.11.7"}
    raw = graph.nodes[f"dataset:data/flights_raw@{flights.raw}"]
    assert raw.attributes["commit"]["commit"] == COMMIT.commit
    golden("model.txt", render_text(graph))


def test_every_edge_joins_two_nodes_and_the_json_says_the_same() -> None:
    graph = walk(Artifact("model.onnx", md5("the model")), Flights().with_runs().memory)
    data = json.loads(json.dumps(graph_json(graph)))
    ids = {node["id"] for node in data["nodes"]}
    assert data["root"] in ids
    assert len(ids) == len(data["nodes"])
    assert all(edge["from"] in ids and edge["to"] in ids for edge in data["edges"])
    assert {edge["to"] for edge in data["edges"]} | {data["root"]} >= {
        node["id"] for node in data["nodes"] if node["type"] in ("stage", "model")
    }
    golden("model.json", json.dumps(data, indent=1))


def test_the_stage_says_who_ran_it_and_whether_the_tree_was_dirty() -> None:
    graph = walk(Artifact("model.onnx", md5("the model")), Flights().with_runs().memory)
    (train,) = [
        node for node in graph.nodes.values() if node.name == "flights.train" and node.type == "stage"
    ]
    assert train.attributes["run_id"] == RUN
    assert train.attributes["dirty"] is True
    assert train.attributes["datums"]["total"] == 1
    assert train.attributes["run"] == "stages.train:train"
    (params,) = graph.into(train.id, "params")
    assert params.attributes == {"epochs": 5, "sgd": {"alpha": 0.0001}}
    (part,) = graph.into(train.id, "input")
    assert part.name == "data/flights/split/train"


def test_a_dataset_that_two_stages_read_is_told_once() -> None:
    flights = Flights().with_runs()
    graph = walk(Artifact("metrics.json", md5("{}"), "data/flights/evaluate/metrics.json"), flights.memory)
    assert names(graph, "model") == {"flights_late"}
    golden("metrics.txt", render_text(graph))


# ---------------------------------------------------------------- without runs


def test_without_a_record_the_commit_of_the_lock_stands() -> None:
    flights = Flights()
    flights.memory.manifests[md5("im") + ".dir"] = 2
    other = {**flights.entries, "flights-train": stage("train", [], flights.train)}
    flights.memory.snapshots += [
        Lock(Origin("commit", "22222222" + "0" * 32, "2025-11-22T10:00:00Z"), flights.entries),
        Lock(Origin("commit", "11111111" + "0" * 32, "2025-11-21T10:00:00Z"), flights.entries),
        Lock(Origin("commit", "00000000" + "0" * 32, "2025-11-20T10:00:00Z"), other),
    ]
    graph = walk(Artifact("model.onnx", md5("the model")), flights.memory)
    (train,) = [
        node for node in graph.nodes.values() if node.name == "flights.train" and node.type == "stage"
    ]
    assert train.attributes["recorded"] == {"commit": "11111111" + "0" * 32, "time": "2025-11-21T10:00:00Z"}
    golden("no_runs.txt", render_text(graph))


def test_without_a_record_and_without_a_commit() -> None:
    text = render_text(walk(Artifact("model.onnx", md5("the model")), Flights().memory))
    assert "no record here, and this entry of dvc.lock is not committed" in text


def test_a_run_that_made_the_same_data_otherwise() -> None:
    flights = Flights().with_runs()
    fact = flights.memory.runs["flights.train"]
    flights.memory.runs["flights.train"] = RunFact(fact.id, "done", fact.started, None, None, (), exact=False)
    text = render_text(walk(Artifact("model.onnx", md5("the model")), flights.memory))
    assert "made the same data from other code" in text
    assert "before the first commit" in text


def test_what_a_person_accepted_is_said() -> None:
    flights = Flights().with_runs()
    flights.memory.vouched["flights.split"] = Accepted(1, "Ada", "2025-11-23T10:00:00.000Z", "run-2")
    flights.memory.vouched["flights.ingest"] = Accepted(2)
    graph = walk(Artifact("model.onnx", md5("the model")), flights.memory)
    (split,) = [
        node for node in graph.nodes.values() if node.name == "flights.split" and node.type == "stage"
    ]
    assert split.attributes["accepted"] == {
        "datums": 1, "by": "Ada", "time": "2025-11-23T10:00:00.000Z", "run": "run-2",
    }  # fmt: skip
    text = render_text(graph)
    assert (
        "1 accepted by Ada, 2025-11-23 10:00:00 UTC, in run run-2: other code or parameters made them" in text
    )
    assert "2 accepted, by whom is not recorded here: other code or parameters made them" in text


# ---------------------------------------------------------------- other versions


def test_a_model_is_found_in_an_older_lock_with_the_data_of_then() -> None:
    flights = Flights()
    newer = Flights()
    newer_raw = newer.memory.source("data/flights_raw", {"01.csv": "raw 1, corrected"}, None)
    old_listings = flights.memory.listings
    memory = newer.memory
    memory.listings |= old_listings
    changed = memory.put({"model.onnx": "a newer model"})
    memory.snapshots = [
        Lock(
            Origin("workspace"),
            {
                **flights.entries,
                "flights-ingest": stage(
                    "ingest", [item("data/flights_raw", newer_raw, 1)], memory.put({"01.parquet": "x"})
                ),
                "flights-split": stage("split", [], memory.put({"train/01.parquet": "y"})),
                "flights-train": stage("train", [], changed),
            },
        ),
        Lock(Origin("run", RUN, "2025-11-22"), {"flights-train": flights.entries["flights-train"]}),
        Lock(Origin("commit", "b" * 40, "2025-11-21"), flights.entries),
    ]
    graph = walk(Artifact("old.onnx", md5("the model")), memory)
    (train,) = [
        node for node in graph.nodes.values() if node.name == "flights.train" and node.type == "stage"
    ]
    assert train.attributes["lock"]["kind"] == "run"
    assert f"dataset:data/flights/split@{flights.split}" in graph.nodes
    assert f"dataset:data/flights_raw@{flights.raw}" in graph.nodes
    assert f"dataset:data/flights_raw@{newer_raw}" not in graph.nodes


def test_a_dep_that_nobody_made_is_unknown_and_says_so() -> None:
    flights = Flights().with_runs()
    flights.entries["flights-ingest"] = stage(
        "ingest", [item("data/flights_raw", md5("lost") + ".dir", 2)], flights.ingest
    )
    graph = walk(Artifact("model.onnx", md5("the model")), flights.memory)
    assert graph.nodes[f"dataset:data/flights_raw@{md5('lost')}.dir"].attributes["kind"] == "unknown"
    assert f"data/flights_raw, version {md5('lost')[:8]}, 2 files\n" in render_text(graph)
    assert "made by: unknown" in render_text(graph)


def test_a_deleted_source_dataset_is_found_in_git() -> None:
    flights = Flights().with_runs()
    flights.memory.present = []
    graph = walk(Artifact("model.onnx", md5("the model")), flights.memory)
    assert graph.nodes[f"dataset:data/flights_raw@{flights.raw}"].attributes["kind"] == "source"


def test_a_part_of_a_source_dataset() -> None:
    flights = Flights()
    oid = flights.memory.source("data/nested", {"2013/01.csv": "a", "2014/01.csv": "b"}, None)
    part = tree_oid([("01.csv", md5("a"))])
    flights.entries["flights-ingest"] = stage("ingest", [item("data/nested/2013", part, 1)], flights.ingest)
    text = render_text(walk(Artifact("x", flights.ingest, "data/flights/ingest"), flights.memory))
    assert f"data/nested/2013  {part[:8]}\n" in text
    assert f"of data/nested, version {oid[:8]}, 2 files\n" in text
    assert "this version is not committed" in text


def test_a_listing_that_is_not_here_leaves_a_doubt() -> None:
    flights = Flights().with_runs()
    del flights.memory.listings[flights.split]
    text = render_text(walk(Artifact("model.onnx", md5("the model")), flights.memory))
    assert f"of data/flights/split, version {flights.split[:8]}, 3 files; not checked" in text
    assert "made by flights.ingest" in text


# ---------------------------------------------------------------- stages written by hand


def test_a_stage_written_by_hand() -> None:
    memory = Memory()
    raw = memory.source("data/raw.csv", {}, COMMIT)
    memory.pointers["data/raw.csv"] = [SourceVersion(md5("raw"), 3, None, COMMIT)]
    assert raw != md5("raw")
    memory.snapshots.append(
        Lock(
            Origin("workspace"),
            {
                "prepare": LockEntry(
                    "python prepare.py",
                    (item("data/raw.csv", md5("raw")), item("prepare.py", md5("script"))),
                    {"params.yaml": {"prepare.seed": 3}},
                    (item("out/clean.csv", md5("clean")),),
                )
            },
        )
    )
    graph = walk(Artifact("clean.csv", md5("clean")), memory)
    assert names(graph, "stage") == {"prepare"}
    golden("foreign.txt", render_text(graph))


# ---------------------------------------------------------------- what is asked


def test_a_source_file_shows_the_version_it_is_in() -> None:
    flights = Flights()
    graph = walk(Artifact("/tmp/01.csv", md5("raw 1")), flights.memory)
    assert render_text(graph) == (
        f"data/flights_raw/01.csv  {md5('raw 1')[:8]}\n"
        "/tmp/01.csv is a copy of it\n"
        f"of data/flights_raw, version {flights.raw[:8]}, 2 files\n"
        "source dataset, committed 2025-11-20 08:00:00 UTC as c0ffee11 by Ada: flights_raw: put 365 files"
    )


def test_a_source_file_of_an_older_version() -> None:
    flights = Flights()
    flights.memory.source("data/flights_raw", {"01.csv": "corrected"}, None)
    found = find(Artifact("01.csv", md5("raw 1"), "data/flights_raw/01.csv"), flights.memory)
    assert found is not None
    assert (found.path, found.oid, found.file) == ("data/flights_raw", flights.raw, "01.csv")


def test_a_whole_dataset_and_a_directory_of_one() -> None:
    flights = Flights()
    whole = find(Artifact("flights.split", flights.split), flights.memory)
    part = find(
        Artifact("data/flights/split/train", flights.train_part, "data/flights/split/train"), flights.memory
    )
    assert whole is not None
    assert part is not None
    assert (whole.path, whole.file) == ("data/flights/split", "")
    assert (part.path, part.file) == ("data/flights/split", "train")


def test_of_equal_files_the_one_at_the_path_is_meant() -> None:
    flights = Flights()
    copy = flights.memory.put({"a.json": "{}", "b.json": "{}"})
    flights.entries["flights-copy"] = stage("copy", [], copy)
    at = find(Artifact("b.json", md5("{}"), "data/flights/copy/b.json"), flights.memory)
    called = find(Artifact("/tmp/b.json", md5("{}")), flights.memory)
    evaluated = find(Artifact("x", md5("{}"), "data/flights/evaluate/metrics.json"), flights.memory)
    assert at is not None
    assert called is not None
    assert evaluated is not None
    assert (at.path, at.file) == (called.path, called.file) == ("data/flights/copy", "b.json")
    assert evaluated.path == "data/flights/evaluate"


def test_a_file_whose_listing_is_gone_is_found_by_its_result() -> None:
    flights = Flights()
    memory = flights.memory
    memory.snapshots = [
        Lock(Origin("workspace"), {}),
        Lock(Origin("run", RUN, "2025-11-22"), flights.entries),
    ]
    del memory.listings[flights.train]
    assert find(Artifact("model.onnx", md5("the model")), memory) is None
    memory.produced[md5("the model")] = [("flights.train", "key", "gone"), ("flights.train", "key", RUN)]
    found = find(Artifact("model.onnx", md5("the model")), memory)
    assert found is not None
    assert (found.path, found.oid, found.file) == ("data/flights/train", flights.train, "model.onnx")


def test_what_nobody_knows() -> None:
    graph = walk(Artifact("/tmp/other.onnx", md5("other")), Flights().memory)
    assert not graph.found
    assert render_text(graph) == (
        f"/tmp/other.onnx  {md5('other')[:8]}\n"
        "unknown: no lock, run or commit known here, and no source dataset, names this content"
    )
    assert graph_json(graph)["found"] is False
