from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neural_network import MLPClassifier

import stages.neural
from stages.neural import Floats, Layers, Network, forward, gradients, initial, loss
from tests.stages.learning import LENGTHS, SPECIES, iris

X: Floats = iris()[LENGTHS].to_numpy(np.float64)
Y: Floats = iris()[SPECIES].to_numpy(np.float64)


def test_it_is_short() -> None:
    assert len(Path(stages.neural.__file__).read_text(encoding="utf-8").splitlines()) < 100


@pytest.mark.parametrize("hidden", [(), (5,), (4, 3)])
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_back_propagation_gives_the_slopes_that_finite_differences_give(
    hidden: tuple[int, ...], l2: float
) -> None:
    layers = initial([4, *hidden, 3], np.random.default_rng(1))
    layers = [(weights, bias + 0.1) for weights, bias in layers]
    x, y = X[:20] - X.mean(axis=0), Y[:20]
    for layer, slope in zip(layers, gradients(layers, x, y, l2), strict=True):
        for values, found in zip(layer, slope, strict=True):
            np.testing.assert_allclose(found, _differences(layers, values, x, y, l2), atol=1e-8)


def _differences(layers: Layers, values: Floats, x: Floats, y: Floats, l2: float) -> Floats:
    """How the loss changes as each of `values`, a part of `layers`, is moved a little to both sides."""
    found, step = np.zeros_like(values), 1e-5
    for place in np.ndindex(values.shape):
        was = values[place]
        values[place] = was + step
        above = loss(layers, x, y, l2)
        values[place] = was - step
        found[place] = (above - loss(layers, x, y, l2)) / (2 * step)
        values[place] = was
    return found


def test_the_same_weights_give_what_scikit_learn_gives() -> None:
    species, x, alpha = Y.argmax(axis=1), (X - X.mean(axis=0)) / X.std(axis=0), 5.0
    theirs = MLPClassifier(
        (6, 5), activation="tanh", solver="lbfgs", alpha=alpha, max_iter=500, random_state=3
    )
    theirs.fit(x, species)
    layers = list(zip(theirs.coefs_, theirs.intercepts_, strict=True))
    chances = forward(layers, x)[-1]
    np.testing.assert_allclose(chances, theirs.predict_proba(x), atol=1e-12)
    assert loss(layers, x, Y, 0.0) == pytest.approx(log_loss(species, chances))
    # What it reports as its loss, and where it stopped: its penalty is ours times the number of rows.
    assert loss(layers, x, Y, alpha / len(x)) == pytest.approx(theirs.loss_)
    slopes = gradients(layers, x, Y, alpha / len(x))
    assert max(float(np.abs(part).max()) for slope in slopes for part in slope) < 1e-3


def test_without_a_hidden_layer_it_is_logistic_regression() -> None:
    l2 = 0.05
    ours = Network((), l2=l2, epochs=3000, learning_rate=0.5).fit(X, Y)
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    theirs = LogisticRegression(C=1 / (l2 * len(X)), tol=1e-8, max_iter=1000).fit(scaled, Y.argmax(axis=1))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(scaled), atol=1e-4)


def test_momentum_and_rate_make_the_step_that_the_docstring_says() -> None:
    one, two = (Network((3,), epochs=epochs, learning_rate=0.2, momentum=0.5).fit(X, Y) for epochs in (1, 2))
    scaled = (X - X.mean(axis=0)) / X.std(axis=0)
    begin = initial([4, 3, 3], np.random.default_rng(7))
    first = -0.2 * gradients(begin, scaled, Y, 0.0)[0][0]
    np.testing.assert_allclose(one.layers_[0][0], begin[0][0] + first)
    second = 0.5 * first - 0.2 * gradients(one.layers_, scaled, Y, 0.0)[0][0]
    np.testing.assert_allclose(two.layers_[0][0], one.layers_[0][0] + second)


def test_it_learns_and_the_losses_are_those_before_each_epoch() -> None:
    network = Network((8,), epochs=200).fit(X, Y)
    assert network.losses_[-1] < 0.1 < network.losses_[0]
    assert Network((8,), epochs=50).fit(X, Y).losses_ == network.losses_[:50]
    assert (network.predict_proba(X).argmax(axis=1) == Y.argmax(axis=1)).mean() > 0.95


def test_units_do_not_matter_and_a_constant_column_does_no_harm() -> None:
    as_it_is = Network((4,), epochs=50).fit(X, Y).predict_proba(X)
    inches = Network((4,), epochs=50).fit(X / 2.54 + 10, Y).predict_proba(X / 2.54 + 10)
    np.testing.assert_allclose(inches, as_it_is, atol=1e-9)
    constant = np.column_stack([X, np.full(len(X), 3.0)])
    assert np.isfinite(Network((4,), epochs=50).fit(constant, Y).predict_proba(constant)).all()


def test_equal_seeds_give_equal_networks() -> None:
    one, again, other = (Network((4,), epochs=20, seed=seed).fit(X, Y) for seed in (1, 1, 2))
    assert [w.tobytes() for w, _ in one.layers_] == [w.tobytes() for w, _ in again.layers_]
    assert one.losses_ != other.losses_


def test_large_numbers_do_not_overflow() -> None:
    layers = [(np.array([[1000.0, -1000.0]]), np.zeros(2))]
    assert forward(layers, np.array([[5.0], [-5.0]]))[-1].tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert np.isfinite(loss(layers, np.array([[5.0]]), np.array([[0.0, 1.0]]), 0.0))
