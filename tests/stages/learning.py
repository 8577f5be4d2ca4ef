"""Real tables for the tests of what learns: those that scikit-learn ships."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from sklearn.datasets import load_iris, load_wine

LENGTHS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SPECIES = ["species_setosa", "species_versicolor", "species_virginica"]


@cache
def _iris() -> pd.DataFrame:
    data = load_iris()
    names = [str(data.target_names[kind]) for kind in data.target]
    one_hot = pd.DataFrame(np.eye(3)[data.target], columns=SPECIES)
    return pd.DataFrame(data.data, columns=LENGTHS).assign(species=names).join(one_hot)


def iris() -> pd.DataFrame:
    """150 flowers: four lengths, `species`, three one-hot columns; in an order that mixes the species."""
    order = np.random.default_rng(0).permutation(150)
    return _iris().iloc[order].reset_index(drop=True)


def wine() -> pd.DataFrame:
    """178 wines: 13 measurements and `cultivar`, 0 to 2."""
    data = load_wine()
    names = [name.replace("od280/od315_of_", "") for name in data.feature_names]
    return pd.DataFrame(data.data, columns=names).assign(cultivar=data.target)
