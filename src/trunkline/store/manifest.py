"""A stage's manifest: which datums it had, from which inputs, with which outputs. Parquet.

    manifest.parquet                        up to 4,096 datums
    0.parquet … f.parquet                   up to 65,536: by the first hex digit of the datum id
    00.parquet … ff.parquet                 above: by the first two

    datum_id  string                        rows are sorted by it
    name      string
    key       string
    join_on   string
    group_by  string
    made      string                        the transform that made the outputs, where another was accepted
    inputs    list<struct<name, dataset, path, md5: string, size, nfiles: int64>>   nfiles null: a file
    outputs   list<struct<path, md5: string, size: int64>>

    trunkline.manifest   2                  schema metadata: the version of this format,
    trunkline.transform  <digest>           the transform digest of all rows,
    trunkline.writer     trunkline/1 …      what wrote the outputs,
    trunkline.packages   {"numpy": "2.3"}   the packages that count as code, and of this file's rows
    trunkline.accepted   3                  how many have a `made`

Equal rows give equal bytes, and one changed datum changes one file, so the manifest of a million
datums costs a commit the 256th part of it. Nothing that differs from run to run is in it: no times,
no run ids. It is written, and read again, without pyarrow (`store.parquet`). Version 1 was written by
pyarrow, and is read by it. A version above ours is an error that says to upgrade.
"""

from __future__ import annotations

import json
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from trunkline.digest import md5_bytes
from trunkline.errors import CorruptData, MissingData, StoreError
from trunkline.model import Datum, File, Item, ManifestRow
from trunkline.store import parquet
from trunkline.store.files import write_all
from trunkline.writer import writer_tag

if TYPE_CHECKING:
    from trunkline.store.store import Old

VERSION = 2
ONE_FILE = 4_096
SIXTEEN_FILES = 65_536

_TEXTS = ("datum_id", "name", "key", "join_on", "group_by", "made")
_TEXT = ("name", "dataset", "path", "md5")
_INPUTS = parquet.Kind("inputs", (*((name, False) for name in _TEXT), ("size", True), ("nfiles", True)))
_OUTPUTS = parquet.Kind("outputs", (("path", False), ("md5", False), ("size", True)))

# A NamedTuple's own constructor is a function of Python: four times as slow.
_item, _file = partial(tuple.__new__, Item), partial(tuple.__new__, File)
_datum: Callable[[tuple[Any, ...]], Datum] = partial(tuple.__new__, Datum)
_row: Callable[[tuple[Any, ...]], ManifestRow] = partial(tuple.__new__, ManifestRow)

