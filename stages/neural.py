"""A feed-forward neural network that learns by back-propagation, in NumPy and nothing else.

    x ──(x - mean) / scale──> layer ──tanh──> … ──> layer ──softmax──> one probability a class

A layer is `z = a W + b`. Training goes down the slope of the *loss*, the mean cross-entropy
`-Σ y log p` with one-hot `y`, plus `l2 / 2` times the sum of all squared weights:

    forward     every layer's output is kept
    backward    the error of the last layer is p - y; that of the layer below is the error times Wᵀ
                times the slope of tanh, 1 - a²; a layer's gradient is its input, transposed, times its error
    step        velocity = momentum · velocity - learning_rate · gradient; weights += velocity

Features go in as they are in the data: the network keeps the means and deviations of what it was
trained on. Equal data, parameters and seed give the equal network.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin

Floats = npt.NDArray[np.float64]
Layers = list[tuple[Floats, Floats]]


def initial(sizes: Sequence[int], generator: np.random.Generator) -> Layers:
    """Weights around 0, the smaller the more there are (Glorot's range), and biases of 0."""
    layers = []
    for before, after in pairwise(sizes):
        bound = np.sqrt(6 / (before + after))
        layers.append((generator.uniform(-bound, bound, (before, after)), np.zeros(after)))
    return layers


def forward(layers: Layers, x: Floats) -> list[Floats]:
    """What goes into the first layer and comes out of each; of the last one, probabilities."""
    outputs = [x]
    for weights, bias in layers[:-1]:
        outputs.append(np.tanh(outputs[-1] @ weights + bias))
    z = outputs[-1] @ layers[-1][0] + layers[-1][1]
    powers = np.exp(z - z.max(axis=1, keepdims=True))  # the same shares, and no number is too large for exp
    return [*outputs, powers / powers.sum(axis=1, keepdims=True)]


def loss(layers: Layers, x: Floats, y: Floats, l2: float) -> float:
    """The mean cross-entropy of one-hot `y`, plus the penalty on large weights."""
    given = np.clip((forward(layers, x)[-1] * y).sum(axis=1), 1e-15, 1)
    return float(-np.log(given).mean() + l2 / 2 * sum(np.square(w).sum() for w, _ in layers))


def gradients(layers: Layers, x: Floats, y: Floats, l2: float) -> Layers:
    """The slope of `loss` along every weight and bias: back-propagation."""
    outputs = forward(layers, x)
    error = (outputs[-1] - y) / len(x)
    slopes: Layers = []
    for (weights, _), below in zip(reversed(layers), reversed(outputs[:-1]), strict=True):
        slopes.insert(0, (below.T @ error + l2 * weights, error.sum(axis=0)))
        error = error @ weights.T * (1 - below**2)  # of no meaning below the first layer, and not used there
    return slopes


class Network(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network with scikit-learn's `fit` and `predict_proba`; its answers are one-hot columns."""

    def __init__(
        self, hidden: Sequence[int] = (8,), *, l2: float = 0.0, epochs: int = 300, learning_rate: float = 0.1,
        momentum: float = 0.9, seed: int = 7,
    ) -> None:  # fmt: skip
        self.hidden, self.l2, self.epochs, self.seed = hidden, l2, epochs, seed
        self.learning_rate, self.momentum = learning_rate, momentum

    def fit(self, features: npt.ArrayLike, answers: npt.ArrayLike) -> Network:
        """Learn: one step down the slope of all rows together for each epoch; `losses_` has the loss before each."""
        x, y = np.asarray(features, np.float64), np.asarray(answers, np.float64)
        deviation = x.std(axis=0)
        self.mean_, self.scale_ = x.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
        self.layers_ = initial([x.shape[1], *self.hidden, y.shape[1]], np.random.default_rng(self.seed))
        self.losses_ = []
        x = (x - self.mean_) / self.scale_
        speed = [(np.zeros_like(weights), np.zeros_like(bias)) for weights, bias in self.layers_]
        for _ in range(self.epochs):
            self.losses_.append(loss(self.layers_, x, y, self.l2))
            slopes = gradients(self.layers_, x, y, self.l2)
            for layer, velocity, slope in zip(self.layers_, speed, slopes, strict=True):
                for values, moving, down in zip(layer, velocity, slope, strict=True):
                    moving *= self.momentum
                    moving -= self.learning_rate * down
                    values += moving
        return self

    def predict_proba(self, features: npt.ArrayLike) -> Floats:
        """One row of probabilities for each row of features, in the order of the one-hot columns."""
        return forward(self.layers_, (np.asarray(features, np.float64) - self.mean_) / self.scale_)[-1]
