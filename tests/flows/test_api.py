"""Our own client: a server that is busy is asked again; one that dies in the middle, where that does no harm."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from trunkline.flows import api
from trunkline.flows.api import Api, ApiError


class _Handler(BaseHTTPRequestHandler):
    """Answers as its server was told to: with a status, or by hanging up (0)."""

    server: _Server

    def _answer(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if status:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"status": status}).encode())

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


class _Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[int] = []
        self.asked: list[str] = []


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Server]:
    monkeypatch.setattr(api, "_PAUSES", (0.0,) * 3)
    with _Server() as serving:
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield serving
        serving.shutdown()


def client(server: _Server) -> Api:
    return Api(f"http://127.0.0.1:{server.server_port}/api", environ={})


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_busy_server_is_asked_again(server: _Server, method: str) -> None:
    server.answers = [503, 429, 503]
    assert client(server).call(method, "/flows/") == {"status": 200}
    assert server.asked == [f"{method} /api/flows/"] * 4


def test_and_not_for_ever(server: _Server) -> None:
    server.answers = [503] * 9
    with pytest.raises(ApiError) as raised:
        client(server).call("GET", "/flows/")
    assert (raised.value.status, len(server.asked)) == (503, 4)


@pytest.mark.parametrize(
    ("method", "path", "times"),
    [
        ("GET", "/flow_runs/1", 2),
        ("DELETE", "/flow_runs/1", 2),
        ("POST", "/flow_runs/filter", 2),
        ("POST", "/deployments/1/create_flow_run", 1),
    ],
)
def test_what_could_be_done_twice_is_not_repeated(
    server: _Server, method: str, path: str, times: int
) -> None:
    server.answers = [0, 0, 0]
    with pytest.raises(ApiError) as raised:
        client(server).call(method, path, {} if method == "POST" else None)
    assert (raised.value.status, len(server.asked)) == (0, times)


def test_whether_it_is_healthy_is_asked_once(server: _Server) -> None:
    server.answers = [503]
    assert not client(server).healthy()
    assert client(server).healthy()
