"""`lineage --rows`: which datums, files and models have a customer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import trunkline
from tests.reading.conftest import Cli
from tests.support import Tree
from trunkline.errors import UsageError
from trunkline.model import File
from trunkline.project import Project
from trunkline.reading.scan import Condition, Count, Scanner, Seen, conditions


def dropped(data: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(each["dropped_at"], each["what"], each["input"]["rows"]) for each in data["upstream_only"]]


def test_a_customer_in_the_training_input(inside: Tree, cli: Cli) -> None:
    data = cli("lineage", "--rows", "customer=1", "--json").data
    found = {
        part["path"]: {hit["path"]: (hit["rows"], hit["datum"]) for hit in part["files"]}
        for part in data["datasets"]
    }
    assert found == {
        "data/orders_raw": {"01.csv": (1, ""), "02.csv": (1, "")},
        **{
            f"data/shop/{name}": {f"{day}.parquet": (1, day) for day in ("01", "02")}
            for name in ("ingest", "clean")
        },
        "data/shop/split": {f"train/{day}.parquet": (1, day) for day in ("01", "02")},
    }
    (model,) = data["in_training_input"]
    assert (model["model"], model["stage"], [part["rows"] for part in model["inputs"]]) == (
        "spend",
        "shop.train",
        [2],
    )
    assert model["run"] == cli("runs", "--json").data[0]["id"]
    assert model["version"] == cli("versions", "spend", "--json").data[0]["version"]
    assert (dropped(data), data["not_known"], data["clear"]) == ([], [], [])
    text = cli("lineage", "--rows", "customer=1").out
    assert "in the training input of\n  spend " in text
    assert "01.parquet: 1  (datum 01)" in text


@pytest.mark.parametrize(("customer", "stage"), [(5, "shop.clean"), (3, "shop.split")])
def test_a_customer_upstream_only(inside: Tree, cli: Cli, customer: int, stage: str) -> None:
    data = cli("lineage", "--rows", f"customer={customer}", "--json").data
    assert (data["in_training_input"], dropped(data)) == ([], [(stage, "rows", 1)])
    assert f"dropped at {stage}" in cli("lineage", "--rows", f"customer={customer}").out


def test_one_dataset_several_conditions_and_none_that_match(inside: Tree, cli: Cli) -> None:
    data = cli("lineage", "orders_raw", "--rows", "customer=1,amount=10.0", "--json").data
    assert [(part["path"], part["rows"]) for part in data["datasets"]] == [("data/orders_raw", 1)]
    assert cli("lineage", "shop.split/test", "--rows", "customer=1", code=1).out.startswith(
        "no row has customer=1"
    )
    data = cli("lineage", "--rows", "customer=1", "--rows", "customer=2", "--json", code=1).data
    assert [each["model"] for each in data["clear"]] == ["spend"]
    assert "is no condition" in cli("lineage", "--rows", "customer", code=2).err


def test_every_recorded_version(inside: Tree, cli: Cli) -> None:
    """Customer 4 was in the first version only; the first model saw them, the second did not."""
    assert cli("lineage", "--rows", "customer=4", "--json", code=1).data["in_training_input"] == []
    data = cli("lineage", "--rows", "customer=4", "--all", "--json").data
    old = cli("versions", "spend", "--json").data[1]["version"]
    assert [(each["version"], each["inputs"][0]["rows"]) for each in data["in_training_input"]] == [(old, 1)]
    assert len(data["clear"]) == 1
    then = cli("lineage", "orders_raw@one", "--rows", "customer=4", "--json").data
    assert [part["rows"] for part in then["datasets"]] == [1]


def test_what_is_not_here_is_said_and_fetched(
    shop: Tree, here: Callable[[Tree], Tree], cli: Cli, tmp_path: Path
) -> None:
    shop.git("clone", "-q", str(shop.root), str(tmp_path / "clone"))
    here(Tree(tmp_path / "clone"))
    data = cli("lineage", "--rows", "customer=1", "--json", code=1).data
    assert [each["model"] for each in data["not_known"]] == ["spend"]
    assert data["absent"] > 0
    with Project.find() as project:
        for name in ("ingest", "clean"):
            trunkline.files(f"shop.{name}")
        project.objects.listing(project.artifacts.find("shop.split").oid)
    data = cli("lineage", "--rows", "customer=3", "--json").data
    assert (dropped(data), [each["model"] for each in data["not_known"]]) == ([], ["spend"])
    assert "not known for spend" in cli("lineage", "--rows", "customer=3").out
    data = cli("lineage", "--rows", "customer=1", "--fetch", "--json").data
    assert [each["model"] for each in data["in_training_input"]] == ["spend"]


def test_where_only_the_column_is_lost(
    shop: Tree, here: Callable[[Tree], Tree], cli: Cli, tmp_path: Path
) -> None:
    tree = here(Tree(Path(shutil.copytree(shop.root, tmp_path / "project", symlinks=True))))
    code = tree.read("stages/shop.py")
    tree.write(
        "stages/shop.py",
        code.replace("return table.filter(pc.field", 'return table.drop(["note"]).filter(pc.field'),
    )
    tree.trunkline("run")
    data = cli("lineage", "--rows", "note=a", "--json").data
    assert (data["in_training_input"], dropped(data)) == ([], [("shop.clean", "column", 1)])


class Local:
    """Objects that are files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def at_hand(self, md5: str) -> bool:
        return True

    def path(self, md5: str, where: str = "") -> str:
        return str(self.folder / md5)


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("n=2", 1), ("n=2.0", 1), ("n=2.5", 0), ("n=x", 0), ("x=0.5", 1), ("t=a", 2), ("b=true", 1),
        ("day=2025-01-01", 1), ("at=2025-01-01 10:00", 1), ("d=a", 2), ("t=a,n=1", 1), ("t=a,b=c", 1),
    ],
)  # fmt: skip
def test_a_value_is_read_as_its_column_has_it(tmp_path: Path, condition: str, rows: int) -> None:
    texts = pa.array(["a", "a,b=c", "a"])
    table = pa.table({
        "n": pa.array([1, 2, 3], pa.int32()), "x": [0.5, 1.0, None], "t": texts, "b": [True, False, None],
        "day": pa.array(["2025-01-01", "2025-01-02", None]).cast(pa.date32()),
        "at": pa.array(["2025-01-01T10:00:00", None, None]).cast(pa.timestamp("us")),
        "d": texts.dictionary_encode(),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "file")
    if condition == "t=a,b=c":
        wanted: tuple[Condition, ...] = (Condition("t", "a,b=c"),)
    else:
        wanted = conditions([condition])
    objects: Any = Local(tmp_path)
    assert Scanner(objects, wanted).count(File("x.parquet", "file", 1)) == Count(rows, Seen.READ)


def test_text_matches_as_text_or_as_a_number(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("id,v\n01,NA\n1,1\n1.0,\nx,1\n")
    objects: Any = Local(tmp_path)
    for value, rows in {"1": 3, "x": 1, "01": 3, "": 0, "y": 0}.items():
        assert Scanner(objects, conditions([f"id={value}"])).count(File("x.csv", "file", 1)).rows == rows
    assert Scanner(objects, conditions(["no=1"])).count(File("x.csv", "file", 1)).seen == "no column"
    assert Scanner(objects, conditions(["no=1"])).count(File("x.bin", "file", 1)).seen == "no table"
    (tmp_path / "empty").write_text("")
    assert Scanner(objects, conditions(["no=1"])).count(File("x.csv", "empty", 1)).seen == "unreadable"
    with pytest.raises(UsageError):
        conditions(["=1"])


def test_an_object_is_scanned_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("id\n1\n")
    objects: Any = Local(tmp_path)
    scanner = Scanner(objects, conditions(["id=1"]))
    assert scanner.count(File("x.csv", "file", 1)).rows == 1
    (tmp_path / "file").unlink()
    assert scanner.count(File("elsewhere/y.csv", "file", 1)).rows == 1
