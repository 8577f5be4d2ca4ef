"""A project whose pipeline trains a model; that model found by its names, and served by a process of its own."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from stages.predict import predict
from tests.serve.test_predict import packed, unpacked
from tests.support import ENVIRONMENT, Tree
from trunkline.cli.main import main
from trunkline.errors import StoreError, TrunklineError
from trunkline.project import Project
from trunkline.serve.found import find
from trunkline.serve.tables import ARROW, PARQUET

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0  # seconds; on a busy machine a process takes its time to start
TOKEN = "a-token-that-nobody-guesses"
PIPELINE = """\
pipeline: calls

stages:
  train:
    run: stages.train_late:train
    input: {rows: calls_raw/calls.csv}
    params: {strength: 1.0}
    model: {name: late, path: model.onnx}
"""
STAGE = '''\
"""Learns whether a call is late."""

import pandas as pd
from pathlib import Path
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from stages.onnx_export import onnx_bytes


def train(rows: Path, *, strength: float):
    """A model of two columns."""
    frame = pd.read_csv(rows)
    columns = ColumnTransformer([("same", "passthrough", ["age", "visits"])])
    model = Pipeline([("columns", columns), ("model", LogisticRegression(C=strength))])
    model.fit(frame[["age", "visits"]], frame["late"])
    data = onnx_bytes(model, "late", {"age": "float", "visits": "float"})
    return {"model.onnx": data, "about.json": {"rows": len(frame)}}
'''
CALLS = "age,visits,late\n" + "".join(f"{20 + 3 * i},{i * 7 % 10},{int(i * 7 % 10 > 4)}\n" for i in range(24))


ROWS = pa.table({"age": [20.0, 50.0, 70.0], "visits": [1, 5, 9]})


@pytest.fixture(scope="module")
def made(_empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """The project, run twice: with `strength` 1 and committed, then with 0.01, in the working tree."""
    tree = Tree(Path(shutil.copytree(_empty, tmp_path_factory.mktemp("serve") / "project")))
    for name in ("__init__", "onnx_export"):
        tree.write(f"stages/{name}.py", (ROOT / f"stages/{name}.py").read_bytes())
    tree.write("stages/train_late.py", STAGE)
    tree.write("pipelines/calls.yaml", PIPELINE)
    tree.write("data/calls_raw/calls.csv", CALLS)
    tree.dvc("add", "-q", "data/calls_raw")
    tree.trunkline("run")
    tree.commit("Train")
    tree.write("pipelines/calls.yaml", PIPELINE.replace("1.0", "0.01"))
    tree.trunkline("run")
    return tree


@pytest.fixture
def project(made: Tree) -> Iterator[Project]:
    with Project.find(str(made.root)) as found:
        yield found


def lineage(tree: Tree, name: str) -> Any:
    return tree.trunkline("lineage", name, "--json").data


# ---------------------------------------------------------------- which model


def test_a_model_by_each_of_its_names(made: Tree, project: Project) -> None:
    runs = [run["id"] for run in made.trunkline("runs", "--json").data]
    now, old = find(project, "late"), find(project, "late@main")
    assert now.name == old.name == "late"
    assert now.version != old.version
    assert [now.run, old.run] == runs
    for name in (
        now.version,
        now.version[:8],
        "late@latest",
        "calls.train",
        "calls.train/model.onnx",
        f"late@{runs[0]}",
    ):
        assert find(project, name)[:4] == now[:4], name
    for name in (old.version[:8], f"late@{old.version[:8]}", f"late@{runs[1]}", "late@HEAD"):
        assert find(project, name)[:4] == old[:4], name


def test_its_lineage_is_what_the_command_says(made: Tree, project: Project) -> None:
    for name in ("late", "late@main"):
        found = find(project, name)
        assert json.loads(json.dumps(found.lineage)) == lineage(made, name)
        assert found.lineage["root"] == f"model:late@{found.version}"


def test_a_file_that_is_there_is_found_by_its_content(
    made: Tree, project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made.root)
    here = find(project, "data/calls/train/model.onnx")
    assert here[:4] == find(project, "late")[:4]
    copy = tmp_path / "copied.onnx"
    copy.write_bytes(find(project, "late@main").data)
    assert find(project, str(copy))[:4] == find(project, "late@main")[:4]
    copy.write_bytes(b"of nobody")
    foreign = find(project, str(copy))
    assert (foreign.name, foreign.run, foreign.lineage["found"]) == ("copied.onnx", "", False)


def test_a_folder_hides_no_name(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = find(project, "late")
    monkeypatch.chdir(tmp_path)
    for name in ("late", "calls.train", "folder.onnx"):
        (tmp_path / name).mkdir()
    assert find(project, "late") == expected
    assert find(project, "calls.train/model.onnx")[:4] == expected[:4]
    assert find(project, "calls.train")[:4] == expected[:4]
    with pytest.raises(StoreError, match="cannot be read: Is a directory"):
        find(project, "folder.onnx")


def test_what_is_not_in_the_cache_comes_from_the_remote(made: Tree, tmp_path: Path) -> None:
    tree = made.copy(tmp_path / "project")
    tree.dvc("remote", "add", "-d", "there", str(tmp_path / "remote"))
    tree.dvc("push", "-q")
    with Project.find(str(tree.root)) as project:
        before = find(project, "late")
    shutil.rmtree(tree.root / ".dvc/cache/files")
    with Project.find(str(tree.root)) as project:
        assert find(project, "late") == before


def test_what_cannot_be_served(made: Tree, project: Project) -> None:
    def said(name: str) -> tuple[str, str]:
        with pytest.raises(TrunklineError) as caught:
            find(project, name)
        return caught.value.message, caught.value.hint

    assert said("calls.train/about.json") == (
        "data/calls/train/about.json is no ONNX model",
        "`trunkline serve` serves ONNX files, and no others",
    )
    assert said("calls_raw") == ("calls_raw has no ONNX file", "name one: data/calls_raw/FILE")
    assert said("lat")[0] == "there is no dataset, stage, model or file 'lat'"


# ---------------------------------------------------------------- the command


def test_a_wrong_command_line(
    made: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str) -> str:
        assert main(["serve", *arguments]) == 2
        return capsys.readouterr().err

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TRUNKLINE_TOKEN", raising=False)
    monkeypatch.chdir(made.root)
    assert said("late", "--host", "0.0.0.0") == (
        "error: with --host 0.0.0.0 others can ask too, and there is no token\n"
        "  type `openssl rand -hex 24 > FILE` and --token-file FILE, or put one into TRUNKLINE_TOKEN\n"
    )
    assert "the token cannot be read: No such file" in said("late", "--token-file", "nowhere")
    monkeypatch.setenv("TRUNKLINE_TOKEN", "short")
    assert "$TRUNKLINE_TOKEN: a token has 16 characters or more" in said("late")
    monkeypatch.setenv("TRUNKLINE_TOKEN", "with blanks and more of them")
    assert "a token is one word" in said("late")
    for option, value in (("--port", "70000"), ("--port", "x"), ("--threads", "0"), ("--max-body", "0")):
        assert f"argument {option}: '{value}' is" in said("late", option, value)


def test_without_the_extra_it_is_said_what_to_install(
    made: Tree, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("trunkline.serve")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.chdir(made.root)
    assert main(["serve", "late"]) == 3
    assert capsys.readouterr().err == (
        'error: to serve a model needs onnxruntime, which is not installed\n  type `pip install "trunkline[serve]"`\n'
    )


# ---------------------------------------------------------------- a real server


@contextmanager
def served(tree: Tree, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """The process, and what it said when it was ready. Whatever happens, it is gone afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trunkline", "serve", *arguments, "--json"],
        cwd=tree.root, env=tree.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process, _ready(process)
    finally:
        process.kill()
        process.communicate()


