"""What leaves the project in the formats of others: a run, or an artifact with all that led to it.

    openlineage    events of the run, or of the runs that made what led to the artifact
    in-toto        a Statement with SLSA provenance about the artifact, or about all that the run made
    mermaid        the lineage graph as a flowchart
    model-card     what is recorded of the model, in Markdown

Gathers what is recorded, and hashes in the cache what is not; the formats are in `lineage`. Changes nothing.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline import listing
from trunkline.artifacts import Artifacts
from trunkline.digest import sha256_file
from trunkline.errors import TrunklineError, UsageError
from trunkline.ledger.records import RunRecord
from trunkline.ledger.runs import Runs
from trunkline.lineage import Artifact, Found, Graph, History, Node, Origin, walk_all
from trunkline.lineage.find import located
from trunkline.lineage.history import within
from trunkline.lineage.shape import Shapes
from trunkline.lineage.statement import Kept, makers, path_of
from trunkline.model import File, LockEntry
from trunkline.store import branches, gitcall, snapshots
from trunkline.store.store import DvcStore

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

_RUN_DIGITS = 6  # of a run's id, so many at least, or it is taken for something else


class Subject(NamedTuple):
    """What is exported: all that led to it, and the nodes of the graph that it is.

    `run` is the run that was named, None where an artifact was; `name` is what it can be asked for by.
    """

    name: str
    graph: Graph
    nodes: tuple[str, ...]
    run: RunRecord | None = None


class Exports:
    """Exports of the project at `root`, whose records lie at `home`."""

    def __init__(
        self, root: str, home: str, store: DvcStore, runs: Runs, artifacts: Artifacts, history: History
    ) -> None:
        self._root = root
        self._home = home
        self._store = store
        self._runs = runs
        self._artifacts = artifacts
        self._history = history
        self._shapes = Shapes(store.listing, store.object_path)

    # ------------------------------------------------------------ what

    def subject(self, given: str, local: Callable[[str], Artifact]) -> Subject:
        """The run or artifact that is called so; `local` knows what is on disk. Raises UsageError and others."""
        if os.path.lexists(given):
            return self._of_artifact(local(given), None)
        if (run := self._run(given)) is not None:
            return self._of_run(run)
        named = self._artifacts.find(given)
        found = located(given, named.dataset, named.oid, named.inside, self._history)
        return self._of_artifact(Artifact(given, named.md5, named.path), found)

    def _run(self, given: str) -> RunRecord | None:
        """The run that is called so; None where what is given can only be an artifact. Raises UsageError."""
        if given != "latest" and (
            len(given) < _RUN_DIGITS or not any(each.startswith(given) for each in self._runs.ids())
        ):
            return None
        return self._runs.load(given)

    def _of_artifact(self, artifact: Artifact, found: Found | None) -> Subject:
        graph, nodes = walk_all([(artifact, found)], self._history)
        if not graph.found:
            raise UsageError(
                f"nothing here knows where {artifact.given} came from",
                hint="no version, run or commit has this content",
            )
        node = graph.nodes[graph.root]
        version = str(node.attributes.get("version") or "")[:8]
        name = node.name if node.type == "model" else path_of(node).removeprefix("data/")
        return Subject(f"{name}@{version}", graph, nodes)

    def _of_run(self, run: RunRecord) -> Subject:
        entries = [stage.entry for stage in run.stages.values() if stage.entry is not None]
        artifacts = [artifact for entry in entries for artifact in self._made(entry)]
        artifacts += [
            each for stage in run.stages.values() for each in self._parts(stage.entry, stage.sha256)
        ]
        if not artifacts:
            return Subject(run.id, Graph("", {}), (), run)
        asked = [(artifact, self._in_run(artifact, run)) for artifact in artifacts]
        graph, nodes = walk_all(asked, self._history)
        return Subject(run.id, graph, tuple(dict.fromkeys(nodes)), run)

    def _in_run(self, artifact: Artifact, run: RunRecord) -> Found | None:
        """Where the run has the artifact."""
        for making in self._history.together(Origin("run", run.id, run.started)):
            for out in making.outs:
                if (inside := within(artifact.path, out.path)) is not None:
                    return Found(out.path, out.md5, inside, making)
        return None

    def _made(self, entry: LockEntry) -> Iterator[Artifact]:
        for out in entry.outs:
            if "/.manifests/" not in out.path:
                yield Artifact(out.path, out.md5, out.path)

    def _parts(self, entry: LockEntry | None, paths: Mapping[str, str]) -> Iterator[Artifact]:
        """The models and metrics among what a stage made: the files whose sha256 is recorded."""
        for out in entry.outs if entry is not None else ():
            for path in paths:
                inside = path.removeprefix(f"{out.path}/")
                found = None if inside == path else listing.part(self._files(out.md5), inside)
                if found is not None:
                    yield Artifact(path, found.oid, path)

    def _files(self, oid: str) -> tuple[File, ...]:
        with suppress(TrunklineError):
            return tuple(sorted(self._store.listing(oid)))
        return ()

    # ------------------------------------------------------------ as what

    def mermaid(self, subject: Subject) -> str:
        """The flowchart. Raises UsageError for a run that made nothing."""
        from trunkline.lineage.mermaid import render_mermaid

        return render_mermaid(_something(subject).graph)

    def statement(self, subject: Subject) -> dict[str, Any]:
        """The in-toto statement. Raises UsageError for a run that made nothing."""
        from trunkline.lineage.statement import statement

        graph = _something(subject).graph
        subjects = {node: self._digests(graph, graph.nodes[node]) for node in subject.nodes}
        return statement(graph, subjects, self._kept(graph))

    def card(self, subject: Subject) -> str:
        """The model card; of a run, that of the one model that it made. Raises UsageError."""
        from trunkline.lineage.card import Facts, card

        graph = subject.graph
        models = [graph.nodes[node] for node in subject.nodes if graph.nodes[node].type == "model"]
        if subject.run is None:
            models = [graph.nodes[subject.nodes[0]]]
        if len(models) != 1:
            names = ", ".join(sorted(model.name for model in models)) or "none"
            raise UsageError(
                f"a model card is of one model, and the run made {names}",
                hint="name the model, like NAME@RUN",
            )
        model = models[0]
        version = str(model.attributes.get("version") or "")
        name = subject.name if subject.run is None else f"{model.name}@{version[:8]}"
        from trunkline.lineage.measured import measured

        metrics = measured(path_of(model), version, self._history, self._store.object_path)
        facts = Facts(
            name, self._digests(graph, model), metrics, self._kept(graph),
            list(self._left_out(graph, model)), self._shapes.of,
        )  # fmt: skip
        return card(graph, model.id, facts)

    def events(self, subject: Subject, namespace: str = "") -> list[RunEvent]:
        """The OpenLineage events. Raises UsageError where no run is recorded, or the library is not there."""
        try:
            from trunkline.lineage.openlineage import Scene, events
        except ModuleNotFoundError as error:
            raise UsageError(
                f"OpenLineage needs a library that is not installed ({error.name})",
                hint="type `pip install 'trunkline[lineage]'`",
            ) from error
        namespace = namespace or branches.name_for(self._home)
        found = []
        for run, stages in self._ran(subject):
            scene = Scene(namespace, self._origin(), self._kept_of(run), self._shapes.of)
            found += events(run, scene, stages)
        if not found:
            raise UsageError("no run is recorded here that made it", hint="`trunkline pull` brings records")
        return found

    def _ran(self, subject: Subject) -> Iterator[tuple[RunRecord, set[str] | None]]:
        """The runs that made what led to the subject, oldest first, each with those stages; None: with all."""
        if subject.run is not None:
            yield subject.run, None
            return
        stages: dict[str, set[str]] = {}
        for node in subject.graph.nodes.values():
            if node.type == "stage" and node.attributes.get("run_id"):
                stages.setdefault(str(node.attributes["run_id"]), set()).add(node.name)
        for run_id in sorted(stages):
            with suppress(UsageError):
                yield self._runs.load(run_id), stages[run_id]

    # ------------------------------------------------------------ facts

    def _digests(self, graph: Graph, node: Node) -> dict[str, str]:
        """sha256 of a file, `dirHash` of a directory: recorded, else of what is in the cache; {} without."""
        path, version = path_of(node), str(node.attributes.get("version") or "")
        for stage in makers(graph, node.id):
            if stage.attributes.get("run_exact"):
                with suppress(TrunklineError):
                    record = self._runs.load(str(stage.attributes["run_id"])).stages[stage.name]
                    if path in record.sha256:
                        return {"sha256": record.sha256[path]}
        with suppress(TrunklineError, OSError):
            return self._hashed(version)
        return {}

    def _hashed(self, version: str) -> dict[str, str]:
        if not version.endswith(".dir"):
            return {"sha256": sha256_file(self._store.object_path(version))}
        files = self._store.listing(version)
        return {"dirHash": dir_hash({file.path: self._store.object_path(file.md5) for file in files})}

    def digest_of(self, given: str) -> dict[str, str]:
        """The digest of the version that is called so, its bytes in the cache hashed now. Raises OSError too."""
        return self._hashed(self._artifacts.find(given).md5)

    def _kept(self, graph: Graph) -> dict[str, Kept]:
        found = {}
        for node in graph.nodes.values():
            if node.type == "run":
                with suppress(UsageError):
                    found[node.name] = self._kept_of(self._runs.load(node.name))
        return found

    def _kept_of(self, run: RunRecord) -> Kept:
        commit = snapshots.commit_of(self._home, run.id) or ""
        return Kept(commit, snapshots.tree_of(self._home, commit) if commit else "", run.ended)

    def _left_out(self, graph: Graph, model: Node) -> Iterator[tuple[str, str]]:
        for stage in makers(graph, model.id):
            for run in graph.into(stage.id, "run"):
                with suppress(UsageError):
                    for each in self._runs.load(run.name).code.get("left_out", ()):
                        yield str(each["path"]), str(each["reason"])

    def _origin(self) -> str:
        code, out, _ = gitcall.attempt(self._home, "config", "--get", f"remote.{branches.REMOTE}.url")
        return "" if code else gitcall.text(out).strip()


def dir_hash(files: Mapping[str, str]) -> str:
    """in-toto's `dirHash` of a directory, given where each of its files lies by its path in it.

    sha256 of the lines that `sha256sum` prints for the files, sorted by the bytes of their names.
    """
    names = sorted(files, key=os.fsencode)
    lines = (f"{sha256_file(files[name])}  {name}\n" for name in names)
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def digest_of(path: str) -> dict[str, str]:
    """The digest of a file or directory on disk, as statements name it. Raises OSError."""
    if not os.path.isdir(path):
        return {"sha256": sha256_file(path)}
    found = {}
    for place, _, names in os.walk(path):
        for name in names:
            full = os.path.join(place, name)
            found[os.path.relpath(full, path)] = full
    return {"dirHash": dir_hash(found)}


def _something(subject: Subject) -> Subject:
    if not subject.nodes:
        raise UsageError(f"the run {subject.name[:8]} made nothing", hint="`trunkline show` says why")
    return subject
