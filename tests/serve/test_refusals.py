"""Bad input gets an answer that says what is wrong and where, and never a 5xx."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.serve.conftest import RUN, Client, colours, model_of, words
from tests.serve.test_predict import ROWS, TABLE, packed, picture
from trunkline.serve import pictures as reading
from trunkline.serve import refusals, rows, tables
from trunkline.serve.found import Model
from trunkline.serve.tables import ARROW, PARQUET

JSON = {"Content-Type": "application/json"}
GOOD = ROWS[0]


def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The error of an answer, whose form is checked."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body.keys() == {"error", "model"}
    assert body["model"]["run"] == RUN
    assert answer.headers["trunkline-version"] == body["model"]["version"]
    error: dict[str, Any] = body["error"]
    assert error.keys() == {"code", "message", "hint", "problems", "more"}
    assert error["code"] == code
    return error


def places(error: dict[str, Any]) -> list[tuple[int | None, str | None, str]]:
    return [(each["row"], each["column"], each["got"]) for each in error["problems"]]


# ---------------------------------------------------------------- values


def test_the_whole_of_a_refusal(client: TestClient, late: Model) -> None:
    answer = client.post("/predict", json={"rows": [GOOD, {**GOOD, "age": "old", "visits": None}]})
    assert answer.status_code == 422
    whole = "a whole number of 64 bits"
    assert answer.json() == {
        "error": {
            "code": "input",
            "message": "2 problems in 2 rows; the first: rows[1].age: "
            'expected a number, or null where it is missing, got "old"',
            "hint": "`/schema` lists the columns and their types",
            "problems": [
                {"where": "rows[1].age", "row": 1, "column": "age",
                 "expected": "a number, or null where it is missing", "got": '"old"'},
                {"where": "rows[1].visits", "row": 1, "column": "visits", "expected": whole, "got": "null"},
            ],
            "more": 0,
        },
        "model": {"name": "late", "version": late.version, "run": RUN},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("column", "value", "got"),
    [
        ("age", "61", '"61"'), ("age", True, "true"), ("age", [1], "a list of 1"), ("age", {"a": 1}, "an object"),
        ("age", 1e39, "1e+39"), ("age", 10**400, "a whole number of 1329 bits"),
        ("visits", 1.5, "1.5"), ("visits", False, "false"), ("visits", "3", '"3"'), ("visits", 1 << 63, str(1 << 63)),
        ("visits", 1e300, "1e+300"), ("city", 3.5, "3.5"), ("city", 1 << 64, str(1 << 64)),
        ("city", [], "a list of 0"), ("city", "\ud800", '"\\ud800"'),
    ],
    ids=repr,
)  # fmt: skip
def test_values_of_another_type(client: TestClient, column: str, value: Any, got: str) -> None:
    body = json.dumps({"rows": [GOOD, GOOD, {**GOOD, column: value}]})
    error = refused(client.post("/predict", content=body, headers=JSON), 422, "input")
    assert places(error) == [(2, column, got)]


def test_columns_that_are_missing_or_unknown(client: TestClient) -> None:
    row = {"age": 3, "visit": 1, "city": "Ulm"}
    error = refused(client.post("/predict", json={"rows": [GOOD, row]}), 422, "input")
    assert places(error) == [(1, "visits", "no such key"), (1, "visit", "1")]
    assert error["problems"][1]["expected"] == "no column of that name (did you mean visits?)"
    refused(client.post("/predict?unknown=ignore", json={"rows": [row]}), 422, "input")


def test_problems_are_listed_up_to_a_number(client: TestClient) -> None:
    error = refused(client.post("/predict", json={"rows": [{**GOOD, "age": "?"}] * 1000}), 422, "input")
    assert len(error["problems"]) == 20
    assert error["more"] == 980
    assert error["message"].startswith("1,000 problems in 1,000 rows; ")


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ("", 400, "the body is empty"),
        ("{", 400, "this is not JSON: Expecting property name enclosed in double quotes at line 1, column 2"),
        ('{"rows": [\n{"age": }]}', 400, "this is not JSON: Expecting value at line 2, column 9"),
        (b'{"a": "\xff"}', 400, "this is not UTF-8: byte 7 is 0xff"),
        ('{"age": NaN}', 400, "NaN is not JSON"),
        ('{"age": -Infinity}', 400, "-Infinity is not JSON"),
        ('{"age": 1, "age": 2}', 400, 'the key "age" is there twice in one object'),
        ("[" * 100_000, 400, "this JSON is nested too deeply"),
        ('{"age": ' + "1" * 5000 + "}", 400, "this JSON has a number with too many digits"),
        ("[]", 422, "expected an object, got a list of 0"),
        ("null", 422, "expected an object, got null"),
        ('{"rows": []}', 422, '"rows" is empty: there is nothing to predict'),
        ('{"rows": 3}', 422, '"rows" must be a list, got 3'),
        ('{"rows": [{}], "more": 1}', 422, 'beside "rows" there is "more", which means nothing'),
    ],
)
def test_bodies_that_are_no_rows(client: TestClient, body: str | bytes, status: int, message: str) -> None:
    answer = client.post("/predict", content=body, headers=JSON)
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == message


def test_a_row_that_is_no_object(client: TestClient) -> None:
    error = refused(client.post("/predict", json={"rows": [GOOD, 7]}), 422, "input")
    assert error["message"] == "rows[1]: expected an object with a value for each column, got 7"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.sampled_from(["age", "rows", "x"]), some),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {"age": VALUES, "visits": VALUES | st.integers(), "city": VALUES | st.text()}, optional={"rows": VALUES}
)


@settings(deadline=None, max_examples=150)
@given(
    st.one_of(
        st.binary(max_size=40),
        VALUES.map(json.dumps),
        NEARLY.map(json.dumps),
        st.lists(NEARLY, max_size=3).map(lambda rows: json.dumps({"rows": rows})),
        st.text(max_size=20),
    )
)
@example('{"age": 1e999, "visits": 1e999, "city": "\\udfff"}')
@example('{"age": -0, "visits": -0.0, "city": "\\u0000"}')
def test_no_body_gives_a_5xx(client: TestClient, body: str | bytes) -> None:
    content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    answer = client.post("/predict", content=content, headers=JSON)
    assert answer.status_code in (200, 400, 422), answer.text
    assert "Traceback" not in answer.text
    if answer.status_code == 200:
        assert answer.json()["predictions"]
    else:
        assert answer.json()["error"]["message"]


# ---------------------------------------------------------------- tables


@pytest.mark.parametrize("media", [PARQUET, ARROW])
def test_tables_of_another_shape(client: TestClient, media: str) -> None:
    def error(table: pa.Table) -> list[tuple[int | None, str | None, str]]:
        headers = {"Content-Type": media}
        return places(
            refused(client.post("/predict", content=packed(table, media), headers=headers), 422, "input")
        )

    assert error(TABLE.drop_columns(["visits"])) == [(None, "visits", "no such column")]
    assert error(TABLE.append_column("late", TABLE["age"])) == [(None, "late", "a column")]
    assert error(TABLE.append_column("age", TABLE["age"])) == [(None, "age", "2 columns of that name")]
    assert error(TABLE.set_column(1, "visits", pa.array([1.0, 2.5, float("nan")]))) == [
        (1, "visits", "2.5"),
        (2, "visits", "nan"),
    ]
    assert error(TABLE.set_column(2, "city", pa.array([1.0, 2.0, 3.0]))) == [
        (None, "city", "a column of double")
    ]
    assert error(TABLE.set_column(0, "age", pa.array([[1.0], [2.0], [3.0]]))) == [
        (
            None,
            "age",
            "a column of list<element: double>" if media == PARQUET else "a column of list<item: double>",
        )
    ]
    assert error(TABLE.set_column(1, "visits", pa.array([1, 2, None], pa.int16()))) == [(2, "visits", "null")]
    assert error(TABLE.set_column(1, "visits", pa.array([1, 2, 1 << 63], pa.uint64()))) == [
        (2, "visits", str(1 << 63))
    ]
    assert error(TABLE.set_column(0, "age", pa.array([1.0, -1e39, 2.0]))) == [(1, "age", "-1e+39")]
    assert error(TABLE.set_column(0, "age", pa.array([1.0, 2.0, float("inf")]))) == [(2, "age", "inf")]


def test_a_table_without_rows(client: TestClient) -> None:
    answer = client.post(
        "/predict", content=packed(TABLE.slice(0, 0), ARROW), headers={"Content-Type": ARROW}
    )
    assert "nothing to predict" in refused(answer, 422, "input")["message"]


@pytest.mark.parametrize("media", [PARQUET, ARROW])
def test_what_is_no_table(client: TestClient, media: str) -> None:
    whole = packed(TABLE, media)
    for body in (
        b"x",
        b"PAR1PAR1",
        whole[: len(whole) // 2],
        whole[len(whole) // 2 :],
        b"\xff\xff\xff\xff" * 9,
    ):
        refused(client.post("/predict", content=body, headers={"Content-Type": media}), 400, "table")


@pytest.mark.parametrize("media", [PARQUET, ARROW])
def test_damaged_tables_are_no_5xx(client: TestClient, media: str) -> None:
    whole = packed(TABLE, media)
    for at in range(0, len(whole), 7):
        body = whole[:at] + bytes([whole[at] ^ 0x15]) + whole[at + 1 :]
        assert client.post("/predict", content=body, headers={"Content-Type": media}).status_code < 500


def test_offsets_that_lead_elsewhere_are_not_followed(client: TestClient) -> None:
    """Arrow trusts the offsets of texts; they are the sender's."""
    whole = packed(TABLE, ARROW)
    ends = b"".join(end.to_bytes(4, "little") for end in (0, 3, 8))
    assert whole.count(ends) == 1
    bad = b"".join(end.to_bytes(4, "little") for end in (0, 3, 1 << 30))
    answer = client.post("/predict", content=whole.replace(ends, bad), headers={"Content-Type": ARROW})
    refused(answer, 400, "table")


