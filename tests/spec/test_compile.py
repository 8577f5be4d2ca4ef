from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.spec.samples import FLIGHTS, KNOWN, one
from trunkline.errors import SpecError
from trunkline.model import Pipeline
from trunkline.spec import check, compile_dvc, deps, foreign_outputs, load, stage_entry, stage_names, stale

CODE = {
    "flights.ingest": ("stages/__init__.py", "stages/ingest.py"),
    "flights.clean": ("stages/clean.py",),
    "flights.train": ("stages/train.py", "stages/model.py"),
}
GOLDEN = Path(__file__).parents[1] / "golden/spec/compiled"

BY_HAND = """\
# dvc.yaml of an older project

vars:
- config.yaml   # kept

stages:
    # fetches the base model
    fetch:
        cmd: |
          # not a comment
          curl -O "$URL"

        outs:
        - models/base   # large

    report: {cmd: make report, deps: [data/flights/evaluate]}


    # last words of the section
metrics:
  - by_hand.json
plots:
- by_hand.csv:
    x: a
artifacts:
  base: {path: models/base}
params:
- params.yaml
# last words of the file
"""


@cache
def flights() -> Pipeline:
    return one(FLIGHTS)


@cache
def other() -> Pipeline:
    text = (
        "pipeline: alarms\nstages:\n  late:\n    cmd: [x]\n    input: {m: flights.train/model.onnx}\n"
        "    metrics: [alarms.json]\n    model: {name: alarms, path: m}\n"
    )
    found = check({"pipelines/alarms.yaml": text, "pipelines/flights.yaml": FLIGHTS}, KNOWN)
    return next(pipeline for pipeline in found if pipeline.name == "alarms")


def test_from_nothing() -> None:
    text = compile_dvc("", [flights()], CODE)
    assert text == (GOLDEN / "flights.yaml").read_text("utf-8")
    assert compile_dvc(text, [flights()], CODE) == text
    assert compile_dvc(text, [], {}) == ""


def test_beside_what_people_wrote() -> None:
    text = compile_dvc(BY_HAND, [flights()], CODE)
    assert text == (GOLDEN / "beside.yaml").read_text("utf-8")
    assert compile_dvc(text, [flights()], CODE) == text
    assert compile_dvc(text, [], {}) == BY_HAND


def test_stages_come_upstream_first_over_all_pipelines() -> None:
    names = stage_names(compile_dvc("", [flights(), other()], {}))
    assert names == (
        "flights-ingest",
        "flights-weather",
        "flights-clean",
        "flights-split",
        "flights-train",
        "alarms-late",
        "flights-evaluate",
    )


def test_a_pipeline_that_is_gone_takes_its_entries_with_it() -> None:
    both = compile_dvc(BY_HAND, [flights(), other()], CODE)
    assert {"alarms", "flights_late"} <= load(both)["artifacts"].keys()
    assert compile_dvc(both, [flights()], CODE) == compile_dvc(BY_HAND, [flights()], CODE)


def test_a_changed_stage_changes_its_own_lines_only() -> None:
    before = compile_dvc(BY_HAND, [flights()], CODE)
    after = compile_dvc(before, [flights()], {**CODE, "flights.split": ("stages/split.py",)})
    assert [line for line in after.split("\n") if line not in before.split("\n")] == [
        "      - stages/split.py"
    ]
    assert len(after.split("\n")) == len(before.split("\n")) + 1


def test_a_comment_in_a_current_entry_stays() -> None:
    text = compile_dvc("", [flights()], CODE).replace("    deps:\n", "    deps:  # mine\n", 1)
    assert compile_dvc(text, [flights()], CODE) == text
    changed = compile_dvc(text, [flights()], {**CODE, "flights.split": ("a.py",)})
    assert "deps:  # mine\n" in changed


def test_entries_moved_by_hand_are_put_in_order_again() -> None:
    text = compile_dvc("", [flights()], CODE)
    start, end = text.index("  flights-evaluate:"), text.index("metrics:")
    moved = text[: len("stages:\n")] + text[start:end] + text[len("stages:\n") : start] + text[end:]
    assert stage_names(moved)[0] == "flights-evaluate"
    assert compile_dvc(moved, [flights()], CODE) == text


