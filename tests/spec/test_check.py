from __future__ import annotations

import pytest

from tests.spec.samples import FLIGHTS, KNOWN, complaints, one, stage
from trunkline.errors import SpecError
from trunkline.model import (
    CatchUp,
    Command,
    Cron,
    Cross,
    Dask,
    Dataset,
    DatasetKind,
    Deploy,
    Function,
    Group,
    Interval,
    Join,
    Leaf,
    Mark,
    Model,
    Plot,
    RRule,
    Schedule,
    Ticks,
    Union,
)
from trunkline.spec import Known, check, compile_dvc, load

SOURCE = Dataset("flights_raw", "data/flights_raw", DatasetKind.SOURCE)
TICKS = Dataset("p_t", "data/p_t", DatasetKind.SOURCE)
WEATHER = Dataset("weather_raw", "data/weather_raw", DatasetKind.SOURCE)


def produced(name: str) -> Dataset:
    return Dataset(f"flights.{name}", f"data/flights/{name}", DatasetKind.STAGE)


def test_the_reference_pipeline() -> None:
    pipeline = one(FLIGHTS)
    stages = {stage.name: stage for stage in pipeline.stages}
    assert list(stages) == ["ingest", "weather", "clean", "split", "train", "evaluate"]
    assert pipeline.schedules == (Schedule("cron", Cron("0 3 * * *"), "UTC"),)
    assert pipeline.description.startswith("Which departures")
    assert stages["ingest"].run == Function("stages.ingest", "ingest_csv")
    assert stages["ingest"].input == Leaf("raw", SOURCE, "/*")
    assert stages["clean"].input == Join(
        (
            Leaf("flights", produced("ingest"), "/(*).parquet", "$1"),
            Leaf("weather", produced("weather"), "/(*).parquet", "$1"),
        )
    )
    assert stages["clean"].params == {"target": "arr_delay", "late_after": 15}
    assert stages["train"].input == Leaf("train", produced("split"), "/train")
    assert stages["train"].model == Model("flights_late", "model.onnx")
    assert stages["evaluate"].input == Cross(
        (Leaf("model", produced("train"), "/model.onnx"), Leaf("test", produced("split"), "/test"))
    )
    assert stages["evaluate"].metrics == ("metrics.json",)
    assert stages["evaluate"].plots == (Plot("roc.json"),)
    assert stages["ingest"].mark == Mark("pipelines/flights.yaml", 6, 3)


DEPLOYED = """\
pipeline: p
stages: {s: {cmd: [a], params: {epochs: 3}}}
schedules:
- {cron: "0  3 * * *", timezone: Europe/Berlin, parameters: {s: {epochs: 1e-05}}}
- {cron: "0 5 * * *", active: false}
- {interval: 1h, slug: cron-2}
- {interval: 90, anchor: "2024-01-31T09:30:00+02:00"}
- {interval: 2d, anchor: 2024-01-31, timezone: Europe/Berlin}
- {rrule: "freq=monthly;byday=-1fr", slug: month-end}
- {rrule: "DTSTART:20240101T090000\\nRRULE:FREQ=DAILY;COUNT=3\\nEXDATE:20240102T090000"}
catch_up: none
branch: prod
commit_to: results
deploy: {work_pool: k8s, job_variables: {image: a, env: {A: b}}, repository: "git@example.org:p.git"}
"""


def test_what_a_pipeline_says_of_its_deployment() -> None:
    pipeline = one(DEPLOYED)
    epoch = "2020-01-01T00:00:00+00:00"
    assert pipeline.schedules == (
        Schedule("cron", Cron("0 3 * * *"), "Europe/Berlin", True, {"s": {"epochs": 1e-05}}),
        Schedule("cron-3", Cron("0 5 * * *"), active=False),
        Schedule("cron-2", Interval(3600, epoch)),
        Schedule("interval", Interval(90, "2024-01-31T07:30:00+00:00")),
        Schedule("interval-2", Interval(172800, "2024-01-31T00:00:00+00:00"), "Europe/Berlin"),
        Schedule("month-end", RRule("DTSTART:20200101T000000\nRRULE:FREQ=MONTHLY;BYDAY=-1FR")),
        Schedule(
            "rrule",
            RRule("DTSTART:20240101T090000\nRRULE:FREQ=DAILY;COUNT=3\nEXDATE:20240102T090000"),
        ),
    )
    assert (pipeline.catch_up, pipeline.branch, pipeline.commit_to) == (CatchUp.NONE, "prod", "results")
    assert pipeline.deploy == Deploy("k8s", {"image": "a", "env": {"A": "b"}}, "git@example.org:p.git")


def test_what_a_pipeline_does_not_say_of_its_deployment() -> None:
    pipeline = one("pipeline: p\nstages: {s: {cmd: [a]}}\n")
    assert (pipeline.catch_up, pipeline.branch) == (CatchUp.LATEST, "main")
    assert pipeline.commit_to == "trunkline/p"
    assert pipeline.deploy == Deploy("trunkline", {}, "")


