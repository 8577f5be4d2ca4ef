from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from stages.onnx_export import IR_VERSION, OPSETS, onnx_bytes


@pytest.fixture(scope="module")
def model() -> Pipeline:
    x = pd.DataFrame({"a": np.arange(20.0)})
    return Pipeline([("scale", StandardScaler()), ("model", LogisticRegression())]).fit(x, x["a"] > 9)


def test_nothing_in_the_file_is_left_to_chance(model: Pipeline) -> None:
    data = onnx_bytes(model, "tens", {"a": "float"})
    assert onnx_bytes(model, "tens", {"a": "float"}) == data
    exported = onnx.load_from_string(data)
    assert exported.graph.name == "tens"
    assert exported.ir_version == IR_VERSION
    opsets = {opset.domain: opset.version for opset in exported.opset_import}
    assert opsets.keys() == OPSETS.keys()
    assert all(version <= OPSETS[domain] for domain, version in opsets.items())
    assert (exported.producer_name, exported.producer_version, exported.domain) == ("trunkline", "", "")
    assert not exported.metadata_props
    assert not exported.doc_string
    assert not any(node.doc_string for node in exported.graph.node)


def test_probabilities_are_an_array(model: Pipeline) -> None:
    exported = onnx.load_from_string(onnx_bytes(model, "tens", {"a": "float"}))
    assert [output.name for output in exported.graph.output] == ["label", "probability"]
    assert "ZipMap" not in {node.op_type for node in exported.graph.node}


def test_each_kind_of_model_has_its_outputs() -> None:
    x = pd.DataFrame({"a": np.arange(20.0), "b": np.arange(20.0)[::-1]})
    kinds = {
        KMeans(3, n_init=1, random_state=0): ["label", "distance"],
        Ridge(): ["prediction"],
        PCA(1): ["features"],
    }
    for model, outputs in kinds.items():
        fitted = Pipeline([("scale", StandardScaler()), ("model", model)]).fit(x.to_numpy(), x["a"])
        data = onnx_bytes(fitted, "kind", {"a": "float", "b": "float"})
        session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
        assert [output.name for output in session.get_outputs()] == outputs
        feed = {name: x[[name]].to_numpy(np.float32) for name in x}
        answer = session.run(None, feed)[-1].reshape(20, -1)
        expected = (
            fitted.predict(x.to_numpy()) if outputs == ["prediction"] else fitted.transform(x.to_numpy())
        )
        np.testing.assert_allclose(answer, expected.reshape(20, -1), atol=1e-4)


def test_facts_go_into_the_metadata(model: Pipeline) -> None:
    exported = onnx.load_from_string(onnx_bytes(model, "tens", {"a": "float"}, classes=["nö", "ja"]))
    assert {each.key: each.value for each in exported.metadata_props} == {"classes": '["nö", "ja"]'}
