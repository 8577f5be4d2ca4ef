"""One run of a deployment, from the tracked branch to the commit of its results. Knows no Prefect.

    hold       the deployment's worktree: of two runs at the same time the second waits
    prepare    it stands at the tracked commit, with the last dvc.lock and the data that both name
    run        the pipeline, as `trunkline run` does it
    commit     to the result branch, where dvc.lock says something new of the pipeline
    push       the data, then the branch, where both have somewhere to go

In this order, so that a kill leaves nothing that another run would believe: results are kept as every
run keeps them, the branch moves last and at once. The user's own tree is read for its configuration only.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trunkline import versions
from trunkline.cli.output import flat
from trunkline.cli.progress import Printer
from trunkline.cli.record import Recorder, Show
from trunkline.cli.running import Asked, execute, source_paths
from trunkline.errors import MissingData, ProjectError, UsageError
from trunkline.model import DatasetKind, Pipeline, Stage
from trunkline.project import Project
from trunkline.spec.override import override
from trunkline.store import branches, dvccall, git, inherit, pointers
from trunkline.store.branches import ResultBranch
from trunkline.store.gitcall import call
from trunkline.store.inherit import Wanted
from trunkline.store.worktree import Worktree

CLONES = ".trunkline/clones"
LOCK = "dvc.lock"
_METRICS = 12  # as many as a message names, of one stage
Params = Mapping[str, Mapping[str, Any]]  # stage -> parameter -> value
Shower = Callable[[Project, Sequence[Stage], Recorder], Show]


def found_or_made(pipeline: str, branch: str, repository: str = "", root: str = "") -> Worktree:
    """The worktree of a deployment that tracks `branch` ("": what is checked out), made where it is not there.

    It belongs to the project at `root`; without one, to a clone of `repository` below the working directory.
    """
    place = Worktree(root or _clone(repository), pipeline)
    if not root:
        branches.fetch(place.home)
    place.track(branch or branches.checked_out(place.home), clone=not root)
    if not place.is_sound():
        commit = branches.tracked(place.home, place.branch, fetched=place.fetches)
        with place.hold(print):
            place.bring_to(commit)
    return place


def _clone(repository: str) -> str:
    if not repository:
        raise UsageError(
            "it is not known where the project is",
            hint="set TRUNKLINE_HOME to its directory for the worker, or `repository` of the deployment"
            " to its git address",
        )
    name = repository.rstrip("/").rpartition("/")[2].removesuffix(".git") or "project"
    unique = hashlib.md5(repository.encode()).hexdigest()[:8]
    path = os.path.join(os.getcwd(), CLONES, f"{name}-{unique}")
    branches.clone(repository, path)
    return path


@dataclass(frozen=True, slots=True)
class Retrained:
    """What became of a run. `commit` is the one it made, None where it made none."""

    run: str
    cached: bool
    message: str
    commit: str | None = None
    unpushed: str = ""


@dataclass(frozen=True, slots=True)
class Retraining:
    """One run to come. `say` is told what happens; `show` makes who else shows the run.

    `params` and `data` replace, for this run, parameters of stages, and versions of source datasets. A run that
    is `scheduled` runs what is pending, too.
    """

    worktree: Worktree
    params: Params
    command: str
    say: Callable[[str], None] = print
    show: Shower | None = None
    data: Mapping[str, str] = field(default_factory=dict)  # source dataset -> version, or commit
    scheduled: bool = False

    def run(self) -> Retrained:
        """Bring the pipeline up to date with the tracked branch. Raises TrunklineError."""
        worktree = self.worktree
        with worktree.hold(self.say):
            if worktree.fetches:
                branches.fetch(worktree.home)
            commit = branches.tracked(worktree.home, worktree.branch, fetched=worktree.fetches)
            worktree.bring_to(commit)
            self._override(f"pipelines/{worktree.name}.yaml")
            self._go_back()
            with Project(worktree.root) as project:
                stages = project.select([worktree.name])
                pipeline = next(each for each in project.pipelines if each.name == worktree.name)
                results = ResultBranch(worktree.root, pipeline.commit_to)
                results.check_free()
                return _Run(self, project, pipeline, stages, commit, results).run()

    def _override(self, file: str) -> None:
        """Put other values into the pipeline file of the worktree."""
        if not any(self.params.values()):
            return
        path = os.path.join(self.worktree.root, file)
        text = _text(path)
        if not text:
            raise UsageError(f"there is no {file} on {self.worktree.branch}", where=file)
        with open(path, "w", encoding="utf-8", newline="") as stream:
            stream.write(override(text, file, self.params))

    def _go_back(self) -> None:
        """Put the pointers of other versions of source datasets into the worktree."""
        root = self.worktree.root
        known = pointers.sources(root)
        for name, wanted in self.data.items():
            if name not in known:
                there = ", ".join(sorted(known)) or "none"
                raise UsageError(f"there is no source dataset {name!r}", hint=f"there are: {there}")
            found = versions.of_source(root, f"data/{name}")
            past = next((each for each in found if wanted and _is(each, wanted)), None)
            if past is None:
                raise UsageError(
                    f"{name} has no version {wanted!r} in the history of {self.worktree.branch}",
                    hint=f"`trunkline versions {name}` lists them",
                )
            with open(os.path.join(root, known[name]), "wb") as stream:
                stream.write(git.show(root, past.commit.commit, known[name]) or b"")


def _is(past: versions.Past, wanted: str) -> bool:
    """Whether a version is meant, by its beginning or by the commit that brought it."""
    return past.version.oid.startswith(wanted) or past.commit.commit.startswith(wanted)


@dataclass(frozen=True, slots=True)
class _Run:
    """A run whose worktree is held, and stands at `commit`."""

    asked: Retraining
    project: Project
    pipeline: Pipeline
    stages: Sequence[Stage]
    commit: str
    results: ResultBranch

    def run(self) -> Retrained:
        show, before = self.asked.show, self._begin()
        inherit.restore(self.project.store, self._wanted(), self._fetch)
        recorder = execute(
            self.project,
            self.stages,
            Printer([stage.ref for stage in self.stages]),
            command=self.asked.command,
            asked=Asked(pending=True),
            show=None if show is None else lambda recorder: show(self.project, self.stages, recorder),
        )
        cached = all(report.state == "up_to_date" for report in recorder.reports)
        commit = self._commit(recorder, before)
        unpushed = self._push()
        return Retrained(recorder.id, cached, self._told(cached, commit, unpushed), commit, unpushed)

    # ------------------------------------------------------------ what it begins with

    def _begin(self) -> str:
        """Lay down the dvc.lock to begin with; the text that the result branch has, or will be based on."""
        root, tip = self.project.root, self.results.tip()
        path = os.path.join(root, LOCK)
        tracked = _text(path)
        if tip is None or self.results.is_merged_into(self.commit):
            return tracked
        base = branches.merge_base(root, tip, self.commit)
        theirs, old = (_decoded(data) for data in git.show_many(root, [(tip, LOCK), (base or tip, LOCK)]))
        self._go_on_ticking(tip, base or tip)
        text = inherit.lock(tracked, old if base else "", theirs, [stage.dvc_name for stage in self.stages])
        if text != tracked:
            self.project.store.write_text(LOCK, text)
        return theirs

    def _go_on_ticking(self, tip: str, base: str) -> None:
        """Lay down the last run's pointers of cron inputs, as far as people have not changed them since."""
        root, files = self.project.root, self._clocks()
        found = git.show_many(root, [(commit, file) for file in files for commit in (tip, base)])
        for file, theirs, old in zip(files, found[::2], found[1::2], strict=True):
            if theirs is not None and (old is None or tip == base or _bytes(os.path.join(root, file)) == old):
                self.project.store.write_text(file, _decoded(theirs))

    def _clocks(self) -> list[str]:
        """The pointers of the datasets of cron inputs, whether or not they are there."""
        leaves = [leaf for stage in self.stages for leaf in stage.leaves if leaf.ticks is not None]
        return sorted({f"{leaf.dataset.path}.dvc" for leaf in leaves})

    def _wanted(self) -> Iterator[Wanted]:
        """The versions that should be in the worktree: of sources, of what was made, of what DVC makes."""
        store = self.project.store
        for path in source_paths(self.stages):
            version = store.pointer(f"{path}.dvc")
            if version is None and f"{path}.dvc" in self._clocks():
                continue  # it has not ticked yet
            if version is None:
                raise MissingData(
                    f"{path}.dvc names no version that a cache could have",
                    where=f"{path}.dvc",
                    hint="it was imported without its data, or is versioned by a cloud: `dvc update` it",
                )
            yield Wanted(path, version.oid, version.size, f"{path}.dvc", True)
        for stage in self.stages:
            entry = store.lock_entry(stage.dvc_name)
            for out in entry.outs if entry is not None else ():
                yield Wanted(out.path, out.md5, out.size, stage.dvc_name, False)
        yield from self._foreign()

    def _foreign(self) -> Iterator[Wanted]:
        """What hand-written stages of dvc.yaml make, as dvc.lock has it: they are not run here."""
        paths = {
            leaf.dataset.path
            for stage in self.stages
            for leaf in stage.leaves
            if leaf.dataset.kind is DatasetKind.FOREIGN
        }
        if not paths:
            return
        locked = inherit.entries(_text(os.path.join(self.project.root, LOCK))) or {}
        for name, entry in locked.items():
            for out in entry.outs:
                if out.path in paths and not call(self.project.root, "ls-files", "-z", "--", out.path):
                    yield Wanted(out.path, out.md5, out.size, name, True)

    def _fetch(self, targets: Sequence[str]) -> str:
        names = {stage.dvc_name for stage in self.stages}
        if not self.project.store.config.remote and names.issuperset(targets):
            return "no DVC remote is the default"
        self.asked.say(f"fetching what is not in the cache: {', '.join(targets)}")
        return dvccall.fetch(self.project.root, targets)

    # ------------------------------------------------------------ what it leaves

    def _commit(self, recorder: Recorder, before: str) -> str | None:
        """Commit what the run made, where dvc.lock says something else of its stages than `before`."""
        root = self.project.root
        old, new = inherit.entries(before) or {}, inherit.entries(_text(os.path.join(root, LOCK))) or {}
        if all(old.get(stage.dvc_name) == new.get(stage.dvc_name) for stage in self.stages):
            return None
        changes = {path: _bytes(os.path.join(root, path)) for path in self._changed()}
        commit = self.results.advance(self.commit, changes, self._message(recorder))
        self.asked.say(f"committed {commit[:8]} to {self.results.name}")
        return commit

    def _changed(self) -> list[str]:
        """The files that the run has made, or is asked to change, of those that git sees."""
        dirty = git.state(self.project.root).dirty_files
        asked = [f"data/{name}.dvc" for name in self.asked.data]
        asked += [self.pipeline.file] if self.asked.params else []
        ours = {LOCK, *self.project.compiled(), *self._clocks(), *asked}
        folders = tuple(f"{stage.path}/" for stage in self.stages)
        return [
            path
            for path in dirty
            if path in ours
            or (path.startswith("data/") and path.endswith("/.gitignore"))
            or path.startswith(folders)
        ]

    def _push(self) -> str:
        """Push what origin has not got; why it could not be, "" where it was, or need not be."""
        commit = self.results.unpushed()
        if commit is None:
            return ""
        if not self.project.store.config.remote:
            self.asked.say("not pushed: no DVC remote is the default (`dvc remote default NAME`)")
            return ""
        store = self.project.store
        made = [stage.dvc_name for stage in self.stages if store.lock_entry(stage.dvc_name) is not None]
        sources = [f"{path}.dvc" for path in source_paths(self.stages)]
        if said := dvccall.push(self.project.root, [*made, *sources]):
            return f"the data could not be pushed: {said}"
        try:
            self.results.push(commit)
        except ProjectError as error:
            return error.message
        self.asked.say(f"pushed the data, and {self.results.name} to {branches.REMOTE}")
        return ""

    # ------------------------------------------------------------ what is said

    def _tracked(self) -> str:
        return f"{self.asked.worktree.branch} {self.commit[:8]}"

    def _told(self, cached: bool, commit: str | None, unpushed: str) -> str:
        parts = []
        if cached:
            parts.append(f"nothing new: every stage is up to date with {self._tracked()}")
        if commit is not None:
            parts.append(f"committed {commit[:8]} to {self.results.name}")
        elif not cached:
            parts.append(f"the results are those that {self.results.name} has already")
        if unpushed:
            parts.append(f"not pushed: {unpushed}; the next run will try again")
        return "; ".join(parts)

    def _message(self, recorder: Recorder) -> str:
        """The commit's message: of which run, on which data, with which metrics."""
        versions = {
            os.path.basename(path): version
            for path in source_paths(self.stages)
            if (version := self.project.store.pointer(f"{path}.dvc")) is not None
        }
        data = [f"{name} {version.oid[:8]}" for name, version in versions.items()]
        lines = [
            f"{self.pipeline.name}: results with {', '.join(data[:2]) or self._tracked()}",
            "",
            f"run: {recorder.id if recorder.log is not None else 'none was needed'}",
            f"pipeline: {self.pipeline.name}",
            f"tracked: {self._tracked()}",
            *([f"data: {', '.join(data)}"] if data else []),
        ]
        for stage in self.stages:
            if metrics := _metrics(self.project, stage):
                lines.append(f"metrics: {stage.name}: {', '.join(metrics)}")
        for name, values in self.asked.params.items():
            lines += [f"params: {name}.{key} = {json.dumps(value)}" for key, value in values.items()]
        return "\n".join(lines)


def _metrics(project: Project, stage: Stage) -> list[str]:
    """The first numbers of a stage's metrics, as far as they are JSON."""
    found: list[str] = []
    for name in stage.metrics:
        try:
            data = json.loads(_text(os.path.join(project.root, stage.path, name)))
        except ValueError:
            continue
        pairs = flat(data) if isinstance(data, dict) else {}
        numbers = {key: value for key, value in pairs.items() if isinstance(value, int | float)}
        found += [f"{key} {value:.6g}" for key, value in numbers.items()]
    return found[:_METRICS]


def _text(path: str) -> str:
    data = _bytes(path)
    return _decoded(data)


def _bytes(path: str) -> bytes | None:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def _decoded(data: bytes | None) -> str:
    return "" if data is None else data.decode("utf-8", "replace")
