"""What the server says of itself, who may ask, and which models it takes."""

from __future__ import annotations

import hashlib
import re
import signal
import socket
from typing import Any

import jsonschema
import pytest
from onnx import TensorProto, helper
from starlette.testclient import TestClient

from tests.serve.conftest import LINEAGE, RUN, Client, by_hand, learnt, model_of
from tests.serve.test_predict import ROWS
from trunkline.errors import CorruptData, TrunklineError, UsageError
from trunkline.serve.app import Served, Settings, application
from trunkline.serve.found import Model
from trunkline.serve.network import Network
from trunkline.serve.server import address_of, listen, serve

READ = ("/schema", "/health", "/lineage", "/metrics", "/docs", "/openapi.json")
TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("path", [*READ, "/", "/nothing"])
def test_every_answer_names_model_version_and_run(client: TestClient, late: Model, path: str) -> None:
    answer = client.get(path, follow_redirects=False)
    assert late.version == hashlib.md5(late.data).hexdigest()
    assert answer.headers["trunkline-model"] == "late"
    assert answer.headers["trunkline-version"] == late.version
    assert answer.headers["trunkline-run"] == RUN
    if answer.headers.get("content-type") == "application/json" and path != "/openapi.json":
        assert answer.json()["model"] == {"name": "late", "version": late.version, "run": RUN}


def test_a_model_of_no_known_run(client_of: Client) -> None:
    client = client_of(model_of(learnt(), "a/mödel.onnx", run=""))
    answer = client.get("/health")
    assert answer.headers["trunkline-run"] == "unknown"
    assert answer.headers["trunkline-model"] == "a/m%C3%B6del.onnx"
    assert answer.json()["model"]["run"] is None


def test_the_schema_is_that_of_the_model(client: TestClient) -> None:
    found = client.get("/schema").json()
    assert [(each["name"], each["type"]) for each in found["inputs"]] == [
        ("age", "float"), ("visits", "int64"), ("city", "string"),
    ]  # fmt: skip
    assert [(each["name"], each["type"], each["shape"]) for each in found["outputs"]] == [
        ("label", "int64", [None]), ("probability", "float", [None, 2]),
    ]  # fmt: skip
    assert found["kind"] == "rows"
    assert found["limits"] == {"body_bytes": 16 << 20, "rows": 1_000_000}


def test_kinds_of_models(texts: TestClient, pictures: TestClient) -> None:
    assert texts.get("/schema").json()["kind"] == "text"
    found = pictures.get("/schema").json()
    assert (found["kind"], found["accepts"], found["classes"]) == (
        "image",
        ["image/*"],
        ["red", "green", "blue"],
    )


