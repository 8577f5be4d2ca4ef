"""What became of a dataset between two versions: its files, their rows, their columns.

File by file, and only files whose content differs are opened: a dataset may be larger than the memory.

    diff({"01.parquet": md5, …}, {…}, objects, key=["order"])
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trunkline.errors import CorruptData, MissingData, UsageError
from trunkline.reading.compare import Column, Rows, columns, rows
from trunkline.reading.formats import kind_of, rows_of
from trunkline.reading.objects import Objects


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One file. `was`, `now`: its content hash, "" where it is not there. `rows` None: not compared, `note` says why."""

    path: str
    was: str
    now: str
    rows: Rows | None = None
    columns: tuple[Column, ...] = ()
    note: str = ""

    @property
    def change(self) -> str:
        """added, removed, changed."""
        return "added" if not self.was else "changed" if self.now else "removed"


@dataclass(frozen=True, slots=True)
class DatasetDiff:
    """Every file that differs, sorted by path, and how many are the same."""

    files: tuple[FileDiff, ...]
    same: int
    key: tuple[str, ...] = ()

    @property
    def rows(self) -> Rows | None:
        """The sums over all files whose rows were compared; None where there is no such file."""
        known = [file.rows for file in self.files if file.rows is not None]
        return Rows(*(sum(each) for each in zip(*known, strict=True))) if known else None

    @property
    def columns(self) -> dict[Column, int]:
        """How the columns differ, each with in how many files."""
        found: dict[Column, int] = {}
        for file in self.files:
            for column in file.columns:
                found[column] = found.get(column, 0) + 1
        return found


def diff(
    old: Mapping[str, str],
    new: Mapping[str, str],
    objects: Objects,
    *,
    key: Sequence[str] = (),
    look: bool = True,
) -> DatasetDiff:
    """Compare two versions, path -> md5 each. Without `look` no file is opened. Raises UsageError."""
    paths = sorted(path for path in {**old, **new} if old.get(path) != new.get(path))
    found = [FileDiff(path, old.get(path, ""), new.get(path, "")) for path in paths]
    if look:
        found = [_looked(file, objects, key) for file in found]
    return DatasetDiff(
        tuple(found), len(set(old) & set(new)) - sum(file.change == "changed" for file in found), tuple(key)
    )


def _looked(file: FileDiff, objects: Objects, key: Sequence[str]) -> FileDiff:
    kind = kind_of(file.path)
    if not kind:
        return _with(file, note="no table")
    try:
        was, now = (objects.path(md5, file.path) if md5 else "" for md5 in (file.was, file.now))
    except MissingData as error:
        return _with(file, note=error.message)
    try:
        if not (was and now):
            count = rows_of(was or now, kind)
            return _with(file, Rows(count, 0) if now else Rows(0, count))
        return _with(file, rows(was, now, kind, key), tuple(columns(was, now, kind)))
    except CorruptData as error:  # an empty CSV, for instance
        return _with(file, note=error.message)
    except UsageError as error:
        raise UsageError(error.message, where=file.path, hint=error.hint) from error


def _with(
    file: FileDiff, rows: Rows | None = None, columns: tuple[Column, ...] = (), note: str = ""
) -> FileDiff:
    return FileDiff(file.path, file.was, file.now, rows, columns, note)
