"""Lineage forward: from data, code, parameters, commits and packages to all that they went into."""

from __future__ import annotations

import json

import pytest

from tests.test_lineage import COMMIT, RUN, Flights, Lock, golden, item, md5, names, stage
from trunkline.digest import tree_oid
from trunkline.lineage import Artifact, Graph, Origin, graph_json
from trunkline.lineage.datums import datums_from, datums_of
from trunkline.lineage.datumtext import render_datums
from trunkline.lineage.down import AtCommit, CodeFile, Data, Package, Param, Thing, down
from trunkline.lineage.told import render_down
from trunkline.model import Datum, File, Item, ManifestRow


def raw(flights: Flights, inside: str = "", content: str = "") -> Data:
    return Data("data/flights_raw", (flights.raw,), inside, md5(content) if content else "")


def test_from_a_source_dataset_to_the_models() -> None:
    flights = Flights().with_runs()
    graph = down(raw(flights), flights.memory)
    assert names(graph, "stage") == {
        "flights.ingest",
        "flights.split",
        "flights.train",
        "flights.evaluate",
    }
    (model,) = [node for node in graph.nodes.values() if node.type == "model"]
    assert (model.attributes["version"], model.attributes["now"]) == (md5("the model"), True)
    golden("down.txt", render_down(graph))


def test_what_is_no_longer_in_the_workspace_is_not_called_so() -> None:
    flights = Flights().with_runs()
    old = Origin("commit", "b" * 40, "2025-11-21T00:00:00Z")
    flights.memory.snapshots = [Lock(Origin("workspace"), {}), Lock(old, flights.entries)]
    graph = down(raw(flights), flights.memory)
    made = [node for node in graph.nodes.values() if node.type in ("stage", "model")]
    assert len(made) == 5
    assert not any(node.attributes["now"] for node in made)


@pytest.mark.parametrize(
    ("thing", "stages"),
    [
        (CodeFile("stages/train.py", md5("code of train")), {"flights.train", "flights.evaluate"}),
        (CodeFile("stages/train.py", md5("other code")), set()),
        (Param("flights.train.sgd.alpha", 1e-4), {"flights.train", "flights.evaluate"}),
        (Param("flights.train.sgd.alpha", "0.0001"), set()),
        (Param("flights.train.epochs", 5.0), {"flights.train", "flights.evaluate"}),
        (Param("flights.split.key", ["carrier", "flight"]), {"flights.split", "flights.train", "flights.evaluate"}),
        (Package("numpy", "2.4.6"), {f"flights.{name}" for name in ("ingest", "split", "train", "evaluate")}),
        (Package("numpy", "2.4"), set()),
        (AtCommit("1a2b3c4d" + "0" * 32), {f"flights.{name}" for name in ("ingest", "split", "train", "evaluate")}),
        (AtCommit("0" * 40), set()),
    ],
)  # fmt: skip
def test_from_anything(thing: Thing, stages: set[str]) -> None:
    graph = down(thing, Flights().with_runs().memory)
    assert names(graph, "stage") == stages
    assert graph.found is bool(stages)
    ids = {node["id"] for node in json.loads(json.dumps(graph_json(graph)))["nodes"]}
    assert all(edge.source in ids and edge.target in ids for edge in graph.edges)


def test_what_was_never_so_says_what_there_was() -> None:
    history = Flights().with_runs().memory
    assert render_down(down(Package("numpy", "9"), history)) == (
        "package numpy==9\nunknown: no run, lock or commit known here has it; there was: 2.4.6"
    )
    assert "there was: 5" in render_down(down(Param("flights.train.epochs", 6), history))


def test_a_part_of_a_dataset_reaches_those_that_read_that_part() -> None:
    flights = Flights().with_runs()
    data = Data("data/flights/split", (flights.split,), "test/01.parquet", md5("t"))
    assert names(down(data, flights.memory), "stage") == {"flights.evaluate"}
    data = data._replace(inside="train/01.parquet", md5=md5("train 1"))
    assert names(down(data, flights.memory), "stage") == {"flights.train", "flights.evaluate"}


