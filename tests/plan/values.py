"""Short ways to write the values that the planner works on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from trunkline.digest import md5_bytes, tree_oid
from trunkline.model import (
    Dataset,
    DatasetKind,
    File,
    Function,
    Input,
    Leaf,
    LockEntry,
    LockItem,
    Snapshot,
    Stage,
    Version,
)


def source(name: str) -> Dataset:
    return Dataset(name, f"data/{name}", DatasetKind.SOURCE)


def staged(pipeline: str, name: str) -> Dataset:
    return Dataset(f"{pipeline}.{name}", f"data/{pipeline}/{name}", DatasetKind.STAGE)


def leaf(
    dataset: str, glob: str = "/", name: str = "", join_on: str = "", group_by: str = "", outer: bool = False
) -> Leaf:
    return Leaf(name or dataset, source(dataset), glob, join_on, group_by, outer)


def stage(
    reads: Input | None = None, name: str = "s", pipeline: str = "p", params: Mapping[str, Any] | None = None
) -> Stage:
    return Stage(pipeline, name, Function(f"stages.{name}", name), reads, params or {})


def snapshot(files: Mapping[str, str] | Iterable[str]) -> Snapshot:
    """A dataset with these files; without contents, a file holds its own path."""
    contents = dict(files) if isinstance(files, Mapping) else {path: path for path in files}
    rows = tuple(
        File(path, md5_bytes(contents[path].encode()), len(contents[path])) for path in sorted(contents)
    )
    oid = tree_oid((row.path, row.md5) for row in rows)
    return Snapshot(Version(oid, sum(row.size for row in rows), len(rows)), rows)


def single_file(content: str) -> Snapshot:
    file = File("", md5_bytes(content.encode()), len(content))
    return Snapshot(Version(file.md5, file.size, None), (file,))


def item(path: str, md5: str, nfiles: int | None = None) -> LockItem:
    return LockItem(path, md5, 1, nfiles)


def entry(
    deps: Mapping[str, str] | None = None,
    params: Mapping[str, Any] | None = None,
    outs: Mapping[str, str] | None = None,
    cmd: str = "trunkline exec p.s",
) -> LockEntry:
    """A lock entry of the stage p.s; datasets are those that have no suffix."""
    return LockEntry(
        cmd,
        tuple(item(path, md5, None if "." in path else 1) for path, md5 in sorted((deps or {}).items())),
        {"pipelines/p.yaml": {"stages.s": params or {}}},
        tuple(item(path, md5, 1) for path, md5 in sorted((outs or {}).items())),
    )
