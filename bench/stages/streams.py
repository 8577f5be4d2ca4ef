"""Stages that read a large dataset piece by piece."""

from __future__ import annotations

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
