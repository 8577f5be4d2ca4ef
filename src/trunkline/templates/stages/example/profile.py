"""The stage `profile` of the pipeline `example`: called once, with all tables together."""

from pathlib import Path
from typing import Any

import pandas as pd


def profile(tables: list[Path]) -> dict[str, Any]:
    """Every column of all files together: how many values, how many missing, their range."""
    frames = [pd.read_parquet(path) for path in tables]
    frame = pd.concat(frames) if frames else pd.DataFrame()
    numbers = frame.select_dtypes("number")
    columns = pd.DataFrame(
        {
            "column": list(frame.columns),
            "values": [int(frame[name].count()) for name in frame.columns],
            "missing": [int(frame[name].isna().sum()) for name in frame.columns],
            "mean": [float(numbers[name].mean()) if name in numbers else None for name in frame.columns],
            "smallest": [float(numbers[name].min()) if name in numbers else None for name in frame.columns],
            "largest": [float(numbers[name].max()) if name in numbers else None for name in frame.columns],
        }
    )
    metrics = {
        "files": len(frames),
        "rows": len(frame),
        "columns": len(frame.columns),
        "missing_share": round(float(frame.isna().to_numpy().mean()), 6) if frame.size else 0.0,
    }
    return {"columns.parquet": columns, "metrics.json": metrics}
