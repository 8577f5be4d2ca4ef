"""prefect.yaml: ours compiled, other people's kept byte for byte, the same for both of its readers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.spec.samples import FLIGHTS, KNOWN, one
from trunkline.errors import SpecError
from trunkline.model import Pipeline
from trunkline.spec import check, compile_prefect, load

GOLDEN = Path(__file__).parents[1] / "golden/spec/compiled"

SCHEDULED = FLIGHTS.replace(
    'schedules: [{cron: "0 3 * * *", timezone: UTC}]\n',
    """\
schedules:
- {cron: "0 3 * * *", timezone: Europe/Berlin}
- {interval: 10m, active: false}
- {interval: 1d, anchor: "2024-01-31T09:30:00", parameters: {train: {epochs: 20}, clean: {target: "on"}}}
- {rrule: "FREQ=MONTHLY;BYDAY=-1FR;BYHOUR=18", slug: month-end}
branch: release/2026
deploy:
  work_pool: kubernetes
  job_variables: {image: "registry.example.org/flights:1", cpu: 1e-05}
  repository: "https://git.example.org/flights.git"
""",
)
assert SCHEDULED != FLIGHTS
PLAIN = "pipeline: plain\nstages: {s: {cmd: [a]}}\n"

# As `prefect init` writes it, and then somebody.
BY_HAND = """\
# Welcome to your prefect.yaml file! You can use this file for storing and managing
# configuration for deploying your flows.

# Generic metadata about this project
name: theirs
prefect-version: 3.8.8

# build section allows you to manage and build docker images
build: null

# pull section allows you to provide instructions for cloning this project in remote locations
pull:
- prefect.deployments.steps.set_working_directory:
    directory: somewhere

# the deployments section allows you to provide configuration for deploying flows
deployments:
- name: null
  version: null
  tags: []
  parameters: {}
  work_pool:
    name: null
    job_variables: {}

    # a report
- name: report   # by hand
  entrypoint: flows/report.py:report
  schedules: [{cron: "0 6 * * mon", slug: "monday"}]

