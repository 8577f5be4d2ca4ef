"""The words of trunkline as frozen values. No behaviour beyond names derived from fields.

Rows that exist once per file or per datum are NamedTuples: a million of them must be cheap.
Paths are POSIX. A dataset's path is relative to the project's root; a file's path is relative
to its dataset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

# ---------------------------------------------------------------- data


class File(NamedTuple):
    """One file of a dataset, or one output of a datum. `size` in bytes."""

    path: str
    md5: str
    size: int


class Version(NamedTuple):
    """A dataset's content hash as DVC gives it; `nfiles` is None where it is a single file."""

    oid: str
    size: int
    nfiles: int | None


class Snapshot(NamedTuple):
    """A dataset's content at one moment: files sorted by path. A single file has the path ""."""

    version: Version
    files: tuple[File, ...]


class DatasetKind(StrEnum):
    SOURCE = "source"
    STAGE = "stage"
    FOREIGN = "foreign"


@dataclass(frozen=True, slots=True)
class Dataset:
    """`name` is what a person writes (`flights_raw`, `flights.clean`, a foreign output's path)."""

    name: str
    path: str
    kind: DatasetKind


# ---------------------------------------------------------------- specification


class Mark(NamedTuple):
    """A place in a file. Line and column count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Ticks:
    """When a `cron` input ticks. `start` in UTC as ISO 8601 has it; `overwrite` keeps the newest tick only."""

    spec: str
    start: str = ""
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class Leaf:
    """One named input. `glob` always begins with "/"; "/" alone is all of the dataset, one datum.

    `outer_join` keeps what has no partner in a join; `empty_files` hands files over without content;
    `reference` leaves their content out of the datum's key; without `propagation` a change of the
    dataset starts nothing. `ticks`: the dataset is a clock's, see `Ticks`.
    """

    name: str
    dataset: Dataset
    glob: str = "/"
    join_on: str = ""
    group_by: str = ""
    outer_join: bool = False
    empty_files: bool = False
    reference: bool = False
    propagation: bool = True
    ticks: Ticks | None = None
    mark: Mark | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Cross:
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class Union:
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class Join:
    inputs: tuple[Input, ...]


@dataclass(frozen=True, slots=True)
class Group:
    inputs: tuple[Input, ...]


Input = Leaf | Cross | Union | Join | Group


@dataclass(frozen=True, slots=True)
class Function:
    """`run: module:function`."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


@dataclass(frozen=True, slots=True)
class Command:
    """`cmd: [argv…]` with `stdin:` lines."""

    argv: tuple[str, ...]
    stdin: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(self.argv)


@dataclass(frozen=True, slots=True)
class Model:
    """`model: {name, path}`: `path` is relative to the stage's dataset."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot of a stage for `dvc plots`; `options` are DVC's (x, y, template, title…)."""

    path: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Reprocess(StrEnum):
    """Whether a datum that succeeded once may be reused."""

    UNTIL_SUCCESS = "until_success"
    EVERY_JOB = "every_job"


class DatumSet(NamedTuple):
    """How many datums are handed to a worker at a time; one of the three, as Pachyderm has it."""

    number: int | None = None
    size_bytes: int | None = None
    per_worker: int | None = None


