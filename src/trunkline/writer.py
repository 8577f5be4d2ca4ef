"""Which code turns values into bytes, told without importing that code.

    trunkline/1 pyarrow/26.0.1

The tag enters the transform digest of every stage whose outputs we serialise, because another
pyarrow writes other bytes for the same table. It is asked for on the path of "nothing to do",
where importing pyarrow would cost more than everything else, so the version is read from the name
of pyarrow's metadata directory.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import import_module

SCHEME = 1
"""Grows when our own writing changes: the options of Parquet, the form of JSON, CSV, the manifest."""

_PREFIX, _SUFFIX = "pyarrow-", ".dist-info"


def tag(version: str) -> str:
    """The tag of this scheme with pyarrow at `version`."""
    return f"trunkline/{SCHEME} pyarrow/{version}"


@cache
def writer_tag() -> str:
    """The tag of what is installed here."""
    return tag(_installed() or _imported())


def _installed() -> str:
    """pyarrow's version by the directory that `import pyarrow` would read; "" where that is unclear."""
    for entry in sys.path:
        if os.path.isfile(os.path.join(entry, "pyarrow", "__init__.py")):
            names = [n for n in os.listdir(entry or ".") if n.startswith(_PREFIX) and n.endswith(_SUFFIX)]
            return names[0][len(_PREFIX) : -len(_SUFFIX)] if len(names) == 1 else ""
    return ""


def _imported() -> str:
    return str(import_module("pyarrow").__version__)
