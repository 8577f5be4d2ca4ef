from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stages.heads import fitted


def side(seed: int, rows: int, classes: int) -> tuple[np.ndarray, list[int]]:
    random = np.random.default_rng(seed)
    answers = random.integers(0, classes, rows)
    features = random.normal(size=(rows, 5)) * [1, 10, 0.1, 3, 0] + 7
    features[:, 0] += answers
    features[:, 1] -= 5 * (answers == 1)
    return features, answers.tolist()


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_is_what_scikit_learn_makes_of_standardised_features(classes: int) -> None:
    train, validation = side(4, 120, classes), side(5, 60, classes)
    strengths = [1e-4, 1.0, 1e4]
    head = fitted(train, validation, strengths, seed=7)
    models = [
        make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=5000)).fit(*train) for c in strengths
    ]
    losses = [log_loss(validation[1], model.predict_proba(validation[0])) for model in models]
    best = int(np.argmin(losses))
    assert head.report["strength"] == strengths[best] == 1.0, "neither end: the choice is one"
    assert [one["log_loss"] for one in head.report["validation"]] == pytest.approx(losses, abs=1e-5)
    assert head.classes == list(range(classes))
    logits = validation[0] @ head.matrix + head.bias
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(chances, models[best].predict_proba(validation[0]), atol=1e-4)


def test_a_class_that_training_never_saw_is_refused() -> None:
    features, answers = side(1, 30, 2)
    with pytest.raises(ValueError, match="validation has a class that training never saw: 5"):
        fitted((features, answers), (features[:2], [0, 5]), [1.0], seed=7)
    with pytest.raises(ValueError, match="strengths is empty"):
        fitted((features, answers), (features, answers), [], seed=7)
