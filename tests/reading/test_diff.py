"""`diff`: two versions of a dataset, two runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.reading.conftest import Cli
from tests.support import Tree


def changed(rows: list[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    return {row["name"]: (row["was"], row["now"]) for row in rows}


def test_files_rows_and_columns_of_two_versions(inside: Tree, cli: Cli) -> None:
    found = cli("diff", "shop.clean@one", "shop.clean@two", "--key", "order", "--json").data
    assert [(file["path"], file["change"]) for file in found["files"]] == [
        ("02.parquet", "changed"), ("03.parquet", "added"),
    ]  # fmt: skip
    assert found["files"][0]["rows"] == {"added": 1, "removed": 1, "changed": 1}
    assert found["rows"] == {"added": 3, "removed": 1, "changed": 1}
    assert (found["same"], found["columns"], found["key"]) == (1, [], ["order"])
    assert cli("diff", "shop.clean@one", "--json").data["rows"] == {"added": 4, "removed": 2, "changed": 0}
    raw = cli("diff", "orders_raw@one", "orders_raw@two", "--key", "order", "--json").data
    assert raw["rows"] == found["rows"]
    text = cli("diff", "shop.clean@one", "shop.clean@two").out
    assert "files: 1 added, 1 changed, 1 the same\nrows: 4 added, 2 removed (as a whole" in text
    assert "the same, 3 files" in cli("diff", "shop.clean@two", "shop.clean").out
    assert cli("diff", "shop.clean@one", "--files", "--json").data["rows"] is None
    assert "the column 'no'" in cli("diff", "shop.clean@one", "--key", "no", code=2).err


def test_what_is_no_table_is_compared_as_files(inside: Tree, cli: Cli) -> None:
    found = cli("diff", "shop.train@one", "--json").data
    assert [(file["path"], file["rows"], file["note"]) for file in found["files"]] == [
        ("model.onnx", None, "no table")
    ]
    assert len(cli("diff", "spend@one", "--json").data["files"]) == 1


def test_two_runs(inside: Tree, cli: Cli) -> None:
    new, old = (run["id"] for run in cli("runs", "--json").data)
    found = cli("diff", old, new, "--patch", "--json").data
    assert found["data"]["sources"] == [
        {"path": "data/orders_raw", "was": found["data"]["sources"][0]["was"],
         "now": found["data"]["sources"][0]["now"], "files": {"added": 1, "removed": 0, "changed": 1}}
    ]  # fmt: skip
    outputs = {each["stage"]: each["files"] for each in found["data"]["outputs"]}
    assert outputs.keys() == {f"shop.{name}" for name in ("ingest", "clean", "split", "train", "evaluate")}
    assert outputs["shop.train"] == {"added": 0, "removed": 0, "changed": 1}
    assert changed(found["params"]) == {"params.alpha": (0.5, 0.25)}
    assert found["environment"] == []
    assert [(each["name"], each["difference"]) for each in found["metrics"]] == [("rows", 1)]
    code = found["code"]
    assert (code["basis"], code["not_recorded"], code["read"]) == ("trees", [], [])
    assert code["files"] == [{"path": "pipelines/shop.yaml", "added": 1, "removed": 1}]
    assert "+    params: {alpha: 0.25}" in code["patch"]
    lines = cli("diff", old[:13], "latest").out
    for line in (
        "  data/orders_raw  ", "1 added, 1 changed", "  pipelines/shop.yaml  +1 -1",
        "  shop.train  params.alpha: 0.5 -> 0.25", "environment: the same", "  shop.evaluate  rows: 1 -> 2 (+1)",
    ):  # fmt: skip
        assert line in lines
    assert "is compared with another run" in cli("diff", new, code=2).err


@pytest.mark.parametrize("name", ["nothing", "shop.clean@nowhere"])
def test_what_there_is_not(inside: Tree, cli: Cli, name: str) -> None:
    assert cli("diff", name, code=2).err.startswith("error: ")