class Resources(NamedTuple):
    """What a datum's processes may use: processors, and bytes of memory."""

    cpu: float | None = None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One declared transformation. `declaration` is its subtree of the file, as DVC will read it.

    Time limits in seconds. `secrets` are names of environment variables, whose values are never
    recorded; `fingerprint` names the packages whose versions count as code.
    """

    pipeline: str
    name: str
    run: Function | Command
    input: Input | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    model: Model | None = None
    metrics: tuple[str, ...] = ()
    plots: tuple[Plot, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    code: tuple[str, ...] = ()
    datum_tries: int = 3
    datum_timeout: float | None = None
    job_timeout: float | None = None
    datum_set: DatumSet | None = None
    parallelism: int | None = None
    accept_return_code: tuple[int, ...] = ()
    err_cmd: Command | None = None
    reprocess: Reprocess = Reprocess.UNTIL_SUCCESS
    resources: Resources | None = None
    secrets: tuple[str, ...] = ()
    fingerprint: tuple[str, ...] = ()
    declaration: Mapping[str, Any] = field(default_factory=dict)
    mark: Mark | None = field(default=None, compare=False)

    @property
    def ref(self) -> str:
        return f"{self.pipeline}.{self.name}"

    @property
    def dvc_name(self) -> str:
        return f"{self.pipeline}-{self.name}"

    @property
    def command(self) -> str:
        return f"trunkline exec {self.ref}"

    @property
    def path(self) -> str:
        return f"data/{self.pipeline}/{self.name}"

    @property
    def manifest_path(self) -> str:
        return f"data/{self.pipeline}/.manifests/{self.name}"

    @property
    def pipeline_file(self) -> str:
        return f"pipelines/{self.pipeline}.yaml"

    @property
    def leaves(self) -> tuple[Leaf, ...]:
        """Every leaf of the input, in the order in which it is written."""
        return _leaves(self.input)


def _leaves(node: Input | None) -> tuple[Leaf, ...]:
    match node:
        case None:
            return ()
        case Leaf():
            return (node,)
        case Cross(inputs) | Union(inputs) | Join(inputs) | Group(inputs):
            return tuple(leaf for child in inputs for leaf in _leaves(child))


@dataclass(frozen=True, slots=True)
class Cron:
    """`cron: "0 3 * * *"`."""

    expression: str


@dataclass(frozen=True, slots=True)
class Interval:
    """`interval: 1h`; `anchor` is a moment of the series, in UTC as ISO 8601 has it."""

    seconds: int
    anchor: str


@dataclass(frozen=True, slots=True)
class RRule:
    """`rrule: FREQ=DAILY`, its lines DTSTART and RRULE, then RDATE and EXDATE if need be."""

    rule: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a pipeline runs by itself, and with which parameters of stages: stage -> name -> value."""

    slug: str
    when: Cron | Interval | RRule
    timezone: str = "UTC"
    active: bool = True
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


class CatchUp(StrEnum):
    """Which of the scheduled runs that were missed are made up for."""

    NONE = "none"
    LATEST = "latest"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Dask:
    """`pool: dask`: datums are computed by the workers of the scheduler at `address`, or by our own."""

    address: str = ""


WORK_POOL = "trunkline"  # the work pool of deployed runs where a pipeline names no other


@dataclass(frozen=True, slots=True)
class Deploy:
    """Where deployed runs are executed. `repository`: what a worker without the project clones."""

    work_pool: str = WORK_POOL
    job_variables: Mapping[str, Any] = field(default_factory=dict)
    repository: str = ""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One pipeline file. Deployed runs start from `branch` and commit their results to `commit_to`."""

    name: str
    stages: tuple[Stage, ...]
    description: str = ""
    schedules: tuple[Schedule, ...] = ()
    catch_up: CatchUp = CatchUp.LATEST
    branch: str = "main"
    commit_to: str = ""
    deploy: Deploy = field(default_factory=Deploy)
    pool: Dask | None = None

    def __post_init__(self) -> None:
        if not self.commit_to:
            object.__setattr__(self, "commit_to", f"trunkline/{self.name}")

    @property
    def file(self) -> str:
        return f"pipelines/{self.name}.yaml"


class Changes(NamedTuple):
    """What of a dataset is other than in an earlier version: files new or changed, and those that are gone."""

    version: Version
    files: tuple[File, ...]
    gone: tuple[str, ...]


# ---------------------------------------------------------------- datums


class Item(NamedTuple):
    """What one glob matched for one datum: a file (`nfiles` None) or a directory of a dataset.

    `path` is relative to the dataset, "" for all of it; `oid` is the content hash of that part.
    """

    input: str
    dataset: str
    path: str
    oid: str
    size: int
    nfiles: int | None


class Datum(NamedTuple):
    """The smallest unit of work. `id` says which inputs (names and paths), not what is in them."""

    id: str
    name: str
    items: tuple[Item, ...]
    join_on: str = ""
    group_by: str = ""


class Result(NamedTuple):
    """What a datum key produced: the output files by content, the run that made them, seconds.

    `made` is the transform that really made them, where a person accepted them for this key's; else "".
    """

    key: str
    files: tuple[File, ...]
    run: str
    seconds: float
    made: str = ""


class Recovered(NamedTuple):
    """A datum key that failed in a run and was recovered there: it has no result. `reason` says why it failed."""

    key: str
    run: str
    reason: str


class ManifestRow(NamedTuple):
    """One datum in a stage's manifest. `made`: see `Result`."""

    datum: Datum
    key: str
    files: tuple[File, ...]
    made: str = ""


# ---------------------------------------------------------------- DVC's lock


