"""The network of `stages/neural.py` as a stage, and as an ONNX file.

    model.onnx     sepal_length: float[?,1], … -> label: int64[?], probability: float[?,3]
    losses.json    [{"epoch": 0, "train": 1.21}, {"epoch": 1, "train": 1.08}, …]

The graph begins with the columns as they are in the data; normalisation is its first part:

    Concat -> Sub mean -> Div scale -> (Gemm -> Tanh) for each hidden layer -> Gemm -> Softmax
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from onnx import NodeProto, TensorProto, helper, numpy_helper
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from stages.neural import Network
from stages.onnx_export import OPSETS, fixed_bytes
from stages.train import frame, input_types
from stages.train import train as learn


def train_network(
    train: pd.DataFrame,
    chosen: Path | None = None,
    *,
    features: Mapping[str, Sequence[str]],
    target: list[str],
    options: Mapping[str, Any] | None = None,
    seed: int = 7,
) -> dict[str, Any]:
    """A network from the number columns of `features` to the one-hot columns `target`; the loss before each epoch.

    `options` are those of `Network`; what `chosen`, the file of a tuning, names replaces them.
    """
    inputs = input_types(train, features)
    best = json.loads(chosen.read_text()) if chosen else {}
    with threadpool_limits(limits=1):
        network = Network(**{"seed": seed, **(options or {}), **best}).fit(
            frame(train, inputs), train[target]
        )
    losses = [{"epoch": epoch, "train": round(value, 6)} for epoch, value in enumerate(network.losses_)]
    return {"model.onnx": network_onnx(network, list(inputs), target), "losses.json": losses}


def train_mlp(
    train: pd.DataFrame, chosen: Path, *, features: Mapping[str, Sequence[str]], target: str, seed: int = 7
) -> dict[str, Any]:
    """scikit-learn's network with the hyperparameters of `Network`, on the same road: all rows at each step."""
    best = json.loads(chosen.read_text())
    options = {
        "hidden_layer_sizes": best["hidden"],
        "alpha": best["l2"] * len(train),  # its penalty is alpha / rows
        "learning_rate_init": best["learning_rate"],
        "momentum": best["momentum"],
        "max_iter": best["epochs"],
        "n_iter_no_change": best["epochs"],
        **{"activation": "tanh", "solver": "sgd", "nesterovs_momentum": False, "batch_size": len(train)},
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as many epochs as are asked for, not one more
        made = learn(
            train, target=target, features=features, estimator="MLPClassifier", options=options, seed=seed
        )
    return {"model.onnx": made["model.onnx"]}


def network_onnx(network: Network, features: Sequence[str], target: Sequence[str]) -> bytes:
    """The ONNX file of a fitted network: the same bytes for the same network."""
    constants: dict[str, Any] = {"mean": network.mean_, "scale": network.scale_}
    nodes = [
        helper.make_node("Concat", list(features), ["raw"], "join", axis=1),
        helper.make_node("Sub", ["raw", "mean"], ["centred"], "centre"),
        helper.make_node("Div", ["centred", "scale"], ["a0"], "rescale"),
    ]
    for place, (weights, bias) in enumerate(network.layers_):
        constants |= {f"w{place}": weights, f"b{place}": bias}
        nodes += _layer(place, last=place == len(network.layers_) - 1)
    nodes.append(helper.make_node("ArgMax", ["probability"], ["label"], "choose", axis=1, keepdims=0))
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in features],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probability", TensorProto.FLOAT, [None, len(target)]),
        ],
        [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSETS[""])])
    return fixed_bytes(model, "network", {"classes": classes(target)})


def classes(target: Sequence[str]) -> list[str]:
    """What one-hot columns stand for: species_setosa, species_virginica -> setosa, virginica."""
    starts = [target[0][: place + 1] for place, sign in enumerate(target[0]) if sign == "_"]
    shared = max((start for start in starts if all(name.startswith(start) for name in target)), default="")
    return [name.removeprefix(shared) for name in target]


def _layer(place: int, *, last: bool) -> list[NodeProto]:
    """a W + b, and what bends it."""
    after = "probability" if last else f"a{place + 1}"
    bend: dict[str, Any] = {"axis": 1} if last else {}
    return [
        helper.make_node("Gemm", [f"a{place}", f"w{place}", f"b{place}"], [f"z{place}"], f"layer{place}"),
        helper.make_node("Softmax" if last else "Tanh", [f"z{place}"], [after], f"bend{place}", **bend),
    ]
