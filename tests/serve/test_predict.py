"""What `/predict` answers to what it takes: the same as onnxruntime by itself, whatever the form."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from starlette.testclient import TestClient

from stages.predict import predict
from stages.train import train
from tests.serve.conftest import Client, directions, every_type, model_of
from trunkline.serve.found import Model
from trunkline.serve.tables import ARROW, PARQUET

ROWS: list[dict[str, Any]] = [
    {"age": 61.5, "visits": 3, "city": "Ulm"},
    {"age": None, "visits": 0, "city": "Köln"},
    {"age": 18, "visits": 12, "city": "a city that training never saw"},
]
TABLE = pa.table(
    {
        "age": pa.array([row["age"] for row in ROWS], pa.float64()),
        "visits": pa.array([row["visits"] for row in ROWS], pa.int64()),
        "city": [row["city"] for row in ROWS],
    }
)


def alone(model: Model, rows: list[dict[str, Any]]) -> list[Any]:
    """What onnxruntime says of the rows."""
    session = onnxruntime.InferenceSession(model.data, providers=["CPUExecutionProvider"])
    frame = pd.DataFrame(rows)
    feed = {
        "age": frame[["age"]].to_numpy(np.float32),
        "visits": frame[["visits"]].to_numpy(np.int64),
        "city": frame[["city"]].to_numpy(object),
    }
    return list(session.run(["label", "probability"], feed))


def packed(table: pa.Table, media: str, **options: Any) -> bytes:
    sink = io.BytesIO()
    if media == PARQUET:
        pq.write_table(table, sink, **options)
    else:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


def unpacked(body: bytes, media: str) -> pa.Table:
    return pq.read_table(pa.BufferReader(body)) if media == PARQUET else pa.ipc.open_stream(body).read_all()


def test_rows_as_json(client: TestClient, late: Model) -> None:
    answer = client.post("/predict", json={"rows": ROWS})
    assert answer.status_code == 200, answer.text
    label, probability = alone(late, ROWS)
    assert answer.json() == {
        "model": {"name": "late", "version": late.version, "run": late.run},
        "predictions": [
            {"label": int(one), "probability": [float(each) for each in two]}
            for one, two in zip(label, probability, strict=True)
        ],
    }
    assert len({tuple(each["probability"]) for each in answer.json()["predictions"]}) == 3, "rows differ"


def test_one_row(client: TestClient) -> None:
    [first, *_] = client.post("/predict", json={"rows": ROWS}).json()["predictions"]
    assert client.post("/predict", json=ROWS[0]).json()["predictions"] == [first]


@pytest.mark.parametrize("media", [PARQUET, ARROW])
def test_tables(client: TestClient, media: str) -> None:
    said = client.post("/predict", json={"rows": ROWS}).json()
    answer = client.post("/predict", content=packed(TABLE, media), headers={"Content-Type": media})
    assert answer.json() == said


@pytest.mark.parametrize("media", [PARQUET, ARROW])
def test_an_answer_as_a_table(client: TestClient, late: Model, media: str) -> None:
    answer = client.post(
        "/predict", json={"rows": ROWS}, headers={"Accept": f"{media}, application/json;q=0.5"}
    )
    assert answer.headers["content-type"] == media
    table = unpacked(answer.content, media)
    label, probability = alone(late, ROWS)
    assert table.column_names == ["label", "probability_0", "probability_1"]
    assert table["label"].to_pylist() == label.tolist()
    assert table["probability_1"].to_pylist() == probability[:, 1].tolist()
    assert table.schema.field("probability_0").type == pa.float32()
    assert {key: value for key, value in table.schema.metadata.items() if key.startswith(b"trunkline")} == {
        b"trunkline.name": b"late",
        b"trunkline.version": late.version.encode(),
        b"trunkline.run": late.run.encode(),
    }


@pytest.mark.parametrize("media", [PARQUET, ARROW])
@pytest.mark.parametrize(
    ("column", "kind"),
    [
        ("age", pa.float32()),
        ("visits", pa.int8()),
        ("visits", pa.uint64()),
        ("visits", pa.float32()),
        ("city", pa.large_string()),
        ("city", pa.dictionary(pa.int8(), pa.string())),
    ],
    ids=str,
)
def test_other_types_that_hold_the_same(
    client: TestClient, media: str, column: str, kind: pa.DataType
) -> None:
    at = TABLE.schema.get_field_index(column)
    table = TABLE.set_column(at, column, TABLE[column].cast(kind))
    said = client.post("/predict", json={"rows": ROWS}).json()
    assert (
        client.post("/predict", content=packed(table, media), headers={"Content-Type": media}).json() == said
    )


def test_whole_numbers_with_gaps_where_numbers_are_asked_for(client: TestClient) -> None:
    table = TABLE.set_column(0, "age", pa.array([61, None, 18], pa.int64()))
    rows = [{**row, "age": age} for row, age in zip(ROWS, (61, None, 18), strict=True)]
    said = client.post("/predict", json={"rows": rows}).json()
    assert (
        client.post("/predict", content=packed(table, ARROW), headers={"Content-Type": ARROW}).json() == said
    )
    table = TABLE.set_column(0, "age", pa.nulls(3))
    rows = [{**row, "age": None} for row in ROWS]
    said = client.post("/predict", json={"rows": rows}).json()
    assert (
        client.post("/predict", content=packed(table, PARQUET), headers={"Content-Type": PARQUET}).json()
        == said
    )


def test_many_rows_in_many_batches(client: TestClient, late: Model) -> None:
    draw = np.random.default_rng(5)
    rows = [
        {"age": float(age), "visits": int(visits), "city": "Bonn"}
        for age, visits in zip(draw.uniform(18, 90, 20_000), draw.integers(0, 9, 20_000), strict=True)
    ]
    table = pa.Table.from_pylist(rows)
    body = packed(table, PARQUET, row_group_size=3_000)
    headers = {"Content-Type": PARQUET, "Accept": ARROW}
    found = unpacked(client.post("/predict", content=body, headers=headers).content, ARROW)
    label, probability = alone(late, rows)
    assert found["label"].to_pylist() == label.tolist()
    assert found["probability_0"].to_pylist() == probability[:, 0].tolist()


def test_the_answers_are_those_of_the_predict_stage(client: TestClient, late: Model, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(late.data)
    gaps = TABLE.set_column(2, "city", pa.array(["Ulm", None, ""]))
    for table in (TABLE, gaps):
        expected = predict(file, table)
        for media in (PARQUET, ARROW):
            headers = {"Content-Type": media, "Accept": media}
            answer = client.post("/predict", content=packed(table, media), headers=headers)
            assert unpacked(answer.content, media).equals(expected)
        said = client.post("/predict", json={"rows": table.to_pylist()}).json()["predictions"]
        assert [each["label"] for each in said] == expected["label"].to_pylist()
        for place in (0, 1):
            column = expected[f"probability_{place}"].to_pylist()
            assert [each["probability"][place] for each in said] == column


def test_whole_numbers_and_booleans_where_training_made_texts_of_them(
    client_of: Client, tmp_path: Path
) -> None:
    """A category of whole numbers that has a gap, or of true and false, is a column of texts in the model."""
    draw = np.random.default_rng(4)
    frame = pd.DataFrame({"stars": draw.integers(1, 5, 300).astype(float), "owner": draw.random(300) > 0.5})
    frame["late"] = (frame["stars"] > 2) ^ frame["owner"]
    frame.loc[::7, "stars"] = np.nan
    data = train(frame, target="late", features={"category": ["stars", "owner"]})["model.onnx"]
    client, file = client_of(model_of(data)), tmp_path / "model.onnx"
    file.write_bytes(data)
    stars, owner = [1, 2, 4, None, 1], [True, False, True, False, None]
    expected = predict(
        file, pa.table({"stars": ["1", "2", "4", "", "1"], "owner": ["true", "false", "true", "false", ""]})
    )
    assert len(set(expected["probability_1"].to_pylist())) == 5, "rows differ"
    for kind in (pa.int64(), pa.uint8()):
        table = pa.table({"stars": pa.array(stars, kind), "owner": owner})
        assert predict(file, table).equals(expected)
        for media in (PARQUET, ARROW):
            headers = {"Content-Type": media, "Accept": media}
            answer = client.post("/predict", content=packed(table, media), headers=headers)
            assert answer.status_code == 200, answer.text
            assert unpacked(answer.content, media).equals(expected)
        answer = client.post("/predict", json={"rows": table.to_pylist()}, headers={"Accept": ARROW})
        assert unpacked(answer.content, ARROW).equals(expected)


def test_numbers_become_the_texts_that_arrow_makes_of_them(client_of: Client) -> None:
    row = {"double": 1, "float16": 1, "int32": 1, "uint8": 1, "bool": True}
    client = client_of(model_of(every_type()))
    for value in (0, -7, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1, True, False):
        [said] = client.post("/predict", json={**row, "string": value}).json()["predictions"]
        assert (
            said["string_out"]
            == pa.scalar(value, pa.uint64() if value > 1 << 62 else None).cast(pa.string()).as_py()
        )


def test_other_columns_pass_where_one_says_so(client: TestClient) -> None:
    rows = [{**row, "late": 1} for row in ROWS]
    said = client.post("/predict", json={"rows": ROWS}).json()
    assert client.post("/predict?unknown=ignore", json={"rows": rows}).json() == said
    table = TABLE.append_column("late", pa.array([1, 0, 1]))
    for media in (PARQUET, ARROW):
        headers = {"Content-Type": media}
        assert (
            client.post("/predict?unknown=ignore", content=packed(table, media), headers=headers).json()
            == said
        )


# ---------------------------------------------------------------- every type


def test_every_type_there_and_back(client_of: Client) -> None:
    row = {"double": 1e300, "float16": 0.5, "int32": -7, "uint8": 255.0, "bool": True, "string": "ä\n\0😀"}
    client = client_of(model_of(every_type()))
    answer = client.post("/predict", json=row)
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"] == [{f"{name}_out": value for name, value in row.items()}]
    table = pa.table({name: pa.array([value]) for name, value in {**row, "uint8": 255}.items()})
    for media in (PARQUET, ARROW):
        found = client.post("/predict", content=packed(table, media), headers={"Content-Type": media})
        assert found.json() == answer.json()


def test_what_is_not_finite_is_null(client_of: Client) -> None:
    row = {"double": None, "float16": None, "int32": 0, "uint8": 0, "bool": False, "string": ""}
    said = client_of(model_of(every_type())).post("/predict", json={"rows": [row, {**row, "double": 2}]})
    first, second = json.loads(said.text, parse_constant=lambda name: pytest.fail(name))["predictions"]
    assert (first["double_out"], first["float16_out"], second["double_out"]) == (None, None, 2.0)


# ---------------------------------------------------------------- several numbers a row


def test_several_numbers_a_row(client_of: Client) -> None:
    client = client_of(model_of(directions()))
    some = [[1, 2, 3], [0.5, 0.25, 0.75], [-1.0, 0, 1]]
    said = client.post("/predict", json={"rows": [{"embedding": each} for each in some]})
    assert [each["mean"] for each in said.json()["predictions"]] == [2.0, 0.5, 0.0]
    kinds = (pa.list_(pa.float64()), pa.list_(pa.float32(), 3), pa.large_list(pa.float64()))
    for kind in kinds:
        table = pa.table({"embedding": pa.array(some, kind)})
        for media in (PARQUET, ARROW):
            answer = client.post("/predict", content=packed(table, media), headers={"Content-Type": media})
            assert answer.json() == said.json()


@pytest.mark.parametrize(
    ("value", "got"),
    [([1, 2], "a list of 2"), (None, "null"), ([1, None, 2], "null at 1"), ([1, 2, 1e39], "1e+39 at 2"),
     ([1, "2", 3], '"2" at 1'), (7, "7")],
)  # fmt: skip
def test_several_numbers_that_are_wrong(client_of: Client, value: Any, got: str) -> None:
    client = client_of(model_of(directions()))
    answer = client.post("/predict", json={"rows": [{"embedding": [1, 2, 3]}, {"embedding": value}]})
    assert answer.status_code == 422
    [problem] = answer.json()["error"]["problems"]
    assert (problem["row"], problem["expected"], problem["got"]) == (1, "a list of 3 numbers", got)
    if not isinstance(value, int) and '"' not in got:
        table = pa.table({"embedding": pa.array([[1, 2, 3], value], pa.list_(pa.float64()))})
        answer = client.post("/predict", content=packed(table, ARROW), headers={"Content-Type": ARROW})
        assert [each["row"] for each in answer.json()["error"]["problems"]] == [1]


# ---------------------------------------------------------------- text


def scores(answer: Any) -> list[float]:
    assert answer.status_code == 200, answer.text
    return [each["score"] for each in answer.json()["predictions"]]


def test_a_line_is_a_text(texts: TestClient) -> None:
    headers = {"Content-Type": "text/plain; charset=UTF-8"}
    assert scores(texts.post("/predict", content=b"good", headers=headers)) == [1.0]
    assert scores(texts.post("/predict", content=b"good\nsoso\n\nbad\n", headers=headers)) == [
        1.0,
        0.0,
        0.0,
        -1.0,
    ]
    assert scores(texts.post("/predict", content=b"bad\r\ngood\r\n", headers=headers)) == [-1.0, 1.0]


def test_text_as_rows_and_as_tables(texts: TestClient) -> None:
    some = ["good", "bad", "go\nod"]
    assert scores(texts.post("/predict", json={"rows": [{"text": text} for text in some]})) == [
        1.0,
        -1.0,
        0.0,
    ]
    body = packed(pa.table({"text": some}), PARQUET)
    assert scores(texts.post("/predict", content=body, headers={"Content-Type": PARQUET})) == [1.0, -1.0, 0.0]


# ---------------------------------------------------------------- pictures


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (4, 2), **options: Any) -> bytes:
    colours: dict[str, Any] = {"RGB": (200, 100, 0), "RGBA": (200, 100, 0, 7), "L": 50}
    image = Image.new(mode, size, colours[mode])
    sink = io.BytesIO()
    image.save(sink, kind, **options)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode", "expected"),
    [("PNG", "RGB", (200, 100, 0)), ("PNG", "RGBA", (200, 100, 0)), ("PNG", "L", (50, 50, 50)),
     ("BMP", "RGB", (200, 100, 0)), ("GIF", "RGB", (200, 100, 0)), ("JPEG", "RGB", (200, 100, 0))],
)  # fmt: skip
def test_a_picture(pictures: TestClient, kind: str, mode: str, expected: tuple[int, ...]) -> None:
    body = picture(kind, mode)
    answer = pictures.post("/predict", content=body, headers={"Content-Type": f"image/{kind.lower()}"})
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["predictions"]
    assert found["probability"] == pytest.approx(expected, abs=3 if kind == "JPEG" else 0)
    assert found["spots"] == []
    assert answer.json()["classes"] == ["red", "green", "blue"]


def test_findings_in_a_picture_are_lists(pictures: TestClient) -> None:
    image = Image.new("RGB", (5, 3))
    image.putpixel((4, 1), (255, 255, 255))
    image.putpixel((0, 2), (255, 255, 255))
    sink = io.BytesIO()
    image.save(sink, "PNG")
    headers = {"Content-Type": "image/png"}
    [found] = pictures.post("/predict", content=sink.getvalue(), headers=headers).json()["predictions"]
    assert found["spots"] == [[0, 1, 4], [0, 2, 0]]
    answer = pictures.post("/predict", content=sink.getvalue(), headers={**headers, "Accept": ARROW})
    assert unpacked(answer.content, ARROW).to_pylist() == [found]
