from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from stages.onnx_export import IR_VERSION, OPSETS, fixed_bytes, onnx_bytes


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


def test_the_order_of_the_operator_sets_does_not_hang_on_a_hash_seed(model: Pipeline) -> None:
    exported = onnx.load_from_string(onnx_bytes(model, "tens", {"a": "float"}))
    reversed_opsets = list(exported.opset_import)[::-1]
    other = onnx.ModelProto.FromString(exported.SerializeToString())
    other.ClearField("opset_import")
    other.opset_import.extend(reversed_opsets)
    assert len(reversed_opsets) == 2
    assert fixed_bytes(other, "tens") == fixed_bytes(exported, "tens")


def test_a_model_without_such_a_form_is_named() -> None:
    x = np.arange(40.0).reshape(-1, 1)
    model = Pipeline([("model", HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=2))])
    with pytest.raises(
        ValueError, match="HistGradientBoostingRegressor cannot be written as ONNX; choose another"
    ):
        onnx_bytes(model.fit(x, x[:, 0]), "none", {"a": "float"})
