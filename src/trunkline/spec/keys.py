"""Every key that a pipeline file knows: the one table behind the checker and the JSON Schema.

A key that Pachyderm's users know and that this version does not carry out is in `LATER`: it gets
an answer of its own, because "unknown key" would be a lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

NAME_PATTERN = "^[a-z][a-z0-9_]*$"
FUNCTION_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
SLUG_PATTERN = "^[a-z0-9]+([-_][a-z0-9]+)*$"
ADDRESS_PATTERN = r"^[a-z]+://[^\s/]+:[0-9]+$"
PATH_PATTERN = r"^(?!/)(?!.*(^|/)\.{1,2}(/|$))[^*?\[\]{}\\]+$"


class Kind(StrEnum):
    """What a key's value may be, in the words of the messages."""

    TEXT = "text"
    TEXTS = "a list of texts"
    TEXT_OR_TEXTS = "text, or a list of texts"
    TEXT_OR_NUMBER = "text, or a number"
    MOMENT = "a date, or a date and a time"
    FLAG = "true or false"
    COUNT = "a whole number above 0"
    NUMBER = "a number above 0"
    NUMBERS = "a list of whole numbers"
    TEXT_OR_MAPPING = "text, or a mapping"
    MAPPING = "a mapping"
    LIST = "a list"


class Key(NamedTuple):
    """One key of a mapping. `schema` refines what the kind says; `example` completes the advice."""

    name: str
    kind: Kind
    doc: str
    example: str
    required: bool = False
    schema: Mapping[str, Any] = {}


CATCH_UP = ("none", "latest", "all")

PIPELINE = (
    Key(
        "pipeline",
        Kind.TEXT,
        "The pipeline's name, which is also the name of this file.",
        "pipeline: flights",
        required=True,
        schema={"pattern": NAME_PATTERN},
    ),
    Key("description", Kind.TEXT, "What the pipeline is for.", "description: Which flights are late?"),
    Key(
        "stages",
        Kind.MAPPING,
        "The transformations, by name.",
        'stages: {clean: {run: "stages.clean:clean", input: {raw: flights_raw/*}}}',
        required=True,
        schema={
            "minProperties": 1,
            "propertyNames": {"pattern": NAME_PATTERN},
            "additionalProperties": {"$ref": "#/$defs/stage"},
        },
    ),
    Key(
        "schedules",
        Kind.LIST,
        "When the pipeline is to run by itself.",
        'schedules: [{cron: "0 3 * * *", timezone: UTC}]',
        schema={"items": {"$ref": "#/$defs/schedule"}},
    ),
    Key(
        "catch_up",
        Kind.TEXT,
        "Which of the scheduled runs that were missed are made up for: none, the latest, or all of them.",
        "catch_up: latest",
        schema={"enum": list(CATCH_UP)},
    ),
    Key(
        "branch",
        Kind.TEXT,
        "The branch whose newest commit a deployed run starts from; main without it.",
        "branch: main",
        schema={"minLength": 1},
    ),
    Key(
        "commit_to",
        Kind.TEXT,
        "The branch that gets the results of deployed runs; trunkline/<pipeline> without it.",
        "commit_to: trunkline/flights",
        schema={"minLength": 1},
    ),
    Key(
        "deploy",
        Kind.MAPPING,
        "Where deployed runs are executed, if not by the worker of `trunkline up`.",
        "deploy: {work_pool: kubernetes}",
        schema={"$ref": "#/$defs/deploy"},
    ),
    Key(
        "pool",
        Kind.TEXT_OR_MAPPING,
        "Who computes the datums: dask. Without it, this machine.",
        "pool: dask",
        schema={"oneOf": [{"const": "dask"}, {"$ref": "#/$defs/pool"}]},
    ),
)