def test_line_ends_and_a_missing_last_one_are_kept() -> None:
    windows = "stages:\r\n  a:\r\n    cmd: x\r\nmetrics:\r\n- m.json"
    text = compile_dvc(windows, [flights()], CODE)
    assert text.replace("\r\n", "").count("\n") == 0
    assert text.startswith(windows.partition("metrics")[0])
    assert load(text)["metrics"] == ["m.json", "data/flights/evaluate/metrics.json"]


@pytest.mark.parametrize("section", ["stages: {}", "stages:", "stages: null  # none yet", "stages:\n"])
def test_an_empty_section_is_filled(section: str) -> None:
    text = compile_dvc(f"{section}\nvars: [a]\n", [flights()], {})
    assert len(stage_names(text)) == 6
    assert load(text)["vars"] == ["a"]
    assert text.split("\n")[0].partition("#")[0].strip() == "stages:"


def test_what_needs_no_edit_may_be_written_as_anyone_likes() -> None:
    flow = '{"stages": {"a": {"cmd": "x"}}, "metrics": ["m.json"]}'
    assert compile_dvc(flow, [], {}) == flow
    assert compile_dvc("# only a comment\n", [], {}) == "# only a comment\n"
    assert compile_dvc("  \n", [], {}) == ""


def test_a_document_mark_stays_last() -> None:
    text = compile_dvc("---\nmetrics:\n- m.json\n...\n", [flights()], {})
    assert text.endswith("type: model\n...\n")
    assert compile_dvc(text, [], {}) == "---\nmetrics:\n- m.json\n...\n"


UNEDITABLE = {
    "all of it in brackets": "{stages: {a: {cmd: x}}}",
    "stages in brackets": "stages: {a: {cmd: x}}\n",
    "metrics in brackets": "metrics: [a.json]\n",
    "an anchor that others need": (
        "stages:\n  flights-old: &x\n    cmd: trunkline exec flights.old\n  b: {cmd: x, meta: *x}\n"
    ),
    "an alias as section": "x: &x\n- a.json\nmetrics: *x\n",
    "keys with question marks": "stages:\n  ? a\n  : cmd: x\n",
    "carriage returns": "stages:\r  a:\r    cmd: x\r",
}


