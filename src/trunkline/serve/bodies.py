"""What was sent -> the model's columns, by its media type.

application/json                      rows, or one row
application/vnd.apache.parquet        a table
application/vnd.apache.arrow.stream   a table
text/plain                            for models of one text column: a line is a row
image/*                               for models of pictures: one picture; its bytes say which format
"""

from __future__ import annotations

import importlib

import numpy as np

from trunkline.errors import TrunklineError
from trunkline.serve import rows, tables
from trunkline.serve.network import Array, Network
from trunkline.serve.refusals import Refused, few

JSON, TEXT, IMAGE = "application/json", "text/plain", "image/*"
FORM = "application/x-www-form-urlencoded"  # what curl says when told nothing


class Bodies:
    """Reads bodies for one model. Raises TrunklineError where a library for them is missing."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.accepts = (
            (IMAGE,)
            if network.takes_image
            else (JSON, tables.PARQUET, tables.ARROW, *((TEXT,) if network.takes_text else ()))
        )
        if network.takes_image:
            try:
                self._pictures = importlib.import_module("trunkline.serve.pictures")
            except ImportError as error:
                raise TrunklineError(
                    "to serve a model of pictures needs pillow, which is not installed",
                    hint='type `pip install "trunkline[serve]"`',
                ) from error

    def check(self, content_type: str, encoding: str = "") -> str:
        """The media type to read by, of what the model takes. Raises Refused, with 415."""
        media, charset = _parsed(content_type)
        known = "expected one of: " + ", ".join(self.accepts)
        if encoding not in ("", "identity"):
            raise Refused(415, "type", f"the body is packed ({encoding}); send it as it is")
        if charset not in ("", "utf-8", "utf8", "us-ascii"):
            raise Refused(415, "type", f"the charset is {charset}; only UTF-8 is read")
        if self._network.takes_image and media.startswith("image/"):
            return IMAGE
        if media in self.accepts:
            return media
        what = f"the Content-Type is {media}" if media else "there is no Content-Type"
        hint = (
            f"with curl: -H 'Content-Type: {self.accepts[0].replace('*', 'jpeg')}'"
            if media in ("", FORM)
            else ""
        )
        raise Refused(415, "type", f"{what}; {known}", hint=hint)

    def read(self, body: bytes, media: str, *, ignore: bool = False) -> dict[str, Array]:
        """The columns; `ignore`: others than the model's do not matter. Raises Refused."""
        if not body:
            raise Refused(400, "empty", "the body is empty")
        if media == IMAGE:
            found: dict[str, Array] = self._pictures.read(body, self._network.inputs[0])
            return found
        if media == TEXT:
            return {self._network.inputs[0].name: _lines(body)}
        if media == JSON:
            return rows.read(body, self._network.inputs, ignore=ignore)
        return tables.read(body, media, self._network.inputs, ignore=ignore)


def _lines(body: bytes) -> Array:
    """A line is a text; the end of the last line begins no further one."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        where = f"byte {error.start} is {body[error.start]:#04x}"
        raise Refused(400, "text", f"this is not UTF-8: {where}") from error
    text = text.removesuffix("\n")
    few(text.count("\n") + 1)
    return np.array([line.removesuffix("\r") for line in text.split("\n")], np.object_)


def _parsed(content_type: str) -> tuple[str, str]:
    """(media type, charset) in small letters."""
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    named = (part.partition("=") for part in parameters)
    return media, next((value.strip('"') for name, _, value in named if name == "charset"), "")