def test_no_stage_depends_on_schedules_or_deployment() -> None:
    """What DVC locks and what datums are keyed by is the stage alone."""
    head = "".join(DEPLOYED.splitlines(keepends=True)[:2])
    plain, deployed = one(head), one(DEPLOYED)
    assert plain.stages == deployed.stages
    assert compile_dvc("", [plain], {}) == compile_dvc("", [deployed], {})


def test_the_declaration_is_the_subtree_as_it_is_read() -> None:
    pipeline = one(FLIGHTS)
    for each in pipeline.stages:
        assert each.declaration == load(FLIGHTS)["stages"][each.name]


def test_the_pool_is_the_pipelines_and_no_part_of_its_stages() -> None:
    plain = "stages: {s: {cmd: [x]}}\n"
    here, there, known = (
        one(f"pipeline: p\n{pool}{plain}")
        for pool in ("", "pool: dask\n", 'pool: {dask: "tcp://scheduler:8786"}\n')
    )
    assert [here.pool, there.pool, known.pool] == [None, Dask(), Dask("tcp://scheduler:8786")]
    assert here.stages[0].declaration == there.stages[0].declaration == known.stages[0].declaration


def test_a_command_stage() -> None:
    body = (
        "cmd: [sh, -e]\nstdin: [ls, echo]\nenv: {A: '1'}\ncode: [tools]\nmetrics: [m.json]\n"
        "plots: [a.json, {b.json: {x: u, y: [v, w]}}]\n"
    )
    (found,) = one(stage(body)).stages
    assert found.run == Command(("sh", "-e"), ("ls", "echo"))
    assert (found.input, found.env, found.code) == (None, {"A": "1"}, ("tools",))
    assert found.plots == (Plot("a.json"), Plot("b.json", {"x": "u", "y": ["v", "w"]}))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{a: flights_raw}", Leaf("a", SOURCE, "/")),
        ("{a: flights_raw/x/*.csv}", Leaf("a", SOURCE, "/x/*.csv")),
        ("{dataset: flights_raw}", Leaf("flights_raw", SOURCE, "/")),
        ('{name: a, dataset: flights_raw, glob: "/*"}', Leaf("a", SOURCE, "/*")),
        ("{a: models/base}", Leaf("a", Dataset("models/base", "models/base", DatasetKind.FOREIGN), "/")),
        (
            "{a: models/base/x/*}",
            Leaf("a", Dataset("models/base", "models/base", DatasetKind.FOREIGN), "/x/*"),
        ),
        (
            "{name: a, dataset: models/base, glob: /x}",
            Leaf("a", Dataset("models/base", "models/base", DatasetKind.FOREIGN), "/x"),
        ),
        ("{a: flights_raw/}", Leaf("a", SOURCE, "/")),
        ("{a: flights_raw/x/*/}", Leaf("a", SOURCE, "/x/*")),
        ('{name: a, dataset: flights_raw, glob: "/*/"}', Leaf("a", SOURCE, "/*")),
        ("{cross: [{dataset: flights_raw}]}", Cross((Leaf("flights_raw", SOURCE),))),
        (
            "{name: a, dataset: flights_raw, empty_files: true, reference: true, propagation: never}",
            Leaf("a", SOURCE, empty_files=True, reference=True, propagation=False),
        ),
        (
            "{union: [{name: a, dataset: flights_raw}, {name: a, dataset: weather_raw}, {group: [{name: b,"
            " dataset: flights_raw, glob: /(*)-(*), group_by: $2$1}]}]}",
            Union(
                (
                    Leaf("a", SOURCE),
                    Leaf("a", WEATHER),
                    Group((Leaf("b", SOURCE, "/(*)-(*)", group_by="$2$1"),)),
                )
            ),
        ),
        (
            "{join: [{name: a, dataset: flights_raw, glob: /(*), join_on: $1, outer_join: true},"
            " {name: b, dataset: weather_raw, glob: /(*), join_on: $1, outer_join: false}]}",
            Join(
                (
                    Leaf("a", SOURCE, "/(*)", "$1", outer_join=True),
                    Leaf("b", WEATHER, "/(*)", "$1"),
                )
            ),
        ),
        ('{cron: {name: t, spec: "@hourly"}}', Leaf("t", TICKS, "/*", ticks=Ticks("@hourly"))),
        (
            '{cross: [{cron: {name: t, spec: "@every 1h30m", start: "2026-01-31T01:00:00.5+01:00",'
            " overwrite: true}}, {name: a, dataset: flights_raw}]}",
            Cross(
                (
                    Leaf("t", TICKS, "/*", ticks=Ticks("@every 1h30m", "2026-01-31T00:00:00+00:00", True)),
                    Leaf("a", SOURCE),
                )
            ),
        ),
        (
            "{cross: [{dataset: flights_raw}, {join: [{name: b, dataset: weather_raw, glob: /(*), join_on: $1},"
            " {name: c, dataset: weather_raw, glob: /(*), join_on: $1}]}]}",
            Cross(
                (
                    Leaf("flights_raw", SOURCE),
                    Join((Leaf("b", WEATHER, "/(*)", "$1"), Leaf("c", WEATHER, "/(*)", "$1"))),
                )
            ),
        ),
    ],
)
def test_forms_of_an_input(written: str, expected: object) -> None:
    (found,) = one(stage(f"cmd: [x]\ninput: {written}")).stages
    assert found.input == expected