@pytest.mark.parametrize("name", UNEDITABLE)
def test_what_cannot_be_edited_is_an_error(name: str) -> None:
    with pytest.raises(SpecError, match="cannot be edited without changing what is yours"):
        compile_dvc(UNEDITABLE[name], [flights()], {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages:\n  flights-clean: {cmd: make}\n", "the stage 'flights-clean' is written by hand here"),
        ("artifacts:\n  flights_late: {path: m}\n", "the model 'flights_late' is written by hand here"),
        ("- a\n", "dvc.yaml is not a mapping"),
        ("stages: [a]\n", "'stages' in dvc.yaml is not a mapping"),
        ("metrics: {a: b}\n", "'metrics' in dvc.yaml is not a list"),
        ("a: [\n", "a value is missing here"),
    ],
)
def test_what_stands_in_the_way_is_an_error(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        compile_dvc(text, [flights()], {})
    assert caught.value.problems[0].file == "dvc.yaml"


def test_deps_are_sorted_and_confined_to_what_the_glob_reads() -> None:
    stages = {stage.name: stage for stage in flights().stages}
    assert deps(stages["train"], ("stages/train.py", "a.py")) == (
        "a.py",
        "data/flights/split/train",
        "stages/train.py",
    )
    assert deps(stages["split"], ()) == ("data/flights/clean",)
    assert stage_entry(stages["train"], ("a.py",)) == {
        "cmd": "trunkline exec flights.train",
        "deps": ["a.py", "data/flights/split/train"],
        "params": [{"pipelines/flights.yaml": ["stages.train"]}],
        "outs": ["data/flights/train", "data/flights/.manifests/train"],
    }


def test_a_stage_without_deps_has_no_such_key() -> None:
    (stage,) = one("pipeline: p\nstages: {s: {cmd: [x]}}\n").stages
    assert "deps" not in stage_entry(stage, ())


def test_stale_says_how_dvc_yaml_differs() -> None:
    pipeline = flights()
    clean = pipeline.stages[2]
    text = compile_dvc(BY_HAND, [pipeline], CODE)
    assert stale(text, clean, CODE["flights.clean"]) == []
    assert stale(text, clean, ("stages/other.py",)) == [
        "deps: stages/other.py is missing",
        "deps: stages/clean.py should not be there",
    ]
    assert stale("", clean, ()) == ["dvc.yaml has no stage flights-clean"]
    other = text.replace("      cmd: trunkline exec flights.clean\n", "      cmd: make\n      frozen: true\n")
    assert stale(other, clean, CODE["flights.clean"]) == [
        "cmd is 'make', and should be 'trunkline exec flights.clean'",
        "frozen is True, and should be not there",
    ]
    assert stale("stages: {flights-clean: {cmd: trunkline exec flights.clean}}", clean, ())[-1] == (
        "outs: data/flights/.manifests/clean is missing"
    )


def test_foreign_outputs_are_those_of_other_peoples_stages() -> None:
    text = compile_dvc(BY_HAND, [flights()], CODE)
    assert foreign_outputs(text) == {"models/base"}
    more = (
        "stages:\n  a:\n    cmd: x\n    wdir: sub\n    outs: [o, {p: {cache: false}}, ../q, s3://b/k, /abs, ../../up]\n"
        "    metrics: [m.json]\n    plots: [{c.csv: {x: a}}]\n"
        "  b:\n    foreach: [1, 2]\n    do: {cmd: x, outs: ['o${item}', fixed]}\n"
        "  c:\n    cmd: [x, y]\n    outs: [l]\n"
    )
    assert foreign_outputs(more) == {"sub/o", "sub/p", "q", "sub/m.json", "sub/c.csv", "fixed", "l"}
    assert foreign_outputs("") == frozenset()


# ---------------------------------------------------------------- whatever people wrote

_NOISE = st.sampled_from(["", "\n", "# words\n", "\n# words\n\n", "  # far in\n", "   \n"])
_STAGES = [
    "  {name}:\n    cmd: x\n",
    "  {name}:\n    cmd: >-\n      a\n\n      # b\n    deps: [a, b]\n",
    "  {name}: {{cmd: x, outs: [o{name}]}}  # short\n",
    "  {name}:\n    # inside\n    cmd: 'x: y'\n\n    meta:\n    - |\n      keep\n\n",
    '  "{name}":\n    cmd: "a\n      b"\n',
]
_ITEMS = ["- {name}.json\n", "- '{name} x.json'  # why\n", "- {name}.csv:\n    x: a\n\n    # b\n    y: c\n"]
_LISTED = [item for item in _ITEMS if ":" not in item]


@st.composite
def by_hand(draw: st.DrawFn) -> str:
    """A dvc.yaml as people write it."""
    parts = [draw(_NOISE)]
    sections = {"stages": _STAGES, "metrics": _LISTED, "plots": _ITEMS, "params": _LISTED}
    for section in draw(st.permutations(["stages", "metrics", "plots", "params", "vars"])):
        if section == "vars":
            parts += [draw(st.sampled_from(["", "vars: [a]\n", "vars:\n- {a: 1}\n"]))]
            continue
        names = draw(st.lists(st.sampled_from("abcdef"), max_size=3, unique=True))
        if names:
            parts += [f"{section}:{draw(st.sampled_from(['', '  # section']))}\n"]
            entries = [draw(st.sampled_from(sections[section])).format(name=name) for name in names]
            parts += [part for entry in entries for part in (draw(_NOISE), entry)]
        parts.append(draw(_NOISE))
    return "".join(parts)


@settings(max_examples=100, deadline=None)
@given(by_hand())
def test_compiling_and_undoing_it_changes_no_byte(text: str) -> None:
    if not load(text):
        return
    first = compile_dvc(text, [flights()], CODE)
    assert compile_dvc(first, [flights()], CODE) == first
    second = compile_dvc(first, [flights(), other()], {})
    assert compile_dvc(second, [flights()], CODE) == first
    assert compile_dvc(second, [], {}) == text