- {name: flights_large, entrypoint: trunkline.deployed.retrain, parameters: {pipeline: flights}}
# last words
"""


@cache
def pipelines(*texts: str) -> tuple[Pipeline, ...]:
    named = {text.partition("pipeline: ")[2].partition("\n")[0]: text for text in texts}
    return check({f"pipelines/{name}.yaml": text for name, text in named.items()}, KNOWN)


def compiled(existing: str, *texts: str, always: bool = False) -> str:
    return compile_prefect(existing, pipelines(*texts), lambda: "made-1a2b3c4d", always=always)


# ---------------------------------------------------------------- what is written


def test_from_nothing() -> None:
    text = compiled("", SCHEDULED)
    assert text == (GOLDEN / "prefect.yaml").read_text("utf-8")
    assert compiled(text, SCHEDULED) == text
    assert compiled(text) == ""


def test_beside_what_people_wrote() -> None:
    text = compiled(BY_HAND, SCHEDULED)
    assert text == (GOLDEN / "prefect_beside.yaml").read_text("utf-8")
    assert compiled(text, SCHEDULED) == text
    assert compiled(text) == BY_HAND


def test_prefects_reader_and_ours_read_the_same() -> None:
    text = compiled(BY_HAND, SCHEDULED, PLAIN)
    assert yaml.safe_load(text) == load(text)


def test_a_project_without_schedules_gets_no_file_but_where_there_is_one() -> None:
    assert compiled("", PLAIN) == ""
    alone = compiled("", PLAIN, always=True)
    assert [each["name"] for each in load(alone)["deployments"]] == ["plain"]
    assert compiled(alone, PLAIN) == alone
    both = load(compiled("", SCHEDULED, PLAIN))["deployments"]
    assert [each["name"] for each in both] == ["flights", "plain"]
    assert (both[1]["schedules"], both[1]["push"][0]) == (
        [],
        {
            "trunkline.flows.deployments.prune": {
                "pipeline": "plain",
                "project": "made-1a2b3c4d",
                "schedules": [],
            }
        },
    )
    assert compiled("# mine\n", PLAIN).startswith(
        "# mine\nname: made-1a2b3c4d  # of the project, where a server is shared\ndeployments:\n- name: plain\n"
    )


def test_a_pipeline_that_is_gone_takes_its_deployment_with_it() -> None:
    both = compiled(BY_HAND, SCHEDULED, PLAIN)
    assert compiled(both, SCHEDULED) == compiled(BY_HAND, SCHEDULED)
    assert compiled(compiled(both, PLAIN), SCHEDULED, PLAIN) == both


def test_a_changed_value_is_written_though_python_calls_it_equal() -> None:
    text = compiled("", SCHEDULED)
    assert "active: false" in text
    assert compiled(text.replace("active: false", "active: 0"), SCHEDULED) == text
    assert compiled(text.replace("interval: 600", "interval: 600.0"), SCHEDULED) == text


def test_what_is_written_into_ours_by_hand_is_taken_back() -> None:
    text = compiled("", SCHEDULED)
    assert compiled(text.replace("name: kubernetes", "name: other"), SCHEDULED) == text
    assert compiled(text.replace("limit: 1\n", "limit: 1  # one\n"), SCHEDULED) != text, "comments stay"


@pytest.mark.parametrize("name", ["{{ a }}", "{{ $HOME }}", "{{ prefect.variables.x }}"])
def test_a_description_that_prefect_would_fill_in_is_left_out(name: str) -> None:
    text = PLAIN + f'description: "words {name}"\n'
    assert "description" not in load(compiled("", text, always=True))["deployments"][0]


def test_no_absolute_path_is_written() -> None:
    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [text for pair in value.items() for each in pair for text in texts(each)]
        if isinstance(value, list):
            return [text for each in value for text in texts(each)]
        return [str(value)]

    assert [text for text in texts(load(compiled("", SCHEDULED))) if text.startswith(("/", "~"))] == []


# ---------------------------------------------------------------- what stands in the way


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("deployments:\n- name: flights\n", "the deployment 'flights' is written by hand here, and compiled"),
        (
            "deployments:\n- {name: flights, entrypoint: a.py:b}\n",
            "the deployment 'flights' is written by hand",
        ),
        ("- a\n", "prefect.yaml is not a mapping"),
        ("deployments: {a: b}\n", "'deployments' in prefect.yaml is not a list"),
        ("deployments: [{name: a}]\n", "prefect.yaml cannot be edited without changing what is yours"),
        ("a: [\n", "a value is missing here"),
    ],
)
def test_what_stands_in_the_way_is_an_error(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        compiled(text, SCHEDULED)
    assert caught.value.problems[0].file == "prefect.yaml"


def test_a_clash_is_marked_where_the_name_stands() -> None:
    with pytest.raises(SpecError) as caught:
        compiled(BY_HAND.replace("name: report ", "name: flights"), SCHEDULED)
    (problem,) = caught.value.problems
    assert (problem.source.strip(), problem.column, problem.length) == ("- name: flights  # by hand", 9, 7)


# ---------------------------------------------------------------- whatever people wrote

_NOISE = st.sampled_from(["", "\n", "# words\n", "\n# words\n\n", "  # far in\n"])
_ENTRIES = [
    "- name: {name}\n",
    "- {{name: {name}, tags: [a]}}  # short\n",
    "-   name: {name}\n    # inside\n    tags:\n    - b\n\n",
    "- entrypoint: trunkline.deployed.retrain\n  name: {name}\n",
    "- description: |\n    - name: flights\n\n    # no comment\n  name: '{name}'\n",
]
_OTHERS = ["name: x\n", "build: null\n", "pull:\n- a.b: {c: d}\n", "x: |\n  deployments:\n"]


@st.composite
def by_hand(draw: st.DrawFn) -> str:
    """A prefect.yaml as people write it."""
    parts = []
    for other in draw(st.lists(st.sampled_from(_OTHERS), max_size=3, unique=True)):
        parts += [draw(_NOISE), other]
    names = draw(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True))
    section = ["deployments:\n"]
    for name in names:
        section += [draw(_NOISE), draw(st.sampled_from(_ENTRIES)).format(name=name)]
    parts.insert(2 * draw(st.integers(0, len(parts) // 2)), "".join(section))
    return "".join([*parts, draw(_NOISE)])


@settings(max_examples=100, deadline=None)
@given(by_hand())
def test_compiling_and_undoing_it_changes_no_byte(text: str) -> None:
    first = compiled(text, SCHEDULED)
    assert compiled(first, SCHEDULED) == first
    assert compiled(compiled(first, SCHEDULED, PLAIN), SCHEDULED) == first
    assert compiled(first) == text
    assert yaml.safe_load(first) == load(first)


def test_the_deployment_says_nothing_of_what_a_run_finds_in_the_pipeline_file() -> None:
    """`commit_to` and `catch_up` are read at the commit that runs, not from Prefect."""
    other = SCHEDULED + "catch_up: all\ncommit_to: results\n"
    assert compiled("", other) == compiled("", SCHEDULED)
    assert one(other).commit_to == "results"
