"""`run` computes a slice at a time: the answers are those of the whole at once, to the last bit."""

from __future__ import annotations

import resource
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest

from stages.predict import CHARACTERS, SLICE, fed, run, session_of, slices
from stages.text import tfidf
from stages.train import train
from trunkline.serve.network import Network

SIZES = (1, 2, SLICE - 1, SLICE, SLICE + 1, SLICE + 2, 3 * SLICE + 1)


def numbers(rows: int) -> pd.DataFrame:
    draw = np.random.default_rng(11)
    made = pd.DataFrame({f"x{place}": draw.normal(0, 10**place, rows) for place in range(6)})
    return made.assign(word=draw.choice(["a", "b", "c"], rows), late=made["x0"] + made["x1"] > 0)


def linear() -> tuple[bytes, pa.Table]:
    features = {"number": [f"x{place}" for place in range(6)], "category": ["word"]}
    rows = numbers(4 * SLICE)
    return train(rows, target="late", features=features)["model.onnx"], pa.Table.from_pandas(rows)


def of_text() -> tuple[bytes, pa.Table]:
    draw = np.random.default_rng(12)
    words = np.array([f"w{place}" for place in range(400)])
    lines = [" ".join(each) for each in draw.choice(words, (4 * SLICE, 9))]
    rows = pa.table({"text": lines, "label": [int("w1" in line) for line in lines]})
    return tfidf(rows, rows.slice(0, 50), strengths=[1.0])["model.onnx"], rows


@pytest.mark.parametrize("made", [linear, of_text])
def test_slices_are_the_whole_to_the_last_bit(made: Callable[[], tuple[bytes, pa.Table]]) -> None:
    model, rows = made()
    session, network = session_of(model), Network(model, "model")
    names = [output.name for output in session.get_outputs()]
    for size in SIZES:
        some = rows.slice(0, size)
        feed = {each.name: fed(some[each.name], each.name, each.type) for each in session.get_inputs()}
        whole = dict(zip(names, session.run(names, feed), strict=True))
        served = network.run({name: values[:, 0] for name, values in feed.items()})
        for found in (run(session, some), served):
            for name in names:
                assert (found[name].dtype, found[name].shape) == (whole[name].dtype, whole[name].shape)
                assert exact(found[name]) == exact(whole[name]), (size, name)


def exact(values: npt.NDArray[Any]) -> object:
    return values.tolist() if values.dtype == np.object_ else values.tobytes()


def test_slices_are_small_and_leave_nothing_out() -> None:
    for rows in (0, *SIZES):
        pieces = [list(range(rows))[piece] for piece in slices({"x": np.zeros((rows, 1))})]
        assert [row for piece in pieces for row in piece] == list(range(rows))
        assert max(map(len, pieces)) <= SLICE + 1
        assert rows == 1 or min(map(len, pieces)) != 1


def test_a_very_long_text_is_not_computed_with_others() -> None:
    """The words of all texts in a slice are padded to as many as the longest has."""
    texts = np.array(["a"] * 300 + ["a " * CHARACTERS] + ["b"] * 300, np.object_).reshape(-1, 1)
    both = {"text": texts, "age": np.zeros((601, 1), np.float32)}
    assert slices(both) == [slice(0, 256), slice(256, 300), slice(300, 301), slice(301, 557), slice(557, 601)]
    half = np.array(["a" * (CHARACTERS // 2)] * 3, np.object_).reshape(-1, 1)
    assert slices({"text": half}) == [slice(0, 2), slice(2, 3)]


def test_a_small_body_of_text_takes_little_memory() -> None:
    """255 short texts and one of 256 Ki words took 2 GB."""
    model, _ = of_text()
    network, texts = Network(model, "model"), np.array(["w1"] * 255 + ["a " * (1 << 18)], np.object_)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = network.run({"text": texts})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10  # KiB; 2 GB at once
    assert len(found["label"]) == 256
