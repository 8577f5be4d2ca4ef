"""Digits as pictures, and what a network that was made for photographs sees in them.

    embed   model.onnx, train/split.parquet   ->  train/split.parquet: digit, embedding

A picture of a digit is a matter of choice, since the data has no more than 8 x 8 pixels; this choice was
made by the validation side.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from stages.predict import session_of

SIDE = 8
BRIGHTEST = 16  # of the data's pixels
PIXELS = [f"pixel_{row}_{column}" for row in range(SIDE) for column in range(SIDE)]
# The network has learnt from photographs: a smooth, dark digit on a wide light ground is nearer to those
# than squares are. It looks at the middle of a picture only, here at 196 of its 224 pixels.
ENLARGED = 96
MARGIN = 64


def embed(model: Path, rows: pa.Table) -> pa.Table:
    """`digit` and `embedding` of each row: what the network sees in the picture of it."""
    session = session_of(model.read_bytes())
    seen = [session.run(["features"], {"image": picture[None]})[0][0].tolist() for picture in pictures(rows)]
    return pa.table({"digit": rows["digit"], "embedding": pa.array(seen, pa.list_(pa.float32()))})


def pictures(rows: pa.Table) -> npt.NDArray[np.uint8]:
    """`uint8[rows,224,224,3]`: dark on light, in the middle."""
    missing = [name for name in PIXELS if name not in rows.column_names]
    if missing:
        raise ValueError(f"there is no column {', '.join(missing)}; a digit has {PIXELS[0]} to {PIXELS[-1]}")
    values = np.stack([rows[name].to_numpy() for name in PIXELS], axis=1).reshape(-1, SIDE, SIDE)
    ink = np.pad(np.round(values * (255 / BRIGHTEST)).astype(np.uint8), ((0, 0), (1, 1), (1, 1)))
    smooth = [
        Image.fromarray(255 - digit).resize((ENLARGED, ENLARGED), Image.Resampling.BICUBIC) for digit in ink
    ]
    frame = ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN))
    framed = np.pad(np.array(smooth).reshape(-1, ENLARGED, ENLARGED), frame, constant_values=255)
    return np.repeat(framed[..., None], 3, axis=3)
