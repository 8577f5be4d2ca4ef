"""A fitted scikit-learn model to ONNX, the same bytes every time.

    input   distance: float[?,1], …, month: int64[?,1], …, carrier: string[?,1], …
    output  label: int64[?], probability: float[?,2]

What skl2onnx would let vary is fixed here: the graph's name (a random one otherwise), the newest
operator sets to use, the version of the format, the name and version of the producer, documentation.
Probabilities are a plain array, not a list of dicts (no "zipmap").
"""

from __future__ import annotations

from collections.abc import Mapping

from onnx import ModelProto, checker
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.base import BaseEstimator

OPSETS = {"": 21, "ai.onnx.ml": 3}
IR_VERSION = 10
TENSORS = {"float": FloatTensorType, "int64": Int64TensorType, "string": StringTensorType}


def onnx_bytes(model: BaseEstimator, name: str, inputs: Mapping[str, str]) -> bytes:
    """The ONNX file of a fitted two-class `model`; `inputs` maps each column to float, int64 or string."""
    exported = convert_sklearn(
        model,
        name=name,
        initial_types=[(column, TENSORS[kind]([None, 1])) for column, kind in inputs.items()],
        final_types=[("label", Int64TensorType([None])), ("probability", FloatTensorType([None, 2]))],
        options={"zipmap": False},
        target_opset=OPSETS,
    )
    _fix(exported, name)
    checker.check_model(exported, full_check=True)
    data: bytes = exported.SerializeToString(deterministic=True)
    return data


def _fix(exported: ModelProto, name: str) -> None:
    exported.ir_version = IR_VERSION
    exported.producer_name = "trunkline"
    exported.producer_version = ""
    exported.domain = ""
    exported.model_version = 0
    exported.graph.name = name
    for part in (exported, exported.graph, *exported.graph.node):
        part.ClearField("doc_string")
    exported.ClearField("metadata_props")
