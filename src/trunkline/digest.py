"""Digests: what has the same digest is the same thing, for ever.

Two families, never mixed:

- Content hashes are DVC's: the md5 of a file's bytes, and for a directory the md5 of its listing
  with the suffix `.dir`. The listing is JSON, exactly as DVC writes it:

      [{"md5": "5d41…", "relpath": "2013-01-01.csv"}, {"md5": "7d79…", "relpath": "b/2.csv"}]

- Identities and keys are ours: `digest(tag, value)` is the sha256 of the record type, the scheme
  version and the canonical encoding of a value. The encoding is prefix-free and typed, so that 1,
  1.0, True and "1" differ, and so do ["ab"] and ["a", "b"]. A value without a canonical form
  (a set, an object, a NaN) is a TypeError: a digest that guesses is worse than none.

`SCHEME` changes when anything that enters a digest changes; frozen examples stand in the tests.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from json.encoder import encode_basestring_ascii as _quoted

SCHEME = 1
_BLOCK = 1 << 20


def digest(tag: str, value: object) -> str:
    """The sha256, in hex, of `value` as a record of type `tag`. Raises TypeError."""
    out: list[bytes] = [f"trunkline/{tag}/{SCHEME}\n".encode()]
    _encode(value, out)
    return hashlib.sha256(b"".join(out)).hexdigest()


def _encode(value: object, out: list[bytes]) -> None:
    match value:
        case None:
            out.append(b"n")
        case bool():
            out.append(b"t" if value else b"f")
        case int():
            text = b"%d" % value
            out.append(b"i%d:" % len(text) + text)
        case float():
            if not math.isfinite(value):
                raise TypeError(f"{value!r} has no canonical form: use a finite number")
            text = float.hex(value if value else 0.0).encode()
            out.append(b"d%d:" % len(text) + text)
        case str():
            data = value.encode("utf-8", "surrogatepass")
            out.append(b"s%d:" % len(data) + data)
        case bytes():
            out.append(b"b%d:" % len(value) + value)
        case list() | tuple():
            out.append(b"l%d:" % len(value))
            for item in value:
                _encode(item, out)
        case Mapping():
            out.append(b"m%d:" % len(value))
            for key in sorted(value, key=_text_key):
                _encode(key, out)
                _encode(value[key], out)
        case _:
            raise TypeError(f"a {type(value).__name__} has no canonical form: {value!r}")


def _text_key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a mapping with the key {key!r} has no canonical form: use text keys")
    return key


def md5_bytes(data: bytes) -> str:
    """DVC's content hash of these bytes."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sha256_file(path: str) -> str:
    """The sha256 of a file's bytes, which those ask for whom MD5 is not enough."""
    with open(path, "rb", buffering=0) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def md5_file(path: str) -> str:
    """DVC's content hash of the file at `path`."""
    hasher = hashlib.md5(usedforsecurity=False)
    with open(path, "rb", buffering=0) as stream:
        while block := stream.read(_BLOCK):
            hasher.update(block)
    return hasher.hexdigest()


def tree_bytes(files: Iterable[tuple[str, str]]) -> bytes:
    """DVC's listing of a directory, from (relative path, md5) pairs in any order."""
    rows = [f'{{"md5": "{md5}", "relpath": {_quoted(path)}}}' for path, md5 in sorted(files)]
    return f"[{', '.join(rows)}]".encode()


def tree_oid(files: Iterable[tuple[str, str]]) -> str:
    """DVC's content hash of a directory, from (relative path, md5) pairs in any order."""
    return listing_oid(tree_bytes(files))


def listing_oid(data: bytes) -> str:
    """DVC's content hash of a directory whose listing this is."""
    return md5_bytes(data) + ".dir"
