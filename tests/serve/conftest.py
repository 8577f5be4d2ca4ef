"""Small models to serve: of rows, learnt here; of pictures, of text and of every type, put together by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder
from starlette.testclient import TestClient

from stages.onnx_export import onnx_bytes
from trunkline.digest import md5_bytes
from trunkline.serve.app import Served, Settings, application
from trunkline.serve.found import Model

RUN = "01a20733-b83e-743c-89c6-455a99ae4c99"
INPUTS = {"age": "float", "visits": "int64", "city": "string"}
LINEAGE: Mapping[str, Any] = {"root": "model:late@1", "found": True, "nodes": [], "edges": []}

Client = Callable[..., TestClient]


def learnt() -> bytes:
    """A classifier over a number with gaps, a whole number and a word."""
    draw = np.random.default_rng(3)
    rows = pd.DataFrame(
        {
            "age": draw.uniform(18, 90, 200),
            "visits": draw.integers(0, 9, 200),
            "city": draw.choice(["Ulm", "Bonn", "Köln"], 200),
        }
    ).astype({"city": object})
    parts = [
        ("age", SimpleImputer(), ["age"]),
        ("visits", "passthrough", ["visits"]),
        ("city", OneHotEncoder(handle_unknown="ignore"), ["city"]),
    ]
    model = Pipeline([("columns", ColumnTransformer(parts)), ("model", LogisticRegression(max_iter=500))])
    return onnx_bytes(model.fit(rows, rows["age"] + 9 * rows["visits"] > 90), "late", INPUTS)


def by_hand(nodes: list[Any], inputs: list[Any], outputs: list[Any], **about: str) -> bytes:
    """An ONNX file of these nodes."""
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_graph(nodes, "by_hand", inputs, outputs)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    helper.set_model_props(model, about)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def words() -> bytes:
    """A model of text: `good` is 1, `bad` is -1, any other text 0."""
    node = helper.make_node(
        "LabelEncoder", ["text"], ["score"], domain="ai.onnx.ml",
        keys_strings=["good", "bad"], values_floats=[1.0, -1.0], default_float=0.0,
    )  # fmt: skip
    text = helper.make_tensor_value_info("text", TensorProto.STRING, [None, 1])
    return by_hand([node], [text], [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])])


def colours(height: int | None = None, width: int | None = None) -> bytes:
    """A model of pictures: how red, green and blue one is, and where its brightest places are (`spots`)."""
    nodes = [
        helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers", "axes"], ["probability"], keepdims=0),
        helper.make_node("Constant", [], ["axes"], value_ints=[1, 2]),
        helper.make_node("Constant", [], ["white"], value_float=765.0),
        helper.make_node("Constant", [], ["channels"], value_ints=[3]),
        helper.make_node("ReduceSum", ["numbers", "channels"], ["sums"], keepdims=0),
        helper.make_node("Equal", ["sums", "white"], ["bright"]),
        helper.make_node("NonZero", ["bright"], ["places"]),
        helper.make_node("Transpose", ["places"], ["spots"], perm=[1, 0]),
    ]
    order = [2, 0, 1, 3, 4, 5, 6, 7, 8]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, height, width, 3])
    outputs = [
        helper.make_tensor_value_info("probability", TensorProto.FLOAT, [1, 3]),
        helper.make_tensor_value_info("spots", TensorProto.INT64, [None, 3]),
    ]
    return by_hand(
        [nodes[at] for at in order], [image], outputs, classes=json.dumps(["red", "green", "blue"])
    )


def directions() -> bytes:
    """A model of embeddings of three numbers: their mean."""
    node = helper.make_node("ReduceMean", ["embedding", "axes"], ["mean"], keepdims=1)
    axes = helper.make_node("Constant", [], ["axes"], value_ints=[1])
    embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [None, 3])
    return by_hand(
        [axes, node], [embedding], [helper.make_tensor_value_info("mean", TensorProto.FLOAT, [None, 1])]
    )


TYPES = {
    "double": TensorProto.DOUBLE, "float16": TensorProto.FLOAT16, "int32": TensorProto.INT32,
    "uint8": TensorProto.UINT8, "bool": TensorProto.BOOL, "string": TensorProto.STRING,
}  # fmt: skip


def every_type() -> bytes:
    """A model that gives back what it takes: a column [N] of each type, called as its type."""
    nodes = [helper.make_node("Identity", [kind], [f"{kind}_out"]) for kind in TYPES]
    inputs = [helper.make_tensor_value_info(kind, code, [None]) for kind, code in TYPES.items()]
    outputs = [helper.make_tensor_value_info(f"{kind}_out", code, [None]) for kind, code in TYPES.items()]
    return by_hand(nodes, inputs, outputs)


def model_of(data: bytes, name: str = "late", run: str = RUN) -> Model:
    """The model as it is found in a project."""
    return Model(name, md5_bytes(data), run, data, LINEAGE)


@pytest.fixture(scope="session")
def late() -> Model:
    return model_of(learnt())


@pytest.fixture(scope="session")
def client_of() -> Client:
    """A client of an application that serves a model."""

    def made(model: Model, **settings: Any) -> TestClient:
        return TestClient(application(Served(model, Settings(**settings))), "http://localhost")

    return made


@pytest.fixture(scope="session")
def client(late: Model, client_of: Client) -> TestClient:
    return client_of(late)


@pytest.fixture(scope="session")
def texts(client_of: Client) -> TestClient:
    return client_of(model_of(words(), "words"))


@pytest.fixture(scope="session")
def pictures(client_of: Client) -> TestClient:
    return client_of(model_of(colours(), "colours"))
