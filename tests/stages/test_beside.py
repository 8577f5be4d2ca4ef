from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from stages.beside import side_by_side


def chances(seed: int, rows: int, classes: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).random((rows, classes)).round(1) + 0.05
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True))


def test_two_classes_are_scored_as_scikit_learn_scores_them() -> None:
    truth = np.random.default_rng(0).integers(0, 2, 200)
    one, two = chances(1, 200, 2), chances(2, 200, 2)
    found = side_by_side({"one": one, "two": two}, truth.tolist(), [0, 1])
    called = (one[:, 1] >= 0.5).astype(int)
    assert found["rows"] == 200
    assert found["base_accuracy"] == round(max(truth.mean(), 1 - truth.mean()), 6)
    wanted = {
        "accuracy": metrics.accuracy_score(truth, called),
        "log_loss": metrics.log_loss(truth, one),
        "auc": metrics.roc_auc_score(truth, one[:, 1]),
        "precision": metrics.precision_score(truth, called),
        "recall": metrics.recall_score(truth, called),
        "f1": metrics.f1_score(truth, called),
    }
    assert {name: found["one"][name] for name in wanted} == pytest.approx(wanted, abs=1e-6)
    right = [((each[:, 1] >= 0.5) == truth) for each in (one, two)]
    assert found["between"] == {
        "both_right": sum(a and b for a, b in zip(*right, strict=True)),
        "only_one": sum(a and not b for a, b in zip(*right, strict=True)),
        "only_two": sum(b and not a for a, b in zip(*right, strict=True)),
        "both_wrong": sum(not a and not b for a, b in zip(*right, strict=True)),
    }
    assert sum(found["between"].values()) == 200


def test_more_classes_have_accuracy_and_log_loss() -> None:
    truth = ["b", "a", "c", "c"]
    three = chances(3, 4, 3)
    found = side_by_side({"three": three}, truth, ["a", "b", "c"])
    wanted = {
        "accuracy": np.mean(
            [["a", "b", "c"][i] == t for i, t in zip(three.argmax(axis=1), truth, strict=True)]
        ),
        "log_loss": metrics.log_loss(truth, three, labels=["a", "b", "c"]),
    }
    assert {name: found["three"][name] for name in wanted} == pytest.approx(wanted, abs=1e-6)
    assert found["base_accuracy"] == 0.5


def test_three_models_are_compared_in_pairs() -> None:
    found = side_by_side({name: chances(i, 9, 2) for i, name in enumerate("abc")}, [0, 1, 0] * 3, [0, 1])
    assert list(found["between"]) == ["a~b", "a~c", "b~c"]


def test_without_rows_there_is_nothing_to_compare() -> None:
    with pytest.raises(ValueError, match="there is no row to compare models on"):
        side_by_side({"a": np.zeros((0, 2))}, [], [0, 1])
