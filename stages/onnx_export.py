"""A fitted scikit-learn model to ONNX, the same bytes every time.

    input   distance: float[?,1], …, month: int64[?,1], …, carrier: string[?,1], …
    output  a classifier    label: int64[?] or string[?], probability: float[?,classes]
            a regressor     prediction: float[?,1]
            a clustering    label: int64[?], distance: float[?,clusters]
            a transformer   features: float[?,?]

What skl2onnx would let vary is fixed here: the graph's name (a random one otherwise), the newest
operator sets to use and their order, the version of the format, the name and version of the producer, documentation.
Probabilities are a plain array, not a list of dicts (no "zipmap"). Facts that whoever runs the model
needs are in the file's metadata: `classes`, a JSON list, is what the columns of `probability` mean.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, checker
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn.base import BaseEstimator, is_classifier, is_clusterer, is_regressor
from sklearn.pipeline import Pipeline

OPSETS = {"": 21, "ai.onnx.ml": 3}
IR_VERSION = 10
TENSORS = {"float": FloatTensorType, "int64": Int64TensorType, "string": StringTensorType}

# name: (type, shape), where None is any number of rows or columns
Outputs = Mapping[str, tuple[str, Sequence[int | None]]]


def onnx_bytes(
    model: BaseEstimator,
    name: str,
    inputs: Mapping[str, str],
    *,
    outputs: Outputs | None = None,
    classes: Sequence[Any] | None = None,
) -> bytes:
    """The ONNX file of a fitted `model`; `inputs` maps each column to float, int64 or string.

    Outputs are those above for the kind of model, unless `outputs` says others; `classes` goes
    into the metadata. Raises ValueError for a model that has no such form.
    """
    options = {"zipmap": False} if is_classifier(model) else None
    wanted = outputs_of(model) if outputs is None else outputs
    try:
        exported = convert_sklearn(
            model,
            name=name,
            initial_types=[(column, TENSORS[kind]([None, 1])) for column, kind in inputs.items()],
            final_types=[(column, TENSORS[kind](list(shape))) for column, (kind, shape) in wanted.items()],
            options=options,
            target_opset=OPSETS,
        )
    except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        kind = type(model[-1] if isinstance(model, Pipeline) else model).__name__
        why = str(error).partition("\n")[0][:200]
        raise ValueError(f"{kind} cannot be written as ONNX; choose another estimator: {why}") from error
    return fixed_bytes(exported, name, {} if classes is None else {"classes": list(classes)})


def outputs_of(model: BaseEstimator) -> Outputs:
    """What a fitted model gives, by its kind."""
    if is_classifier(model):
        classes = np.asarray(model.classes_)
        kind = "int64" if classes.dtype.kind in "iub" else "string"
        return {"label": (kind, [None]), "probability": ("float", [None, len(classes)])}
    if is_regressor(model):
        return {"prediction": ("float", [None, 1])}
    if is_clusterer(model):
        return {"label": ("int64", [None]), "distance": ("float", [None, None])}
    return {"features": ("float", [None, None])}


def fixed_bytes(exported: ModelProto, name: str, metadata: Mapping[str, Any] | None = None) -> bytes:
    """The file of any ONNX model, checked, with nothing in it that another run would write differently."""
    _fix(exported, name)
    for key, value in sorted((metadata or {}).items()):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        exported.metadata_props.add(key=key, value=text)
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
    # skl2onnx has them in a set, whose order changes with the hash seed.
    opsets = sorted(exported.opset_import, key=lambda opset: opset.domain)
    exported.ClearField("opset_import")
    exported.opset_import.extend(opsets)
