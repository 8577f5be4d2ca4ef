"""A run as OpenLineage events, through the library `openlineage-python` (the extra `lineage`).

    job letters-1a2b3c4d/letters        START … COMPLETE    the run itself
    job letters-1a2b3c4d/letters.upper  START … COMPLETE    each stage that was executed, the run its parent
        run facets      parent, nominalTime, processing_engine, executionParameters, errorMessage, trunkline_run
        job facets      jobType, sourceCodeLocation (where the repository has an origin)
        data            version, storage, schema (Parquet), statistics, trunkline_dataset

COMPLETE is a run or stage that is done, FAIL one that failed, ABORT one that was interrupted. Stages that
were up to date did nothing and have no event. The id of a stage's run follows from the run's id and the
stage's name: events that are sent twice are the same ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import UUID, uuid5

import attr
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    set_producer,
)
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    RunFacet,
    dataset_version_dataset,
    error_message_run,
    execution_parameters_run,
    input_statistics_input_dataset,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    source_code_location_job,
    storage_dataset,
)
from openlineage.client.serde import Serde
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import HttpConfig, HttpTransport
from openlineage.client.transport.transport import Transport

from trunkline import __version__
from trunkline.errors import StoreError, TrunklineError, UsageError
from trunkline.ledger.records import RunRecord, StageRecord
from trunkline.lineage.shape import Shape
from trunkline.lineage.statement import Kept
from trunkline.model import LockItem

PRODUCER = f"https://trunkline.dev/{__version__}"
_FACETS = "https://trunkline.dev/openlineage/1-0-0"
_ENDS = {
    "done": RunState.COMPLETE,
    "superseded": RunState.COMPLETE,
    "failed": RunState.FAIL,
    "interrupted": RunState.ABORT,
}
_NOT_RUN = ("up_to_date", "skipped", "waiting")


@attr.define
class TrunklineRunFacet(RunFacet):
    """What only we know of a stage of a run: which code exactly, which datums, which manifest."""

    run: str
    decision: str
    transform: str
    manifest: str
    datums: dict[str, int]
    commit: str | None
    tree: str | None
    dirtyFiles: list[str]  # noqa: N815
    code: list[dict[str, str]]
    sha256: dict[str, str]

    @staticmethod
    def _get_schema() -> str:
        return f"{_FACETS}/TrunklineRunFacet.json"


@attr.define
class TrunklineDatasetFacet(DatasetFacet):
    """DVC's hash of a dataset, and of the parts of it that were read."""

    md5: str
    parts: dict[str, str]

    @staticmethod
    def _get_schema() -> str:
        return f"{_FACETS}/TrunklineDatasetFacet.json"


class Scene(NamedTuple):
    """What a record does not say: the project's name, origin's URL, the record's commit, what tables look like."""

    namespace: str
    origin: str
    kept: Kept
    shape: Callable[[str], Shape | None]


# ---------------------------------------------------------------- events


def events(record: RunRecord, scene: Scene, only: Collection[str] | None = None) -> list[RunEvent]:
    """The events of a run, in their order; of its stages those in `only`, where it is given."""
    set_producer(PRODUCER)
    return list(_Events(record, scene).all(only))


