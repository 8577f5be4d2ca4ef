"""Estimators of scikit-learn by name.

    estimator("LogisticRegression", {"C": 0.5}, seed=7)    ->    LogisticRegression(C=0.5, random_state=7)

A name is looked up in the modules below and nowhere else, so a parameter can name an estimator and
no other code. `seed` becomes `random_state` where the estimator has one.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from sklearn.base import BaseEstimator

MODULES = (
    "linear_model",
    "neural_network",
    "tree",
    "ensemble",
    "svm",
    "neighbors",
    "naive_bayes",
    "cluster",
    "dummy",
)


def estimator(name: str, options: Mapping[str, Any] | None = None, *, seed: int = 0) -> BaseEstimator:
    """The estimator called `name`, not fitted yet, with `options` set. Raises ValueError."""
    made = _kind(name)()
    known = made.get_params()
    unknown = sorted(set(options or {}) - set(known))
    if unknown:
        near = get_close_matches(unknown[0], known, n=1)
        advice = f"did you mean {near[0]}?" if near else f"it has {', '.join(sorted(known))}"
        raise ValueError(f"{name} has no option {unknown[0]!r}; {advice}")
    chosen = {
        key: tuple(value) if isinstance(value, list) else value for key, value in (options or {}).items()
    }
    if "random_state" in known:
        chosen = {"random_state": seed} | chosen
    return made.set_params(**chosen)


def _kind(name: str) -> type[BaseEstimator]:
    for module in MODULES:
        found = getattr(import_module(f"sklearn.{module}"), name, None)
        if isinstance(found, type) and issubclass(found, BaseEstimator):
            return found
    names = [
        name for module in MODULES for name in dir(import_module(f"sklearn.{module}")) if name[0].isupper()
    ]
    near = get_close_matches(name, names, n=3)
    advice = (
        f"did you mean {' or '.join(near)}?" if near else "write a class of it, such as LogisticRegression"
    )
    raise ValueError(
        f"scikit-learn has no estimator {name!r} in sklearn.{', sklearn.'.join(MODULES)}; {advice}"
    )
