from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plan.values import leaf, snapshot, stage
from trunkline.digest import digest
from trunkline.errors import UsageError
from trunkline.model import Command, Cross, Datum, DatumSet, Function, Item, Model, Plot, Reprocess, Resources
from trunkline.plan import bulk
from trunkline.plan.datums import datums
from trunkline.plan.keys import datum_key, datum_keys, transform_digest

ITEM = Item("raw", "flights_raw", "a.csv", "0" * 32, 1, None)
DATUM = Datum("1" * 64, "a", (ITEM,))
STAGE = stage(leaf("raw", "/*"), params={"a": 1})


def transform(**changes: Any) -> str:
    return transform_digest(replace(STAGE, **changes), "c" * 64, "w")


@pytest.mark.parametrize(
    "other",
    [
        DATUM._replace(id="2" * 64),
        DATUM._replace(name="b"),
        DATUM._replace(join_on="a"),
        DATUM._replace(items=(ITEM._replace(oid="1" * 32),)),
        DATUM._replace(items=(ITEM._replace(path="b.csv"),)),
        DATUM._replace(items=(ITEM._replace(input="r"),)),
        DATUM._replace(items=()),
        DATUM._replace(items=(ITEM, ITEM)),
    ],
)
def test_what_a_key_depends_on(other: Datum) -> None:
    assert datum_key(other, "t") != datum_key(DATUM, "t")


def test_the_content_of_a_reference_is_left_out() -> None:
    by_reference = (replace(leaf("raw"), reference=True),)
    other = DATUM._replace(items=(ITEM._replace(oid="1" * 32),))
    assert datum_key(DATUM, "t", by_reference) == datum_key(other, "t", by_reference)
    assert datum_key(DATUM, "t", by_reference) == digest("key", [DATUM.id, "a", "", [["raw", "a.csv"]], "t"])


def test_how_an_input_is_handed_over_changes_the_key() -> None:
    flags: list[dict[str, Any]] = [
        {},
        {"reference": True},
        {"empty_files": True},
        {"reference": True, "empty_files": True},
    ]
    assert len({datum_key(DATUM, "t", [replace(leaf("raw"), **each)]) for each in flags}) == 4
    empty = [replace(leaf("raw"), empty_files=True)]
    other = DATUM._replace(items=(ITEM._replace(oid="1" * 32),))
    assert datum_key(DATUM, "t", empty) != datum_key(other, "t", empty)  # it may be handed on


def test_the_key_of_a_group_is_in_the_key() -> None:
    items = [["raw", "a.csv", "0" * 32]]
    grouped = DATUM._replace(group_by="g")
    assert datum_key(grouped, "t") == digest("key", [DATUM.id, "a", "", items, "t", "g"])


def test_a_key_depends_on_the_transform() -> None:
    assert datum_key(DATUM, "t") != datum_key(DATUM, "u")


def test_sizes_do_not_enter_a_key() -> None:
    assert datum_key(DATUM._replace(items=(ITEM._replace(size=-1),)), "t") == datum_key(DATUM, "t")


def test_a_key_is_the_digest_that_it_is_said_to_be() -> None:
    items = [["raw", "a.csv", "0" * 32]]
    assert datum_key(DATUM, "t") == digest("key", [DATUM.id, "a", "", items, "t"])


def test_the_keys_of_many_are_those_of_each() -> None:
    files = snapshot([f"{n}.csv" for n in range(5)])
    many = datums(stage(Cross((leaf("x", "/*"), leaf("y", "/*")))), {"x": files, "y": files})
    assert datum_keys(many, "t") == [datum_key(datum, "t") for datum in many]
    assert len({*datum_keys(many, "t")}) == 25


@given(st.lists(st.text(st.characters())))
@settings(deadline=None)
def test_bulk_encoding_is_the_canonical_one(texts: list[str]) -> None:
    data = bulk.head("x") + bulk.listing(len(texts)) + b"".join(map(bulk.text, texts))
    assert bulk.sha256(data).hexdigest() == digest("x", texts)


@pytest.mark.parametrize(
    "changes",
    [
        {"params": {"a": 2}},
        {"params": {"a": 1.0}},
        {"params": {"a": True}},
        {"params": {"b": 1}},
        {"params": {}},
        {"env": {"A": "b"}},
        {"run": Function("stages.s", "t")},
        {"run": Function("stages.t", "s")},
        {"run": Command(("stages.s", "s"))},
        {"accept_return_code": (3,)},
    ],
)
def test_what_changes_the_computation_changes_the_transform(changes: dict[str, Any]) -> None:
    assert transform(**changes) != transform()


@pytest.mark.parametrize(
    "changes",
    [
        {"model": Model("m", "model.onnx")},
        {"metrics": ("metrics.json",)},
        {"plots": (Plot("roc.json"),)},
        {"input": leaf("raw", "/**")},
        {"declaration": {"description": "other"}},
        {"name": "renamed"},
        {"pipeline": "renamed"},
        {"code": ("notes.txt",)},
        {"datum_tries": 1, "datum_timeout": 1.0, "job_timeout": 2.0, "parallelism": 1},
        {"datum_set": DatumSet(number=1), "resources": Resources(1.0, 1), "secrets": ("A",)},
        {"err_cmd": Command(("true",)), "reprocess": Reprocess.EVERY_JOB},
    ],
)
def test_what_does_not_change_the_computation_does_not(changes: dict[str, Any]) -> None:
    assert transform(**changes) == transform()


def test_code_and_writer_change_the_transform() -> None:
    assert len({transform_digest(STAGE, code, writer) for code in "cd" for writer in "wx"}) == 4


@pytest.mark.parametrize(
    "changes",
    [{"name": "t"}, {"pipeline": "q"}, {"run": Command(("a",), ("b",))}, {"run": Command(("a", "b"))}],
)
def test_a_command_sees_its_stage(changes: dict[str, Any]) -> None:
    command = replace(STAGE, run=Command(("a",)))
    assert transform_digest(replace(command, **changes), "c", "w") != transform_digest(command, "c", "w")


def test_a_command_writes_for_itself() -> None:
    command = replace(STAGE, run=Command(("a",)))
    assert transform_digest(command, "c", "w") == transform_digest(command, "c", "x")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: 2}, {1, 2}, object()])
def test_a_value_without_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(UsageError, match=r"stage p\.s holds a value that cannot be versioned"):
        transform(params={"a": [value]})
