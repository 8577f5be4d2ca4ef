"""One day's CSV file, of flights or of weather, to typed Parquet: `stages/ingest.py` with this pipeline's types."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from stages.flights.columns import TYPES
from stages.ingest import ingest_csv as ingest


def ingest_csv(raw: Path) -> pa.Table:
    """The table in `raw`, with the types of `columns.py` by the columns' names. Raises ValueError."""
    return ingest(raw, types=TYPES)
