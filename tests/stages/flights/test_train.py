from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.files import parquet_files, tables
from stages.flights.clean import AFTER_DEPARTURE, clean
from stages.flights.evaluate import probabilities
from stages.flights.train import ESTIMATORS, FEATURES, INPUTS, LABEL, NUMBERS, fitted, frame, train

ROOT = Path(__file__).resolve().parents[3]
Day = Callable[[str], tuple[pa.Table, pa.Table]]


@pytest.fixture(scope="module")
def model(sides: Path) -> bytes:
    return train(sides / "train")["model.onnx"]


def session(model: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def test_no_feature_is_known_only_after_departure(day: Day) -> None:
    assert not {*FEATURES} & {*AFTER_DEPARTURE, "arr_delay", LABEL}
    flights, weather = day("2013-02-12")
    flights = flights.filter(pa.compute.is_valid(flights["arr_delay"]))
    rows = clean(flights, weather)["rows"].select(FEATURES)
    for name in (*AFTER_DEPARTURE, "arr_delay"):
        field = flights.schema.field(name)
        other = pa.array([0] * flights.num_rows).cast(field.type)
        flights = flights.set_column(flights.schema.get_field_index(name), field, other)
    assert clean(flights, weather)["rows"].select(FEATURES) == rows


def test_weather_that_came_after_the_scheduled_hour_began_does_not_matter(day: Day) -> None:
    flights, weather = day("2013-01-01")
    hour = flights["time_hour"][0].as_py()
    flights = flights.filter(pa.compute.equal(flights["time_hour"], hour))
    known = weather.filter(pa.compute.less(weather["time_hour"], hour))
    assert known.num_rows < weather.num_rows
    assert clean(flights, known)["rows"] == clean(flights, weather)["rows"]


def test_the_file_asks_for_the_features_by_name_and_type(model: bytes) -> None:
    opened = session(model)
    kinds = {"float": "tensor(float)", "int64": "tensor(int64)", "string": "tensor(string)"}
    assert {i.name: i.type for i in opened.get_inputs()} == {
        name: kinds[kind] for name, kind in INPUTS.items()
    }
    assert [(o.name, o.type) for o in opened.get_outputs()] == [
        ("label", "tensor(int64)"),
        ("probability", "tensor(float)"),
    ]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_onnx_gives_the_probabilities_of_scikit_learn(sides: Path, estimator: str) -> None:
    whole = fitted(parquet_files(sides / "train"), estimator, 1, 7, 0.0001, 16384)
    opened = session(train(sides / "train", estimator=estimator, epochs=1)["model.onnx"])
    rows = next(tables(parquet_files(sides / "recent"), rows=10_000))
    assert rows["temp"].null_count > 0
    strange = rows.slice(0, 1).set_column(rows.schema.get_field_index("carrier"), "carrier", pa.array(["??"]))
    rows = pa.concat_tables([rows, strange])
    expected = whole.predict_proba(frame(rows))[:, 1]
    np.testing.assert_allclose(probabilities(opened, rows), expected, atol=2e-5)


def test_it_is_normalised_with_the_training_side_alone(sides: Path) -> None:
    files = parquet_files(sides / "train")
    columns = fitted(files, "SGDClassifier", 1, 7, 0.0001, 100).named_steps["columns"]
    scaler = columns.named_transformers_["numbers"].named_steps["scale"]
    everything = frame(pa.concat_tables(tables(files, FEATURES)))
    np.testing.assert_allclose(scaler.mean_, np.nanmean(everything[list(NUMBERS)], axis=0))
    np.testing.assert_allclose(scaler.scale_, np.nanstd(everything[list(NUMBERS)], axis=0))


def test_gaps_count_as_the_training_mean(model: bytes, sides: Path) -> None:
    files = parquet_files(sides / "train")
    mean = float(np.nanmean(pa.concat_tables(tables(files, ["temp"]))["temp"].to_numpy()))
    rows = next(tables(files)).slice(0, 5)
    place = rows.schema.get_field_index("temp")
    with_gap = rows.set_column(place, "temp", pa.array([None] * 5, pa.float64()))
    with_mean = rows.set_column(place, "temp", pa.array([mean] * 5))
    opened = session(model)
    np.testing.assert_allclose(probabilities(opened, with_gap), probabilities(opened, with_mean), atol=1e-6)


def test_it_learns(sides: Path) -> None:
    rows = next(tables(parquet_files(sides / "train"), rows=10_000))
    late = rows[LABEL].to_numpy()
    scores = probabilities(session(train(sides / "train", epochs=20)["model.onnx"]), rows)
    assert scores[late].mean() > scores[~late].mean() + 0.1


def test_a_day_without_rows_leaves_the_model_as_it_was(model: bytes, sides: Path, tmp_path: Path) -> None:
    for file in (sides / "train").glob("*.parquet"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    schema = pq.read_schema(next(tmp_path.iterdir()))
    pq.write_table(schema.empty_table(), tmp_path / "2013-03-01.parquet")
    assert train(tmp_path)["model.onnx"] == model


def test_parameters_matter(model: bytes, sides: Path) -> None:
    for other in ({"seed": 8}, {"epochs": 1}, {"alpha": 0.1}, {"chunk_rows": 500}):
        assert train(sides / "train", **other)["model.onnx"] != model


def test_what_cannot_be_trained_is_an_error(sides: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'os\.system'; one of SGDClassifier, MLPClassifier is needed"):
        train(sides / "train", estimator="os.system")
    with pytest.raises(ValueError, match="no row to train on"):
        train(tmp_path)


HASHES = """
import hashlib, json, sys
from pathlib import Path
from stages.flights.train import ESTIMATORS, train
models = [train(Path(sys.argv[1]), estimator=name)["model.onnx"] for name in ESTIMATORS]
print(json.dumps([hashlib.md5(model).hexdigest() for model in models]))
"""


def test_the_bytes_are_equal_across_processes_hash_seeds_and_threads(sides: Path) -> None:
    settings = [("0", "1"), ("12345", "2")]
    running = [
        started(
            HASHES,
            sides / "train",
            PYTHONHASHSEED=seed,
            OMP_NUM_THREADS=threads,
            OPENBLAS_NUM_THREADS=threads,
        )
        for seed, threads in settings
    ]
    first, second = (result(process) for process in running)
    assert first == second


PEAKS = """
import json, resource, sys
from pathlib import Path
from stages.flights.train import train
from stages.flights.evaluate import evaluate

def peak():
    # Linux hands ru_maxrss on through exec: there it may be the peak of the process that started us.
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

few, many = Path(sys.argv[1], "few"), Path(sys.argv[1], "many")
found = []
for directory, chunk in ((few, 5000), (many, 5000), (many, 10**9)):
    model = train(directory, epochs=1, chunk_rows=chunk)["model.onnx"]
    Path(sys.argv[1], "model.onnx").write_bytes(model)
    evaluate(Path(sys.argv[1], "model.onnx"), directory, directory, Path(sys.argv[1], "counts"))
    found.append(peak())
print(json.dumps(found))
"""


def test_memory_does_not_grow_with_the_number_of_files(sides: Path, tmp_path: Path) -> None:
    file = max((sides / "train").glob("*.parquet"), key=lambda path: path.stat().st_size)
    rows = pa.concat_tables([pq.read_table(file)] * 8)
    for name, count in (("few", 5), ("many", 50)):
        (tmp_path / name).mkdir()
        for place in range(count):
            pq.write_table(rows, tmp_path / name / f"{place}.parquet")
    (tmp_path / "counts").mkdir()
    few, many, at_once = result(started(PEAKS, tmp_path))
    assert many < few * 1.1
    assert at_once > few * 1.3, "the test has to be able to see what not streaming would cost"


def started(code: str, argument: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, str(argument)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def result(process: subprocess.Popen[str]) -> Any:
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    return json.loads(output)