_NONE: Mapping[str, Datum] = {}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest that was read: its rows sorted by datum id, and what made them."""

    rows: tuple[ManifestRow, ...]
    transform: str
    writer: str
    packages: tuple[tuple[str, str], ...] = ()


class Facts(NamedTuple):
    """What the footers of a manifest tell; `rows` counts its datums, `accepted` those that have a `made`."""

    transform: str
    writer: str
    rows: int
    packages: tuple[tuple[str, str], ...] = ()
    accepted: int = 0


class Shard(NamedTuple):
    """One file of a manifest, with the facts and rows in it. `md5` is "" where it is not to be used again."""

    md5: str
    size: int
    facts: Facts
    rows: list[ManifestRow]


def write_manifest(
    directory: str,
    rows: Sequence[ManifestRow],
    transform: str,
    packages: Mapping[str, str] | None = None,
    known: Iterable[Shard] = (),
) -> tuple[File, ...]:
    """Write the manifest of `rows` into an existing `directory`: its files, sorted by name.

    A file that would be one of `known` once more is not written.
    """
    ordered = sorted(rows, key=_id)
    return tuple(_written(directory, ordered, transform, packages or {}, _names(len(rows)), known).values())


def _written(
    directory: str,
    ordered: list[ManifestRow],
    transform: str,
    packages: Mapping[str, str],
    names: Sequence[str],
    known: Iterable[Shard] = (),
) -> dict[str, File]:
    """Write those files of a manifest that have these names, except what is known."""
    origin = Facts(transform, writer_tag(), 0, tuple(sorted(packages.items())))
    before = {_id(shard.rows[0]): shard for shard in known if shard.md5 and shard.rows}
    files = {}
    for name, part in _shards(ordered, names):
        facts = origin._replace(rows=len(part), accepted=sum(row.made != "" for row in part))
        old = before.get(_id(part[0])) if part else None
        if old is not None and old.facts == facts and old.rows == part:
            files[name] = File(name, old.md5, old.size)
            continue
        data = _encoded(part, facts)
        with open(os.path.join(directory, name), "wb", buffering=0) as stream:
            write_all(stream.fileno(), data)
        files[name] = File(name, md5_bytes(data), len(data))
    return files


def patch_manifest(
    directory: str,
    rows: Sequence[ManifestRow],
    transform: str,
    packages: Mapping[str, str],
    old: Old,
    known: Iterable[Shard] = (),
) -> tuple[File, ...]:
    """Write what differs of the manifest that an earlier one becomes: all files, sorted by name.

    `rows` take the place of those that the earlier one had of the datums that are not kept. The sizes
    of files that stay are -1. Raises StoreError.
    """
    kept, files, object_path = old
    names = [file.path for file in files]
    wanted = _names(kept.datums + len(rows))
    ids = {*kept.listed, *map(_id, rows)}
    touched = set(holding(names, ids) if names == wanted else names)
    read = {shard.md5: shard for shard in known}
    shards = [
        read.get(file.md5) or read_shard(object_path(file.md5), file.md5)
        for file in files
        if file.path in touched
    ]
    found = [row for shard in shards for row in shard.rows if _id(row) not in ids]
    if names != wanted:
        return write_manifest(directory, [*found, *rows], transform, packages)
    written = _written(directory, sorted([*found, *rows], key=_id), transform, packages, sorted(touched))
    return tuple(written.get(file.path, File(file.path, file.md5, -1)) for file in files)


def holding(names: Sequence[str], ids: Iterable[str]) -> list[str]:
    """The files, of a manifest that has these, in which the datums with these ids are, or would be."""
    if len(names) == 1:
        return list(names)
    width = len(names[0].partition(".")[0])
    return [f"{prefix}.parquet" for prefix in sorted({id_[:width] for id_ in ids})]


def read_manifest(paths: Sequence[str]) -> Manifest:
    """The manifest in these files, all files of one manifest in any order. Raises StoreError."""
    return joined(paths, [read_shard(path) for path in paths])


def joined(paths: Sequence[str], shards: Sequence[Shard]) -> Manifest:
    """The manifest that these shards, read from `paths`, make up. Raises CorruptData."""
    facts = _one(paths, [shard.facts for shard in shards])
    rows = [row for shard in sorted(shards, key=_first_id) for row in shard.rows]
    return Manifest(tuple(rows), facts.transform, facts.writer, facts.packages)


def read_shard(path: str, md5: str = "", like: Mapping[str, Datum] = _NONE) -> Shard:
    """One file of a manifest, of this content. Raises StoreError.

    A datum that equals one of `like` (by id) is that one: a million need not be held twice.
    """
    try:
        with open(path, "rb") as stream:
            data = stream.read()
        found = parquet.read(data, _TEXTS, (_INPUTS, _OUTPUTS))
        if found is not None:
            facts, rows = _facts(path, found.rows, found.metadata), _rows(found, like)
        else:
            from trunkline.store import manifest1

            facts = _facts(path, *manifest1.read_metadata(path))
            rows, md5 = manifest1.read_rows(path), ""
    except FileNotFoundError as error:
        raise MissingData("a file of a manifest is missing", where=path) from error
    except parquet.Damaged as error:
        raise _damaged(path, str(error)) from error
    return Shard(md5, len(data), facts, rows)


def read_facts(paths: Sequence[str]) -> Facts:
    """What the footers of a manifest's files say; no row is read. Raises StoreError."""
    return _one(paths, [_read_footer(path) for path in paths])


# ---------------------------------------------------------------- rows to columns


def _id(row: ManifestRow) -> str:
    return row[0][0]


def _first_id(shard: Shard) -> str:
    return _id(shard.rows[0]) if shard.rows else ""


def _names(rows: int) -> list[str]:
    """The files: how many there are depends on the number of rows alone, so empty ones exist too."""
    if rows <= ONE_FILE:
        return ["manifest.parquet"]
    width = 1 if rows <= SIXTEEN_FILES else 2
    return [format(number, f"0{width}x") + ".parquet" for number in range(16**width)]