class _Events:
    def __init__(self, record: RunRecord, scene: Scene) -> None:
        self._record = record
        self._scene = scene
        self._name = "+".join(record.pipelines) or "run"

    def all(self, only: Collection[str] | None) -> Iterator[RunEvent]:
        record = self._record
        facets = self._run_facets(record.started, record.ended)
        job = Job(self._scene.namespace, self._name, self._job_facets("DAG"))
        yield self._event(RunState.START, record.started, Run(record.id, facets), job)
        for stage in record.stages.values():
            if stage.state not in _NOT_RUN and (only is None or stage.stage in only):
                yield from self._stage(stage)
        if record.state in _ENDS:
            ended = record.ended or record.started
            yield self._event(_ENDS[record.state], ended, Run(record.id, facets), job)

    def _stage(self, stage: StageRecord) -> Iterator[RunEvent]:
        record = self._record
        started = stage.started or record.started
        run_id = str(uuid5(UUID(record.id), stage.stage))
        job = Job(self._scene.namespace, stage.stage, self._job_facets("TASK"))
        facets = {**self._run_facets(started, stage.ended), **self._stage_facets(stage)}
        inputs = list(self._inputs(stage))
        yield self._event(RunState.START, started, Run(run_id, facets), job, inputs)
        if stage.state in _ENDS:
            if stage.state == "failed":
                facets = {**facets, "errorMessage": _error(stage)}
            ended = stage.ended or record.ended or started
            outputs = list(self._outputs(stage))
            yield self._event(_ENDS[stage.state], ended, Run(run_id, facets), job, inputs, outputs)

    @staticmethod
    def _event(
        state: RunState,
        time: str,
        run: Run,
        job: Job,
        inputs: Sequence[InputDataset] = (),
        outputs: Sequence[OutputDataset] = (),
    ) -> RunEvent:
        return RunEvent(
            eventType=state, eventTime=time, run=run, job=job, inputs=list(inputs), outputs=list(outputs)
        )

    # ------------------------------------------------------------ facets

    def _run_facets(self, started: str, ended: str) -> dict[str, RunFacet]:
        packages = self._record.environment.get("packages") or {}
        return {
            "nominalTime": nominal_time_run.NominalTimeRunFacet(started, ended or None),
            "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
                version=str(packages.get("trunkline") or __version__),
                name="trunkline",
                openlineageAdapterVersion=__version__,
            ),
        }

    def _stage_facets(self, stage: StageRecord) -> dict[str, RunFacet]:
        record, kept = self._record, self._scene.kept
        parent = parent_run.ParentRunFacet(
            run=parent_run.Run(record.id), job=parent_run.Job(self._scene.namespace, self._name)
        )
        code = [dep for dep in (stage.entry.deps if stage.entry else ()) if not _is_data(dep)]
        own = TrunklineRunFacet(
            run=record.id,
            decision=stage.decision,
            transform=stage.transform,
            manifest=stage.manifest,
            datums=dict(stage.datums),
            commit=kept.commit or None,
            tree=kept.tree or None,
            dirtyFiles=list(record.git.dirty_files),
            code=[{"path": dep.path, "md5": dep.md5} for dep in code],
            sha256=dict(stage.sha256),
        )
        found: dict[str, RunFacet] = {"parent": parent, "trunkline_run": own}
        if parameters := [
            execution_parameters_run.ExecutionParameter(key=key, value=str(value))
            for key, value in _params(stage).items()
        ]:
            found["executionParameters"] = execution_parameters_run.ExecutionParametersRunFacet(parameters)
        return found

    def _job_facets(self, kind: str) -> dict[str, JobFacet]:
        found: dict[str, JobFacet] = {
            "jobType": job_type_job.JobTypeJobFacet("BATCH", "TRUNKLINE", jobType=kind)
        }
        url = _plain_url(self._scene.origin)
        if url and self._record.git.commit:
            found["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
                type="git",
                url=url,
                repoUrl=url,
                version=self._record.git.commit,
                branch=self._record.git.branch,
            )
        return found

    # ------------------------------------------------------------ data

    def _inputs(self, stage: StageRecord) -> Iterator[InputDataset]:
        datasets: dict[str, dict[str, LockItem]] = {}
        for dep in stage.entry.deps if stage.entry else ():
            if _is_data(dep):
                datasets.setdefault(self._root(dep.path), {})[dep.path] = dep
        for root, deps in datasets.items():
            whole = deps.get(root)
            version = whole.md5 if whole is not None else self._version(root)
            facets = self._data_facets(version, {path: dep.md5 for path, dep in deps.items() if path != root})
            statistics = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
                size=sum(dep.size for dep in deps.values()),
                fileCount=sum(1 if dep.nfiles is None else dep.nfiles for dep in deps.values()),
            )
            yield InputDataset(self._scene.namespace, root, {"inputStatistics": statistics}, facets=facets)

    def _outputs(self, stage: StageRecord) -> Iterator[OutputDataset]:
        for out in stage.entry.outs if stage.entry else ():
            if "/.manifests/" in out.path:
                continue
            shape = self._scene.shape(out.md5)
            statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=None if shape is None else shape.rows, size=out.size, fileCount=out.nfiles or 1
            )
            yield OutputDataset(
                self._scene.namespace,
                out.path,
                {"outputStatistics": statistics},
                facets=self._data_facets(out.md5, {}),
            )

    def _data_facets(self, version: str, parts: dict[str, str]) -> dict[str, DatasetFacet]:
        found: dict[str, DatasetFacet] = {"trunkline_dataset": TrunklineDatasetFacet(version, parts)}
        if version:
            found["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(version)
        shape = self._scene.shape(version) if version else None
        if shape is None:
            return {**found, "storage": storage_dataset.StorageDatasetFacet("dvc")}
        fields = [
            schema_dataset.SchemaDatasetFacetFields(name=name, type=kind, ordinal_position=number)
            for number, (name, kind) in enumerate(shape.columns, 1)
        ]
        return {
            **found,
            "storage": storage_dataset.StorageDatasetFacet("dvc", fileFormat="parquet"),
            "schema": schema_dataset.SchemaDatasetFacet(fields),
        }

    def _root(self, path: str) -> str:
        """The dataset in which a dep is: `data/<source>`, else `data/<pipeline>/<stage>`."""
        words = path.split("/")
        source = "/".join(words[:2])
        return source if source in self._record.code.get("sources", ()) else "/".join(words[:3])

    def _version(self, path: str) -> str:
        """The version of a dataset that the run left or found; "" where the record does not say."""
        for stage in self._record.stages.values():
            for out in stage.entry.outs if stage.entry else ():
                if out.path == path:
                    return out.md5
        return str(self._record.code.get("sources", {}).get(path, ""))


def _is_data(dep: LockItem) -> bool:
    return dep.md5.endswith(".dir") or dep.path.startswith("data/")


def _params(stage: StageRecord) -> Mapping[str, Any]:
    key = f"stages.{stage.stage.partition('.')[2]}"
    for values in stage.entry.params.values() if stage.entry else ():
        if isinstance(declared := values.get(key), Mapping):
            return declared.get("params") or {}
    return {}


def _error(stage: StageRecord) -> RunFacet:
    first = stage.failures[0] if stage.failures else {}
    said = f"{first['name']}: {first['kind']}: {first['message']}" if first else f"{stage.stage} failed"
    return error_message_run.ErrorMessageRunFacet(
        stage.error or said, "python", str(first.get("traceback") or "") or None
    )


def _plain_url(origin: str) -> str:
    """A remote of git as a URL without user and password; "" for what is none (a path)."""
    if "://" not in origin and ":" in origin.partition("/")[0]:  # git@host:path
        host, _, path = origin.partition(":")
        origin = f"ssh://{host}/{path}"
    parts = urlsplit(origin)
    if not parts.scheme or not parts.hostname:
        return ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"


# ---------------------------------------------------------------- sent


def text(found: Sequence[RunEvent]) -> str:
    """The events as lines of JSON."""
    return "".join(f"{Serde.to_json(event)}\n" for event in found)


def write(found: Sequence[RunEvent], path: str) -> None:
    """Write the events into a file, a line each, by the library's file transport. Raises StoreError."""
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        _emit(found, FileTransport(FileConfig(beside, append=True)))
        os.replace(beside, path)
    except (OSError, RuntimeError) as error:
        raise StoreError(f"the events cannot be written: {error}", where=path) from error
    finally:
        if os.path.exists(beside):
            os.unlink(beside)


def send(found: Sequence[RunEvent], url: str) -> None:
    """Post the events one after the other by the library's HTTP transport. Raises TrunklineError, UsageError.

    A URL without a path gets the usual one, `/api/v1/lineage`; $OPENLINEAGE_API_KEY is the bearer token.
    """
    import requests

    config: dict[str, Any] = {"url": url, "retry": {"total": 2, "connect": 2, "read": 2}}
    if urlsplit(url).path.strip("/"):
        config["endpoint"] = ""
    if key := os.environ.get("OPENLINEAGE_API_KEY"):
        config["auth"] = {"type": "api_key", "apiKey": key}
    try:
        _emit(found, HttpTransport(HttpConfig.from_dict(config)))
    except requests.RequestException as error:
        raise TrunklineError(
            f"the events were not taken: {error}", where=url, hint="what came before is sent again next time"
        ) from error
    except ValueError as error:
        raise UsageError("this is no URL", where=url, hint="like http://localhost:5000") from error


def _emit(found: Sequence[RunEvent], transport: Transport) -> None:
    client = OpenLineageClient(transport=transport)
    if client.transport is not transport:
        raise UsageError("OpenLineage is switched off here", hint="unset OPENLINEAGE_DISABLED")
    try:
        for event in found:
            client.emit(event)
    finally:
        client.close()
