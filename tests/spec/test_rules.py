"""Every rule has an example that keeps it and one that breaks it, and no other complaint beside."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from tests.spec.samples import complaints, one, stage
from trunkline.spec.rules import FILE_RULES, STAGE_RULES, WORLD_RULES

RUN = "run: stages.clean:clean\n"
RAW = RUN + "input: {raw: flights_raw/*}\n"


class Example(NamedTuple):
    good: str
    bad: str
    message: str


def two(first: str, second: str) -> str:
    return f"=== pipelines/p.yaml\n{first}=== pipelines/q.yaml\n{second}"


PLAIN = "pipeline: p\nstages: {s: {cmd: [a]}}\n"
WITH_PARAMS = "pipeline: p\nstages: {s: {cmd: [a], params: {epochs: 3}}}\n"
OTHER = "pipeline: q\nstages: {s: {cmd: [a]}}\n"
JOIN = RUN + 'input:\n  join:\n    - {name: a, dataset: flights_raw, glob: "/(*)", %s}\n    - %s\n'
UNION = (
    RUN
    + "input:\n  union:\n    - {name: a, dataset: flights_raw, %s}\n    - {name: a, dataset: weather_raw, %s}\n"
)
CLOCKS = """\
pipeline: p
stages:
  r: {cmd: [a], input: {cron: {name: t, spec: %s}}}
  s: {cmd: [a], input: {cron: {name: t, spec: %s}}}
