from __future__ import annotations

from collections.abc import Sequence

import pytest

from trunkline.engine.unchanged import kept, may_be_kept
from trunkline.model import Datum, File, Item, ManifestRow, Reason, ReasonKind, Result


def datum(name: str, content: str = "1", *others: Item) -> Datum:
    return Datum(f"id {name}", name, (Item("raw", "raw", name, content, 1, None), *others))


def key(datums: Sequence[Datum]) -> list[str]:
    asked.append([each.name for each in datums])
    return [f"key {each.name} {[item.oid for item in each.items]}" for each in datums]


def row(each: Datum) -> ManifestRow:
    return ManifestRow(each, key([each])[0], (File(f"{each.name}.txt", "m", 1),), "made")


asked: list[list[str]] = []
A, B, C = datum("a"), datum("b"), datum("c")


def test_what_is_as_it_was_is_neither_computed_nor_asked_for() -> None:
    before = {each.id: row(each) for each in (A, B, C)}
    changed, added = datum("b", "2"), datum("d")
    asked.clear()

    keys, results = kept([A, changed, C, added], before, key)

    assert asked == [["a"], ["b", "d"]]  # one as a sample
    assert keys == key([A, changed, C, added])
    assert results == {
        each.key: Result(each.key, each.files, "", 0.0, "made") for each in (before["id a"], before["id c"])
    }


def test_keys_that_are_made_otherwise_are_all_computed() -> None:
    other = datum("e", "1", Item("more", "more", "x", "1", 1, None))
    for wrong in (A, other):
        before = {each.id: row(each) for each in (A, B, other)}
        before[wrong.id] = before[wrong.id]._replace(key="of another form")
        keys, results = kept([A, B, other], before, key)
        assert (keys, results) == (key([A, B, other]), {})


@pytest.mark.parametrize(
    ("kind", "may"),
    [
        (ReasonKind.DATASET_CHANGED, True),
        (ReasonKind.CODE_CHANGED, True),
        (ReasonKind.PARAM_CHANGED, False),
        (ReasonKind.FORCED, False),
        (ReasonKind.PACKAGE_CHANGED, False),
    ],
)
def test_only_where_data_and_texts_changed(kind: ReasonKind, may: bool) -> None:
    assert may_be_kept([Reason(ReasonKind.OUTPUT_CHANGED), Reason(kind)]) is may
