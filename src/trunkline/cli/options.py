"""Values of options that more than one command takes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from trunkline.errors import UsageError
from trunkline.model import Datum


def count(text: str) -> int:
    """A number of rows: 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1")
    return int(text)


def pick(wanted: str, datums: Iterable[Datum], stage: str) -> Datum:
    """The datum of this name, or whose id alone begins so. Raises UsageError."""
    known = list(datums)
    found = [datum for datum in known if datum.name == wanted]
    found = found or [datum for datum in known if datum.id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    many = f"{len(found)} datums of {stage} are" if found else f"no datum of {stage} is"
    raise UsageError(f"{many} called {wanted!r}", hint=f"`trunkline datums {stage}` lists them")
