"""Stages that read a large dataset piece by piece."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq


def by_file(parts: Path) -> dict[str, Any]:
    """The sum of a column, file by file."""
    total = 0.0
    for path in sorted(parts.rglob("*.parquet")):
        with pq.ParquetFile(path) as file:
            total += pc.sum(file.read(["value"], use_threads=False)["value"]).as_py()
    return {"total.json": {"total": total}}


def by_batch(parts: ds.Dataset) -> dict[str, Any]:
    """The same by the batches of a lazy dataset."""
    batches = parts.to_batches(columns=["value"], batch_readahead=2, fragment_readahead=1)
    return {"total.json": {"total": sum(pc.sum(batch["value"]).as_py() or 0.0 for batch in batches)}}


def by_block(parts: Path, out: Path) -> None:
    """A copy of every file, block by block."""
    for path in sorted(parts.iterdir()):
        with path.open("rb") as source, (out / path.name).open("wb") as target:
            target.write(source.read(8)[::-1])  # else it would be the same object
            shutil.copyfileobj(source, target)


def scattered(parts: Path, out: Path) -> None:
    """As many small files as the input says."""
    for number in range(int((parts / "count.txt").read_text())):
        (out / f"{number:05}.txt").write_text(f"part {number}\n")
