"""Walks forward: from data, code, a parameter, a commit or a package to every result that it touched.

What was reached is asked for a generation at a time, all versions of it together: ten thousand runs
are a handful of questions. A making counts as often as its content differs, not as often as it was run;
every one that a record or a commit knows counts, also where a later one made the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from trunkline.ledger.makings import canonical
from trunkline.lineage.graph import Graph
from trunkline.lineage.history import History, Making, Origin, RunFact, within
from trunkline.lineage.places import Reading, reads
from trunkline.lineage.sketch import Sketch, does, kind_of


class Data(NamedTuple):
    """`inside` ("" for all) of these versions of the dataset at `path`; `md5` is its content in all of them."""

    path: str
    oids: tuple[str, ...]
    inside: str = ""
    md5: str = ""


class CodeFile(NamedTuple):
    """A file of code with this content."""

    path: str
    md5: str


class Param(NamedTuple):
    """A parameter, `flights.train.epochs`, with this value."""

    key: str
    value: Any


class AtCommit(NamedTuple):
    """The runs that were made at a commit, or that have it as parent."""

    commit: str


class Package(NamedTuple):
    """A version of a package, installed where runs were."""

    name: str
    version: str


Thing = Data | CodeFile | Param | AtCommit | Package


class Reach:
    """What was reached: the makings by id in the order in which they were, and which data each read."""

    def __init__(
        self, makings: Iterable[Making] = (), runs: Mapping[int, Sequence[RunFact]] | None = None
    ) -> None:
        self.makings = {making.id: making for making in makings}
        self.readings: list[Reading] = []
        self.runs = dict(runs or {})


def down(thing: Thing, history: History) -> Graph:
    """The graph of what the thing went into. Its root is the thing."""
    return _Down(history).graph(thing)


def reach(versions: Mapping[str, Sequence[str]], history: History, found: Reach) -> None:
    """Follow these versions (path -> content hashes) as far as they went; add that to `found`."""
    seen = {(path, oid) for path, oids in versions.items() for oid in oids}
    while versions:
        new: list[Making] = []
        for reading in reads(versions, history):
            found.readings.append(reading)
            if reading.making.id not in found.makings:
                found.makings[reading.making.id] = reading.making
                new.append(reading.making)
        versions = outputs(new, seen)


def outputs(makings: Iterable[Making], seen: set[tuple[str, str]]) -> dict[str, list[str]]:
    """The versions that these made, by path, without those `seen`, to which they are added."""
    found: dict[str, list[str]] = {}
    for making in makings:
        for out in making.data:
            if (out.path, out.md5) not in seen:
                seen.add((out.path, out.md5))
                found.setdefault(out.path, []).append(out.md5)
    return found


class _Down:
    def __init__(self, history: History) -> None:
        self._history = history
        self._sketch = Sketch(history)
        present = history.together(Origin("workspace"))
        self._now = frozenset(making.id for making in present)
        self._present = frozenset((out.path, out.md5) for making in present for out in making.outs)
        self._named: dict[tuple[str, str], tuple[str, str]] = {}  # (path, version) -> its model

    def graph(self, thing: Thing) -> Graph:
        match thing:
            case Data():
                return self._of_data(thing)
            case CodeFile(path, md5):
                root = self._sketch.code(path, md5)
                return self._of_makings(root, "code", self._history.readers(path, [md5]))
            case Param(key, value):
                known = self._history.param_values(key)
                root = self._sketch.add(
                    "params", f"{key}={canonical(value)}", key, {"value": value, "known": known}
                )
                return self._of_makings(root, "params", self._history.with_param(key, value))
            case AtCommit(commit):
                root = self._sketch.add("commit", commit, commit, {})
                return self._of_runs(root, "commit", self._history.run_at(commit))
            case Package(name, version):
                known = self._history.package_versions(name)
                root = self._sketch.add(
                    "package", f"{name}=={version}", name, {"version": version, "known": known}
                )
                return self._of_runs(root, "package", self._history.run_with(name, version))

    # ------------------------------------------------------------ where it begins

    def _of_data(self, data: Data) -> Graph:
        root = ""
        for oid in data.oids:
            node = self._version(data.path, oid)
            if data.inside:
                facts = {"version": data.md5, "now": self._is_now(data.path, oid)}
                model = self._named.get((data.path, oid))
                node = self._sketch.part(node, data.path, data.inside, facts, model)
            root = root or node
        if len(data.oids) > 1 and not data.inside:
            root = self._all_versions(data)
        found = Reach()
        self._first(data, root, found)
        return self._drawn(root, found)

    def _version(self, path: str, oid: str) -> str:
        now = self._is_now(path, oid)
        version = next((each for each in self._history.source_versions(path) if each.oid == oid), None)
        if version is not None:
            return self._sketch.source(path, version, now=now)
        for making in self._history.makers(path, oid):
            for out in making.outs:
                if (out.path, out.md5) == (path, oid):
                    self._named.update({(path, oid): making.model} if making.model else {})
                    return self._sketch.output(making, out, now=now)
        return self._sketch.dataset(path, oid, kind="unknown", now=now)

    def _all_versions(self, data: Data) -> str:
        root = self._sketch.add("dataset", data.path, data.path, {"versions": len(data.oids)})
        for oid in data.oids:
            self._sketch.link(root, f"{kind_of(oid)}:{data.path}@{oid}", "version")
        return root

    def _first(self, data: Data, root: str, found: Reach) -> None:
        """The stages that read the data itself; of a file, those whose dep holds it."""
        for reading in reads({data.path: data.oids}, self._history):
            if overlaps(reading.inside, data.inside):
                found.makings.setdefault(reading.making.id, reading.making)
                if data.inside:
                    self._sketch.link(root, self._stage(reading.making), "input")
                else:
                    found.readings.append(reading)
        reach(outputs(found.makings.values(), set()), self._history, found)

    def _of_makings(self, root: str, role: str, makings: Sequence[Making]) -> Graph:
        found = Reach(makings)
        reach(outputs(makings, set()), self._history, found)
        for making in makings:
            self._sketch.link(root, self._stage(making), role)
        return self._drawn(root, found, any_=bool(makings))

    def _of_runs(self, root: str, role: str, runs: Mapping[int, Sequence[RunFact]]) -> Graph:
        makings = self._history.some(list(runs))
        found = Reach(makings, runs)
        for facts in runs.values():
            for fact in facts:
                self._sketch.link(root, self._sketch.run(fact), role)
        reach(outputs(makings, set()), self._history, found)
        return self._drawn(root, found, any_=bool(runs))

    # ------------------------------------------------------------ what was reached

    def _drawn(self, root: str, found: Reach, *, any_: bool = True) -> Graph:
        rest = [making for making in found.makings.values() if making.id not in found.runs]
        for making in found.makings.values():
            if making.model is not None:
                self._named.update(((out.path, out.md5), making.model) for out in making.data)
        found.runs.update(self._history.runs_of(rest))
        models = self._models(found.makings.values())
        for making in found.makings.values():
            stage = self._stage(making)
            for fact in found.runs.get(making.id, ()):
                self._sketch.link(self._sketch.run(fact), stage, "run")
            for out in making.data:
                now = (out.path, out.md5) in self._present
                dataset = self._sketch.output(making, out, now=now)
                self._sketch.link(stage, dataset, "output")
                if making.model is not None:
                    md5 = models.get((making.model[1], out.md5))  # None: its listing is not at hand
                    if md5 != "":
                        facts = {"version": md5, "now": now}
                        self._sketch.part(dataset, out.path, making.model[1], facts, making.model)
        for reading in found.readings:
            self._sketch.link(self._part(reading), self._stage(reading.making), "input")
        graph = self._sketch.graph(root)
        return graph if any_ else Graph(graph.root, graph.nodes, graph.edges, found=False)

    def _models(self, makings: Iterable[Making]) -> dict[tuple[str, str], str]:
        """(file, version of the dataset) -> content, of every model among the outputs."""
        by_file: dict[str, list[str]] = {}
        for making in makings:
            if making.model is not None:
                by_file.setdefault(making.model[1], []).extend(out.md5 for out in making.data)
        return {
            (file, oid): md5
            for file, oids in by_file.items()
            for oid, md5 in self._history.parts(file, oids).items()
        }

    def _part(self, reading: Reading) -> str:
        """The node of what was read."""
        now = self._is_now(reading.path, reading.oid)
        dataset = self._sketch.dataset(reading.path, reading.oid, kind="stage", now=now)
        dep = reading.dep
        facts = {
            "version": dep.md5, "size": dep.size, "nfiles": dep.nfiles, "checked": reading.checked, "now": now,
        }  # fmt: skip
        model = self._named.get((reading.path, reading.oid))
        return self._sketch.part(dataset, reading.path, reading.inside, facts, model)

    def _stage(self, making: Making) -> str:
        facts = {"dvc_name": making.name, "run": does(making), "now": making.id in self._now}
        return self._sketch.stage(making, facts)

    def _is_now(self, path: str, oid: str) -> bool:
        if (path, oid) in self._present:
            return True
        versions = self._history.source_versions(path) if path in self._history.sources() else ()
        return next((version.oid == oid for version in versions), False)


def overlaps(one: str, other: str) -> bool:
    """Whether one of two places in a dataset ("" for all of it) is, or holds, the other."""
    return not one or not other or within(one, other) is not None or within(other, one) is not None
