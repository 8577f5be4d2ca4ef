from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.spec.samples import FLIGHTS
from trunkline.spec import keys as tables
from trunkline.spec import load, pipeline_schema, schema_text

VALIDATOR = jsonschema.Draft202012Validator(pipeline_schema())


def faults(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(load(text))]


def test_the_committed_schema_is_current() -> None:
    assert Path(__file__).parents[2].joinpath("schema/pipeline.json").read_text("utf-8") == schema_text()


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(pipeline_schema())


def test_the_reference_pipeline_is_valid() -> None:
    assert faults(FLIGHTS) == []


GOOD = [
    "cmd: [a]",
    "cmd: [a]\nstdin: [b]\nenv: {A: b}\ncode: [a.py]",
    "cmd: [a]\ninput: {name: a, dataset: b, glob: /*}",
    "cmd: [a]\ninput: {cross: [{dataset: a}, {join: [{dataset: b}, {dataset: c}]}]}",
    "cmd: [a]\ninput: {cross: [{dataset: a}]}",
    "cmd: [a]\ninput: {group: [{union: [{dataset: a, group_by: $1, reference: true, propagation: never}]}]}",
    "cmd: [a]\ninput: {cron: {name: t, spec: '@hourly', start: '2026-01-01', overwrite: true}}",
    "cmd: [a]\ninput: {cross: [{dataset: a, empty_files: true}, {cron: {name: t, spec: '@every 10m'}}]}",
    "cmd: [a]\nplots: [a.json, {b.json: {x: c, y: [d, e]}}]",
]

BAD = [
    "run: [a]",
    "run: a",
    "cmd: a",
    "cmd: []",
    'run: "a:b"\ncmd: [a]',
    "params: {}",
    'run: "a:b"\nstdin: [a]',
    "cmd: [a]\nimput: {a: b}",
    "cmd: [a]\ninput: {}",
    "cmd: [a]\ninput: {join: a/*}",
    "cmd: [a]\ninput: {a: 1}",
    "cmd: [a]\ninput: {A: b}",
    "cmd: [a]\ninput: {cross: []}",
    "cmd: [a]\ninput: {cross: [{a: b}, {c: d}]}",
    "cmd: [a]\ninput: {cron: {spec: '@hourly'}}",
    "cmd: [a]\ninput: {dataset: a, propagation: always}",
    "cmd: [a]\ninput: {name: a, dataset: b, glob: '*'}",
    "cmd: [a]\nparams: {a-b: 1}",
    "cmd: [a]\nenv: {a: 1}",
    "cmd: [a]\nmetrics: a.json",
    "cmd: [a]\nmetrics: [../a.json]",
    "cmd: [a]\nplots: [{a.json: {header: x}}]",
    "cmd: [a]\nmodel: {name: a}",
    "cmd: [a]\ngates: []",
]


def wrapped(body: str) -> str:
    return "pipeline: p\nstages:\n  s:\n" + "".join(f"    {line}\n" for line in body.split("\n"))


@pytest.mark.parametrize("body", GOOD)
def test_what_is_well_formed_is_valid(body: str) -> None:
    assert faults(wrapped(body)) == []


@pytest.mark.parametrize("body", BAD)
def test_typical_mistakes_are_not(body: str) -> None:
    assert faults(wrapped(body)) != []


@pytest.mark.parametrize(
    "text", ["stages: {}", "pipeline: p", "pipeline: P\nstages: {s: {cmd: [a]}}", "pipeline: p\nstages: {}"]
)
def test_mistakes_at_the_top_are_not_either(text: str) -> None:
    assert faults(text) != []


@pytest.mark.parametrize(
    ("pool", "valid"),
    [
        ("dask", True),
        ('{dask: "tcp://scheduler:8786"}', True),
        ("ray", False),
        ("{dask: scheduler}", False),
        ("{}", False),
        ("[dask]", False),
    ],
)
def test_the_pool(pool: str, valid: bool) -> None:
    assert (faults(f"pipeline: p\npool: {pool}\nstages: {{s: {{cmd: [a]}}}}") == []) is valid


DEPLOYED_GOOD = [
    "schedules: [{cron: 0 3 * * *, timezone: Europe/Berlin, active: false, slug: a-b}]",
    "schedules: [{interval: 600}, {interval: 10m, anchor: '2020-01-01'}, {rrule: FREQ=DAILY}]",
    "schedules: [{interval: 1d, parameters: {s: {a: 1}}}]",
    "catch_up: none\nbranch: prod\ncommit_to: a/b",
    "deploy: {work_pool: k8s, job_variables: {image: a}, repository: b}",
]
DEPLOYED_BAD = [
    "schedules: [{timezone: UTC}]",
    "schedules: [{cron: 0 3 * * *, interval: 600}]",
    "schedules: [{interval: 0}]",
    "schedules: [{interval: 10 minutes}]",
    "schedules: [{interval: 1.5}]",
    "schedules: [{cron: 0 3 * * *, anchor: '2020-01-01'}]",
    "schedules: [{cron: 0 3 * * *, active: never}]",
    "schedules: [{cron: 0 3 * * *, slug: A B}]",
    "schedules: [{cron: 0 3 * * *, parameters: {s: [1]}}]",
    "catch_up: last",
    "deploy: {pool: a}",
]


@pytest.mark.parametrize("text", DEPLOYED_GOOD)
def test_what_is_well_formed_of_a_deployment_is_valid(text: str) -> None:
    assert faults(f"pipeline: p\nstages: {{s: {{cmd: [a]}}}}\n{text}\n") == []


@pytest.mark.parametrize("text", DEPLOYED_BAD)
def test_typical_mistakes_about_deployments_are_not(text: str) -> None:
    assert faults(f"pipeline: p\nstages: {{s: {{cmd: [a]}}}}\n{text}\n") != []


def test_schema_and_checker_know_the_same_keys() -> None:
    schema = pipeline_schema()
    definitions: dict[str, Any] = schema["$defs"]
    pairs = [
        (tables.PIPELINE, schema),
        (tables.STAGE, definitions["stage"]),
        (tables.LEAF, definitions["leaf"]),
        (tables.TICKS, definitions["ticks"]["properties"]["cron"]),
        (tables.MODEL, definitions["model"]),
        (tables.SCHEDULE, definitions["schedule"]),
        (tables.DEPLOY, definitions["deploy"]),
        (tables.POOL, definitions["pool"]),
        (tables.PLOT, definitions["plot"]["oneOf"][1]["additionalProperties"]),
    ]
    for keys, definition in pairs:
        assert list(definition["properties"]) == [key.name for key in keys]
        assert all(each["description"] for each in definition["properties"].values())
    groups = [word for each in definitions["input"]["oneOf"][3:] for word in each["properties"]]
    assert groups == list(tables.GROUPS)
    assert not tables.LATER & {key.name for keys, _ in pairs for key in keys}
