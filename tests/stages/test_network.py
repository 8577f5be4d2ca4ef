from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest

from stages.network import classes, network_onnx, train_network
from stages.neural import Network
from stages.predict import classes as classes_in
from stages.predict import predict, run, session_of
from tests.stages.learning import LENGTHS, SPECIES, iris

FEATURES = {"number": LENGTHS}


@pytest.mark.parametrize("hidden", [(), (8,), (6, 4)])
def test_the_file_takes_raw_columns_and_gives_what_the_network_gives(hidden: tuple[int, ...]) -> None:
    rows = iris()
    network = Network(hidden, epochs=100).fit(rows[LENGTHS], rows[SPECIES])
    session = session_of(network_onnx(network, LENGTHS, SPECIES))
    assert [(each.name, each.type, each.shape[1]) for each in session.get_inputs()] == [
        (name, "tensor(float)", 1) for name in LENGTHS
    ]
    assert [(each.name, each.type) for each in session.get_outputs()] == [
        ("label", "tensor(int64)"),
        ("probability", "tensor(float)"),
    ]
    found = run(session, pa.Table.from_pandas(rows))
    expected = network.predict_proba(rows[LENGTHS])
    np.testing.assert_allclose(found["probability"], expected, atol=2e-5)
    assert found["label"].tolist() == expected.argmax(axis=1).tolist()


def test_columns_are_taken_by_name_and_classes_are_named(tmp_path: Path) -> None:
    rows = iris()
    made = train_network(rows, features=FEATURES, target=SPECIES, options={"hidden": [4], "epochs": 50})
    model = tmp_path / "model.onnx"
    model.write_bytes(made["model.onnx"])
    assert classes_in(session_of(made["model.onnx"])) == ["setosa", "versicolor", "virginica"]
    turned = pa.Table.from_pandas(rows[[*reversed(LENGTHS), "species"]])
    answers = predict(model, turned)
    assert answers.column_names[1:] == [
        "probability_setosa",
        "probability_versicolor",
        "probability_virginica",
    ]
    assert answers == predict(model, pa.Table.from_pandas(rows))


def test_equal_training_gives_equal_bytes_without_a_trace_of_when() -> None:
    one, two = (
        train_network(iris(), features=FEATURES, target=SPECIES, options={"epochs": 20}) for _ in range(2)
    )
    assert one == two
    model = onnx.load_model_from_string(one["model.onnx"])
    assert (model.producer_name, model.producer_version, model.graph.name) == ("trunkline", "", "network")


def test_what_was_chosen_replaces_the_options(tmp_path: Path) -> None:
    chosen = tmp_path / "chosen.json"
    chosen.write_text(json.dumps({"hidden": [3, 2], "l2": 0.1}))
    made = train_network(
        iris(), chosen, features=FEATURES, target=SPECIES, options={"hidden": [9], "epochs": 30}, seed=5
    )
    network = Network([3, 2], l2=0.1, epochs=30, seed=5).fit(iris()[LENGTHS], iris()[SPECIES])
    assert made["model.onnx"] == network_onnx(network, LENGTHS, SPECIES)
    assert [row["epoch"] for row in made["losses.json"]] == list(range(30))
    assert [row["train"] for row in made["losses.json"]] == pytest.approx(network.losses_, abs=1e-6)


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (SPECIES, ["setosa", "versicolor", "virginica"]),
        (["kind_versicolor", "kind_virginica"], ["versicolor", "virginica"]),
        (["home_own_flat", "home_own_house", "home_rent"], ["own_flat", "own_house", "rent"]),
        (["yes", "no"], ["yes", "no"]),
    ],
)
def test_classes_are_called_as_before_they_were_encoded(columns: list[str], names: list[str]) -> None:
    assert classes(columns) == names
