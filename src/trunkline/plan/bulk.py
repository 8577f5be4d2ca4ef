"""`digest.digest` for millions of records of one shape.

    head("datum") + listing(1) + listing(3) + text("raw") + …

A record's canonical encoding is put together here piece by piece, with the pieces that repeat
encoded once: ten times as fast as walking each value. The tests hold it equal to `digest.digest`.
"""

from __future__ import annotations

import hashlib
from functools import partial

from trunkline.digest import SCHEME

sha256 = partial(hashlib.sha256, usedforsecurity=False)


def head(tag: str) -> bytes:
    """How the encoding of a record of type `tag` begins."""
    return f"trunkline/{tag}/{SCHEME}\n".encode()


def listing(length: int) -> bytes:
    """How the encoding of a list of `length` values begins."""
    return b"l%d:" % length


def text(value: str) -> bytes:
    """The encoding of a text."""
    data = value.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(data), data)
