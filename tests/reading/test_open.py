"""What is read at a version is what `dvc checkout` of that commit would give, and no more than is asked for."""

from __future__ import annotations

import pickle
import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import trunkline
from tests.support import Tree
from trunkline.errors import MissingData, TrunklineError, UsageError


@pytest.fixture(scope="module")
def emptied(shop: Tree, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """A clone with no cache at all: everything is in the remote."""
    root = tmp_path_factory.mktemp("clone") / "project"
    shop.git("clone", "-q", str(shop.root), str(root))
    return Tree(root)


def objects(tree: Tree) -> set[str]:
    folder = tree.root / ".dvc/cache/files/md5"
    return {path.parent.name + path.name for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("version", ["one", "two"])
def test_every_file_of_a_commit_is_as_dvc_checks_it_out(
    shop: Tree, emptied: Tree, tmp_path: Path, version: str
) -> None:
    shop.git("clone", "-q", "-b", version, str(shop.root), str(tmp_path / "out"))
    out = Tree(tmp_path / "out")
    out.command("dvc", "config", "--local", "cache.dir", str(shop.root / ".dvc/cache"))
    out.dvc("checkout", "-q")
    for name in ("orders_raw", "shop.ingest", "shop.clean", "shop.split", "shop.train"):
        folder = out.root / "data" / name.replace(".", "/")
        wanted = {
            str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        found = trunkline.files(f"{name}@{version}", project=emptied.root)
        assert {path: place.read_bytes() for path, place in found.items()} == wanted
    table = trunkline.open(f"shop.clean@{version}", project=shop.root).to_table()
    assert table.equals(pq.read_table(out.root / "data/shop/clean"))


def test_a_dataset_is_arrows_own_and_says_what_it_is(inside: Tree) -> None:
    found = trunkline.open("shop.split/train@one")
    assert isinstance(found, ds.Dataset)
    assert found.files == [f"data/shop/split/train/{day}.parquet" for day in ("01", "02")]
    assert found.to_table(filter=ds.field("customer") == 1, columns=["amount"])["amount"].to_pylist() == [
        10,
        11,
    ]
    commit = inside.git("rev-parse", "one").out.strip()
    run = inside.trunkline("runs", "--json").data[-1]["id"]
    assert (found.facts.commit, found.facts.run, found.facts.stage) == (commit, run, "shop.split")
    page = found._repr_html_()
    for text in ("shop.split/train@one", found.version, commit[:12], run, "customer", "int64", ">2<", ">4<"):
        assert text in page
    assert any(node.name == "data/orders_raw" for node in found.lineage().nodes.values())
    assert pickle.loads(pickle.dumps(found.schema)) == found.schema


@pytest.mark.parametrize("when", ["run", "latest", "hash"])
def test_other_names_of_a_time(inside: Tree, when: str) -> None:
    run = inside.trunkline("runs", "--json").data[0]["id"]
    oid = trunkline.open("shop.clean").version
    name = {"run": run, "latest": "latest", "hash": oid[:10]}[when]
    assert trunkline.open(f"shop.clean@{name}").version == oid


def test_only_what_is_read_is_fetched(shop: Tree, emptied: Tree, tmp_path: Path) -> None:
    tree = emptied.copy(tmp_path / "project")
    shutil.rmtree(tree.root / ".dvc/cache", ignore_errors=True)
    found = trunkline.open("shop.ingest@two", project=tree.root)
    before = objects(tree)
    assert sum(not md5.endswith(".dir") for md5 in before) == 1, "the first file, for its columns"
    assert next(iter(found.get_fragments())).to_table().num_rows == 4
    assert objects(tree) == before
    assert found.to_table().equals(trunkline.open("shop.ingest@two", project=shop.root).to_table())
    assert len(objects(tree)) == 2 + len(before), "the two others"


def test_a_damaged_object_is_not_read_but_fetched(emptied: Tree, tmp_path: Path) -> None:
    tree = emptied.copy(tmp_path / "project")
    place = trunkline.path("shop.clean/01.parquet@one", project=tree.root)
    right = place.read_bytes()
    place.chmod(0o644)
    place.write_bytes(b"damaged")
    assert trunkline.path("shop.clean/01.parquet@one", project=tree.root).read_bytes() == right


def test_what_is_nowhere_says_so(emptied: Tree, tmp_path: Path) -> None:
    tree = emptied.copy(tmp_path / "project")
    shutil.rmtree(tree.root / ".dvc/cache", ignore_errors=True)
    tree.write(".dvc/config", "")
    with pytest.raises(MissingData, match="no DVC remote to fetch it from"):
        trunkline.open("shop.clean@one", project=tree.root)


@pytest.mark.parametrize(
    ("call", "name", "said"),
    [
        ("open", "shop.train", "trunkline.path("),
        ("open", "shop.evaluate", "metrics.json is no table"),
        ("open", "nothing", "there is no dataset"),
        ("path", "shop.train", "use trunkline.files("),
        ("load_model", "shop.train/weights.pkl", "a pickle: to load it is to run"),
        ("load_model", "shop.split", "has no ONNX file"),
        ("load_model", "shop.clean/01.parquet", "is no ONNX model"),
    ],
)
def test_what_cannot_be(inside: Tree, call: str, name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        getattr(trunkline, call)(name)
    assert said in f"{caught.value.message} {caught.value.hint}"


def test_a_model_is_a_session_that_says_which_it_is(inside: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    import numpy as np

    def run(model: Any) -> float:
        return float(model.run(None, {"x": np.array([2.0], dtype=np.float32)})[0][0])

    one, two = trunkline.load_model("spend@one"), trunkline.load_model("shop.train@latest")
    assert (run(one), run(two)) == (4.0, 2.5)
    assert one.version[:8] in one._repr_html_()
    assert run(trunkline.load_model(f"spend@{one.version[:12]}")) == 4.0
    assert "model:spend@" in one.lineage().root
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(TrunklineError, match="needs onnxruntime"):
        trunkline.load_model("spend@one")


def test_tables_of_different_columns_are_not_read_as_one(tree: Tree) -> None:
    tree.write("data/kinds/1.csv", "x\n1\n")
    tree.write("data/kinds/2.jsonl", '{"z": 1}\n{"z": 2}\n')
    tree.write("data/columns/a/1.tsv", "x\tw\n1\tw\n")
    tree.write("data/columns/b/1.tsv", "y\n1\n")
    tree.dvc("add", "-q", "data/kinds", "data/columns")
    with pytest.raises(UsageError, match="several kinds: csv, json"):
        trunkline.open("kinds", project=tree.root)
    with pytest.raises(UsageError, match="different columns: a/, b/"):
        trunkline.open("columns", project=tree.root)
    assert trunkline.open("columns/a", project=tree.root).to_table().to_pydict() == {"x": [1], "w": ["w"]}
    assert trunkline.open("kinds/2.jsonl", project=tree.root).to_table().to_pydict() == {"z": [1, 2]}
