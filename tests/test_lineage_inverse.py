"""Back and forward are inverse: by stage and by datum; the index answers as a plain search does."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.test_lineage import Lock, Memory, item, md5
from trunkline.ledger.catalog import Catalog, Change, Past
from trunkline.lineage import Artifact, Graph, History, Making, Origin, SourceVersion, walk
from trunkline.lineage.datums import datums_from, datums_of
from trunkline.lineage.down import CodeFile, Data, down
from trunkline.lineage.find import located
from trunkline.lineage.history import within
from trunkline.lineage.recorded import Readers, Recorded
from trunkline.model import Commit, Datum, File, Item, LockEntry, ManifestRow, Version

Choice = Sequence[int]
RAW = "data/raw"
STAGES = {"p.a": RAW, "p.b": "data/p/a", "p.c": "data/p/b/x", "p.d": "data/p/c"}


def small(*words: object) -> str:
    """One of few contents, so that different inputs often make the same."""
    return str(int(hashlib.md5(repr(words).encode()).hexdigest(), 16) % 3)


@dataclass
class Still(Memory):
    """A memory to which nothing is added any more once it was asked."""

    def makings(self) -> list[Making]:
        if not self.known:
            self.known = super().makings()
        return self.known

    known: list[Making] = field(default_factory=list)


class World:
    """Locks in which four stages read each other; `p.c` reads a directory of what `p.b` makes."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        self.memory = Still()
        self.texts: dict[str, str] = {}  # contents by their hash
        raws = [
            self.memory.source(
                RAW, {f"{name}.txt": f"{name}{number % (2 + shift)}" for shift, name in enumerate("uvw")}
            )
            for number in range(3)
        ]
        for number, choice in enumerate(choices):
            origin = Origin("commit", f"{number:040x}", f"2025-11-{28 - number:02d}T00:00:00Z")
            self.memory.snapshots.append(Lock(origin, self.lock(raws[choice[0]], choice[1:])))

    def lock(self, raw: str, code: Choice) -> dict[str, LockEntry]:
        oids, entries = {RAW: raw}, {}
        for (ref, source), version in zip(STAGES.items(), code, strict=True):
            whole = next(path for path in oids if source == path or source.startswith(f"{path}/"))
            inside = source[len(whole) + 1 :]
            files = [f for f in self.memory.listings[oids[whole]] if f.path.startswith(inside)]
            rows = tuple(self.rows(ref, whole, files, version))
            outs = {file.path: file for row in rows for file in row.files}
            oid = self.memory.put({path: self.texts[file.md5] for path, file in outs.items()})
            manifest = md5(repr((ref, rows))) + ".dir"
            self.memory.tables[manifest] = rows
            read = self.memory.part(oids[whole], inside) or ""
            pipeline, _, name = ref.partition(".")
            entries[ref.replace(".", "-")] = LockEntry(
                f"trunkline exec {ref}",
                (item(source, read, len(files)), item(f"stages/{name}.py", md5(f"{name}{version}"))),
                {"pipelines/p.yaml": {f"stages.{name}": {"params": {"version": version}}}},
                (item(f"data/{pipeline}/.manifests/{name}", manifest, 1),
                 item(f"data/{pipeline}/{name}", oid, len(outs))),
            )  # fmt: skip
            oids[f"data/{pipeline}/{name}"] = oid
        return entries

    def rows(self, ref: str, dataset: str, files: Sequence[File], version: int) -> list[ManifestRow]:
        """By file, but for `p.c`: the directory as a whole, and two files together; `p.d`: all as a whole."""
        name = dataset.removeprefix("data/").replace("/", ".")
        items = [Item("x", name, file.path, file.md5, file.size, None) for file in files]
        groups: list[tuple[Item, ...]] = [(each,) for each in items]
        if ref == "p.c":
            part = self.memory.put({file.path[2:]: self.texts[file.md5] for file in files})
            groups = [(Item("x", name, "x", part, 0, len(files)),), tuple(items[:2])] if items else []
        if ref == "p.d":
            oid = self.memory.put({file.path: self.texts[file.md5] for file in files})
            groups = [(Item("x", name, "", oid, 0, len(files)),)]
        rows = []
        for group in groups:
            datum = Datum(md5(repr([each.path for each in group])), "+".join(e.path for e in group), group)
            text = small(ref, version, [each.oid for each in group])
            self.texts[md5(text)] = text
            folder = "x/" if ref == "p.b" and "w" not in datum.name else ""
            path = f"{folder}{datum.name.replace('/', '_') or 'all'}"
            rows.append(ManifestRow(datum, datum.id, (File(path, md5(text), len(text)),)))
        return rows

    @property
    def versions(self) -> list[tuple[str, str]]:
        made = {(out.path, out.md5) for m in self.memory.makings() for out in m.data}
        return sorted({*made, *((RAW, version.oid) for version in self.memory.pointers[RAW])})

    @property
    def files(self) -> dict[str, Data]:
        """Every file by its node's id, with all versions of its dataset that have it."""
        found: dict[str, Data] = {}
        for path, oid in self.versions:
            for file in self.memory.listings[oid]:
                id_ = f"file:{path}/{file.path}@{file.md5}"
                known = found.get(id_, Data(path, (), file.path, file.md5))
                found[id_] = known._replace(oids=(*known.oids, oid))
        return found

    def recorded(self, folder: Path) -> Recorded:
        """The same, from the index."""
        locks = self.memory.snapshots

        def change(number: int) -> Change:
            origin = locks[number].origin
            return Change(Commit(origin.id, origin.time, "", ""), "dvc.lock", f"blob{number}")

        def pointed(number: int, version: SourceVersion) -> Change:
            assert version.commit is not None
            return Change(version.commit, f"{RAW}.dvc", f"raw{number}")

        sources = self.memory.pointers[RAW]

        past = Past(
            tips=lambda: "once",
            changes=lambda: [
                *map(change, range(len(locks))), *(pointed(n, v) for n, v in enumerate(sources)),
            ],
            contents=lambda blobs: [blob.encode() for blob in blobs],
            lock=lambda text: locks[int(text.removeprefix("blob"))].entries,
            pointer=lambda text, _: Version(*sources[int(text.removeprefix("raw"))][:3]),
        )  # fmt: skip
        catalog = Catalog(":memory:", str(folder), str(folder), past)
        readers = Readers(
            pointer=lambda _: Version(*sources[0][:3]),
            listing=lambda oid: self.memory.listings[oid],
            object_path=lambda oid: "",
            rows=self.memory.rows,
        )
        return Recorded(catalog, readers, [RAW])


