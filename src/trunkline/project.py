"""The composition root: finds the project, reads its files, builds the adapters, once each.

A project is a directory with `.dvc/`, inside a git repository. Adapters are imported when first
needed: a command that has nothing to do must not pay for pandas, DVC or Parquet.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from trunkline.errors import ProjectError, SpecError, StaleError, TrunklineError, UsageError
from trunkline.model import Dask, Datum, File, Function, ManifestRow, Pipeline, Stage, Work
from trunkline.store import home
from trunkline.store.store import DvcStore
from trunkline.writer import writer_tag

if TYPE_CHECKING:
    from trunkline.archive import Archive
    from trunkline.artifacts import Artifacts
    from trunkline.collecting import Collector
    from trunkline.engine.code import Code
    from trunkline.engine.execute import Engine
    from trunkline.engine.gather import Gather
    from trunkline.engine.manifests import ManifestFacts, Manifests
    from trunkline.engine.planner import Planner
    from trunkline.engine.works import RunPaths
    from trunkline.exports import Exports
    from trunkline.ledger.catalog import Catalog
    from trunkline.ledger.results import Results
    from trunkline.ledger.runs import Runs
    from trunkline.lineage import History
    from trunkline.ports import Listener, Pool
    from trunkline.purging import Purger
    from trunkline.reading.objects import Objects
    from trunkline.runners.shipping import CodeOf
    from trunkline.sharing import Sharing
    from trunkline.sources import Sources
    from trunkline.store.home import Deployed
    from trunkline.store.manifest import Shard
    from trunkline.store.purged import Purged
    from trunkline.store.store import Old
    from trunkline.store.transfer import Transfer
    from trunkline.ticking import Clocks, Due

_PAST = 64  # commits in which the old text of a code file is looked for
DVC_YAML = "dvc.yaml"
PREFECT_YAML = "prefect.yaml"
SCHEMA = "schema/pipeline.json"


class Project:
    """One project's files and adapters."""

    def __init__(self, root: str) -> None:
        self.root = root

    @classmethod
    def find(cls, start: str | None = None) -> Project:
        """The project that holds `start` (the working directory). Raises ProjectError."""
        here = os.path.realpath(start or os.getcwd())
        root = _ancestor_with(here, ".dvc")
        if root is None:
            raise ProjectError(
                "there is no trunkline project here, nor above", where=here, hint="type `trunkline init`"
            )
        if _ancestor_with(root, ".git") is None:
            raise ProjectError(
                "trunkline needs git, and this DVC project is in no git repository",
                where=root,
                hint="type `git init`",
            )
        return cls(root)

    @cached_property
    def deployed(self) -> Deployed | None:
        """The deployment whose worktree this project is in; None for any other project."""
        return home.of(self.root)

    @cached_property
    def home(self) -> str:
        """The root of the project whose records these are: of the user's own, for a deployed run or an experiment."""
        if self.deployed is not None:
            return self.deployed.home
        return self._experiment[0] if self._experiment is not None else self.root

    @cached_property
    def _experiment(self) -> tuple[str, str] | None:
        return home.experiment_of(self.root)

    @cached_property
    def archive(self) -> Archive:
        """The records of runs in git."""
        from trunkline.archive import Archive

        return Archive(self.root, self.home, self._experiment[1] if self._experiment is not None else "")

    def __enter__(self) -> Project:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open, give up the scratch space."""
        for adapter in ("store", "ledger", "catalog"):
            if adapter in self.__dict__:
                getattr(self, adapter).close()

    # ------------------------------------------------------------ adapters

    @cached_property
    def store(self) -> DvcStore:
        """Data by content."""
        return DvcStore(
            self.root, write_manifest=self._manifest_files.write, patch_manifest=self._manifest_files.patch
        )

    @cached_property
    def _manifest_files(self) -> _ManifestFiles:
        return _ManifestFiles()

    @cached_property
    def ledger(self) -> Results:
        """Results by datum key, beside the cache."""
        from trunkline.ledger.results import Results

        return Results(os.path.join(self.store.cache_dir, "trunkline"))

    @cached_property
    def runs(self) -> Runs:
        """The records of runs."""
        from trunkline.ledger.runs import Runs

        return Runs(self.home)

    @cached_property
    def sources(self) -> Sources:
        """The source datasets, to be changed."""
        from trunkline.sources import Sources

        return Sources(self.root, self.store, self._owner)

    def _owner(self, name: str) -> str:
        """What has data/<name>, beside a source dataset; "" where nothing has."""
        from trunkline import spec

        if any(file.rpartition("/")[2].partition(".")[0] == name for file in self.pipeline_texts):
            return f"the pipeline {name}: its stages write there"
        path = f"data/{name}"
        for foreign in spec.foreign_outputs(self.dvc_yaml):
            if foreign == path or foreign.startswith(f"{path}/"):
                return f"a stage of dvc.yaml, which writes {foreign}"
        return ""

    def due(self, stages: Sequence[Stage]) -> list[Due]:
        """What the clocks of these stages will write; planning sees it from here on as if it were there."""
        found = list(self._clocks().due(stages)) if _ticks(stages) else []
        for each in found:
            self.gather.settle(each.dataset.path, *each.after)
        return [each for each in found if each.new]

    def tick(self, stages: Sequence[Stage]) -> Iterator[str]:
        """Write the ticks that are due for these stages; the pointers that changed."""
        for each, fresh in self._clocks().write(stages) if _ticks(stages) else ():
            self.gather.settle(each.dataset.path, *each.after)
            if fresh:
                yield f"{each.dataset.path}.dvc"

    def _clocks(self) -> Clocks:
        from datetime import UTC, datetime

        from trunkline.ticking import Clocks

        return Clocks(self.root, self.store, datetime.now(UTC))

    @cached_property
    def gather(self) -> Gather:
        """What is there now."""
        from trunkline.engine.gather import Gather

        return Gather(self.store, self.store.memo)

    @cached_property
    def code(self) -> Code:
        """The code of stages."""
        from trunkline.engine.code import Code

        return Code(self.root, self.gather.version, self.store.memo, self._past)

    def _past(self, path: str, md5: str) -> bytes | None:
        """The text of this content hash that a file once had, as far back as git is asked for it."""
        from trunkline.digest import md5_bytes
        from trunkline.store import git

        with suppress(TrunklineError):
            versions = islice(git.history(self.root, path), _PAST)
            return next((data for _, data in versions if data is not None and md5_bytes(data) == md5), None)
        return None

    @cached_property
    def _manifests(self) -> Manifests:
        from trunkline.engine.manifests import Manifests

        return Manifests(self.store, self.store.memo, self._manifest_files)

    @cached_property
    def planner(self) -> Planner:
        """Decides what must be done."""
        from trunkline.engine.planner import Planner

        return Planner(self.store, self.ledger, self._manifests, self.code, self.gather, writer_tag())

    @contextmanager
    def engine(self, run: RunPaths, listener: Listener, *, publish: bool = True) -> Iterator[Engine]:
        """An engine with a pool of its own; every process of the pool ends with the context."""
        from trunkline.engine.execute import Engine
        from trunkline.runners.mixed import MixedPool

        pool = MixedPool(self._cluster_of, self._pool)
        try:
            yield Engine(
                self.planner, self.store, self.ledger, pool, listener,
                root=self.root, run=run, publish=publish,
                secrets={name for stage in self.stages for name in stage.secrets},
            )  # fmt: skip
        except BaseException:
            pool.close(now=True)
            raise
        else:
            pool.close()

    def _cluster_of(self, work: Work) -> Dask | None:
        """The Dask cluster that the datum's pipeline names; None where it is computed on this machine."""
        pipeline = work.stage.partition(".")[0]
        return next(each.pool for each in self.pipelines if each.name == pipeline)

    def _pool(self, cluster: Dask | None) -> Pool:
        if cluster is None:
            from trunkline.ledger.deaths import died
            from trunkline.runners.pools import AdaptivePool

            return AdaptivePool(unsafe=lambda stage: died(self.runs, stage))
        from trunkline.runners.dask import DaskPool
        from trunkline.runners.objects import Remote

        config = self.store.config
        return DaskPool(cluster, lambda: Remote.of(config.remotes or {}, config.remote), self._code_of)

    def _code_of(self, ref: str) -> CodeOf:
        """A stage's code, for a machine that has not got it."""
        from trunkline.runners.shipping import CodeOf

        stage = self.stage(ref)
        writer = writer_tag() if isinstance(stage.run, Function) else ""
        return CodeOf(self.root, self.code.files(stage), self.code.digest(stage), writer, stage.fingerprint)

    def seal(self) -> None:
        """Clear away what killed processes left; close the records of runs that ended without saying so."""
        self.store.tidy()
        if self.runs.abandoned():
            with suppress(TrunklineError):  # what cannot be judged or kept now is another time
                for record in self.runs.seal(self.archive.entries_after):
                    self.archive.keep(record)

    def history(self) -> History:
        """What lineage asks: the workspace, the runs, git."""
        from trunkline.lineage.recorded import Readers, Recorded

        readers = Readers(
            pointer=self.store.pointer,
            listing=self.store.listing,
            object_path=self.store.object_path,
            datums=self._count_datums,
            accepted=self._count_accepted,
            rows=self.manifest,
            producers=self.ledger.producers,
        )
        paths = [pointer.removesuffix(".dvc") for pointer in self.store.sources().values()]
        return Recorded(self.catalog, readers, paths)

    @cached_property
    def catalog(self) -> Catalog:
        """The index of what runs, dvc.lock and git say of the past."""
        from trunkline.ledger.catalog import Catalog, Change, Past
        from trunkline.ledger.ids import FOLDER
        from trunkline.store import git, lockfile, pointers

        past = Past(
            tips=lambda: git.tips(self.root),
            changes=lambda: (Change(*each) for each in git.changes(self.root, lockfile.NAME, "*.dvc")),
            contents=lambda blobs: git.blobs(self.root, blobs),
            lock=lockfile.parse,
            pointer=pointers.parse,
        )
        file = os.path.join(self.root, ".dvc", "tmp", "trunkline", "lineage.db")
        return Catalog(file, self.root, os.path.join(self.home, FOLDER), past)

    @cached_property
    def artifacts(self) -> Artifacts:
        """What a person names: datasets, models, files, now and at other times."""
        from trunkline.artifacts import Artifacts

        return Artifacts(self.root, self.store, self.runs, self.catalog, lambda: self.stages)

    def sharing(self, remote: str = "") -> Sharing:
        """What goes to others and comes from them, by origin and a DVC remote ("": the default one)."""
        from trunkline.sharing import Sharing
        from trunkline.store.transfer import Transfer

        return Sharing(self.home, self.archive, self.runs, Transfer(self.root, remote))

    def exports(self) -> Exports:
        """What leaves the project in the formats of others."""
        from trunkline.exports import Exports

        return Exports(self.root, self.home, self.store, self.runs, self.artifacts, self.history())

    @cached_property
    def collector(self) -> Collector:
        """What nobody needs any longer, and its removal."""
        from trunkline.collecting import Collector

        return Collector(self.home, self.store, self.ledger, self.archive, self.runs)

    @cached_property
    def purger(self) -> Purger:
        """Deletes a file of a dataset from every version."""
        from trunkline.purging import Purger

        alone = self.collector.alone
        return Purger(self.home, self.store, self.ledger, self.archive, self.runs, self.manifest, alone)

    @cached_property
    def _purged(self) -> dict[str, Purged]:
        from trunkline.store import purged

        return purged.read(self.home)

    def holes(self, oid: str) -> list[Purged]:
        """What was purged of a version, or of a file, and is gone."""
        if not self._purged:
            return []
        files: Iterable[File] = [File("", oid, -1)]
        if oid.endswith(".dir"):
            try:
                files = self.store.listing(oid)
            except TrunklineError:
                files = []
        gone = [
            file
            for file in files
            if file.md5 in self._purged and not os.path.exists(self.store.object_path(file.md5))
        ]
        return [
            self._purged[file.md5]._replace(path=file.path or self._purged[file.md5].path) for file in gone
        ]

    def transfer(self, remote: str) -> Transfer:
        """A DVC remote ("": the default one). Raises ProjectError where there is none."""
        from trunkline.store.transfer import Transfer

        found = Transfer(self.root, remote)
        if not found.has_remote():
            raise ProjectError(
                "there is no DVC remote", where=".dvc/config", hint="type `dvc remote add -d NAME URL`"
            )
        return found

    def named_now(self) -> set[str]:
        """The versions that dvc.lock and the pointers name."""
        pointers = (self.store.pointer(file) for file in self.store.sources().values())
        outs = (out.md5 for entry in self.store.lock_entries().values() for out in entry.outs)
        return {*outs, *(version.oid for version in pointers if version is not None)}

    def in_cache(self, oid: str) -> bool:
        """Whether the cache has a version, and all that it lists."""
        if not os.path.exists(self.store.object_path(oid)):
            return False
        return not oid.endswith(".dir") or not self.store.evicted(self.store.listing(oid))

    def learn(self, manifests: Iterable[str]) -> int:
        """Know the results that these manifests record, as far as the cache has them; how many were new."""
        new = 0
        for oid in manifests:
            rows = None if self.ledger.knows(oid) else self.manifest(oid)
            if rows is not None:
                self.ledger.learn(oid, rows)
                new += 1
        return new

    @cached_property
    def objects(self) -> Objects:
        """Data by content, also from the DVC remote."""
        from trunkline.reading.objects import Objects

        return Objects(self.store)

    @cached_property
    def reachable(self) -> Artifacts:
        """As `artifacts`, also where a listing must be brought from the DVC remote first."""
        from trunkline.artifacts import Artifacts

        return Artifacts(
            self.root, self.store, self.runs, self.catalog, lambda: self.stages, self.objects.listing
        )

    def manifest(self, oid: str) -> tuple[ManifestRow, ...] | None:
        """The datums of a stage as its manifest of this hash has them; None where the cache has not got it."""
        return self._manifests.rows(oid)

    def _count_datums(self, manifest: str) -> int | None:
        facts = self._manifests.facts(manifest)
        return None if facts is None else facts.total

    def _count_accepted(self, manifest: str) -> tuple[int, str]:
        facts = self._manifests.facts(manifest)
        return (0, "") if facts is None else (facts.accepted, facts.transform)

    # ------------------------------------------------------------ declarations

    @cached_property
    def pipelines(self) -> tuple[Pipeline, ...]:
        """Every pipeline of the project, checked. Raises SpecError."""
        from trunkline import spec

        known = spec.Known(
            sources=frozenset(self.store.sources()),
            foreign=frozenset(spec.foreign_outputs(self.dvc_yaml)),
            functions=self.code.functions,
            exists=lambda path: os.path.isfile(os.path.join(self.root, path)),
            timezones=_timezones,
            packages=_package,
        )
        return spec.check(self.pipeline_texts, known)

    def drafted(self, file: str, text: str) -> Pipeline:
        """The pipeline of a file that need not be in the project, nor its code. Raises SpecError."""
        from trunkline import spec

        known = spec.Known(
            sources=frozenset(self.store.sources()), foreign=frozenset(spec.foreign_outputs(self.dvc_yaml))
        )
        root = spec.load(text, file)
        name = root.get("pipeline") if isinstance(root, dict) else None
        key = f"pipelines/{name}.yaml"
        try:
            found = spec.check({**self.pipeline_texts, key: text}, known)
        except SpecError as error:
            problems = (replace(each, file=file) if each.file == key else each for each in error.problems)
            raise SpecError(list(problems)) from error
        return next(pipeline for pipeline in found if pipeline.name == name)

    @cached_property
    def pipeline_texts(self) -> dict[str, str]:
        """The texts of pipelines/*.yaml by path relative to the root."""
        folder = os.path.join(self.root, "pipelines")
        names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        return {
            f"pipelines/{name}": _read(os.path.join(folder, name))
            for name in names
            if name.endswith((".yaml", ".yml"))
            and not name.startswith(".")
            and os.path.isfile(os.path.join(folder, name))
        }

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Every stage, upstream first: the order of dvc.yaml."""
        from trunkline.plan import graph

        return graph.order(self.pipelines)

    def stage(self, ref: str) -> Stage:
        """The stage `pipeline.stage`. Raises UsageError."""
        for stage in self.stages:
            if stage.ref == ref:
                return stage
        raise UsageError(f"there is no stage {ref!r}", hint=_closest(ref, [s.ref for s in self.stages]))

    def select(self, targets: Sequence[str]) -> tuple[Stage, ...]:
        """The stages that `targets` (pipelines, or `pipeline.stage`) need, upstream included."""
        from trunkline.plan import graph

        if not targets:
            return self.stages
        wanted: set[str] = set()
        names = {pipeline.name for pipeline in self.pipelines}
        for target in targets:
            if target in names:
                wanted.update(stage.ref for stage in self.stages if stage.pipeline == target)
            elif any(stage.ref == target for stage in self.stages):
                wanted.add(target)
            else:
                options = [*sorted(names), *(stage.ref for stage in self.stages)]
                raise UsageError(f"there is no pipeline or stage {target!r}", hint=_closest(target, options))
        return graph.select(self.stages, wanted)

    # ------------------------------------------------------------ dvc.yaml

    @cached_property
    def dvc_yaml(self) -> str:
        """The text of dvc.yaml, "" where there is none."""
        path = os.path.join(self.root, DVC_YAML)
        return _read(path) if os.path.exists(path) else ""

    def compiled(self, *, deployable: bool = False) -> dict[str, str]:
        """What `compile` writes: path relative to the root -> text, "" where there is to be no file.

        `deployable`: prefect.yaml also where nothing in the project asks for one.
        """
        from trunkline import spec

        code = {stage.ref: self.code.files(stage) for stage in self.stages}
        prefect = _read_or_empty(self.root, PREFECT_YAML)
        return {
            DVC_YAML: spec.compile_dvc(self.dvc_yaml, self.pipelines, code),
            PREFECT_YAML: spec.compile_prefect(prefect, self.pipelines, self._new_name, always=deployable),
            SCHEMA: spec.schema_text(),
        }

    def _new_name(self) -> str:
        from trunkline.store.branches import name_for

        return name_for(self.home)

    def stale(self) -> list[str]:
        """The compiled files that do not say what the pipeline files say."""
        return list(self._stale())

    def _stale(self, deployable: bool = False) -> dict[str, str]:
        compiled = self.compiled(deployable=deployable)
        return {path: text for path, text in compiled.items() if _read_or_empty(self.root, path) != text}

    def compile(self, *, deployable: bool = False) -> list[str]:
        """Write the compiled files that are stale; their paths."""
        stale = self._stale(deployable)
        for path, text in stale.items():
            if text or path != PREFECT_YAML:
                self.store.write_text(path, text)
            else:
                os.unlink(os.path.join(self.root, path))
        for stage in self.stages:
            self.store.ignore(stage.path)
            self.store.ignore(stage.manifest_path)
        self.__dict__.pop("dvc_yaml", None)
        return list(stale)

    def check_compiled(self) -> None:
        """Raise StaleError where a compiled file is stale."""
        if stale := self.stale():
            raise StaleError(
                f"{', '.join(stale)} {'is' if len(stale) == 1 else 'are'} older than pipelines/",
                hint="type `trunkline compile`",
            )

    def dvc_order(self) -> tuple[str, ...]:
        """The names of dvc.yaml's stages, in its order."""
        from trunkline import spec

        return spec.stage_names(self.dvc_yaml)


