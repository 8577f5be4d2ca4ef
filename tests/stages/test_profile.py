from __future__ import annotations

from io import BytesIO
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from stages.compare import compare
from stages.pictures import drawing, png
from stages.profile import profile

RANDOM = np.random.default_rng(4)
DATA = pd.DataFrame(
    {
        "price": np.where(RANDOM.random(80) < 0.1, np.nan, RANDOM.normal(100, 20, 80)),
        "age": RANDOM.integers(18, 90, 80),
        "city": RANDOM.choice(["Oslo", "Rome"], 80),
        "same": 1.0,
    }
)
ROWS = pa.Table.from_pandas(pd.concat([DATA, DATA[:3]]), preserve_index=False)


def test_the_summary_is_what_pandas_says() -> None:
    out = profile(ROWS)["profile.json"]
    frame = ROWS.to_pandas()
    assert (out["rows"], out["duplicates"]) == (83, int(frame.duplicated().sum()))
    for name in ("price", "age"):
        theirs, ours = frame[name].describe(), out["columns"][name]
        for key, other in (
            ("mean", "mean"),
            ("deviation", "std"),
            ("min", "min"),
            ("q25", "25%"),
            ("median", "50%"),
            ("max", "max"),
        ):
            assert ours[key] == pytest.approx(theirs[other], abs=1e-6)
        assert ours["missing"] == frame[name].isna().sum()
    assert out["columns"]["city"]["counts"] == frame["city"].value_counts().to_dict()


def test_correlations_are_those_of_pandas() -> None:
    related = profile(ROWS)["profile.json"]["correlations"]
    assert [(each["one"], each["other"]) for each in related] == [("price", "age")]
    assert related[0]["correlation"] == pytest.approx(
        ROWS.to_pandas()["price"].corr(ROWS.to_pandas()["age"]), abs=1e-6
    )


def test_the_pictures_are_pictures_and_the_same_every_time() -> None:
    out = profile(ROWS, title="Shops & more")
    assert out == profile(ROWS, title="Shops & more")
    for name in ("histograms.png", "pairs.png", "correlations.png"):
        with Image.open(BytesIO(out[name])) as image:
            assert min(image.size) > 100
            assert len(image.convert("RGB").getcolors(1 << 20) or ()) > 10
    assert "Shops &amp; more" in out["report.html"]
    assert out["report.html"].count("data:image/png;base64,") == 3


def test_nobodys_own_settings_change_a_picture() -> None:
    def drawn() -> bytes:
        with drawing(3, 2) as figure:
            figure.subplots().plot([1, 2], [2, 1])
            return png(figure)

    before = drawn()
    with matplotlib.rc_context({"lines.linewidth": 9, "savefig.dpi": 30, "font.size": 20, "axes.grid": True}):
        assert drawn() == before
    assert b"matplotlib" not in before.lower()


def test_what_cannot_be_profiled_says_why() -> None:
    with pytest.raises(ValueError, match="no column colour; there are price"):
        profile(ROWS, columns=["colour"])
    with pytest.raises(ValueError, match="pairs names city, which are no numbers"):
        profile(ROWS, pairs=["city", "age"])


def test_two_models_stand_beside_each_other(tmp_path: Path) -> None:
    for name, rmse in (("one", 2.5), ("other", 1.5)):
        (tmp_path / f"{name}.json").write_text(f'{{"holdout": {{"rmse": {rmse}}}}}')
    files = (tmp_path / "one.json", tmp_path / "other.json")
    out = compare(*files, names=["alone", "all"], measures=["rmse"])
    assert out["compared.json"] == [{"measure": "rmse", "alone": 2.5, "all": 1.5}]
    with pytest.raises(ValueError, match="holdout has no r2; it has rmse"):
        compare(*files, names=["alone", "all"], measures=["r2"])