class LockItem(NamedTuple):
    """One dep or out of a stage in dvc.lock; `path` as written there, relative to the root."""

    path: str
    md5: str
    size: int
    nfiles: int | None = None
    isexec: bool = False


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One stage of dvc.lock. `deps` and `outs` sorted by path; `params`: file -> key -> value."""

    cmd: str
    deps: tuple[LockItem, ...]
    params: Mapping[str, Mapping[str, Any]]
    outs: tuple[LockItem, ...]


# ---------------------------------------------------------------- git


class Commit(NamedTuple):
    """One commit of a history. `time` is when it was committed, UTC: 2025-11-22T22:28:44Z."""

    commit: str
    time: str
    author: str
    subject: str


class GitState(NamedTuple):
    """What is checked out: no commit before the first one, no branch where HEAD is detached.

    `worktree` names the deployment whose worktree it is, "" for any other; `branch` is what that tracks.
    """

    commit: str | None
    branch: str | None
    dirty_files: tuple[str, ...] = ()
    worktree: str = ""

    @property
    def dirty(self) -> bool:
        """Whether anything is edited that the commit does not hold."""
        return bool(self.dirty_files)


# ---------------------------------------------------------------- plan


class Decision(StrEnum):
    RUN = "run"
    REUSE = "reuse"
    DROP = "drop"
    RELOCK = "relock"
    WAIT = "wait"


class ReasonKind(StrEnum):
    """Why something is decided as it is. `explain` turns each into a sentence."""

    NEVER_RAN = "never_ran"
    FORCED = "forced"
    FILE_ADDED = "file_added"
    FILE_CHANGED = "file_changed"
    FILE_DELETED = "file_deleted"
    DATASET_CHANGED = "dataset_changed"
    UPSTREAM_CHANGED = "upstream_changed"
    CODE_CHANGED = "code_changed"
    CODE_ADDED = "code_added"
    CODE_REMOVED = "code_removed"
    PARAM_CHANGED = "param_changed"
    COMMAND_CHANGED = "command_changed"
    WRITER_CHANGED = "writer_changed"
    PACKAGE_CHANGED = "package_changed"
    NOT_MADE = "not_made"
    ACCEPTED = "accepted"
    OUTPUT_MISSING = "output_missing"
    OUTPUT_CHANGED = "output_changed"
    RESULT_EVICTED = "result_evicted"
    INPUT_GONE = "input_gone"
    INPUT_MISSING = "input_missing"
    UPSTREAM = "upstream"
    KNOWN_RESULT = "known_result"
    FAILED = "failed"
    RECOVERED = "recovered"
    EVERY_JOB = "every_job"
    NOT_FAILED = "not_failed"


class PartKind(StrEnum):
    """What of a code file changed. `UNKNOWN`: its old text cannot be had."""

    FUNCTION = "function"
    METHOD = "method"
    CLASS = "class"
    MODULE = "module"
    ORDER = "order"
    COMMENTS = "comments"
    UNKNOWN = "unknown"


class CodePart(NamedTuple):
    """One thing in a code file that changed. `change`: changed, added or removed.

    `name` of module-level code is what it defines; `line` is 0 where it is gone; `user` is the stage's
    function, where that uses it.
    """

    kind: PartKind
    name: str = ""
    line: int = 0
    change: str = "changed"
    user: str = ""


class Reason(NamedTuple):
    """`subject` is a path, a parameter's dotted key, a stage; `old` and `new` are short texts.

    `parts` say what of a code file changed.
    """

    kind: ReasonKind
    subject: str = ""
    old: str = ""
    new: str = ""
    parts: tuple[CodePart, ...] = ()


class DatumPlan(NamedTuple):
    """One datum's decision. `result` is there where it is reused."""

    datum: Datum
    key: str
    decision: Decision
    reasons: tuple[Reason, ...] = ()
    result: Result | None = None


