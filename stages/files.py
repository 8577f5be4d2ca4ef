"""Reading a partitioned dataset file by file, in one order on every machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def parquet_files(directory: Path) -> list[Path]:
    """Every Parquet file below `directory` that has rows, sorted by path."""
    files = sorted(directory.rglob("*.parquet"), key=lambda path: path.as_posix())
    return [file for file in files if pq.read_metadata(file).num_rows]


def tables(files: Sequence[Path], columns: Sequence[str] | None = None, rows: int = 0) -> Iterator[pa.Table]:
    """The rows of `files` in order, in tables of at least `rows` rows (the last may have fewer).

    Only one such table is in memory at a time.
    """
    waiting: list[pa.Table] = []
    for file in files:
        waiting.append(_read(file, columns))
        if sum(part.num_rows for part in waiting) >= rows:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def _read(file: Path, columns: Sequence[str] | None) -> pa.Table:
    with pq.ParquetFile(file) as opened:
        return opened.read(None if columns is None else list(columns), use_threads=False)
