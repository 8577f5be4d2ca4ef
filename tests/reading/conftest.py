"""A shop: orders as CSV, cleaned and split as Parquet, a model; two versions, committed, in a remote."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli, cli, here
from tests.support import Tree

__all__ = ["Cli", "cli", "here"]

PIPELINE = """\
pipeline: shop

stages:
  ingest:
    run: stages.shop:ingest
    input: {raw: orders_raw/*.csv}
  clean:
    run: stages.shop:clean
    input: {orders: ingest/*}
    params: {least: 0}
  split:
    run: stages.shop:split
    input: {orders: clean/*}
  train:
    run: stages.shop:train
    input: {train: split/train}
    params: {alpha: 0.5}
    model: {name: spend, path: model.onnx}
  evaluate:
    run: stages.shop:evaluate
    input: {test: split/test}
    metrics: [metrics.json]
"""

STAGES = '''\
"""Stages of a shop."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq


def ingest(raw: Path) -> pa.Table:
    """Typed."""
    return pyarrow.csv.read_csv(raw)


def clean(orders: Path, *, least: int) -> pa.Table:
    """Without what was given back."""
    table = pq.read_table(orders)
    return table.filter(pc.field("amount") >= least)


def split(orders: Path) -> dict[str, pa.Table]:
    """Every fourth customer is a test."""
    table = pq.read_table(orders)
    tests = pc.equal(pc.bit_wise_and(table["customer"], 3), 3)
    return {"train": table.filter(pc.invert(tests)), "test": table.filter(tests)}


def train(train: list[Path], *, alpha: float):
    """A model that multiplies."""
    from onnx import TensorProto, helper

    rows = sum(pq.read_metadata(path).num_rows for path in train)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    factor = helper.make_tensor("factor", TensorProto.FLOAT, [1], [rows * alpha])
    graph = helper.make_graph([helper.make_node("Mul", ["x", "factor"], ["y"])], "g", [x], [y], [factor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return {"model.onnx": model.SerializeToString(), "weights.pkl": b"not to be loaded"}


def evaluate(test: list[Path]):
    """Something measured."""
    return {"metrics.json": {"rows": sum(pq.read_metadata(path).num_rows for path in test), "kind": "count"}}
'''

DAYS = {
    "one": {
        "01": "order,customer,amount,note\n1,1,10,a\n2,2,20,b\n3,3,30,c\n4,5,-5,back\n",
        "02": "order,customer,amount,note\n5,1,11,d\n6,4,40,e\n",
    },
    "two": {
        "02": "order,customer,amount,note\n5,1,12,d\n7,6,70,f\n",
        "03": "order,customer,amount,note\n8,2,80,g\n9,7,90,h\n",
    },
}


@pytest.fixture(scope="session")
def shop(_empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Not to be changed: `one` and `two` are tags; everything is in the remote beside it."""
    top = tmp_path_factory.mktemp("shop")
    tree = Tree(Path(shutil.copytree(_empty, top / "project")))
    tree.write("pipelines/shop.yaml", PIPELINE)
    tree.write("stages/shop.py", STAGES)
    tree.dvc("remote", "add", "-q", "-d", "store", str(top / "remote"))
    for version, days in DAYS.items():
        for day, text in days.items():
            tree.write(f"data/orders_raw/{day}.csv", text)
        tree.dvc("add", "-q", "data/orders_raw")
        tree.trunkline("compile")
        tree.commit(f"Data of {version}")
        tree.trunkline("run")
        tree.commit(version)
        tree.git("tag", version)
        tree.write("pipelines/shop.yaml", PIPELINE.replace("alpha: 0.5", "alpha: 0.25"))
    tree.dvc("push", "-q", "--all-commits")
    return tree


@pytest.fixture
def inside(shop: Tree, here: Callable[[Tree], Tree]) -> Tree:
    """The shop; the working directory."""
    return here(shop)