class Kept(NamedTuple):
    """Datums that stay as their stage's last manifest has them, and that a plan does not list.

    `manifest` is its content hash; `listed` are the ids of all other datums, `gone` the paths that those
    in it had written. `accepted` of the kept ones have a `made` (see `ManifestRow`).
    """

    datums: int
    accepted: int
    manifest: str
    listed: frozenset[str]
    gone: frozenset[str]


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage's decision. No reasons: it is up to date, and none of its datums were looked at.

    `total` counts its datums (from the manifest's record where it is up to date); those that are `kept`
    are not among `datums`.
    """

    stage: Stage
    decision: Decision
    reasons: tuple[Reason, ...] = ()
    datums: tuple[DatumPlan, ...] = ()
    total: int | None = None
    kept: Kept | None = None

    @property
    def up_to_date(self) -> bool:
        return self.decision is Decision.REUSE and not self.reasons

    def count(self, decision: Decision) -> int:
        kept = self.kept.datums if self.kept is not None and decision is Decision.REUSE else 0
        return sum(1 for datum in self.datums if datum.decision is decision) + kept


@dataclass(frozen=True, slots=True)
class Plan:
    stages: tuple[StagePlan, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return all(stage.up_to_date for stage in self.stages)

    @property
    def missing(self) -> bool:
        """Whether an input is not there."""
        kinds = (reason.kind for stage in self.stages for reason in stage.reasons)
        return ReasonKind.INPUT_MISSING in kinds


# ---------------------------------------------------------------- work


class WorkFile(NamedTuple):
    """One input file of a datum: where it stands in its dataset, and what is in it."""

    path: str
    md5: str
    size: int


class WorkInput(NamedTuple):
    """One named input of a datum. A single file has `directory` False and one entry in `files`.

    `objects` is where whoever executes has the content of files: `objects/ab/cdef…`. `empty`: the
    files are handed over with no content.
    """

    name: str
    dataset: str
    path: str
    oid: str
    directory: bool
    files: tuple[WorkFile, ...]
    objects: str
    empty: bool = False

    def object(self, file: WorkFile) -> str:
        """The path of a file's content."""
        return f"{self.objects}/{file.md5[:2]}/{file.md5[2:]}"


@dataclass(frozen=True, slots=True)
class Work:
    """One datum to execute, as a plain value that names data by content and crosses processes.

    `root`, `scratch`, `log` and the inputs' `objects` are paths of the machine that executes. `scratch`
    is a directory that does not exist yet, on the file system of the objects: outputs end up in
    `scratch/pfs/out`. `log` is the file to which stdout and stderr are appended. `timeout` in seconds,
    for this datum, `job_timeout` for all of the stage together. `accept` are exit codes of a command that
    count as success; `err_cmd` is run after a failed try. `secrets` are environment variables for this
    datum only, `hidden` those of other stages: names, never values. `parallelism` and `datum_set` are the
    stage's. `failed`: the try is over, its process died of it, and only `err_cmd` is left to be run.
    """

    stage: str
    datum: str
    name: str
    join_on: str
    run: Function | Command
    inputs: tuple[WorkInput, ...]
    params: Mapping[str, Any]
    env: Mapping[str, str]
    root: str
    scratch: str
    log: str
    run_id: str
    group_by: str = ""
    timeout: float | None = None
    accept: tuple[int, ...] = ()
    err_cmd: Command | None = None
    resources: Resources | None = None
    secrets: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    parallelism: int | None = None
    datum_set: DatumSet | None = None
    job_timeout: float | None = None
    failed: Failure | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a datum failed. `traceback` holds the user's frames only; `kind` the exception's name."""

    kind: str
    message: str
    traceback: str = ""
    damaged: tuple[str, ...] = ()  # objects (paths) that the datum wrote to


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one try of a Work. `files` are hashed and lie in `scratch/pfs/out`.

    `recovered`: it failed, and `err_cmd` ended well. What hears of a datum that is done hears of it only
    where that was the last try.
    """

    stage: str
    datum: str
    files: tuple[File, ...]
    seconds: float
    scratch: str
    failure: Failure | None = None
    recovered: bool = False


# ---------------------------------------------------------------- reports


class FailedDatum(NamedTuple):
    """A datum that failed: which, from what, why, where its log is."""

    datum: Datum
    failure: Failure
    log: str


@dataclass(frozen=True, slots=True)
class StageReport:
    """What became of one stage of a run. Times in seconds since the epoch.

    `state`: up_to_date (nothing to do), done, failed (datums failed; nothing was published),
    waiting (the datums that had failed are done, others wait; nothing was published), skipped
    (something upstream failed, or it was not asked for), interrupted. `entry` is the lock entry that
    was, or under `dvc repro` will be, written. `wait` counts the datums that were left waiting.
    `recovered` are the datums that failed and whose `err_cmd` ended well: they published nothing.
    """

    stage: str
    state: str
    decision: Decision
    reasons: tuple[Reason, ...] = ()
    run: int = 0
    reuse: int = 0
    drop: int = 0
    wait: int = 0
    total: int = 0
    started: float = 0.0
    ended: float = 0.0
    transform: str = ""
    entry: LockEntry | None = None
    failures: tuple[FailedDatum, ...] = ()
    recovered: tuple[FailedDatum, ...] = ()
    error: str = ""
