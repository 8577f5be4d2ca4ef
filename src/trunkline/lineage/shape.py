"""What a dataset of Parquet files looks like: its columns, and its rows where they are cheap to count.

Reads the footers of files in the cache and nothing else; pyarrow is imported at the first question.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from trunkline.errors import TrunklineError
from trunkline.model import File

COUNTED = 1000  # of a dataset with more files, rows are not counted


class Shape(NamedTuple):
    """Columns as (name, Arrow type), of the first file; `rows` of all files, None where not counted."""

    columns: tuple[tuple[str, str], ...]
    rows: int | None


class Shapes:
    """Shapes by version, each found once. `listing` and `object_path` are the store's."""

    def __init__(self, listing: Callable[[str], tuple[File, ...]], object_path: Callable[[str], str]) -> None:
        self._listing = listing
        self._object_path = object_path
        self._known: dict[str, Shape | None] = {}

    def of(self, oid: str) -> Shape | None:
        """The shape of a version; None where it is not Parquet throughout, or is not in the cache."""
        if oid not in self._known:
            self._known[oid] = None
            with suppress(TrunklineError, OSError):
                self._known[oid] = self._read(oid)
        return self._known[oid]

    def _read(self, oid: str) -> Shape | None:
        files = self._listing(oid) if oid.endswith(".dir") else ()
        if not files or not all(file.path.endswith(".parquet") for file in files):
            return None
        from trunkline.tables import footer

        columns, first = footer(self._object_path(files[0].md5))
        if len(files) > COUNTED:
            return Shape(columns, None)
        return Shape(columns, first + sum(footer(self._object_path(file.md5))[1] for file in files[1:]))