"""
SECOND = '{name: b, dataset: weather_raw, glob: "/(*)", join_on: $1}'

EXAMPLES = {
    "stage_name": Example(
        "pipeline: p\nstages: {a_1: {cmd: [x]}}\n",
        "pipeline: p\nstages: {A-1: {cmd: [x]}}\n",
        "'A-1' cannot be the name of a stage",
    ),
    "run_or_cmd": Example(
        stage("cmd: [x]"), stage("params: {a: 1}"), "stage 's' has neither 'run' nor 'cmd'"
    ),
    "run_is_a_function": Example(stage(RUN), stage("run: stages.clean"), "'stages.clean' names no function"),
    "run_exists": Example(
        stage(RUN), stage("run: stages.clean:claen"), "the module 'stages.clean' has no function 'claen'"
    ),
    "cmd_is_not_empty": Example(stage('cmd: [x, ""]'), stage("cmd: []"), "'cmd' names no program"),
    "stdin_needs_cmd": Example(
        stage("cmd: [sh]\nstdin: [ls]"),
        stage(RUN + "stdin: [ls]"),
        "'stdin' belongs to 'cmd'; a function reads none",
    ),
    "code_files": Example(
        stage(RUN + "code: [sql/clean.sql, tools]"),
        stage(RUN + "code: [sql/claen.sql]"),
        "there is no file 'sql/claen.sql' in this project",
    ),
    "packages": Example(
        stage(RUN + "fingerprint: {packages: [Scikit_Learn, numpy]}"),
        stage(RUN + "fingerprint: {packages: [scikit-lern]}"),
        "the package 'scikit-lern' is not installed here",
    ),
    "param_names": Example(
        stage(RAW + "params: {C: 1, max_iter: 2}"),
        stage(RAW + "params: {raw: 1}"),
        "'raw' is both an input and a parameter",
    ),
    "params_are_plain": Example(
        stage(RUN + 'params: {day: "2013-01-01", a: [{b: null, c: 1e-05}]}'),
        stage(RUN + "params: {a: [{b: 2013-01-01}]}"),
        "'2013-01-01' is a date for YAML",
    ),
    "texts_can_be_locked": Example(
        stage(RUN + 'description: "a\\tb\\u00e9\\U0001F600"'),
        stage(RUN + 'description: "a\\u2028b"'),
        "this text has a line separator or half a character in it",
    ),
    "nothing_shared": Example(
        stage(RUN + "params: {a: &x 1, b: *x}"),
        stage(RUN + "params: {a: &x [1], b: *x}"),
        "a list that stands twice in stage 's', by an alias",
    ),
    "env_names_and_values": Example(
        stage(RUN + 'env: {OMP_NUM_THREADS: "1"}'),
        stage(RUN + "env: {OMP_NUM_THREADS: 1}"),
        "the value of 'OMP_NUM_THREADS' must be text; this is a number",
    ),
    "time_limits": Example(
        stage(RUN + "datum_timeout: 1h30m\njob_timeout: 0.5"),
        stage(RUN + "datum_timeout: 20 s"),
        "'20 s' is no duration",
    ),
    "resources": Example(
        stage(RUN + "resources: {cpu: 0.5, memory: 512Mi}"),
        stage(RUN + "resources: {memory: 512 megs}"),
        "'512 megs' is no amount of memory",
    ),
    "datum_sets": Example(
        stage(RUN + "datum_set_spec: {size_bytes: 1000}"),
        stage(RUN + "datum_set_spec: {number: 3, per_worker: 4}"),
        "'datum_set_spec' has both 'number' and 'per_worker'",
    ),
    "return_codes": Example(
        stage("cmd: [sh]\naccept_return_code: [0, 255]"),
        stage(RUN + "accept_return_code: [3]"),
        "'accept_return_code' belongs to 'cmd'; a function has no exit code",
    ),
    "err_cmd": Example(
        stage(RUN + "err_cmd: [sh]\nerr_stdin: [exit 0]"),
        stage(RUN + "err_stdin: [exit 0]"),
        "'err_stdin' belongs to 'err_cmd'",
    ),
    "reprocess_spec": Example(
        stage(RUN + "reprocess_spec: every_job"),
        stage(RUN + "reprocess_spec: every_time"),
        "'every_time' is no way to reprocess",
    ),
    "secrets": Example(
        stage(RUN + "secrets: [TOKEN, PASSWORD]"),
        stage(RUN + 'env: {TOKEN: "1"}\nsecrets: [TOKEN]'),
        "'TOKEN' is both in 'env' and a secret",
    ),
    "model_fields": Example(
        stage(RUN + "model: {name: m, path: a/model.onnx}"),
        stage(RUN + "model: {name: m, path: ../model.onnx}"),
        "the path '../model.onnx' leaves its directory by '..'",
    ),
    "metrics_paths": Example(
        stage(RUN + "metrics: [a.json, b/a.json]"),
        stage(RUN + "metrics: [a.json, a.json]"),
        "'a.json' is here twice",
    ),
    "plots_paths": Example(
        stage(RUN + "plots: [a.json, {b.json: {x: a, y: [b, c], title: B}}]"),
        stage(RUN + "plots: [{b.json: {header: a}}]"),
        "the plot 'b.json' has an unknown key 'header'",
    ),
    "outputs_do_not_overlap": Example(
        "pipeline: p\nstages: {occupied_2: {cmd: [a]}}\n",
        "pipeline: p\nstages: {occupied: {cmd: [a]}}\n",
        "stage 'occupied' writes to data/p/occupied, and a hand-written DVC stage to data/p/occupied",
    ),
    "input_names": Example(
        stage(RUN + "input: {a: flights_raw, b: flights_raw/*}"),
        stage(RUN + "input: {join: flights_raw/*}"),
        "'join' has a meaning of its own here and cannot name an input",
    ),
    "datasets_are_known": Example(
        stage(RUN + "input: {a: models/base, b: taken/x}"),
        stage(RUN + "input: {a: models/bas}"),
        "there is no dataset 'models'",
    ),
    "globs_are_well_formed": Example(
        stage(RUN + 'input: {a: "flights_raw/{a,b}/[0-9]?(x|y)*"}'),
        stage(RUN + 'input: {a: "flights_raw/{a,b"}'),
        "'flights_raw/{a,b' is no pattern: '{' is never closed",
    ),
    "shared_names_agree": Example(
        stage(UNION % ("empty_files: true", "empty_files: true")),
        stage(UNION % ("empty_files: true", "reference: false")),
        "of the inputs called 'a' only one has 'empty_files'",
    ),
    "members_have_keys": Example(
        stage(JOIN % ("join_on: $1", SECOND)),
        stage(JOIN % ("join_on: $1", "{name: b, dataset: weather_raw}")),
        "an input of a join has no 'join_on'",
    ),
    "keys_have_captures": Example(
        stage(JOIN % ('join_on: "${1}-x"', SECOND)),
        stage(JOIN % ("join_on: $2", SECOND)),
        "the glob '/(*)' has no $2: it has 1 ( )",
    ),
    "outer_joins": Example(
        stage(JOIN % ("join_on: $1, outer_join: true", SECOND)),
        stage(UNION % ("outer_join: true", "outer_join: false")),
        "'outer_join' has no join around it",
    ),
    "propagation": Example(
        stage(UNION % ("propagation: never", "empty_files: false")),
        stage(UNION % ("propagation: sometimes", "empty_files: false")),
        "'propagation' cannot be 'sometimes'",
    ),
    "clocks": Example(
        stage(RUN + 'input: {cron: {name: t, spec: "*/5 8-17 * * mon-fri", start: 2026-01-01}}'),
        stage(RUN + 'input: {cron: {name: t, spec: "@fortnightly"}}'),
        "'@fortnightly' is no time that comes again",
    ),
    "no_self_input": Example(stage(RAW), stage(RUN + "input: {a: p.s/*}"), "stage 's' reads its own output"),
    "pipeline_name": Example(
        PLAIN,
        "=== pipelines/P.yaml\npipeline: P\nstages: {s: {cmd: [a]}}\n",
        "'P' cannot be the name of a pipeline",
    ),
    "file_name": Example(PLAIN, OTHER, "the pipeline 'q' is in pipelines/p.yaml"),
    "has_stages": Example(PLAIN, "pipeline: p\nstages: {}\n", "'stages' is empty"),
    "one_way_each": Example(
        PLAIN + "schedules: [{interval: 1h, anchor: 2020-01-01}, {cron: 0 3 * * *}, {rrule: FREQ=DAILY}]\n",
        PLAIN + "schedules: [{interval: 1h, cron: 0 3 * * *}]\n",
        "a schedule has both 'cron' and 'interval'",
    ),
    "crons": Example(
        PLAIN + 'schedules: [{cron: "*/5 0-23/2 1,15 jan-dec sun"}]\n',
        PLAIN + 'schedules: [{cron: "0 24 * * *"}]\n',
        "hour '24' is not between 0 and 23",
    ),
    "intervals": Example(
        PLAIN + "schedules: [{interval: 600}, {interval: 10m, anchor: 2020-01-01}, {interval: 52w}]\n",
        PLAIN + "schedules: [{interval: 10 minutes}]\n",
        "'10 minutes' is no interval",
    ),
    "rrules": Example(
        PLAIN + "schedules: [{rrule: FREQ=DAILY}, {rrule: 'RRULE:FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18'}]\n",
        PLAIN + "schedules: [{rrule: FREQ=DALY}]\n",
        "FREQ 'DALY' is not known; did you mean 'DAILY'?",
    ),
    "timezones": Example(
        PLAIN + "schedules: [{interval: 1d, timezone: Europe/Berlin}]\n",
        PLAIN + "schedules: [{interval: 1d, timezone: Berlin}]\n",
        "there is no time zone 'Berlin'",
    ),
    "slugs": Example(
        PLAIN + "schedules: [{interval: 1d, slug: every-day}, {interval: 1h, slug: a_1}]\n",
        PLAIN + "schedules: [{interval: 1d, slug: a}, {interval: 1h, slug: a}]\n",
        "two schedules are called 'a'",
    ),
    "parameters": Example(
        WITH_PARAMS + "schedules: [{interval: 1d, parameters: {s: {epochs: [1, {a: null}]}}}]\n",
        WITH_PARAMS + "schedules: [{interval: 1d, parameters: {s: {epoch: 1}}}]\n",
        "stage 's' has no parameter 'epoch'",
    ),
    "catch_up": Example(
        PLAIN + "catch_up: none\n", PLAIN + "catch_up: last\n", "'catch_up' cannot be 'last'"
    ),
    "branches": Example(
        PLAIN + "branch: release/2026\ncommit_to: bot/p\n",
        PLAIN + "branch: a..b\n",
        "the branch 'a..b' is no name that git gives to a branch",
    ),
    "work_pools": Example(
        PLAIN + "deploy: {work_pool: k8s, job_variables: {image: a, env: {A: b}}}\n",
        PLAIN + "deploy: {work_pool: a/b}\n",
        "'a/b' cannot be the name of a work pool",
    ),
    "repositories": Example(
        PLAIN + 'deploy: {repository: "https://git.example.org/p.git"}\n',
        PLAIN + "deploy: {repository: ../p}\n",
        "'../p' is a place on one machine",
    ),
    "no_source_of_that_name": Example(
        PLAIN,
        "=== pipelines/taken.yaml\npipeline: taken\nstages: {s: {cmd: [a]}}\n",
        "'taken' is also a source dataset: both would be data/taken",
    ),
    "one_clock_a_name": Example(
        CLOCKS % ('"@hourly"', '"@hourly"'),
        CLOCKS % ('"@hourly"', '"@daily"'),
        "there are two cron inputs 't', which tick at other times",
    ),
    "pool": Example(
        PLAIN + 'pool: {dask: "tls://[::1]:8786"}\n',
        PLAIN + "pool: {dask: localhost}\n",
        "'localhost' is no address of a Dask scheduler",
    ),
    "one_file_each": Example(
        two(PLAIN, OTHER),
        f"=== a/pipelines/p.yaml\n{PLAIN}=== pipelines/p.yaml\n{PLAIN}",
        "the pipeline 'p' is declared in a/pipelines/p.yaml too",
    ),
    "one_stage_a_model": Example(
        two(
            "pipeline: p\nstages: {s: {cmd: [a], model: {name: m, path: m}}}\n",
            "pipeline: q\nstages: {s: {cmd: [a], model: {name: n, path: m}}}\n",
        ),
        two(
            "pipeline: p\nstages: {s: {cmd: [a], model: {name: m, path: m}}}\n",
            "pipeline: q\nstages: {s: {cmd: [a], model: {name: m, path: m}}}\n",
        ),
        "the model 'm' is made by the stage p.s too",
    ),
    "one_branch_each": Example(
        two(PLAIN + "commit_to: results/p\n", OTHER + "commit_to: results/q\nbranch: prod\n"),
        two(PLAIN + "commit_to: results\n", OTHER + "commit_to: results\n"),
        "the pipeline 'p' commits to the branch 'results' too",
    ),
    "no_cycles": Example(
        two(
            "pipeline: p\nstages: {a: {cmd: [x], input: {i: q.b}}}\n",
            "pipeline: q\nstages: {b: {cmd: [x], input: {i: p.c}}}\n",
        ).replace("p\nstages: {a:", "p\nstages: {c: {cmd: [x]}, a:"),
        two(
            "pipeline: p\nstages: {a: {cmd: [x], input: {i: q.b}}}\n",
            "pipeline: q\nstages: {b: {cmd: [x], input: {i: p.a}}}\n",
        ),
        "a cycle: p.a reads q.b, which reads p.a",
    ),
}

# What else a bad example cannot help breaking.
BESIDE = {"one_file_each": ["the pipeline 'p' is in a/pipelines/p.yaml"]}


def test_every_rule_has_an_example() -> None:
    rules = [rule.__name__ for rule in (*STAGE_RULES, *FILE_RULES, *WORLD_RULES)]
    assert sorted(rules) == sorted(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_keeps_the_rule_has_no_problem(name: str) -> None:
    assert complaints(EXAMPLES[name].good) == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_what_breaks_the_rule_is_said_once(name: str) -> None:
    found = complaints(EXAMPLES[name].bad)
    assert sorted(found) == sorted([EXAMPLES[name].message, *BESIDE.get(name, [])])


@pytest.mark.parametrize(
    ("packages", "message"),
    [
        ("[numpy, NumPy]", "the package 'NumPy' is named twice"),
        ('["numpy>=2"]', "'numpy>=2' cannot be the name of a package"),
        ("[]", "'packages' of 'fingerprint' of stage 's' names no package"),
    ],
)
def test_packages_that_cannot_be_meant(packages: str, message: str) -> None:
    assert complaints(stage(f"{RUN}fingerprint: {{packages: {packages}}}")) == [message]


def test_packages_are_known_by_their_normal_names() -> None:
    written = stage(RUN + "fingerprint: {packages: [scikit_learn, NumPy]}")
    assert one(written).stages[0].fingerprint == ("numpy", "scikit-learn")
