"""The stage `tidy` of the pipeline `example`: a plain function, called once for each file.

Files that are not CSV with commas, in UTF-8: let the function have the path and read it yourself,

    def tidy(raw: Path, *, drop_duplicates: bool) -> pd.DataFrame:
        frame = pd.read_csv(raw, sep=";", decimal=",", encoding="latin-1")
"""

import pandas as pd


def tidy(raw: pd.DataFrame, *, drop_duplicates: bool) -> pd.DataFrame:
    """One CSV file with clean column names, without empty and (on request) duplicate rows."""
    frame = raw.rename(columns=lambda name: "_".join(str(name).lower().split()))
    frame = frame.dropna(how="all")
    return frame.drop_duplicates() if drop_duplicates else frame
