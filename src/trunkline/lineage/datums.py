"""Lineage by datum and file, through the manifests: back from a file, forward from one.

    file      -> datum    input       data/flights_raw/2013-01-01.csv went into the datum 2013-01-01
    directory -> datum    input       … or a directory that the datum was given as a whole
    datum     -> file     output      what it wrote, or the directory below which it wrote something
    stage     -> datum    datum       the stage, with its run, code and parameters
    dataset   -> file     contains

A stage's node says in `manifest` whether that is here. Where it is "missing", the stage is told as a
whole, and what lies behind it carries `perhaps`: some of it, nobody here can say what. A stage written
by hand has no datums: it is one by itself, and nothing is in doubt.

Inputs whose propagation is `never` are no deps of a version: they are told back (as unknown data), and
not followed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from trunkline.lineage.down import Data, overlaps
from trunkline.lineage.find import find
from trunkline.lineage.graph import Graph
from trunkline.lineage.history import Artifact, Found, History, Making, dep_of, within
from trunkline.lineage.places import Place, Reading, places, reads
from trunkline.lineage.sketch import Sketch, is_data, kind_of, plain, stage_id, told
from trunkline.lineage.walk import copied, unknown
from trunkline.model import Item, LockItem, ManifestRow


def datums_of(
    artifact: Artifact, history: History, found: Found | None = None, *, every: bool = False
) -> Graph:
    """The graph of the datums and files that led to the artifact."""
    found = found or find(artifact, history)
    if found is None:
        return unknown(artifact)
    walk = _Back(history, every)
    place = Place(found.path, found.oid, found.file, found.making, found.source)
    facts = {"version": artifact.md5, "copy": copied(artifact, found)}
    root = walk.place(place, facts)
    if every:
        full = f"{found.path}/{found.file}" if found.file else found.path
        for other in places(full, artifact.md5, (), history, every=True):
            walk.place(other, facts)
    return walk.graph(root)


def datums_from(data: Data, history: History) -> Graph:
    """The graph of the datums and files that the data went into."""
    walk = _Forward(history)
    return walk.graph(walk.begin(data))


class Row(NamedTuple):
    """A datum of a manifest, with the items' paths in the project."""

    datum: ManifestRow
    items: tuple[tuple[str, Item], ...]


class Rows:
    """The datums of one making, by what they read and by what they wrote."""

    def __init__(self, making: Making, rows: Sequence[ManifestRow]) -> None:
        self._making = making
        self.all = [Row(row, tuple((self._full(item), item) for item in row.datum.items)) for row in rows]
        self._readers: dict[str, list[Row]] = {}
        self._writers: dict[str, list[Row]] = {}
        for row in self.all:
            for full, _ in row.items:
                self._readers.setdefault(full, []).append(row)
            for file in row.datum.files:
                self._writers.setdefault(file.path, []).append(row)

    def writing(self, inside: str) -> Iterator[Row]:
        """Those that wrote this file, or something below this directory."""
        if inside in self._writers:
            yield from self._writers[inside]
            return
        yield from _once(
            row for path, some in self._writers.items() if overlaps(path, inside) for row in some
        )

    def reading(self, full: str, directory: bool) -> Iterator[tuple[Row, str, Item]]:
        """Those that read this, something that holds it, or something below it: with what they read."""
        if directory:
            paths = [path for path in self._readers if overlaps(path, full)]
        else:
            paths = [path for path in _above(full) if path in self._readers]
        for path in paths:
            for row in self._readers[path]:
                yield from ((row, path, item) for at, item in row.items if at == path)

    def _full(self, item: Item) -> str:
        """Where an item lies in the project: a manifest has the names of datasets."""
        name = item.dataset
        folders = (f"data/{name}", "data/" + name.replace(".", "/", 1), name)
        paths = [f"{folder}/{item.path}" if item.path else folder for folder in folders]
        known = (path for path in paths if any(overlaps(dep.path, path) for dep in self._making.deps))
        return next(known, paths["." in name])


