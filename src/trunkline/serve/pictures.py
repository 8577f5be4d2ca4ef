"""A picture as it was sent -> the model's input: uint8 [1,height,width,3], RGB.

The first frame, without alpha, as it is stored. Resizing, cropping and normalising are the
model's own business; where its input has a fixed size, the picture must have it.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image

from trunkline.serve.network import Array, Tensor
from trunkline.serve.refusals import Refused
from trunkline.tables import first_line

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
MAX_PIXELS = 50_000_000


def read(body: bytes, wanted: Tensor) -> dict[str, Array]:
    """The picture as the one input of the model. Raises Refused."""
    try:
        with _opened(body) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Refused(
                    413,
                    "size",
                    f"the picture has {width} x {height} pixels; {MAX_PIXELS:,} are the most that is taken",
                )
            _check(wanted, height, width)
            return {wanted.name: np.asarray(image.convert("RGB"), np.uint8)[None]}
    except Refused:
        raise
    except Exception as error:  # Pillow's decoders raise whatever they meet
        known = ", ".join(FORMATS)
        raise Refused(
            422, "image", f"this is no picture that can be read: {_said(error)}", hint=f"known are {known}"
        ) from error


def _opened(body: bytes) -> Image.Image:
    """The picture, not yet unpacked. Pillow warns of large ones; the limit is ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(body), formats=FORMATS)


def _check(wanted: Tensor, height: int, width: int) -> None:
    _, high, wide, _ = wanted.shape
    if (high is not None and high != height) or (wide is not None and wide != width):
        size = f"{'any' if high is None else high} x {'any' if wide is None else wide}"
        raise Refused(
            422,
            "image",
            f"expected a picture of height x width {size}, got {height} x {width}",
            hint="resize it",
        )


def _said(error: Exception) -> str:
    """What Pillow says, but for the address of an object in memory."""
    text = first_line(error)
    return "unknown format" if text.startswith("cannot identify") else text