def _ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    late = threading.Timer(PATIENCE, process.kill)
    late.start()
    text = ""
    try:
        for line in process.stdout:
            text += line
            if line == "}\n":
                answer: dict[str, Any] = json.loads(text)["data"]
                return answer
    finally:
        late.cancel()
    raise AssertionError(process.communicate())


def _half_a_request(url: str) -> socket.socket:
    """A connection over which the first half of a request has gone."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    half = socket.create_connection((host, int(port)), timeout=PATIENCE)
    body = b'{"age": 50, '
    head = [
        "POST /predict HTTP/1.1", "Host: localhost", f"Authorization: Bearer {TOKEN}",
        "Content-Type: application/json", f"Content-Length: {len(body) + 12}", "Expect: 100-continue",
    ]  # fmt: skip
    half.sendall("\r\n".join([*head, "", ""]).encode())
    assert half.recv(100).startswith(b"HTTP/1.1 100"), "the application waits for the body"
    half.sendall(body)
    return half


def refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/health", timeout=PATIENCE)
    except httpx.TransportError:
        return True
    return False


def _many_at_a_time(client: httpx.Client, expected: pa.Table) -> None:
    """Each client gets the answer to its own rows."""

    def ask(number: int) -> bool:
        row = number % ROWS.num_rows
        answer = client.post("/predict", json=ROWS.slice(row, 1).to_pylist()[0])
        probability = [expected[f"probability_{place}"][row].as_py() for place in (0, 1)]
        return bool(answer.json()["predictions"][0]["probability"] == probability)

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(80)))


def test_a_real_server(made: Tree, tmp_path: Path) -> None:
    tree = made.copy(tmp_path / "project")
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    expected = predict(tree.root / "data/calls/train/model.onnx", ROWS)
    with served(
        tree, "late", "--host", "0.0.0.0", "--port", "0", "--token-file", str(tmp_path / "token")
    ) as (
        process,
        said,
    ):
        assert said["pid"] == process.pid
        assert said["token"] is True
        url = said["url"].replace("0.0.0.0", "127.0.0.1")
        assert httpx.get(f"{url}/health").status_code == 401
        with httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=PATIENCE
        ) as client:
            assert client.get("/health").json() == {"status": "ok", "model": said["model"]}
            assert client.get("/lineage").json()["data"] == lineage(tree, "late")
            assert "late" in client.get("/", follow_redirects=True).text
            assert "/predict" in client.get("/openapi.json").json()["paths"]
            for body in (b"{", b'{"age": "x"}'):
                answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
                assert answer.status_code in (400, 422)

            # a later run, and a cache that is emptied, change nothing of what is served
            tree.write("pipelines/calls.yaml", PIPELINE.replace("1.0", "5.0"))
            tree.trunkline("run")
            shutil.rmtree(tree.root / ".dvc/cache/files")
            answer = client.post(
                "/predict", content=packed(ROWS, PARQUET), headers={"Content-Type": PARQUET, "Accept": ARROW}
            )
            assert unpacked(answer.content, ARROW).equals(expected)
            assert answer.headers["trunkline-version"] == said["model"]["version"]
            assert "trunkline_rows_total 3.0" in client.get("/metrics").text
            _many_at_a_time(client, expected)
        with _half_a_request(url) as half:
            process.send_signal(signal.SIGTERM)
            while not refuses(url):  # it listens no longer
                assert process.poll() is None, "what is being answered is answered first"
            half.sendall(b'"visits": 5}')
            answered = half.makefile("rb").read()
        assert answered.startswith(b"HTTP/1.1 200 OK")
        assert b'"predictions"' in answered
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out, err) == (0, "", "")
    assert predict(tree.root / "data/calls/train/model.onnx", ROWS) != expected, "the run made another model"