def _shards(rows: list[ManifestRow], names: Sequence[str]) -> Iterator[tuple[str, list[ManifestRow]]]:
    """The rows of each of these files."""
    for name in names:
        prefix = name.partition(".")[0]
        if prefix == "manifest":
            yield name, rows
        else:
            start = bisect_left(rows, prefix, key=_id)
            yield name, rows[start : bisect_left(rows, prefix + "g", start, key=_id)]


def _encoded(rows: list[ManifestRow], facts: Facts) -> bytes:
    texts = {
        "datum_id": [row[0][0] for row in rows],
        "name": [row[0][1] for row in rows],
        "key": [row[1] for row in rows],
        "join_on": [row[0][3] for row in rows],
        "group_by": [row[0][4] for row in rows],
        "made": [row[3] for row in rows],
    }
    groups: dict[parquet.Kind, Sequence[parquet.Group]] = {
        _INPUTS: [row[0][2] for row in rows],
        _OUTPUTS: [row[2] for row in rows],
    }
    metadata = {
        "trunkline.manifest": str(VERSION),
        "trunkline.transform": facts.transform,
        "trunkline.writer": facts.writer,
        "trunkline.packages": json.dumps(dict(facts.packages)),
        "trunkline.accepted": str(facts.accepted),
    }
    return parquet.write(texts, groups, metadata, len(rows))


# ---------------------------------------------------------------- columns to rows


def _rows(found: parquet.Read, like: Mapping[str, Datum]) -> list[ManifestRow]:
    ids, names, keys, joins, groups, made = found.texts
    inputs = _grouped(map(_item, zip(*found.records[0], strict=True)), found.counts[0])
    outputs = _grouped(map(_file, zip(*found.records[1], strict=True)), found.counts[1])
    datums: Iterable[Datum] = map(_datum, zip(ids, names, inputs, joins, groups, strict=True))
    if like:
        datums = (old if (old := like.get(datum[0])) == datum else datum for datum in datums)
    return list(map(_row, zip(datums, keys, outputs, made, strict=True)))


def _grouped(records: Iterator[Any], counts: Sequence[int] | None) -> Iterator[tuple[Any, ...]]:
    if counts is None:
        return zip(records, strict=True)
    return (tuple(next(records) for _ in range(count)) for count in counts)


def _one(paths: Sequence[str], facts: Sequence[Facts]) -> Facts:
    """The facts of the manifest whose files say this."""
    origins = {entry._replace(rows=0, accepted=0) for entry in facts}
    if len(origins) != 1:
        message = f"{len(origins)} manifests where there must be one"
        raise CorruptData(message, where=", ".join(sorted(paths)[:2]))
    rows, accepted = sum(entry.rows for entry in facts), sum(entry.accepted for entry in facts)
    return origins.pop()._replace(rows=rows, accepted=accepted)


def _read_footer(path: str) -> Facts:
    try:
        with open(path, "rb") as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, end - 8))
            size = parquet.footer_size(stream.read())
            stream.seek(max(0, end - size))
            found = parquet.read_metadata(stream.read())
    except FileNotFoundError as error:
        raise MissingData("a file of a manifest is missing", where=path) from error
    except parquet.Damaged as error:
        raise _damaged(path, str(error)) from error
    if found is None:
        from trunkline.store import manifest1

        found = manifest1.read_metadata(path)
    return _facts(path, *found)


def _facts(path: str, rows: int, metadata: Mapping[str, str]) -> Facts:
    version = metadata.get("trunkline.manifest", "")
    if not version.isdecimal():
        raise CorruptData("this Parquet file is not a manifest", where=path)
    if int(version) > VERSION:
        raise StoreError(
            f"this manifest was written by a newer trunkline (format {version}, known here: {VERSION})",
            where=path,
            hint="upgrade trunkline: pip install --upgrade trunkline",
        )
    try:
        packages = tuple(sorted(json.loads(metadata.get("trunkline.packages", "{}")).items()))
        accepted = int(metadata.get("trunkline.accepted", "0"))
    except (ValueError, AttributeError) as error:
        raise _damaged(path, "its metadata cannot be read") from error
    transform, writer = metadata.get("trunkline.transform", ""), metadata.get("trunkline.writer", "")
    return Facts(transform, writer, rows, packages, accepted)


def _damaged(path: str, why: str) -> CorruptData:
    return CorruptData(f"this is not a manifest: {why}", where=path)
