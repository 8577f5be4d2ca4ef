"""Positive or negative? From raw texts to a model that takes text.

    texts   tweets.csv  ->  rows/tweets.parquet: text, label, key       counts.json: what was left out
    tfidf   train       ->  model.onnx, report.json

A text becomes the words and pairs of words that it has, each weighted by how rare it is (TF-IDF), and
logistic regression gives each a say. All of that is inside the ONNX file:

    input   text: string[N,1]
    output  label: string[N], probability: float[N,2]     of the classes in the metadata `classes`

Words are runs of ASCII letters, digits and `_`, in small letters. So onnxruntime's tokenizer finds
the same words as Python's regular expressions, whatever a text is written in.
"""

from __future__ import annotations

import csv
import re
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from stages.graph import Graph
from stages.heads import log_loss

WORD = "[a-zA-Z0-9_]+"
SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
# What differs between copies of one tweet: who is addressed, links, marks, spaces.
VARYING = re.compile(r"@\w+|https?://\S+|\bRT\b|[^a-zA-Z0-9 ]+")


def texts(
    raw: Path,
    *,
    text: str = "text",
    label: str = "sentiment",
    classes: Sequence[str] = ("negative", "positive"),
    encoding: str = "utf-8",
) -> dict[str, Any]:
    """The texts of two classes, each once. Raises ValueError where a column is missing.

    `key` is the text without what varies between copies of it: copies must not be on both sides of a
    split. Texts that are labelled both ways are left out, all copies of them.
    """
    with raw.open(encoding=encoding, newline="") as stream:
        reader = csv.DictReader(stream)
        missing = [name for name in (text, label) if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{raw.name} has no column {', '.join(missing)}; it has {reader.fieldnames}")
        lines = [((line[text] or "").strip(), line[label]) for line in reader]
    kept = [(words, answer) for words, answer in lines if answer in classes]
    counts = {"read": len(lines), "other_class": len(lines) - len(kept)}
    said: dict[str, dict[str, str]] = {}
    for words, answer in kept:
        said.setdefault(key(words), {}).setdefault(answer, words)
    clear = {name: answers for name, answers in said.items() if name and len(answers) == 1}
    contrary = sum(len(answers) > 1 for name, answers in said.items() if name)
    counts |= {"without_words": sum(not key(words) for words, _ in kept), "labelled_both_ways": contrary}
    rows = [
        (words, list(classes).index(answer), name)
        for name, of in clear.items()
        for answer, words in of.items()
    ]
    counts |= {"kept": len(rows)} | {name: sum(row[1] == i for row in rows) for i, name in enumerate(classes)}
    columns = zip(*rows, strict=True) if rows else ((), (), ())
    types = (pa.string(), pa.int64(), pa.string())
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    return {"rows": pa.table(arrays, ["text", "label", "key"]), "counts.json": counts}


def key(words: str) -> str:
    """What two copies of a text have in common."""
    return " ".join(VARYING.sub(" ", words).lower().split())


def tfidf(
    train: pa.Table,
    validation: pa.Table,
    *,
    longest: int = 2,
    least: int = 2,
    most: int = 10000,
    strengths: Sequence[float] = (1.0, 4.0, 16.0),
    classes: Sequence[str] = ("negative", "positive"),
    seed: int = 7,
) -> dict[str, Any]:
    """`model.onnx` and `report.json`, learnt from the columns `text` and `label` of `train`.

    Terms are up to `longest` words; those in `least` texts at least count, the `most` frequent of them,
    of equally frequent ones the first in the alphabet.
    The strength (scikit-learn's `C`) with the lowest log loss on `validation` is taken.
    """
    lines = train["text"].to_pylist()
    cut: dict[str, Any] = {
        "preprocessor": lambda words: words.translate(SMALL),
        "token_pattern": WORD,
        "ngram_range": (1, longest),
    }
    known_terms = terms(CountVectorizer(min_df=least, **cut), lines, most)
    vectorizer = TfidfVectorizer(vocabulary=known_terms, sublinear_tf=True, dtype=np.float64, **cut)
    features = vectorizer.fit_transform(lines)
    known = vectorizer.transform(validation["text"].to_pylist())
    answers, truth = train["label"].to_pylist(), validation["label"].to_pylist()
    tried = []
    with threadpool_limits(limits=1):
        for strength in strengths:
            model = LogisticRegression(C=strength, max_iter=1000, random_state=seed).fit(features, answers)
            tried.append((log_loss(model, known, truth), strength, model))
    _, strength, model = min(tried, key=lambda item: item[0])
    report = {
        "rows": train.num_rows,
        "terms": len(vectorizer.vocabulary_),
        "strength": strength,
        "validation": [{"strength": value, "log_loss": round(loss, 6)} for loss, value, _ in tried],
    }
    return {"model.onnx": exported(vectorizer, model, classes), "report.json": report}


def terms(counter: CountVectorizer, lines: Sequence[str], most: int) -> list[str]:
    """The `most` frequent terms, in the order of the alphabet.

    scikit-learn's own `max_features` takes any of equally frequent terms: which, differs by processor.
    """
    found = np.asarray(counter.fit_transform(lines).sum(axis=0)).reshape(-1)
    counts = {term: int(found[place]) for term, place in counter.vocabulary_.items()}
    return sorted(sorted(counts, key=lambda term: (-counts[term], term))[:most])


def exported(vectorizer: TfidfVectorizer, model: LogisticRegression, classes: Sequence[str]) -> bytes:
    """The ONNX file of both."""
    graph = Graph("tfidf")
    graph.input("text", "string", [None, 1])
    counts = _counts(graph, vectorizer)
    weighted = graph.add("Mul", _sublinear(graph, counts), graph.constant(vectorizer.idf_.astype(np.float32)))
    length = graph.add("ReduceL2", weighted, graph.constant(np.array([1])), keepdims=1)
    length = graph.add("Max", length, graph.constant(np.float32(1e-12)))  # a text without any known term
    unit = graph.add("Div", weighted, length)
    matrix, bias = model.coef_.T.astype(np.float32), model.intercept_.astype(np.float32)
    logit = graph.add("Gemm", unit, graph.constant(matrix), graph.constant(bias))
    both = graph.add("Concat", graph.add("Neg", logit), logit, axis=1)
    probability = graph.name(graph.add("Sigmoid", both), "probability")
    graph.label(probability, classes).output("probability", [None, len(classes)])
    return graph.model(classes=classes)


def _counts(graph: Graph, vectorizer: TfidfVectorizer) -> str:
    """`float[N,terms]`: how often each term is in each text."""
    flat = graph.add("Reshape", "text", graph.constant(np.array([-1])))
    small = graph.add("StringNormalizer", flat, case_change_action="LOWER", is_case_sensitive=1, locale="C")
    words = graph.add(
        "Tokenizer", small, domain="com.microsoft", mark=0, mincharnum=1, pad_value="#", tokenexp=WORD
    )
    places = vectorizer.vocabulary_
    terms = sorted(places, key=lambda term: (term.count(" "), places[term]))
    lengths = [term.count(" ") + 1 for term in terms]
    pool = [word for term in terms for word in term.split(" ")]
    starts = [sum(n for n in lengths if n < size) for size in range(1, vectorizer.ngram_range[1] + 1)]
    return graph.add(
        "TfIdfVectorizer",
        words,
        mode="TF",
        min_gram_length=1,
        max_gram_length=vectorizer.ngram_range[1],
        max_skip_count=0,
        ngram_counts=starts,
        ngram_indexes=[int(places[term]) for term in terms],
        pool_strings=pool,
    )


def _sublinear(graph: Graph, counts: str) -> str:
    """1 + log n of what is there n times, 0 of what is not."""
    one = graph.constant(np.float32(1))
    grown = graph.add("Add", one, graph.add("Log", graph.add("Max", counts, one)))
    zero = graph.constant(np.float32(0))
    return graph.add("Where", graph.add("Greater", counts, zero), grown, zero)