STAGE = (
    Key("description", Kind.TEXT, "What the stage does.", "description: Removes impossible delays."),
    Key(
        "run",
        Kind.TEXT,
        "The Python function that makes one datum's output from its inputs, as module:function.",
        "run: stages.clean:clean",
        schema={"pattern": FUNCTION_PATTERN},
    ),
    Key(
        "cmd",
        Kind.TEXTS,
        "A program and its arguments, in any language. It reads pfs/<input>/… and writes pfs/out/.",
        "cmd: [python, tools/clean.py]",
        schema={"minItems": 1},
    ),
    Key(
        "stdin",
        Kind.TEXTS,
        "Lines that the program of `cmd` reads from its standard input.",
        "stdin: [cp pfs/raw/* pfs/out/]",
    ),
    Key(
        "datum_tries",
        Kind.COUNT,
        "How often a datum is tried before it counts as failed; 3 times without it.",
        "datum_tries: 1",
    ),
    Key(
        "datum_timeout",
        Kind.TEXT_OR_NUMBER,
        "How long one try of a datum may take: seconds, or 90s, 10m, 1h30m; it is ended then, and counts as failed.",
        "datum_timeout: 10m",
    ),
    Key(
        "job_timeout",
        Kind.TEXT_OR_NUMBER,
        "How long all datums of the stage may take together; what runs is ended then, and the stage fails.",
        "job_timeout: 2h",
    ),
    Key(
        "accept_return_code",
        Kind.NUMBERS,
        "Exit codes of `cmd` that count as success, beside 0.",
        "accept_return_code: [3]",
        schema={"items": {"type": "integer", "minimum": 0, "maximum": 255}},
    ),
    Key(
        "err_cmd",
        Kind.TEXTS,
        "A program that is run after each failed try of a datum. If the last one exits with 0, the datum is "
        "recovered: it publishes nothing, and does not fail the stage.",
        "err_cmd: [python, tools/rescue.py]",
        schema={"minItems": 1},
    ),
    Key(
        "err_stdin",
        Kind.TEXTS,
        "Lines that the program of `err_cmd` reads from its standard input.",
        "err_stdin: [exit 0]",
    ),
    Key(
        "reprocess_spec",
        Kind.TEXT,
        "Whether datums that succeeded are reused: until_success, or every_job for code with effects elsewhere.",
        "reprocess_spec: every_job",
        schema={"enum": ["until_success", "every_job"]},
    ),
    Key(
        "parallelism",
        Kind.COUNT,
        "How many datums of the stage are computed at a time; as many as there are processors without it.",
        "parallelism: 4",
    ),
    Key(
        "datum_set_spec",
        Kind.MAPPING,
        "How many datums are handed to a worker at a time.",
        "datum_set_spec: {number: 100}",
        schema={"$ref": "#/$defs/datum_set"},
    ),
    Key(
        "resources",
        Kind.MAPPING,
        "What one datum may use: processors and memory.",
        "resources: {cpu: 2, memory: 4GiB}",
        schema={"$ref": "#/$defs/resources"},
    ),
    Key(
        "secrets",
        Kind.TEXTS,
        "Environment variables that the stage needs and whose values are never recorded.",
        "secrets: [WAREHOUSE_PASSWORD]",
        schema={"items": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
    ),
    Key(
        "fingerprint",
        Kind.MAPPING,
        "What counts as the stage's code beside files: the versions of installed packages.",
        "fingerprint: {packages: [scikit-learn]}",
        schema={"$ref": "#/$defs/fingerprint"},
    ),
    Key(
        "input",
        Kind.MAPPING,
        "What the stage reads: name: dataset/pattern, or Pachyderm's grammar of cross and join.",
        "input: {raw: flights_raw/*}",
        schema={"$ref": "#/$defs/input"},
    ),
    Key(
        "params",
        Kind.MAPPING,
        "Keyword arguments of the function. A change runs the stage again.",
        "params: {target: arr_delay, late_after: 15}",
        schema={"propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
    ),
    Key(
        "env",
        Kind.MAPPING,
        "Environment variables of the stage. A change runs the stage again.",
        'env: {OMP_NUM_THREADS: "1"}',
        schema={
            "propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
            "additionalProperties": {"type": "string"},
        },
    ),
    Key(
        "code",
        Kind.TEXTS,
        "Further files that count as the stage's code, beside the modules that it imports.",
        "code: [sql/clean.sql]",
        schema={"items": {"type": "string", "pattern": PATH_PATTERN}},
    ),
    Key(
        "model",
        Kind.MAPPING,
        "The model among the stage's outputs.",
        "model: {name: flights_late, path: model.onnx}",
        schema={"$ref": "#/$defs/model"},
    ),
    Key(
        "metrics",
        Kind.TEXTS,
        "Files among the stage's outputs that `dvc metrics` shows.",
        "metrics: [metrics.json]",
        schema={"items": {"type": "string", "pattern": PATH_PATTERN}},
    ),
    Key(
        "plots",
        Kind.LIST,
        "Files among the stage's outputs that `dvc plots` draws, each with its options if need be.",
        "plots: [roc.json, {calibration.json: {x: predicted, y: observed}}]",
        schema={"items": {"$ref": "#/$defs/plot"}},
    ),
)

DATUM_SET = (
    Key("number", Kind.COUNT, "This many datums at a time.", "number: 100"),
    Key("size_bytes", Kind.COUNT, "Datums whose inputs come to this many bytes.", "size_bytes: 100000000"),
    Key("per_worker", Kind.COUNT, "This many sets for each worker.", "per_worker: 4"),
)

RESOURCES = (
    Key("cpu", Kind.NUMBER, "Processors, also fractions of one.", "cpu: 0.5"),
    Key(
        "memory",
        Kind.TEXT_OR_NUMBER,
        "Bytes of memory, as a number or with K, M, G or Ki, Mi, Gi.",
        "memory: 512Mi",
    ),
)

FINGERPRINT = (
    Key(
        "packages",
        Kind.TEXTS,
        "Installed packages: a new version runs the stage again.",
        "packages: [scikit-learn]",
        required=True,
    ),
)

POOL = (
    Key(
        "dask",
        Kind.TEXT,
        "The address of a Dask scheduler, whose workers compute the datums.",
        'dask: "tcp://scheduler:8786"',
        required=True,
        schema={"pattern": ADDRESS_PATTERN},
    ),
)

LEAF = (
    Key(
        "name",
        Kind.TEXT,
        "The input's name: the function's parameter. Without it, the dataset's name.",
        "name: flights",
        schema={"pattern": NAME_PATTERN},
    ),
    Key(
        "dataset",
        Kind.TEXT,
        "A stage of this pipeline, pipeline.stage, a source dataset, or an output of a DVC stage.",
        "dataset: flights_raw",
        required=True,
        schema={"minLength": 1},
    ),
    Key(
        "glob",
        Kind.TEXT,
        "Which files and directories form datums, one each; / is all of the dataset as one datum.",
        'glob: "/(*).parquet"',
        schema={"pattern": "^/"},
    ),
    Key(
        "join_on",
        Kind.TEXT,
        "What must be equal in all inputs of a join; $1 is the glob's first ( ).",
        "join_on: $1",
        schema={"pattern": r"\$"},
    ),
    Key(
        "outer_join",
        Kind.FLAG,
        "In a join: whether what has no partner forms a datum all the same.",
        "outer_join: true",
    ),
    Key(
        "group_by",
        Kind.TEXT,
        "In a group: what the files of one datum have in common; $1 is the glob's first ( ).",
        "group_by: $1",
        schema={"pattern": r"\$"},
    ),
    Key(
        "empty_files",
        Kind.FLAG,
        "Whether files are handed over by name only, with no content.",
        "empty_files: true",
    ),
    Key(
        "reference",
        Kind.FLAG,
        "Whether the content is left out of what decides about reuse: a change of it alone runs no datum.",
        "reference: true",
    ),
    Key(
        "propagation",
        Kind.TEXT,
        "never: a change of the dataset starts nothing; the next run for another reason reads it.",
        "propagation: never",
        schema={"enum": ["never"]},
    ),
)

TICKS = (
    Key(
        "name",
        Kind.TEXT,
        "The input's name: the function's parameter.",
        "name: tick",
        required=True,
        schema={"pattern": NAME_PATTERN},
    ),
    Key(
        "spec",
        Kind.TEXT,
        "When it ticks: five fields as cron has them, @hourly, @daily and so on, @every 10m, @never.",
        'spec: "@hourly"',
        required=True,
    ),
    Key("start", Kind.MOMENT, "From when on ticks are made up for.", 'start: "2026-01-01T00:00:00"'),
    Key("overwrite", Kind.FLAG, "Whether only the newest tick is kept.", "overwrite: true"),
)

MODEL = (
    Key(
        "name",
        Kind.TEXT,
        "The name under which the model is known.",
        "name: flights_late",
        required=True,
        schema={"pattern": NAME_PATTERN},
    ),
    Key(
        "path",
        Kind.TEXT,
        "The model's file among the stage's outputs.",
        "path: model.onnx",
        required=True,
        schema={"pattern": PATH_PATTERN},
    ),
)

PLOT = (
    Key("x", Kind.TEXT, "The field along the x axis.", "x: predicted"),
    Key("y", Kind.TEXT_OR_TEXTS, "The field, or fields, along the y axis.", "y: observed"),
    Key("x_label", Kind.TEXT, "The words under the x axis.", "x_label: predicted"),
    Key("y_label", Kind.TEXT, "The words beside the y axis.", "y_label: observed"),
    Key("title", Kind.TEXT, "The words above the plot.", "title: Calibration"),
    Key("template", Kind.TEXT, "DVC's template that draws the plot.", "template: linear"),
)

# The ways to say when, of which a schedule has exactly one.
WHEN = ("cron", "interval", "rrule")

SCHEDULE = (
    Key(
        "cron",
        Kind.TEXT,
        "Minute, hour, day of the month, month, day of the week.",
        'cron: "0 3 * * *"',
    ),
    Key(
        "interval",
        Kind.TEXT_OR_NUMBER,
        "How long from one run to the next: a number of seconds, or a number with s, m, h, d or w.",
        "interval: 1h",
        schema={
            "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^[0-9]+[smhdw]$"}]
        },
    ),
    Key(
        "rrule",
        Kind.TEXT,
        "A recurrence rule of iCalendar.",
        'rrule: "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18"',
    ),
    Key("timezone", Kind.TEXT, "The name of a time zone; UTC without it.", "timezone: Europe/Berlin"),
    Key(
        "anchor",
        Kind.MOMENT,
        "A moment at which the interval begins, in UTC unless it says otherwise; 2020-01-01 without it.",
        'anchor: "2020-01-01T09:30:00"',
    ),
    Key("active", Kind.FLAG, "Whether the schedule starts runs; it does without it.", "active: false"),
    Key(
        "parameters",
        Kind.MAPPING,
        "Parameters of stages that are different in runs of this schedule.",
        "parameters: {train: {epochs: 20}}",
        schema={
            "propertyNames": {"pattern": NAME_PATTERN},
            "additionalProperties": {"type": "object"},
        },
    ),
    Key(
        "slug",
        Kind.TEXT,
        "The schedule's name in Prefect; without it cron, interval or rrule, then cron-2 and so on.",
        "slug: every-night",
        schema={"pattern": SLUG_PATTERN},
    ),
)

DEPLOY = (
    Key(
        "work_pool",
        Kind.TEXT,
        "The work pool of Prefect whose workers execute the runs; trunkline without it.",
        "work_pool: kubernetes",
        schema={"minLength": 1},
    ),
    Key(
        "job_variables",
        Kind.MAPPING,
        "What the work pool is to be told for each run, such as the container's image.",
        "job_variables: {image: registry.example.org/flights}",
    ),
    Key(
        "repository",
        Kind.TEXT,
        "Where a worker that has no copy of the project clones it from: the address for `git clone`.",
        'repository: "https://git.example.org/flights.git"',
        schema={"minLength": 1},
    ),
)

# The inputs that are made of inputs.
GROUPS = ("cross", "union", "join", "group")

LATER = frozenset(["gates", "promote", "expect", "trigger", "egress"])

# Words that begin an input of the long form, and therefore name no input of the short one.
GRAMMAR = frozenset({*GROUPS, "cron", *(key.name for key in LEAF)})


def named(keys: tuple[Key, ...]) -> dict[str, Key]:
    """The keys by name."""
    return {key.name: key for key in keys}