def back(history: History, path: str, oid: str, inside: str = "", md5_: str = "", **how: bool) -> Graph:
    found = located(path, path, oid, inside, history)
    assert found is not None
    full = f"{path}/{inside}" if inside else path
    if how.pop("datums", False):
        return datums_of(Artifact(full, md5_ or oid, full), history, found, every=True)
    return walk(Artifact(full, md5_ or oid, full), history, found, every=True)


CHOICES = st.lists(st.tuples(st.integers(0, 2), *[st.integers(0, 1)] * 4), min_size=1, max_size=5)
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(CHOICES)
def test_back_and_forward_are_inverse_by_stage(tmp_path: Path, choices: Sequence[Choice]) -> None:
    world = World(choices)
    history = world.recorded(tmp_path)
    versions = {f"dataset:{path}@{oid}": (path, oid) for path, oid in world.versions}
    behind = {node: set(back(history, *version).nodes) for node, version in versions.items()}
    before = {node: set(down(Data(path, (oid,)), history).nodes) for node, (path, oid) in versions.items()}
    for one in versions:
        for other in versions:
            assert (other in before[one]) == (one in behind[other]), (one, other)
    code = {dep for m in world.memory.makings() for dep in m.deps if dep.path.startswith("stages/")}
    for dep in code:
        touched = set(down(CodeFile(dep.path, dep.md5), history).nodes)
        for node in versions:
            assert (node in touched) == (f"code:{dep.path}@{dep.md5}" in behind[node])


@FEW
@given(CHOICES)
def test_back_and_forward_are_inverse_by_datum(tmp_path: Path, choices: Sequence[Choice]) -> None:
    world = World(choices)
    history = world.recorded(tmp_path)
    files = world.files
    behind = {id_: back(history, d.path, d.oids[0], d.inside, d.md5, datums=True) for id_, d in files.items()}
    for one, data in files.items():
        reached = set(datums_from(data, history).nodes)
        for other in files:
            assert (other in reached) == went_into(world, one, data, behind[other]), (one, other)


def went_into(world: World, id_: str, data: Data, graph: Graph) -> bool:
    """Whether a graph's datums read the file, by itself or with the whole dataset; or it is the root."""
    read = {edge.source for edge in graph.edges if edge.role == "input"} | {graph.root}
    full = f"{data.path}/{data.inside}"
    for node in (graph.nodes[each] for each in read):
        inside = within(full, node.name)
        if inside and any(
            f[:2] == (inside, data.md5) for f in world.memory.listings[node.attributes["version"]]
        ):
            return True
    return id_ in read


@FEW
@given(CHOICES)
def test_the_index_answers_as_a_plain_search_does(tmp_path: Path, choices: Sequence[Choice]) -> None:
    world = World(choices)
    recorded = world.recorded(tmp_path)
    for path, oid in world.versions:
        for one, other in (
            (down(Data(path, (oid,)), world.memory), down(Data(path, (oid,)), recorded)),
            (back(world.memory, path, oid), back(recorded, path, oid)),
        ):
            assert {id_: node.name for id_, node in one.nodes.items()} == {
                id_: node.name for id_, node in other.nodes.items()
            }
            assert set(one.edges) == set(other.edges)
