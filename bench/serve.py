"""`trunkline serve` under load on loopback: clients that ask at the same time, each as fast as it is answered.

Against a bare loop around onnxruntime, in one process, over the same rows in memory. What is told is the
time a request takes beyond it, all requests counted: HTTP, parsing, checking, writing the answer, and
the clients, which need processors too. A single answer that is not 200 fails the bench.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from bench.figures import Figure
from bench.processes import CommandFailed, Cost, environment
from bench.projects import HERE, Tree
from bench.sizes import Sizes
from stages.onnx_export import onnx_bytes

NAME = "serve"
MODEL = "late.onnx"
ROWS = "rows.parquet"
NUMBERS = tuple(f"number_{place}" for place in range(9))
WORDS = ("carrier", "origin", "dest")
INPUTS = dict.fromkeys(NUMBERS, "float") | dict.fromkeys(WORDS, "string")
JSON, PARQUET = "application/json", "application/vnd.apache.parquet"
# rows of a request, its form, clients, and for how many of the requests of one row it stands
LOADS = (
    (1, JSON, 1, 1),
    (1, JSON, 4, 1),
    (1, JSON, 16, 1),
    (1, JSON, 64, 1),
    (100, JSON, 16, 4),
    (10_000, PARQUET, 4, 40),
)


def bench(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    """A figure for every load."""
    tree = make("serve")
    rows = _rows(10_000)
    tree.write(MODEL, _model(rows))
    tree.write(ROWS, _parquet(rows))
    with _server(tree) as (pid, url):
        for count, media, clients, fewer in LOADS:
            yield _load(
                tree, pid, url, rows.head(count), media, clients, max(sizes.requests // fewer, clients)
            )


def _load(
    tree: Tree, pid: int, url: str, rows: pd.DataFrame, media: str, clients: int, requests: int
) -> Figure:
    body = _parquet(rows) if media == PARQUET else json.dumps({"rows": rows.to_dict("records")}).encode()
    file = tree.write("body", body)
    _said(tree, HERE / "ask_server.py", url, str(file), media, str(clients), str(clients * 5))
    before = _cpu(pid)
    asked = _said(tree, HERE / "ask_server.py", url, str(file), media, str(clients), str(requests))
    ours = Cost(_cpu(pid) - before, asked["wall"], 0)
    bare = _said(tree, HERE / "floors/onnxruntime_loop.py", MODEL, ROWS, str(len(rows)), str(requests))
    form = "JSON" if media == JSON else "Parquet both ways"
    p50, p95, p99 = (f"{asked[name] * 1000:.1f}" for name in ("p50", "p95", "p99"))
    rate = requests / asked["wall"]
    what = f"{len(rows):,} row{'s' if len(rows) > 1 else ''} {form}, {clients} client{'s' if clients > 1 else ''}: {p50}/{p95}/{p99} ms, {rate:,.0f}/s"
    against = f"onnxruntime: {requests / bare['wall']:,.0f}/s"
    floor = Cost(bare["cpu"], bare["wall"], 0)
    return Figure(NAME, what, against, ours, floor, None, "ms a request", count=requests)


def _said(tree: Tree, script: Path, *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=tree.root, env=environment(tree.root), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise CommandFailed(f"{script.name} {' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


# ---------------------------------------------------------------- the model


def _rows(count: int) -> pd.DataFrame:
    draw = np.random.default_rng(1)
    numbers = {name: draw.normal(size=count).astype(np.float32).astype(float) for name in NUMBERS}
    words = {name: draw.choice([f"{name[0]}{place}" for place in range(30)], count) for name in WORDS}
    return pd.DataFrame(numbers | words).astype(dict.fromkeys(WORDS, object))


def _model(rows: pd.DataFrame) -> bytes:
    """Like the model of the pipeline `flights`: twelve columns, scaled, indicators, logistic regression."""
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), list(NUMBERS)),
            ("words", OneHotEncoder(handle_unknown="ignore"), list(WORDS)),
        ]
    )
    model = Pipeline([("columns", columns), ("model", LogisticRegression())])
    return onnx_bytes(model.fit(rows, rows["number_0"] + rows["number_1"] > 0), "late", INPUTS)


def _parquet(rows: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), sink)
    return sink.getvalue()


# ---------------------------------------------------------------- the server


@contextmanager
def _server(tree: Tree) -> Iterator[tuple[int, str]]:
    """(pid, address) of a server of the model; it is told to end, and has to end well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trunkline", "serve", MODEL, "--port", "0", "--json"],
        cwd=tree.root, env=environment(tree.root), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process.pid, _address(process)
        process.send_signal(signal.SIGTERM)
        if process.wait(60):
            raise CommandFailed(f"the server ended with {process.returncode}")
    finally:
        process.kill()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line == "}\n":
            return str(json.loads(text)["data"]["url"])
    raise CommandFailed(f"the server did not start\n{text}")


def _cpu(pid: int) -> float:
    """CPU seconds of a process so far; 0 where the system does not say it like this."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:
            words = stream.read().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