def test_the_dataset_of_a_clock_can_be_read_by_others() -> None:
    text = (
        "pipeline: p\nstages:\n  a: {cmd: [x], input: {cron: {name: t, spec: '@hourly'}}}\n"
        "  b: {cmd: [x], input: {all: p_t}}\n"
    )
    [_, second] = one(text).stages
    assert second.leaves == (Leaf("all", TICKS),)


def test_a_clock_is_a_schedule_of_the_pipeline() -> None:
    text = """\
pipeline: p
stages:
  a: {cmd: [x], input: {cron: {name: each_hour, spec: "@every 1h", start: 2026-01-01}}}
  b: {cmd: [x], input: {cross: [{cron: {name: t, spec: "0  3 * * mon"}}, {cron: {name: u, spec: "@never"}}]}}
  c: {cmd: [x], input: {cron: {name: t, spec: "0  3 * * mon"}}}
schedules: [{cron: "0 5 * * *", slug: tick-t}]
"""
    assert one(text).schedules == (
        Schedule("tick-t", Cron("0 5 * * *")),
        Schedule("tick-each-hour", Interval(3600, "2026-01-01T00:00:00+00:00")),
        Schedule("tick-t-2", Cron("0 3 * * mon")),
    )


def test_the_longest_foreign_path_wins() -> None:
    known = Known(foreign=frozenset({"out", "out/deep"}))
    (found,) = one(stage("cmd: [x]\ninput: {a: out/deep/x, b: out/x}"), known).stages
    assert [(leaf.dataset.name, leaf.glob) for leaf in found.leaves] == [("out/deep", "/x"), ("out", "/x")]


def test_a_stage_of_another_pipeline() -> None:
    texts = {
        "pipelines/b.yaml": "pipeline: b\nstages: {s: {cmd: [x], input: {i: a.s/*}}}\n",
        "pipelines/a.yaml": "pipeline: a\nstages: {s: {cmd: [x]}}\n",
    }
    first, second = check(texts)
    assert (first.name, second.name) == ("a", "b")
    assert second.stages[0].leaves[0].dataset == Dataset("a.s", "data/a/s", DatasetKind.STAGE)


def test_merge_keys_work_throughout() -> None:
    text = (
        "pipeline: p\nstages:\n  a: &base\n    cmd: [x]\n    input: {i: flights_raw/*}\n    params: {n: 1}\n"
        "  b: {<<: *base, params: {n: 2}}\n"
    )
    first, second = one(text).stages
    assert (first.run, first.input) == (second.run, second.input)
    assert (first.params, second.params) == ({"n": 1}, {"n": 2})
    assert list(second.declaration) == list(load(text)["stages"]["b"])


def test_without_knowledge_only_the_files_are_checked() -> None:
    text = stage("run: no.such:function\ncode: [no_file]")
    assert one(text, Known()).stages[0].run == Function("no.such", "function")


def test_time_zones_are_asked_for_only_where_one_is_named() -> None:
    def asked() -> frozenset[str]:
        raise AssertionError("nobody should ask")

    known = Known(timezones=asked)
    one("pipeline: p\nstages: {s: {cmd: [x]}}\nschedules: [{cron: '0 0 1 jan *', timezone: UTC}]\n", known)


def test_problems_of_all_files_come_at_once_and_in_order() -> None:
    texts = {
        "pipelines/b.yaml": "pipeline: b\nstages: {s: {cmd: 1}}\nx: 1\n",
        "pipelines/a.yaml": "pipeline: [\n",
        "pipelines/c.yaml": "pipeline: c\nstages: {s: {cmd: [x], input: {i: a.s}}}\n",
    }
    with pytest.raises(SpecError) as caught:
        check(texts, KNOWN)
    places = [(problem.file, problem.line) for problem in caught.value.problems]
    assert places == [("pipelines/a.yaml", 2), ("pipelines/b.yaml", 2), ("pipelines/b.yaml", 3)]


def test_no_files_are_no_pipelines() -> None:
    assert check({}) == ()


def test_a_wrong_key_hides_nothing_else() -> None:
    found = complaints(stage("rum: x\ncmd: 1\ninput: {A: nothing}\nmetrics: [a.json, a.json]"))
    assert len(found) == 5
