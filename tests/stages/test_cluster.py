from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from stages.cluster import cluster, features, fitted, segments
from stages.describe import describe, over_k
from stages.predict import run, session_of
from tests.stages.learning import wine

Floats = npt.NDArray[np.float64]
WITHOUT = ["cultivar"]


@pytest.fixture
def three(tmp_path: Path) -> Path:
    file = tmp_path / "k_3.json"
    file.write_text(json.dumps({"k": 3}))
    return file


@pytest.fixture
def model(three: Path, tmp_path: Path) -> Path:
    file = tmp_path / "model.onnx"
    file.write_bytes(segments(wine(), three, without=WITHOUT)["model.onnx"])
    return file


def scaled() -> Floats:
    values = wine().drop(columns=WITHOUT).to_numpy(np.float64)
    found: Floats = (values - values.mean(axis=0)) / values.std(axis=0)
    return found


def silhouettes(points: Floats, labels: npt.NDArray[np.int64]) -> list[float]:
    """By the definition, row by row."""
    far = np.sqrt(np.square(points[:, None, :] - points[None, :, :]).sum(axis=2))
    found = []
    for row, label in enumerate(labels):
        own = labels == label
        within = far[row][own].sum() / (own.sum() - 1)
        nearest = min(far[row][labels == other].mean() for other in set(labels.tolist()) - {label})
        found.append((nearest - within) / max(within, nearest))
    return found


def test_silhouette_and_inertia_are_those_of_the_definition(three: Path) -> None:
    (row,) = cluster(three, wine(), without=WITHOUT).to_pylist()
    model = fitted(features(wine(), WITHOUT), k=3, starts=10, seed=7)
    labels, points = model[-1].labels_, scaled()
    assert row["silhouette"] == pytest.approx(np.mean(silhouettes(points, labels)), abs=1e-6)
    inertia = sum(
        float(np.square(points[labels == label] - points[labels == label].mean(axis=0)).sum())
        for label in range(3)
    )
    assert row["inertia"] == pytest.approx(inertia, abs=1e-3)
    assert (row["trial"], row["parameters"]) == ("k_3", '{"k": 3}')


def test_the_file_scales_and_finds_the_nearest_centre(model: Path) -> None:
    session = session_of(model.read_bytes())
    found = run(session, pa.Table.from_pandas(wine()))
    points, labels = scaled(), found["label"].reshape(-1)
    centres = np.array([points[labels == label].mean(axis=0) for label in range(3)])
    distances = np.sqrt(np.square(points[:, None, :] - centres[None, :, :]).sum(axis=2))
    assert (distances.argmin(axis=1) == labels).all()
    np.testing.assert_allclose(found["distance"], distances, atol=0.02)
    assert "cultivar" not in {each.name for each in session.get_inputs()}


def test_segments_are_numbered_from_the_largest(model: Path) -> None:
    labels = run(session_of(model.read_bytes()), pa.Table.from_pandas(wine()))["label"].reshape(-1)
    sizes = np.bincount(labels)
    assert sizes.tolist() == sorted(sizes, reverse=True)


def test_equal_rows_give_equal_files(three: Path, model: Path) -> None:
    assert segments(wine(), three, without=WITHOUT)["model.onnx"] == model.read_bytes()


def test_units_do_not_matter(three: Path) -> None:
    grams = wine().assign(proline=wine()["proline"] / 1000)
    assert cluster(three, grams, without=WITHOUT) == cluster(three, wine(), without=WITHOUT)


def test_what_cannot_be_parted_is_told(three: Path) -> None:
    with pytest.raises(ValueError, match="`without` names kind; the rows have alcohol"):
        cluster(three, wine(), without=["kind"])
    with pytest.raises(ValueError, match="name in `without`: cultivar, ash"):
        cluster(three, wine().assign(cultivar="a", ash=np.nan))
    with pytest.raises(ValueError, match="k is 3: from 2 to 2 segments can be told apart in 3 rows"):
        cluster(three, wine()[:3], without=WITHOUT)


# ---------------------------------------------------------------- what the segments are


def test_the_numbers_are_those_of_the_definitions(model: Path) -> None:
    found = describe(pa.Table.from_pandas(wine()), model, known="cultivar")
    metrics, labels = found["metrics.json"], found["segments.parquet"]["segment"].to_numpy()
    assert metrics["silhouette"] == pytest.approx(np.mean(silhouettes(scaled(), labels)), abs=1e-6)
    assert metrics["sizes"] == {str(label): int((labels == label).sum()) for label in range(3)}
    assert (metrics["rows"], metrics["segments"]) == (178, 3)
    assert metrics["adjusted_rand"] == pytest.approx(
        adjusted_rand(labels, wine()["cultivar"].to_numpy()), abs=1e-6
    )
    assert "adjusted_rand" not in describe(pa.Table.from_pandas(wine()), model)["metrics.json"]


def adjusted_rand(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> float:
    """By the definition: over all pairs of rows, how often both say "together", beyond what chance gives."""
    above = np.triu_indices(len(one), 1)
    first, second = ((labels[:, None] == labels[None, :])[above] for labels in (one, other))
    both, chance = (first & second).sum(), first.sum() * second.sum() / len(first)
    return float((both - chance) / ((first.sum() + second.sum()) / 2 - chance))


def test_the_rows_keep_their_order_and_columns(model: Path) -> None:
    rows = pa.Table.from_pandas(wine())
    labelled = describe(rows, model)["segments.parquet"]
    assert labelled.drop_columns(["segment"]) == rows


def test_pictures_are_equal_each_time(model: Path) -> None:
    one, two = (describe(pa.Table.from_pandas(wine()), model) for _ in range(2))
    for name in ("silhouette.png", "profile.png", "map.png"):
        assert one[name].startswith(b"\x89PNG")
        assert one[name] == two[name]


def test_every_k_is_drawn(tmp_path: Path) -> None:
    rows = []
    for k in (4, 2):
        (tmp_path / f"k_{k}.json").write_text(json.dumps({"k": k}))
        rows.append(cluster(tmp_path / f"k_{k}.json", wine(), without=WITHOUT))
    trials = pa.concat_tables(rows).to_pandas()
    assert over_k(trials)["over_k.png"].startswith(b"\x89PNG")
    assert over_k(trials) == over_k(trials[::-1])