class _Datums:
    """What both directions need: the manifests, and the nodes of datums."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._sketch = Sketch(history)
        self._rows: dict[int, Rows | None] = {}

    def graph(self, root: str) -> Graph:
        """What was drawn."""
        return self._sketch.graph(root)

    def rows(self, making: Making) -> Rows | None:
        """The datums of a making; None where it has none, or its manifest is not here."""
        if making.id not in self._rows:
            found = self._history.rows(making.manifest) if making.manifest else None
            self._rows[making.id] = None if found is None else Rows(making, found)
        return self._rows[making.id]

    def stage(self, making: Making) -> str:
        """The stage, which says whether its datums are known."""
        node = f"stage:{stage_id(making)}"
        if node not in self._sketch.nodes:
            told(self._sketch, making, self._history.origin(making))
            here = "here" if self.rows(making) is not None else "missing"
            self._sketch.also(node, {"manifest": here if making.ours else None})
        return node

    def datum(self, making: Making, row: Row) -> str:
        """A datum of a stage."""
        datum = row.datum.datum
        facts = {"stage": making.ref, "datum": datum.id, "key": row.datum.key}
        node = self._sketch.add("datum", f"{making.ref}/{datum.id}@{row.datum.key}", datum.name, facts)
        self._sketch.link(self.stage(making), node, "datum")
        return node


class _Back(_Datums):
    def __init__(self, history: History, every: bool) -> None:
        super().__init__(history)
        self._every = every
        self._seen: set[tuple[str, str, str, int]] = set()
        self._places: dict[tuple[int, str], Sequence[Place]] = {}
        self._queue: deque[tuple[Place, str, bool]] = deque()
        self._doubtful: deque[tuple[Making, str]] = deque()

    def place(self, place: Place, facts: Mapping[str, Any]) -> str:
        """The node of a place, with everything that led to it."""
        root = self._node(place, facts, perhaps=False)
        while self._queue or self._doubtful:
            if self._queue:
                self._visit(*self._queue.popleft())
            else:  # when all that is sure is known
                self._whole(*self._doubtful.popleft(), perhaps=True)
        return root

    def _node(self, place: Place, facts: Mapping[str, Any], *, perhaps: bool) -> str:
        """The node of a place, which is then to be visited."""
        if perhaps:
            facts = {**facts, "perhaps": True}
        if place.source is not None:
            whole = self._sketch.source(place.path, place.source)
        else:
            assert place.making is not None
            out = next(out for out in place.making.outs if out.path == place.path)
            whole = self._sketch.output(place.making, out)
        model = place.making.model if place.making is not None else None
        node = self._sketch.part(whole, place.path, place.inside, facts, model)
        key = (place.path, place.oid, place.inside, place.making.id if place.making else -1)
        if key not in self._seen:
            self._seen.add(key)
            self._queue.append((place, node, perhaps))
        return node

    def _visit(self, place: Place, node: str, perhaps: bool) -> None:
        making = place.making
        if making is None:
            return
        rows = self.rows(making)
        if rows is None and making.ours and not perhaps:
            self._doubtful.append((making, node))
            return
        if rows is None:
            self._whole(making, node, perhaps)
            return
        for row in rows.writing(place.inside):
            datum = self.datum(making, row)
            self._sketch.link(datum, node, "output")
            for full, item in row.items:
                for source in self._item(making, full, item, perhaps):
                    self._sketch.link(source, datum, "input")

    def _whole(self, making: Making, node: str, perhaps: bool) -> None:
        """A stage of which no datums are known: all of its inputs."""
        stage = self.stage(making)
        self._sketch.link(stage, node, "output")
        for dep in making.deps:
            if is_data(dep, making, self._history):
                item = Item("", dep.path, "", dep.md5, dep.size, dep.nfiles)
                for source in self._item(making, dep.path, item, perhaps):
                    self._sketch.link(source, stage, "input")
            elif not making.ours:
                self._sketch.link(plain(self._sketch, dep), stage, "input")

    def _item(self, making: Making, full: str, item: Item, perhaps: bool) -> Iterator[str]:
        """The nodes of what a datum read, by way of the dep that holds it."""
        dep = dep_of(making, full)
        facts = {"version": item.oid, "size": item.size, "nfiles": item.nfiles}
        found = () if dep is None else self._origins(making, dep)
        for place in found:
            inside = within(full, place.path) or ""
            yield self._node(place._replace(inside=inside), facts, perhaps=perhaps)
        if not found:
            yield self._sketch.dataset(full, item.oid, kind="unknown", size=item.size, nfiles=item.nfiles)

    def _origins(self, making: Making, dep: LockItem) -> Sequence[Place]:
        """Where what a making read came from; the same for every datum of it."""
        key = making.id, dep.path
        if key not in self._places:
            beside = self._history.together(self._history.origin(making))
            self._places[key] = places(dep.path, dep.md5, beside, self._history, every=self._every)
        return self._places[key]


class _Forward(_Datums):
    def __init__(self, history: History) -> None:
        super().__init__(history)
        self._seen: set[tuple[str, str, str]] = set()
        self._queue: deque[tuple[str, str, str, str, bool]] = deque()
        self._doubtful: deque[tuple[Making, str]] = deque()
        self._reads: dict[tuple[str, str], list[Reading]] = {}

    def begin(self, data: Data) -> str:
        """Everything that the data went into; the root."""
        root = ""
        for oid in data.oids:
            node = self._whole_node(data.path, oid)
            if data.inside:
                model = next((m.model for m in self._history.makers(data.path, oid) if m.model), None)
                facts = {"version": data.md5}
                node = self._sketch.part(node, data.path, data.inside, facts, model)
            root = root or node
            self._add(data.path, oid, data.inside, node, perhaps=False)
        if len(data.oids) > 1 and not data.inside:
            root = self._sketch.add("dataset", data.path, data.path, {"versions": len(data.oids)})
            for oid in data.oids:
                self._sketch.link(root, f"{kind_of(oid)}:{data.path}@{oid}", "version")
        while self._queue or self._doubtful:
            if self._queue:
                self._visit(*self._queue.popleft())
            else:  # when all that is sure is known
                self._whole(*self._doubtful.popleft(), perhaps=True)
        return root

    def _whole_node(self, path: str, oid: str) -> str:
        version = next((each for each in self._history.source_versions(path) if each.oid == oid), None)
        if version is not None:
            return self._sketch.source(path, version)
        return self._sketch.dataset(path, oid, kind="stage")

    def _add(self, path: str, oid: str, inside: str, node: str, *, perhaps: bool) -> None:
        if (path, oid, inside) not in self._seen:
            self._seen.add((path, oid, inside))
            self._queue.append((path, oid, inside, node, perhaps))

    def _visit(self, path: str, oid: str, inside: str, node: str, perhaps: bool) -> None:
        if (path, oid) not in self._reads:
            self._reads[path, oid] = list(reads({path: [oid]}, self._history))
        full = f"{path}/{inside}" if inside else path
        for reading in self._reads[path, oid]:
            if overlaps(reading.inside, inside):
                rows = self.rows(reading.making)
                if rows is None and reading.making.ours and not perhaps:
                    self._doubtful.append((reading.making, node))
                    continue
                if rows is None:
                    self._whole(reading.making, node, perhaps)
                    continue
                directory = not inside or kind_of(self._history.part(oid, inside) or "") == "dataset"
                for row, _, _ in rows.reading(full, directory):
                    self._datum(reading.making, row, node, perhaps)

    def _datum(self, making: Making, row: Row, node: str, perhaps: bool) -> None:
        datum = self.datum(making, row)
        self._sketch.link(node, datum, "input")
        doubt = {"perhaps": True} if perhaps else {}
        path = "data/" + making.ref.replace(".", "/", 1)
        for out in making.outs:
            if out.path == path:
                dataset = self._sketch.output(making, out)
                for file in row.datum.files:
                    facts = {"version": file.md5, "size": file.size, **doubt}
                    target = self._sketch.part(dataset, out.path, file.path, facts, making.model)
                    self._sketch.link(datum, target, "output")
                    self._add(out.path, out.md5, file.path, target, perhaps=perhaps)

    def _whole(self, making: Making, node: str, perhaps: bool) -> None:
        """A stage of which no datums are known: all of its outputs."""
        stage = self.stage(making)
        self._sketch.link(node, stage, "input")
        for out in making.data:
            doubt = {"perhaps": True} if perhaps else {}
            dataset = self._sketch.output(making, out, **doubt)
            self._sketch.link(stage, dataset, "output")
            self._add(out.path, out.md5, "", dataset, perhaps=perhaps)
            md5 = self._history.part(out.md5, making.model[1]) if making.model else None
            if making.model and md5:
                self._sketch.part(dataset, out.path, making.model[1], {"version": md5, **doubt}, making.model)


def _once(rows: Iterator[Row]) -> Iterator[Row]:
    seen: set[str] = set()
    for row in rows:
        if row.datum.datum.id not in seen:
            seen.add(row.datum.datum.id)
            yield row


def _above(path: str) -> Iterator[str]:
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(len(parts), 0, -1))
