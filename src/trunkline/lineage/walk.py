"""Walks from an artifact back to the sources.

A stage is read from the lock entry that made a version: its code and parameters are the entry's, and
each dep is followed at exactly the content that the entry names, never at what the workspace happens
to hold. The producer of that content is looked for in the same lock, then in the others, newest first;
where no lock, run or commit names it, the graph says that it is unknown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from typing import Any, NamedTuple

from trunkline.digest import md5_bytes
from trunkline.lineage.find import Locks, find, part_of, within
from trunkline.lineage.graph import Edge, Graph, Node
from trunkline.lineage.history import (
    Artifact,
    Found,
    History,
    LockSnapshot,
    Origin,
    RunFact,
    SourceVersion,
)
from trunkline.model import LockEntry, LockItem

_COMMITS = 50  # so many locks of git are searched for the commit of a stage that has no run


def walk(artifact: Artifact, history: History) -> Graph:
    """The graph of everything that led to the artifact."""
    return _Walk(history).graph(artifact)


class _Declared(NamedTuple):
    """What a lock entry says of its stage: the name people use, and its part of the pipeline file."""

    ref: str
    values: Mapping[str, Any]
    ours: bool


class _Walk:
    def __init__(self, history: History) -> None:
        self._history = history
        self._locks = Locks(history)
        self._nodes: dict[str, Node] = {}
        self._edges: dict[Edge, None] = {}
        self._made_by: set[str] = set()
        self._parts: dict[tuple[str, str], str | None] = {}

    def graph(self, artifact: Artifact) -> Graph:
        found = find(artifact, self._history, self._locks)
        if found is None:
            kind = "dataset" if artifact.md5.endswith(".dir") else "file"
            node = Node(
                f"{kind}:{artifact.given}@{artifact.md5}", kind, artifact.given, {"version": artifact.md5}
            )
            return Graph(node.id, {node.id: node}, found=False)
        root = self._artifact(artifact, found)
        return Graph(root, self._nodes, tuple(self._edges))

    # ------------------------------------------------------------ nodes

    def _add(self, kind: str, identity: str, name: str, attributes: Mapping[str, Any]) -> str:
        node = Node(f"{kind}:{identity}", kind, name, attributes)
        self._nodes.setdefault(node.id, node)
        return node.id

    def _link(self, source: str, target: str, role: str) -> None:
        self._edges.setdefault(Edge(source, target, role))

    def _artifact(self, artifact: Artifact, found: Found) -> str:
        if found.source is not None:
            dataset = self._source(found.path, found.source)
            declared = None
        else:
            assert found.snapshot is not None
            dataset = self._made(found.path, found.oid, found.snapshot, found.stage)
            declared = _declared(found.stage, found.snapshot.entries[found.stage])
        copy = bool(found.file) and artifact.path != f"{found.path}/{found.file}"
        facts = {"version": artifact.md5, "copy": artifact.given if copy else None}
        return self._part(dataset, found.path, found.file, facts, declared)

    def _part(
        self, dataset: str, path: str, inside: str, facts: Mapping[str, Any], declared: _Declared | None
    ) -> str:
        """The node of a file or directory of a dataset; the dataset's own for all of it."""
        if not inside:
            return dataset
        md5, full = facts["version"], f"{path}/{inside}"
        model = declared.values.get("model") if declared is not None else None
        facts = {**facts, "kind": "part", "path": full}
        if isinstance(model, Mapping) and model.get("path") == inside:
            node = self._add("model", f"{model.get('name')}@{md5}", str(model.get("name")), facts)
        else:
            node = self._add(_kind(md5), f"{full}@{md5}", full, facts)
        self._link(dataset, node, "contains")
        return node

    def _dataset(self, path: str, oid: str, **attributes: Any) -> str:
        return self._add(_kind(oid), f"{path}@{oid}", path, {"version": oid, **attributes})

    def _source(self, path: str, version: SourceVersion) -> str:
        commit = version.commit
        return self._dataset(
            path,
            version.oid,
            kind="source",
            size=version.size,
            nfiles=version.nfiles,
            commit=None if commit is None else commit._asdict(),
        )

    def _made(self, path: str, oid: str, snapshot: LockSnapshot, name: str) -> str:
        """The version `oid` of the output at `path`, with the stage that made it."""
        out = next(out for out in snapshot.entries[name].outs if out.path == path)
        kind = "stage" if _declared(name, snapshot.entries[name]).ours else "foreign"
        dataset = self._dataset(path, oid, kind=kind, size=out.size, nfiles=out.nfiles)
        if dataset not in self._made_by:
            self._made_by.add(dataset)
            self._link(self._stage(snapshot, name), dataset, "output")
        return dataset

    # ------------------------------------------------------------ a stage

    def _stage(self, snapshot: LockSnapshot, name: str) -> str:
        entry = snapshot.entries[name]
        declared = _declared(name, entry)
        identity = f"{declared.ref}@{_md5([[out.path, out.md5] for out in entry.outs])}"
        if f"stage:{identity}" in self._nodes:
            return f"stage:{identity}"
        run = self._history.run_of(declared.ref, entry)
        attributes = self._stage_facts(snapshot, name, entry, declared, run)
        node = self._add("stage", identity, declared.ref, attributes)
        if run is not None:
            self._link(self._run(run), node, "run")
        self._params(node, declared, entry)
        for dep in entry.deps:
            self._dep(node, dep, snapshot, declared.ours)
        return node

    def _stage_facts(
        self, snapshot: LockSnapshot, name: str, entry: LockEntry, declared: _Declared, run: RunFact | None
    ) -> dict[str, Any]:
        values = declared.values
        command = values.get("cmd")
        manifest = _manifest(declared.ref, entry)
        accepted = self._history.accepted(declared.ref, manifest) if manifest else None
        recorded = self._recorded(name, entry) if run is None else None
        return {
            "dvc_name": name,
            "run": values.get("run")
            or (" ".join(map(str, command)) if isinstance(command, list) else entry.cmd),
            "datums": self._datums(manifest, run),
            "accepted": None if accepted is None else accepted._asdict(),
            "run_id": None if run is None else run.id,
            "run_exact": None if run is None else run.exact,
            "seconds": None if run is None else run.seconds,
            "commit": None if run is None else run.commit,
            "dirty": None if run is None else bool(run.dirty_files),
            "lock": snapshot.origin._asdict(),
            "recorded": recorded,
        }

    def _datums(self, manifest: str, run: RunFact | None) -> dict[str, int] | None:
        if run is not None and run.exact and run.datums:
            return dict(run.datums)
        total = self._history.datums(manifest) if manifest else None
        return None if total is None else {"total": total}

    def _recorded(self, name: str, entry: LockEntry) -> dict[str, str] | None:
        """The commit since which dvc.lock has this entry; None where the last ones do not have it."""
        since: Origin | None = None
        commits = (snapshot for snapshot in self._locks if snapshot.origin.kind == "commit")
        for number, snapshot in enumerate(commits):
            if snapshot.entries.get(name) == entry:
                since = snapshot.origin
            elif since is not None or number >= _COMMITS:
                break
        return None if since is None else {"commit": since.id, "time": since.time}

    def _run(self, run: RunFact) -> str:
        node = self._add(
            "run",
            run.id,
            run.id,
            {
                "state": run.state,
                "started": run.started,
                "commit": run.commit,
                "branch": run.branch,
                "dirty": bool(run.dirty_files),
                "dirty_files": list(run.dirty_files),
            },
        )
        if run.environment:
            name = f"Python {run.environment.get('python', '')}".strip()
            environment = self._add("environment", _md5(run.environment), name, run.environment)
            self._link(environment, node, "environment")
        return node

    def _params(self, stage: str, declared: _Declared, entry: LockEntry) -> None:
        values: Mapping[str, Any]
        if declared.ours:
            values = declared.values.get("params") or {}
        else:
            values = {key: value for some in entry.params.values() for key, value in some.items()}
        if values:
            node = self._add("params", f"{declared.ref}@{_md5(values)}", declared.ref, values)
            self._link(node, stage, "params")

    # ------------------------------------------------------------ a dep

    def _dep(self, stage: str, dep: LockItem, snapshot: LockSnapshot, ours: bool) -> None:
        """One dep of a stage: data with its own lineage, data of unknown origin, or a plain file."""
        node = self._from_source(dep) or self._from_locks(dep, [snapshot])
        if node is None and self._like_data(dep, snapshot, ours):
            node = (
                self._from_locks(dep, self._locks)
                or self._from_unlisted(dep, snapshot)
                or self._from_old_source(dep)
                or self._unknown(dep)
            )
        if node is not None:
            self._link(node, stage, "input")
            return
        kind, role = ("code", "code") if ours else ("file", "input")
        facts = {"version": dep.md5, "kind": "plain", "size": dep.size}
        self._link(self._add(kind, f"{dep.path}@{dep.md5}", dep.path, facts), stage, role)

    def _like_data(self, dep: LockItem, snapshot: LockSnapshot, ours: bool) -> bool:
        """Whether the past must be searched for a dep: it is at a place where datasets are."""
        if ours and (dep.md5.endswith(".dir") or dep.path.startswith("data/")):
            return True
        locks = [snapshot, *islice(self._locks, 1)]
        outs = (out.path for lock in locks for entry in lock.entries.values() for out in entry.outs)
        return any(within(dep.path, path) is not None for path in chain(self._history.sources(), outs))

    def _unknown(self, dep: LockItem) -> str:
        facts = {"version": dep.md5, "kind": "unknown", "size": dep.size, "nfiles": dep.nfiles}
        return self._add(_kind(dep.md5), f"{dep.path}@{dep.md5}", dep.path, facts)

    def _from_source(self, dep: LockItem) -> str | None:
        for path in self._history.sources():
            if within(dep.path, path) is not None:
                return self._source_with(dep, path)
        return None

    def _from_old_source(self, dep: LockItem) -> str | None:
        """A source dataset that is no longer there."""
        path = dep.path
        while path:
            if (node := self._source_with(dep, path)) is not None:
                return node
            path = path.rpartition("/")[0]
        return None

    def _source_with(self, dep: LockItem, path: str) -> str | None:
        inside = within(dep.path, path) or ""
        for version in self._history.source_versions(path):
            if self._hash_inside(version.oid, inside) == dep.md5:
                return self._dep_part(self._source(path, version), path, inside, dep)
        return None

    def _from_locks(self, dep: LockItem, locks: Iterable[LockSnapshot]) -> str | None:
        for lock in locks:
            for name, entry in lock.entries.items():
                for out in entry.outs:
                    inside = within(dep.path, out.path)
                    if inside is not None and self._hash_inside(out.md5, inside) == dep.md5:
                        made = self._made(out.path, out.md5, lock, name)
                        return self._dep_part(made, out.path, inside, dep, _declared(name, entry))
        return None

    def _from_unlisted(self, dep: LockItem, snapshot: LockSnapshot) -> str | None:
        """A part of an output of the same lock, whose listing is not here to check it by."""
        for name, entry in snapshot.entries.items():
            for out in entry.outs:
                inside = within(dep.path, out.path)
                if inside and self._history.listing(out.md5) is None:
                    made = self._made(out.path, out.md5, snapshot, name)
                    return self._dep_part(made, out.path, inside, dep, _declared(name, entry), checked=False)
        return None

    def _dep_part(
        self,
        dataset: str,
        path: str,
        inside: str,
        dep: LockItem,
        declared: _Declared | None = None,
        *,
        checked: bool = True,
    ) -> str:
        facts = {"version": dep.md5, "size": dep.size, "nfiles": dep.nfiles, "checked": checked}
        return self._part(dataset, path, inside, facts, declared)

    def _hash_inside(self, oid: str, inside: str) -> str | None:
        if (oid, inside) not in self._parts:
            self._parts[oid, inside] = part_of(self._history, oid, inside)
        return self._parts[oid, inside]


def _md5(value: object) -> str:
    return md5_bytes(json.dumps(value, sort_keys=True, default=str).encode())


def _manifest(ref: str, entry: LockEntry) -> str:
    """The content hash of a stage's manifest, "" where it has none."""
    path = "data/" + ref.replace(".", "/.manifests/", 1)
    return next((out.md5 for out in entry.outs if out.path == path), "")


def _kind(md5: str) -> str:
    return "dataset" if md5.endswith(".dir") else "file"


def _declared(name: str, entry: LockEntry) -> _Declared:
    """What the entry records of our declaration; nothing for a stage written by hand."""
    words = entry.cmd.split()
    if words[:2] == ["trunkline", "exec"] and len(words) > 2:
        ref = words[2]
        key = f"stages.{ref.partition('.')[2]}"
        for values in entry.params.values():
            if isinstance(found := values.get(key), Mapping):
                return _Declared(ref, found, True)
        return _Declared(ref, {}, True)
    return _Declared(name, {}, False)
