"""`python run.py STAGE`: one stage of `flights` over all of its files, in a plain loop.

Reads and writes below `data/` of the working directory, parameters from `params.yaml`. The stage
functions are those of the pipeline, unchanged; what is here is what they need around them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

DATA = Path("data")


def ingest(**params: Any) -> None:
    """data/flights_raw/*.csv to data/ingest/*.parquet."""
    _ingest(DATA / "flights_raw", DATA / "ingest", params)


def weather(**params: Any) -> None:
    """data/weather_raw/*.csv to data/weather/*.parquet."""
    _ingest(DATA / "weather_raw", DATA / "weather", params)


def _ingest(raw: Path, out: Path, params: Mapping[str, Any]) -> None:
    from stages.flights.ingest import ingest_csv

    for file in sorted(raw.glob("*.csv")):
        _save(out / f"{file.stem}.parquet", ingest_csv(file, **params))


def clean(**params: Any) -> None:
    """Flights and weather of each day to data/clean/{rows,counts}/*.parquet."""
    from stages.flights.clean import clean

    for file in sorted((DATA / "ingest").glob("*.parquet")):
        observed = DATA / "weather" / file.name
        if observed.exists():
            _save_parts("clean", file.name, clean(_load(file), _load(observed), **params))


def split(**params: Any) -> None:
    """data/clean/rows to data/split/{train,test,recent}/*.parquet."""
    from stages.flights.split import split

    for file in sorted((DATA / "clean" / "rows").glob("*.parquet")):
        _save_parts("split", file.name, split(_load(file), **params))


def train(**params: Any) -> None:
    """data/split/train to data/train/model.onnx."""
    from stages.flights.train import train

    for name, content in train(DATA / "split" / "train", **params).items():
        _save(DATA / "train" / name, content)


def evaluate(**params: Any) -> None:
    """Model and holdouts to data/evaluate/{metrics.json,…}."""
    from stages.flights.evaluate import evaluate

    model, sides = DATA / "train" / "model.onnx", DATA / "split"
    results = evaluate(model, sides / "test", sides / "recent", DATA / "clean" / "counts", **params)
    for name, content in results.items():
        _save(DATA / "evaluate" / name, content)


STAGES = {f.__name__: f for f in (ingest, weather, clean, split, train, evaluate)}


def _load(file: Path) -> pa.Table:
    with pq.ParquetFile(file) as opened:
        return opened.read(use_threads=False)


def _save_parts(stage: str, name: str, parts: Mapping[str, pa.Table]) -> None:
    for part, table in parts.items():
        _save(DATA / stage / part / name, table)


def _save(path: Path, content: Any) -> None:
    """A table as Parquet, bytes and text as they are, everything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    match content:
        case pa.Table():
            pq.write_table(content, path, compression="zstd")
        case bytes():
            path.write_bytes(content)
        case str():
            path.write_text(content, encoding="utf-8")
        case _:
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """Run the stages named on the command line, in that order."""
    params = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    for name in sys.argv[1:]:
        STAGES[name](**params.get(name, {}))


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    main()
