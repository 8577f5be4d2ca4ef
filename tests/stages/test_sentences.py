from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer, models, pre_tokenizers

from stages.graph import Graph
from stages.sentences import embed
from stages.sentiment import compare, head
from stages.text import tfidf

WORDS = ["?", "good", "bad", "dog", "cat", "runs"]
TABLE = np.random.default_rng(0).normal(size=(len(WORDS), 6)).astype(np.float32)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A network with the form of the real one, whose vector of a token is a row of a table."""
    folder = tmp_path_factory.mktemp("network")
    graph = Graph("table")
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        graph.input(name, "int64", ["batch", "sequence"])
    vectors = graph.add("Gather", graph.constant(TABLE), "input_ids", axis=0)
    masked = graph.add("Cast", "attention_mask", to="float")
    kinds = graph.add("Cast", "token_type_ids", to="float")
    axes = graph.constant(np.array([2]))
    vectors = graph.add("Mul", vectors, graph.add("Unsqueeze", masked, axes))
    vectors = graph.add("Add", vectors, graph.add("Unsqueeze", kinds, axes))
    graph.name(vectors, "last_hidden_state")
    (folder / "model.onnx").write_bytes(graph.output("last_hidden_state", ["batch", "sequence", 6]).model())
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "model.onnx", folder / "tokenizer.json"


def by_hand(text: str, longest: int = 48) -> np.ndarray:
    rows = [TABLE[WORDS.index(word) if word in WORDS else 0] for word in text.split()[:longest]]
    mean = np.mean(rows, axis=0)
    return np.asarray(mean / np.sqrt((mean**2).sum()))


def made(seed: int, rows: int) -> pa.Table:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    texts = [" ".join([["bad", "good"][label], *random.choice(WORDS[1:], 2)]) for label in labels]
    return pa.table({"text": texts, "label": labels})


def test_a_text_is_the_mean_of_its_tokens(network: tuple[Path, Path]) -> None:
    rows = pa.table({"text": ["good dog", "dog", "cat runs unknown words"], "label": [1, 0, 1]})
    found = embed(*network, rows)
    assert found.column_names == ["label", "embedding"]
    assert found["label"].to_pylist() == [1, 0, 1]
    for text, point in zip(rows["text"].to_pylist(), found["embedding"].to_pylist(), strict=True):
        np.testing.assert_allclose(point, by_hand(text), atol=1e-6)
        assert np.linalg.norm(point) == pytest.approx(1)


def test_only_the_first_tokens_are_read(network: tuple[Path, Path]) -> None:
    rows = pa.table({"text": ["good dog bad cat"], "label": [1]})
    np.testing.assert_allclose(
        embed(*network, rows, longest=2)["embedding"][0].as_py(), by_hand("good dog"), atol=1e-6
    )


def test_a_text_does_not_depend_on_its_neighbours(network: tuple[Path, Path]) -> None:
    rows = made(1, 20)
    whole = embed(*network, rows)
    assert whole.slice(7, 1).to_pylist() == embed(*network, rows.slice(7, 1)).to_pylist()


def test_the_head_answers_as_scikit_learn_does(network: tuple[Path, Path]) -> None:
    train, validation = embed(*network, made(1, 60)), embed(*network, made(2, 40))
    found = head(train, validation, strengths=[0.5])
    x = np.array(train["embedding"].to_pylist())
    mean, deviation = x.mean(axis=0), x.std(axis=0)
    model = LogisticRegression(C=0.5).fit((x - mean) / deviation, train["label"].to_pylist())
    held = np.array(validation["embedding"].to_pylist(), np.float32)
    session = onnxruntime.InferenceSession(found["model.onnx"])
    label, probability = session.run(["label", "probability"], {"embedding": held})
    np.testing.assert_allclose(probability, model.predict_proba((held - mean) / deviation), atol=1e-4)
    assert label.tolist() == [("negative", "positive")[i] for i in probability.argmax(axis=1)]


def test_three_models_on_the_same_rows(network: tuple[Path, Path], tmp_path: Path) -> None:
    train, validation, holdout = made(1, 60), made(2, 40), made(3, 50)
    points = [embed(*network, side) for side in (train, validation, holdout)]
    files = {
        "tfidf": tfidf(train, validation)["model.onnx"],
        "few": tfidf(train.slice(0, 9), validation, least=1)["model.onnx"],
        "minilm": head(points[0], points[1])["model.onnx"],
    }
    paths = [tmp_path / name for name in files]
    for path, data in zip(paths, files.values(), strict=True):
        path.write_bytes(data)
    found = compare(holdout, points[2], *paths)["metrics.json"]
    truth = holdout["label"].to_numpy()
    text = np.array(holdout["text"].to_pylist(), dtype=object).reshape(-1, 1)
    called = onnxruntime.InferenceSession(files["few"]).run(["label"], {"text": text})[0]
    assert found["tfidf_few"]["accuracy"] == pytest.approx(((called == "positive") == truth).mean(), abs=1e-6)
    point = np.array(points[2]["embedding"].to_pylist(), np.float32)
    called = onnxruntime.InferenceSession(files["minilm"]).run(["label"], {"embedding": point})[0]
    assert found["minilm_few"]["accuracy"] == pytest.approx(
        ((called == "positive") == truth).mean(), abs=1e-6
    )
    assert found["rows"] == 50
    with pytest.raises(ValueError, match="not the same rows"):
        compare(holdout, points[1], *paths)