def test_openapi_describes_what_is_taken_and_refused(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert document["paths"].keys() == {"/predict", "/schema", "/health", "/lineage", "/metrics"}
    predict = document["paths"]["/predict"]["post"]
    known = predict["requestBody"]["content"]["application/json"]
    check = jsonschema.Draft202012Validator(known["schema"])
    assert check.is_valid({"rows": ROWS})
    assert check.is_valid(ROWS[0])
    some: list[dict[str, Any]] = [
        {},
        {"rows": []},
        {**ROWS[0], "age": "x"},
        {**ROWS[0], "visits": 1.5},
        {**ROWS[0], "x": 1},
    ]
    for wrong in some:
        assert not check.is_valid(wrong)
        assert client.post("/predict", json=wrong).status_code == 422
    answer = client.post("/predict", json=known["example"])
    assert answer.status_code == 200
    of = {
        status: each["content"]["application/json"]["schema"] for status, each in predict["responses"].items()
    }
    jsonschema.validate(answer.json(), of["200"])
    jsonschema.validate(client.post("/predict", json={}).json(), of["422"])
    assert set(of) == {"200", "400", "401", "406", "413", "415", "422", "503"}


def test_the_page_shows_the_schema_and_loads_nothing(
    client: TestClient, texts: TestClient, pictures: TestClient
) -> None:
    for each in (client, texts, pictures):
        answer = each.get("/")
        assert answer.url.path == "/docs"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        for shown in ("/predict", "/lineage", *(one["name"] for one in each.get("/schema").json()["inputs"])):
            assert shown in answer.text
        assert not re.search(r"(src|href)=.?(https?:)?//", answer.text)
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_lineage_is_that_of_the_model(client: TestClient) -> None:
    found = client.get("/lineage").json()
    assert (found["command"], found["schema"], found["data"]) == ("lineage", 1, dict(LINEAGE))


def test_metrics_count(client_of: Client, late: Model) -> None:
    client = client_of(late)
    client.post("/predict", json={"rows": ROWS})
    client.post("/predict", json={})
    client.get("/whatever")
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.text.splitlines()
    assert f'trunkline_model_info{{name="late",run="{RUN}",version="{late.version}"}} 1.0' in lines
    assert 'trunkline_requests_total{path="/predict",status="200"} 1.0' in lines
    assert 'trunkline_requests_total{path="/predict",status="422"} 1.0' in lines
    assert 'trunkline_requests_total{path="other",status="404"} 1.0' in lines
    assert "trunkline_rows_total 3.0" in lines
    assert "trunkline_model_seconds_count 1.0" in lines
    assert "trunkline_requests_in_progress 1.0" in lines, "this one"
    assert 'trunkline_request_seconds_count{path="/predict"} 2.0' in lines


# ---------------------------------------------------------------- who may ask


def test_with_a_token_everything_asks_for_it(client_of: Client, late: Model) -> None:
    client = client_of(late, token=TOKEN)
    for path in (*READ, "/", "/nothing"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.json()["error"]["code"] == "token"
    for wrong in (
        "Bearer",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xff",
    ):
        headers = {b"Authorization": wrong.encode("latin-1")}
        assert client.post("/predict", json=ROWS[0], headers=headers).status_code == 401
    for right in (f"Bearer {TOKEN}", f"bearer  {TOKEN} "):
        assert client.post("/predict", json=ROWS[0], headers={"Authorization": right}).status_code == 200
        elsewhere = {"Authorization": right, "Host": "models.example.org"}
        assert client.get("/health", headers=elsewhere).status_code == 200


def test_without_a_token_only_names_of_this_machine_are_answered(client: TestClient) -> None:
    for host in (
        "localhost",
        "LOCALHOST:8000",
        "127.0.0.1",
        "127.0.0.1:9",
        "127.8.8.8",
        "[::1]",
        "[::1]:8000",
    ):
        assert client.get("/health", headers={"Host": host}).status_code == 200, host
    for host in (
        "evil.example",
        "localhost.evil.example",
        "10.0.0.1:8000",
        "127.0.0.1.evil.example",
        "[::2]:1",
        "",
    ):
        answer = client.get("/health", headers={"Host": host})
        assert answer.status_code == 421, host
        assert answer.json()["error"]["code"] == "host"


def test_others_are_let_in_with_a_token_alone() -> None:
    for host in ("0.0.0.0", "::"):
        with pytest.raises(UsageError, match="others can ask too, and there is no token") as caught:
            listen(host, 0, open_to_others=False)
        assert "--token-file" in caught.value.hint
    with listen("0.0.0.0", 0, open_to_others=True) as listening:
        assert re.fullmatch(r"http://0\.0\.0\.0:\d+", address_of(listening))
    with listen("127.0.0.1", 0, open_to_others=False) as listening:
        assert listening.proto == socket.IPPROTO_TCP, "else each answer waits for an ACK"
        port = listening.getsockname()[1]
        with pytest.raises(UsageError, match="cannot listen there") as caught:
            listen("127.0.0.1", port, open_to_others=False)
    assert "--port 0" in caught.value.hint
    with pytest.raises(UsageError, match="there is no such host"):
        listen("no such host", 0, open_to_others=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_either_signal_ends_the_server_and_is_ours_no_longer(late: Model, number: signal.Signals) -> None:
    before = signal.getsignal(number)
    listening = listen("localhost", 0, open_to_others=False)
    serve(application(Served(late, Settings())), listening, lambda: signal.raise_signal(number))
    assert signal.getsignal(number) is before
    assert listening.fileno() == -1, "closed"


# ---------------------------------------------------------------- which models


def test_what_is_no_model_is_not_served() -> None:
    with pytest.raises(CorruptData, match="onnxruntime cannot load it"):
        Network(b"no model", "x.onnx")


def test_inputs_that_cannot_be_sent() -> None:
    node = helper.make_node("Identity", ["x"], ["y"])
    for kind, shape in (
        (TensorProto.FLOAT, [None, 4, 2]),
        (TensorProto.INT64, [None, 4]),
        (TensorProto.FLOAT, [2, 1]),
    ):
        ends: Any = [helper.make_tensor_value_info(name, kind, shape) for name in "xy"]
        with pytest.raises(
            UsageError, match=r"its input x is (float|int64)\[.*\], and .* no way to send that"
        ):
            Network(by_hand([node], ends[:1], ends[1:]), "x.onnx")


def test_a_missing_library_for_pictures_is_said(late: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from tests.serve.conftest import colours

    monkeypatch.setitem(sys.modules, "trunkline.serve.pictures", None)
    Served(late, Settings())
    with pytest.raises(TrunklineError, match="needs pillow") as caught:
        Served(model_of(colours()), Settings())
    assert caught.value.hint == 'type `pip install "trunkline[serve]"`'
