"""A folder of images to a table.

digits/3/a.png               path       label  width  height  image
digits/7/b.jpg       ->      3/a.png    3      28     28      the file, or a PNG of one size
                             7/b.jpg    7      31     40      …
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".webp")
SCHEMA = pa.schema(
    {
        "path": pa.string(),
        "label": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "image": pa.binary(),
    }
)


def ingest_images(raw: Path, *, size: int | None = None) -> pa.Table:
    """A folder of images, or one image, as a table: path, label, width, height, image. Raises ValueError.

    `label` is the folder that the image lies in, empty at the top. With `size`, `image` is a PNG, RGB,
    of size by size pixels, cropped at the centre; without it, it is the file as it is.
    """
    files = [raw] if raw.is_file() else sorted(raw.rglob("*"), key=lambda path: path.as_posix())
    files = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not files:
        raise ValueError(f"there is no image below {raw.name}; {', '.join(SUFFIXES)} are looked for")
    base = raw.parent if raw.is_file() else raw
    return pa.Table.from_pylist([_image(file, base, size) for file in files], schema=SCHEMA)


def _image(file: Path, base: Path, size: int | None) -> dict[str, Any]:
    path = file.relative_to(base)
    label = path.parent.as_posix() if len(path.parts) > 1 else ""
    try:
        with Image.open(file) as image:
            width, height = image.size
            data = file.read_bytes() if size is None else _cropped(image, size)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path.as_posix()} cannot be read as an image: {error}") from error
    return {"path": path.as_posix(), "label": label, "width": width, "height": height, "image": data}


def _cropped(image: Image.Image, size: int) -> bytes:
    stream = BytesIO()
    ImageOps.fit(image.convert("RGB"), (size, size)).save(stream, "PNG")
    return stream.getvalue()
