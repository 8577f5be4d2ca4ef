from __future__ import annotations

from demo.numbers import before_and_after, beside_base

HOLDOUT = {
    "rows": 60215,
    "base_rate": 0.229,
    "auc": 0.725,
    "log_loss": 0.479,
    "base_log_loss": 0.538,
    "brier": 0.154,
    "base_brier": 0.177,
    "accuracy": 0.786,
    "base_accuracy": 0.771,
    "precision": 0.634,
    "recall": 0.157,
}


def test_each_metric_stands_beside_the_best_constant() -> None:
    text = beside_base({"test": HOLDOUT, "recent": {"rows": 0}})
    assert text.splitlines()[:4] == [
        "                 test    base  recent    base",
        "  flights      60,215               0",
        "  share late   0.2290               –",
        "  auc          0.7250  0.5000       –  0.5000",
    ]
    assert "  log loss     0.4790  0.5380" in text
    assert "  precision    0.6340  0.2290" in text


def test_before_and_after() -> None:
    text = before_and_after(
        {"test": HOLDOUT, "recent": HOLDOUT}, {"test": HOLDOUT, "recent": HOLDOUT | {"auc": 0.7}}
    )
    assert text.splitlines()[0].split() == [
        "test",
        "before",
        "test",
        "after",
        "recent",
        "before",
        "recent",
        "after",
    ]
    assert text.splitlines()[3].split() == ["auc", "0.7250", "0.7250", "0.7250", "0.7000"]