def test_of_all_versions_each_is_followed() -> None:
    flights = Flights().with_runs()
    other = flights.memory.source("data/flights_raw", {"03.csv": "raw 3"}, COMMIT)
    ingested = flights.memory.put({"03.parquet": "table 3"})
    entries = {"flights-ingest": stage("ingest", [item("data/flights_raw", other, 1)], ingested)}
    flights.memory.snapshots.append(Lock(Origin("run", RUN, "2025-11-22"), entries))
    graph = down(Data("data/flights_raw", (flights.raw, other)), flights.memory)
    assert len([node for node in graph.nodes.values() if node.name == "flights.ingest"]) == 2
    assert render_down(graph).startswith("data/flights_raw, all 2 versions\n")


def test_what_nothing_read() -> None:
    flights = Flights()
    graph = down(Data("data/flights/evaluate", (flights.evaluate,)), flights.memory)
    assert graph.found
    assert render_down(graph).endswith("nothing that is known here has read it")


# ---------------------------------------------------------------- datums


def with_manifests(flights: Flights) -> Flights:
    """Manifests of ingest, by file; of train, by directory. That of split is nowhere."""

    def row(name: str, items: tuple[Item, ...], *files: File) -> ManifestRow:
        return ManifestRow(Datum(md5(name), name, items), md5(f"key {name}"), files)

    tables = flights.memory.tables
    tables[md5("im") + ".dir"] = tuple(
        row(
            name,
            (Item("raw", "flights_raw", f"{name}.csv", md5(f"raw {number}"), 5, None),),
            File(f"{name}.parquet", md5(f"table {number}"), 7),
        )
        for number, name in ((1, "01"), (2, "02"))
    )
    tables[md5(f"manifest of {flights.train}") + ".dir"] = (
        row(
            "train",
            (Item("train", "flights.split", "train", flights.train_part, 14, 2),),
            File("model.onnx", md5("the model"), 9),
        ),
    )
    return flights


def perhaps(graph: Graph) -> set[str]:
    return {node.name for node in graph.nodes.values() if node.attributes.get("perhaps")}


def test_from_one_file_datum_by_datum_and_what_is_not_known_is_said() -> None:
    flights = with_manifests(Flights().with_runs())
    graph = datums_from(raw(flights, "01.csv", "raw 1"), flights.memory)
    assert names(graph, "datum") == {"01", "train"}
    assert names(graph, "file") == {"data/flights_raw/01.csv", "data/flights/ingest/01.parquet"}
    assert perhaps(graph) >= {"data/flights/split", "flights_late"}
    assert "data/flights/ingest/01.parquet" not in perhaps(graph)
    golden("datums_down.txt", render_datums(graph))


def test_back_from_one_file_datum_by_datum() -> None:
    flights = with_manifests(Flights().with_runs())
    graph = datums_of(Artifact("model.onnx", md5("the model")), flights.memory)
    assert names(graph, "datum") == {"train", "01", "02"}
    (split,) = [node for node in graph.nodes.values() if (node.type, node.name) == ("stage", "flights.split")]
    assert split.attributes["manifest"] == "missing"
    assert perhaps(graph) >= {"data/flights_raw/01.csv", "data/flights_raw/02.csv"}
    golden("datums_back.txt", render_datums(graph))
    file = Artifact("x", md5("table 1"), "data/flights/ingest/01.parquet")
    one = datums_of(file, flights.memory)
    assert names(one, "datum") == {"01"}
    assert not perhaps(one)


def test_back_from_what_nobody_knows() -> None:
    graph = datums_of(Artifact("x", md5("nothing")), Flights().memory)
    assert not graph.found
    assert "unknown" in render_datums(graph)


def test_datums_of_a_stage_written_by_hand_are_the_stage() -> None:
    flights = Flights()
    out = tree_oid([("a.txt", md5("a"))])
    flights.memory.put({"a.txt": "a"})
    flights.entries["prepare"] = stage("x", [], "")
    flights.entries["prepare"] = type(flights.entries["prepare"])(
        "python prepare.py", (item("data/flights_raw", flights.raw, 2),), {}, (item("out", out, 1),)
    )
    graph = datums_of(Artifact("a.txt", md5("a")), flights.memory)
    assert names(graph, "stage") == {"prepare"}
    assert not perhaps(graph)
    reached = datums_from(raw(flights, "01.csv", "raw 1"), flights.memory)
    assert f"dataset:out@{out}" in reached.nodes
