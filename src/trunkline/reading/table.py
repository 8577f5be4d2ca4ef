"""A version of a dataset as a lazy Arrow dataset: nothing is read before it is asked for.

dataset = opened(...)       a pyarrow.dataset.FileSystemDataset, with .version, .facts, .lineage()
dataset.files               ["data/flights/clean/rows/2013-01-01.parquet", …]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import PyFileSystem

from trunkline.errors import CorruptData, UsageError
from trunkline.reading.facts import Facts, Read, html, shown
from trunkline.reading.files import VersionFiles
from trunkline.reading.formats import format_of, one_kind
from trunkline.reading.objects import Objects
from trunkline.tables import first_line

_FOLDERS = 16  # of so many directories the columns are compared
_COUNTED = 1000  # files whose rows are counted, by their footers, for a notebook
_COLUMNS = 200  # shown in a notebook


class Dataset(ds.FileSystemDataset, Read):  # type: ignore[misc,unused-ignore]
    """Arrow's own dataset; `facts` says which version it is."""

    def __init__(
        self, plain: ds.FileSystemDataset, facts: Callable[[], Facts], graph: Callable[[], Any], local: bool
    ) -> None:
        super().__init__(list(plain.get_fragments()), plain.schema, plain.format, plain.filesystem)
        self._facts = facts
        self._graph = graph
        self._local = local

    def __repr__(self) -> str:
        return f"<trunkline dataset {self.facts.name}: version {self.version[:8]}, {len(self.files)} files>"

    def _repr_html_(self) -> str:
        rows = self._known_rows()
        facts = {**shown(self.facts), "files": len(self.files)}
        facts["rows"] = "" if rows is None else f"{rows:,}"
        columns = [(field.name, str(field.type)) for field in self.schema][:_COLUMNS]
        return html(self.facts.name, facts, columns, f"{len(self.schema)} columns")

    def _known_rows(self) -> int | None:
        """How many rows there are, where the files say it without being read."""
        told = isinstance(self.format, ds.ParquetFileFormat) and self._local
        return int(self.count_rows()) if told and len(self.files) <= _COUNTED else None


def opened(
    name: str,
    base: str,
    files: Mapping[str, str],
    objects: Objects,
    about: tuple[Callable[[], Facts], Callable[[], Any]],
    *,
    schema: pa.Schema | None = None,
    partitioning: Any = None,
) -> Dataset:
    """The dataset of these files (path in the project -> md5); directories below `base` may be partitions.

    Raises UsageError, MissingData, CorruptData.
    """
    kind = one_kind(name, files)
    system = PyFileSystem(VersionFiles(files, objects))
    options = {"partitioning": partitioning, "partition_base_dir": base} if partitioning is not None else {}
    try:
        if schema is None and partitioning is None:
            _check_alike(name, base, list(files), kind, system)
        plain = ds.dataset(list(files), schema, format_of(kind), filesystem=system, **options)
    except pa.ArrowException as error:
        raise CorruptData(f"this cannot be read as {kind}: {first_line(error)}", where=name) from error
    return Dataset(plain, *about, all(objects.at_hand(md5) for md5 in files.values()))


def _check_alike(name: str, base: str, paths: Sequence[str], kind: str, system: PyFileSystem) -> None:
    """Raise UsageError where the first directories hold different tables: one would be read as the other."""
    first: dict[str, str] = {}
    for path in paths:
        first.setdefault(
            path[len(base) + 1 :].partition("/")[0] if path.count("/") > base.count("/") + 1 else "", path
        )
    if len(first) < 2 or len(first) > _FOLDERS:
        return
    found = {
        folder: ds.dataset([path], format=format_of(kind), filesystem=system).schema
        for folder, path in first.items()
    }
    names = {folder: set(schema.names) for folder, schema in found.items()}
    if any(each != next(iter(names.values())) for each in names.values()):
        some = ", ".join(sorted(f"{folder}/" if folder else "files beside" for folder in found))
        pick = sorted(filter(None, found))[-1]
        stem, at, when = name.partition("@")
        raise UsageError(
            f"{name} holds tables with different columns: {some}",
            hint=f'open one of them: trunkline.open("{stem.rstrip("/")}/{pick}{at}{when}")',
        )
