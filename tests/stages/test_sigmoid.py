"""The facts about σ, found numerically and by another way of fitting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from stages.sigmoid import fitted, mirrored, probability, sigmoid

LINES = [(0.07, -4.4), (-0.3, 6.0), (2.0, 0.5)]


@pytest.mark.parametrize(("w", "b"), LINES)
def test_the_other_sign_is_the_mirror_image(w: float, b: float) -> None:
    x = np.linspace(-60, 120, 301)
    np.testing.assert_allclose(mirrored(x, w, b), 1 - probability(x, w, b), atol=1e-12)
    np.testing.assert_allclose(mirrored(x, w, b), probability(x, -w, -b), atol=1e-12)
    turn = -b / w
    np.testing.assert_allclose(mirrored(turn + x, w, b), probability(turn - x, w, b), atol=1e-9)


@pytest.mark.parametrize(("w", "b"), LINES)
@pytest.mark.parametrize("curve", [probability, mirrored])
def test_the_inflection_is_where_both_are_one_half(w: float, b: float, curve: Callable[..., Any]) -> None:
    turn = -b / w
    x = np.linspace(turn - 3 / abs(w), turn + 3.1 / abs(w), 20_001)
    bend = np.diff(curve(x, w, b), 2)
    (changes,) = np.nonzero(np.diff(np.sign(bend[np.abs(bend) > 1e-15])))
    assert len(changes) == 1
    found = x[1:-1][np.abs(bend) > 1e-15][changes[0]]
    assert found == pytest.approx(turn, abs=2 * (x[1] - x[0]))
    assert curve(np.array([found]), w, b)[0] == pytest.approx(0.5, abs=1e-3)


def rows(seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    x = random.normal(35, 9, 900)
    return pd.DataFrame({"rate": x, "no": (random.random(900) < probability(x, 0.1, -5.0)).astype(int)})


def newton(x: Any, y: Any) -> tuple[float, float]:
    """The same likelihood, climbed by Newton's steps."""
    inputs, weights = np.column_stack([x, np.ones(len(x))]), np.zeros(2)
    for _ in range(30):
        p = 1 / (1 + np.exp(-inputs @ weights))
        weights += np.linalg.solve((inputs.T * (p * (1 - p))) @ inputs, inputs.T @ (y - p))
    return float(weights[0]), float(weights[1])


def test_w_and_b_are_in_the_units_of_the_data() -> None:
    data = rows()
    x, y = data["rate"].to_numpy(), data["no"].to_numpy()
    assert fitted(x, y) == pytest.approx(newton(x, y), rel=1e-4)
    out = sigmoid(data, target="no", feature="rate")
    found = out["sigmoid.json"]
    assert found["inflection"] == pytest.approx(-found["b"] / found["w"], rel=1e-4)
    assert found["at_inflection"] == 0.5
    ends = probability(
        np.array([found["inflection"] - 1e-3, found["inflection"] + 1e-3]), found["w"], found["b"]
    )
    assert found["steepest_change_per_unit"] == pytest.approx((ends[1] - ends[0]) / 2e-3, abs=1e-5)
    assert out["sigmoid.png"].startswith(b"\x89PNG")
    assert out == sigmoid(data, target="no", feature="rate")


def test_looking_for_the_other_answer_turns_the_curve_round_the_same_point() -> None:
    one, other = (sigmoid(rows(), target="no", feature="rate", positive=p)["sigmoid.json"] for p in (1, 0))
    assert other["inflection"] == pytest.approx(one["inflection"], rel=1e-4)
    assert other["w"] == pytest.approx(-one["w"], rel=1e-3)


def test_one_kind_of_row_is_not_enough() -> None:
    with pytest.raises(ValueError, match="no is 2 in 0 of 900 rows"):
        sigmoid(rows(), target="no", feature="rate", positive=2)
