from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from stages.text import WORD, key, terms, texts, tfidf

GOOD = ["great", "love", "wonderful", "thanks", "happy"]
BAD = ["awful", "hate", "terrible", "never", "sad"]
REST = ["the", "flight", "phone", "was", "again", "really", "so", "my", "Dog", "x_1", "2nd"]


def made(seed: int, rows: int) -> pa.Table:
    random = np.random.default_rng(seed)
    lines, labels = [], []
    for _ in range(rows):
        label = int(random.random() < 0.4)
        told = random.random() < 0.8
        words = [str(word) for word in random.choice(REST, 6)]
        words += [str(random.choice((BAD, GOOD)[label if told else 1 - label]))]
        random.shuffle(words)
        lines.append(" ".join(words) + "!")
        labels.append(label)
    return pa.table({"text": lines, "label": labels})


def run(model: bytes, lines: list[str]) -> dict[str, np.ndarray]:
    session = onnxruntime.InferenceSession(model)
    names = [output.name for output in session.get_outputs()]
    column = np.array(lines, dtype=object).reshape(-1, 1)
    return dict(zip(names, session.run(names, {"text": column}), strict=True))


# ---------------------------------------------------------------- texts


def test_texts_of_two_classes_each_once(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_bytes(
        b"sentiment,confidence,text\r\n"
        b"negative,0.9, Never again \r\n"
        b"neutral,0.9,It is a phone\r\n"
        b'positive,,"Great, ""thanks"" \xe9!\nReally"\r\n'
        b"negative,1,@you never AGAIN http://t.co/abc\r\n"
        b"positive,1,So so\r\n"
        b"negative,1,so so...\r\n"
        b"positive,1,!!!\r\n"
    )
    found = texts(tmp_path / "raw.csv", encoding="latin-1")
    assert found["rows"].to_pylist() == [
        {"text": "Never again", "label": 0, "key": "never again"},
        {"text": 'Great, "thanks" é!\nReally', "label": 1, "key": "great thanks really"},
    ]
    assert found["counts.json"] == {
        "read": 7,
        "other_class": 1,
        "without_words": 1,
        "labelled_both_ways": 1,
        "kept": 2,
        "negative": 1,
        "positive": 1,
    }


def test_copies_have_one_key() -> None:
    copies = ["RT @a: Love it! http://t.co/1", "love it", "Love   IT https://x.y #", "@b love it…"]
    assert {key(copy) for copy in copies} == {"love it"}
    assert key("love it not") != key("love it")


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text("a,text\n1,2\n")
    with pytest.raises(ValueError, match=r"raw\.csv has no column sentiment; it has \['a', 'text'\]"):
        texts(tmp_path / "raw.csv")


def test_a_file_without_rows_gives_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text("sentiment,text\n")
    rows = texts(tmp_path / "raw.csv")["rows"]
    assert rows.schema == pa.schema([("text", pa.string()), ("label", pa.int64()), ("key", pa.string())])
    assert rows.num_rows == 0


# ---------------------------------------------------------------- the model


def test_the_file_answers_as_scikit_learn_does() -> None:
    train, validation = made(1, 300), made(2, 100)
    strengths = [0.05, 1.0, 50.0]
    found = tfidf(train, validation, strengths=strengths, least=2, most=67)
    # The 67th most frequent term comes more often than the 68th: here scikit-learn cuts as we do.
    vectorizer = TfidfVectorizer(
        token_pattern=WORD, ngram_range=(1, 2), min_df=2, max_features=67, sublinear_tf=True
    )
    x, y = vectorizer.fit_transform(train["text"].to_pylist()), train["label"].to_pylist()
    held, truth = vectorizer.transform(validation["text"].to_pylist()), validation["label"].to_pylist()
    models = {c: LogisticRegression(C=c, max_iter=1000).fit(x, y) for c in strengths}
    losses = {c: log_loss(truth, model.predict_proba(held)) for c, model in models.items()}
    best = min(losses, key=lambda c: losses[c])
    assert found["report.json"]["strength"] == best == 1.0
    assert [one["log_loss"] for one in found["report.json"]["validation"]] == pytest.approx(
        list(losses.values()), abs=1e-6
    )
    lines = [
        *validation["text"].to_pylist(),
        "",
        "...",
        "unknown words only",
        "GREAT love LOVE",
        "Ärger naïve",
    ]
    answers = run(found["model.onnx"], lines)
    wanted = models[best].predict_proba(vectorizer.transform(lines))
    np.testing.assert_allclose(answers["probability"], wanted, atol=1e-6)
    assert answers["label"].tolist() == [("negative", "positive")[i] for i in wanted.argmax(axis=1)]


def test_the_file_takes_one_text_and_says_its_classes() -> None:
    data = tfidf(made(1, 80), made(2, 40))["model.onnx"]
    session = onnxruntime.InferenceSession(data)
    (text,) = session.get_inputs()
    assert (text.name, text.type, text.shape) == ("text", "tensor(string)", [None, 1])
    assert json.loads(session.get_modelmeta().custom_metadata_map["classes"]) == ["negative", "positive"]
    assert run(data, ["I love it"])["probability"].shape == (1, 2)


def test_small_letters_are_those_of_ascii_in_training_too() -> None:
    """Python would make an i of the Turkish capital, onnxruntime would not."""
    rows = pa.table({"text": ["İx good", "İx good", "bad", "bad"], "label": [1, 1, 0, 0]})
    data = tfidf(rows, rows, strengths=[1.0])["model.onnx"]
    session = run(data, ["İx", "ix", "x"])["probability"]
    assert session[0].tolist() == session[2].tolist()
    assert session[0].tolist() != session[1].tolist()


def test_equal_rows_are_equal_bytes() -> None:
    first, second = (tfidf(made(1, 80), made(2, 40))["model.onnx"] for _ in range(2))
    assert first == second


def test_of_equally_frequent_terms_the_first_in_the_alphabet_stay() -> None:
    random = np.random.default_rng(0)
    names = [f"t{number:03}" for number in range(300)]
    lines = [name for name in names for _ in range(2)] + ["often"] * 3 + ["x0 x1 once"]
    for _ in range(3):
        random.shuffle(lines)
        assert terms(CountVectorizer(min_df=2, token_pattern=WORD), lines, 31) == ["often", *names[:30]]
        assert terms(CountVectorizer(min_df=2, token_pattern=WORD), lines, 1) == ["often"]
    rows = made(1, 80)
    mixed = rows.take(random.permutation(80))
    reports = [tfidf(each, made(2, 40), most=25, strengths=[1.0])["report.json"] for each in (rows, mixed)]
    assert reports[0] == reports[1]
    assert reports[0]["terms"] == 25
