"""A stage over small Parquet files, as pandas frames."""

from __future__ import annotations

import pandas as pd


def scaled(part: pd.DataFrame) -> pd.DataFrame:
    """One more column."""
    return part.assign(scaled=(part["value"] - part["value"].mean()) * part["weight"])