class _ManifestFiles:
    """The files of manifests, read and written; the format is imported at the first question.

    What was read last is kept: of a manifest that is written only the files that differ are written.
    """

    def __init__(self) -> None:
        self._read: list[Shard] = []

    def facts(self, paths: Sequence[str]) -> ManifestFacts:
        from trunkline.engine.manifests import ManifestFacts
        from trunkline.store.manifest import read_facts

        found = read_facts(paths)
        return ManifestFacts(found.transform, found.writer, found.rows, dict(found.packages), found.accepted)

    def rows(self, paths: Sequence[str], like: Mapping[str, Datum]) -> tuple[ManifestRow, ...]:
        from trunkline.store.manifest import joined, read_shard

        self._read = [read_shard(path, "".join(path.split("/")[-2:]), like) for path in paths]
        return joined(paths, self._read).rows

    def holding(self, names: Sequence[str], ids: Collection[str]) -> list[str]:
        from trunkline.store.manifest import holding

        return holding(names, ids)

    def patch(
        self,
        directory: str,
        rows: Sequence[ManifestRow],
        transform: str,
        packages: Mapping[str, str],
        old: Old,
    ) -> tuple[File, ...]:
        from trunkline.store.manifest import patch_manifest

        return patch_manifest(directory, rows, transform, packages, old, self._read)

    def write(
        self, directory: str, rows: Sequence[ManifestRow], transform: str, packages: Mapping[str, str]
    ) -> tuple[File, ...]:
        from trunkline.store.manifest import write_manifest

        return write_manifest(directory, rows, transform, packages, self._read)


def _ticks(stages: Sequence[Stage]) -> bool:
    return any(leaf.ticks is not None for stage in stages for leaf in stage.leaves)


def _timezones() -> set[str]:
    from zoneinfo import available_timezones

    return available_timezones()


def _package(name: str) -> str:
    from trunkline.engine.packages import version

    return version(name)


def _ancestor_with(start: str, name: str) -> str | None:
    here = start
    while not os.path.exists(os.path.join(here, name)):
        parent = os.path.dirname(here)
        if parent == here:
            return None
        here = parent
    return here


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            return stream.read()
    except UnicodeDecodeError as error:
        raise ProjectError(f"this file is not UTF-8 text: {error.reason}", where=path) from error


def _read_or_empty(root: str, path: str) -> str:
    full = os.path.join(root, path)
    return _read(full) if os.path.exists(full) else ""


def _closest(name: str, options: Collection[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, options, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"there are: {', '.join(sorted(options))}" if options else "there is no pipeline in pipelines/ yet"