@pytest.mark.parametrize("media", [PARQUET, ARROW])
def test_texts_of_a_table_that_are_not_utf8(client: TestClient, media: str) -> None:
    whole = packed(TABLE, media, compression="none") if media == PARQUET else packed(TABLE, media)
    assert "Köln".encode() in whole
    body = whole.replace("Köln".encode(), b"K\xc3\xc3ln")
    error = refused(client.post("/predict", content=body, headers={"Content-Type": media}), 400, "table")
    assert "UTF8" in error["message"]


def test_small_bodies_that_hold_too_much(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    same = pa.table({"age": pa.nulls(1_000_001), "visits": [1] * 1_000_001, "city": ["Ulm"] * 1_000_001})
    body = packed(same, PARQUET)
    assert len(body) < 100_000
    error = refused(client.post("/predict", content=body, headers={"Content-Type": PARQUET}), 413, "size")
    assert error["message"] == "these are more than 1,000,000 rows"
    monkeypatch.setattr(tables, "MAX_DECODED", 1 << 20)
    body = packed(same.slice(0, 100_000), PARQUET)
    error = refused(client.post("/predict", content=body, headers={"Content-Type": PARQUET}), 413, "size")
    assert error["message"] == "unpacked, this is more than 1 MiB"


SHARED = pa.DictionaryArray.from_arrays(
    np.zeros(1000, np.int32), pa.array(["x" * 500_000])
)  # 500 MB as texts


@pytest.mark.parametrize("media", [PARQUET, ARROW])
def test_texts_that_many_rows_share_are_never_written_out(client: TestClient, media: str) -> None:
    table = pa.table({"age": [1.0] * 1000, "visits": [1] * 1000, "city": SHARED})
    body, before = packed(table, media), pa.default_memory_pool().max_memory()
    assert len(body) < 2 << 20
    error = refused(client.post("/predict", content=body, headers={"Content-Type": media}), 413, "size")
    assert error["message"] == "unpacked, this is more than 256 MiB"
    assert pa.default_memory_pool().max_memory() - before < 300 << 20


def test_views_of_one_text_count_as_often_as_they_are_there() -> None:
    one = pa.array(["y" * 1000, None, "z"], pa.string_view())
    _, views, *texts = one.buffers()
    first, none, last = np.frombuffer(views, "V16")
    valid = np.packbits([True] * 50 + [False, True], bitorder="little")
    views = np.array([first] * 50 + [none, last])
    many = pa.Array.from_buffers(one.type, 52, [pa.py_buffer(valid), pa.py_buffer(views), *texts])
    many.validate(full=True)
    assert many[49:].to_pylist() == one.to_pylist()
    assert tables._size(many) == 50 * 1000 + 1
    assert tables._size(many.slice(40)) == 10 * 1000 + 1
    assert tables._size(many.slice(50)) == 1


def test_pages_that_are_large_are_not_unpacked(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table(
        {"age": [1.0] * 60, "visits": [1] * 60, "city": [f"{place:0>100000}" for place in range(60)]}
    )
    body = packed(table, PARQUET, compression="zstd", use_dictionary=False)
    assert len(body) < 1 << 18
    monkeypatch.setattr(tables, "MAX_DECODED", 1 << 20)
    monkeypatch.setattr("pyarrow.parquet.ParquetFile.iter_batches", None)
    error = refused(client.post("/predict", content=body, headers={"Content-Type": PARQUET}), 413, "size")
    assert error["message"] == "unpacked, this is more than 1 MiB"


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize(
    "city", [TABLE["city"], TABLE["city"].dictionary_encode()], ids=["text", "dictionary"]
)
def test_compressed_arrow_streams_are_refused(client: TestClient, codec: str, city: pa.ChunkedArray) -> None:
    sink, table = io.BytesIO(), TABLE.set_column(2, "city", city)
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_table(table)
    answer = client.post("/predict", content=sink.getvalue(), headers={"Content-Type": ARROW})
    error = refused(answer, 415, "type")
    assert (error["message"], error["hint"]) == (
        "the Arrow stream is compressed",
        "write it without compression",
    )
    answer = client.post("/predict", content=packed(table, ARROW), headers={"Content-Type": ARROW})
    assert answer.status_code == 200, answer.text


def test_more_rows_than_are_taken(
    client: TestClient, texts: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MAX_ROWS", 3)
    plain = {"Content-Type": "text/plain"}
    for many, status in ((3, 200), (4, 413)):
        table = pa.Table.from_pylist([GOOD] * many)
        answers = [
            client.post("/predict", json={"rows": [GOOD] * many}),
            texts.post("/predict", content=b"good\n" * many, headers=plain),
            *(client.post("/predict", content=packed(table, media), headers={"Content-Type": media})
              for media in (PARQUET, ARROW)),
        ]  # fmt: skip
        for answer in answers:
            assert answer.status_code == status, answer.text
            if status == 413:
                assert refused(answer, 413, "size")["message"] == "these are more than 3 rows"
    refused(client.post("/predict", json={"rows": [1] * 4}), 413, "size")


def test_objects_are_counted_while_they_are_read(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_ROWS", 3)
    body = b'{"rows": [' + b"{}," * 5 + b"this is not JSON, and never seen"
    refused(client.post("/predict", content=body, headers=JSON), 413, "size")


def test_a_key_that_is_there_twice_is_found_in_one_look(client: TestClient) -> None:
    """A look at all names for each of them would take 400 times as long, and hours for the largest body."""
    names = [f"a{place}" for place in range(400_000)]
    body = "{" + ",".join(f'"{name}":1' for name in [*names, names[-1]]) + "}"
    error = refused(client.post("/predict", content=body, headers=JSON), 400, "json")
    assert error["message"] == f'the key "{names[-1]}" is there twice in one object'


def test_columns_of_a_table_are_looked_at_until_there_are_problems_enough(client: TestClient) -> None:
    table = pa.table({f"visits{place}": [1] for place in range(3000)})
    headers = {"Content-Type": ARROW}
    error = refused(client.post("/predict", content=packed(table, ARROW), headers=headers), 422, "input")
    assert error["message"].startswith("more than 2,000 problems in its columns; ")


def test_names_are_looked_at_until_there_are_problems_enough(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    real = rows.unknown

    def counted(name: str, wanted: set[str]) -> str:
        asked.append(name)
        return real(name, wanted)

    monkeypatch.setattr(rows, "unknown", counted)
    many = {f"visits{place}": 1 for place in range(50_000)}
    for wrong in ([GOOD | many], [GOOD | {"visit": 1}] * 50_000):
        asked.clear()
        error = refused(client.post("/predict", json={"rows": wrong}), 422, "input")
        assert error["message"].startswith("more than 2,000 problems in ")
        assert (len(error["problems"]), error["more"]) == (20, 1980)
        assert len(asked) <= 2001


# ---------------------------------------------------------------- text and pictures


def test_text_that_is_none(texts: TestClient) -> None:
    answer = texts.post("/predict", content=b"ok\n\xe4", headers={"Content-Type": "text/plain"})
    assert refused(answer, 400, "text")["message"] == "this is not UTF-8: byte 3 is 0xe4"
    answer = texts.post(
        "/predict", content="ä".encode("latin-1"), headers={"Content-Type": "text/plain; charset=latin-1"}
    )
    assert refused(answer, 415, "type")["message"] == "the charset is latin-1; only UTF-8 is read"


@pytest.mark.parametrize(
    "body", [b"no picture", picture("PNG")[:40], picture("JPEG", size=(64, 64))[:200], picture("TIFF")]
)
def test_what_is_no_picture(pictures: TestClient, body: bytes) -> None:
    error = refused(
        pictures.post("/predict", content=body, headers={"Content-Type": "image/png"}), 422, "image"
    )
    assert error["message"].startswith("this is no picture that can be read: ")
    assert "0x" not in error["message"]
    assert error["hint"] == "known are JPEG, PNG, WEBP, GIF, BMP"


def test_a_picture_of_another_size(client_of: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(model_of(colours(2, 4)))
    assert (
        client.post("/predict", content=picture("PNG"), headers={"Content-Type": "image/png"}).status_code
        == 200
    )
    answer = client.post(
        "/predict", content=picture("PNG", size=(2, 4)), headers={"Content-Type": "image/png"}
    )
    assert refused(answer, 422, "image")["message"] == "expected a picture of height x width 2 x 4, got 4 x 2"
    monkeypatch.setattr(reading, "MAX_PIXELS", 7)
    answer = client.post("/predict", content=picture("PNG"), headers={"Content-Type": "image/png"})
    assert (
        refused(answer, 413, "size")["message"]
        == "the picture has 4 x 2 pixels; 7 are the most that is taken"
    )


# ---------------------------------------------------------------- the request itself


def test_media_types_that_are_not_taken(client: TestClient, pictures: TestClient, texts: TestClient) -> None:
    for media in (
        "text/plain",
        "image/png",
        "application/xml",
        "multipart/form-data; boundary=x",
        "nonsense",
    ):
        error = refused(client.post("/predict", content=b"{}", headers={"Content-Type": media}), 415, "type")
        assert error["message"] == (
            f"the Content-Type is {media.partition(';')[0]}; expected one of: application/json, "
            "application/vnd.apache.parquet, application/vnd.apache.arrow.stream"
        )
    error = refused(client.post("/predict", content=b"{}"), 415, "type")
    assert error["message"].startswith("there is no Content-Type; ")
    assert error["hint"] == "with curl: -H 'Content-Type: application/json'"
    assert "image/*" in refused(pictures.post("/predict", json=GOOD), 415, "type")["message"]
    refused(texts.post("/predict", content=b"x", headers={"Content-Type": "image/png"}), 415, "type")


@settings(deadline=None, max_examples=50)
@given(
    st.text("".join(map(chr, range(32, 127))), max_size=40),
    st.sampled_from(["", "application/json", "text/plain;"]),
)
@example("; charset*0=x; charset*=y", "text/plain")
@example("*/*; q=nan", "")
def test_no_header_gives_a_5xx(client: TestClient, text: str, start: str) -> None:
    value = start + text
    headers = {"Content-Type": value, "Accept": value, "Authorization": value, "Content-Encoding": text}
    assert client.post("/predict", json=GOOD, headers=headers).status_code < 500


def test_packed_bodies_and_other_answers_are_not_spoken(client: TestClient) -> None:
    answer = client.post("/predict", json=GOOD, headers={"Content-Encoding": "gzip"})
    assert "gzip" in refused(answer, 415, "type")["message"]
    answer = client.post("/predict", json=GOOD, headers={"Accept": "text/html, application/json;q=0"})
    assert "application/json" in refused(answer, 406, "accept")["message"]
    for accept in ("*/*", "application/*;q=0.1", "text/html, */*;q=0.1", ""):
        assert client.post("/predict", json=GOOD, headers={"Accept": accept}).status_code == 200


def test_bodies_that_are_too_large(client_of: Client, late: Model) -> None:
    small = client_of(late, max_body=1000)
    assert small.post("/predict", json=GOOD).status_code == 200
    error = refused(small.post("/predict", json={"rows": [GOOD] * 100}), 413, "size")
    assert error["message"] == "the body is larger than 1,000 bytes"

    def chunks() -> Iterator[bytes]:
        yield from [b" " * 400] * 3

    refused(small.post("/predict", content=chunks(), headers=JSON), 413, "size")  # without a Content-Length


def test_other_paths_and_methods(client: TestClient) -> None:
    error = refused(client.get("/nothing"), 404, "http")
    assert error["message"] == "GET /nothing: not found"
    assert "/predict" in error["hint"]
    answer = client.get("/predict")
    assert refused(answer, 405, "http")["message"] == "GET /predict: method not allowed"
    assert answer.headers["allow"] == "POST"
    error = refused(client.post("/predict?unknown=perhaps", json=GOOD), 422, "query")
    assert error["message"] == "query.unknown: Input should be 'refuse' or 'ignore', got \"perhaps\""


def test_what_the_model_cannot_compute(client_of: Client) -> None:
    from onnx import TensorProto, helper

    from tests.serve.conftest import by_hand

    node = helper.make_node("Gather", ["table", "place"], ["found"])
    table = helper.make_node("Constant", [], ["table"], value_floats=[1.0, 2.0])
    place = helper.make_tensor_value_info("place", TensorProto.INT64, [None, 1])
    found = helper.make_tensor_value_info("found", TensorProto.FLOAT, [None, 1])
    client = client_of(model_of(by_hand([table, node], [place], [found])))
    assert client.post("/predict", json={"place": 1}).json()["predictions"] == [{"found": 2.0}]
    error = refused(client.post("/predict", json={"place": 9}), 422, "model")
    assert error["message"].startswith("the model can compute nothing from this: ")


def test_a_defect_is_said_without_details(
    client_of: Client, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret")

    client = client_of(model_of(words()))
    monkeypatch.setattr(rows, "read", broken)
    answer = client.post("/predict", json={"text": "good"})
    refused(answer, 500, "defect")
    assert "secret" not in answer.text
    assert capsys.readouterr().err == "error: /predict: ZeroDivisionError: a secret\n"


def test_more_requests_than_can_be_served(
    client_of: Client, late: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave, real = threading.Event(), threading.Event(), rows.read

    def slow(*arguments: Any, **options: Any) -> Any:
        entered.set()
        assert leave.wait(30)
        return real(*arguments, **options)

    client = client_of(late)
    guard: Any = client.app
    guard._rules = guard._rules._replace(max_under_way=1)
    monkeypatch.setattr(rows, "read", slow)
    answers: list[Any] = []
    first = threading.Thread(target=lambda: answers.append(client.post("/predict", json=GOOD)))
    first.start()
    try:
        assert entered.wait(30)
        answer = client.get("/health")
    finally:
        leave.set()
        first.join()
    assert refused(answer, 503, "busy")["message"] == "1 requests are under way; try again"
    assert answer.headers["retry-after"] == "1"
    assert answers[0].status_code == 200
    assert client.get("/health").status_code == 200
