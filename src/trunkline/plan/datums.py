"""The datums of a stage: which inputs form one unit of work, and how it is called.

    input: {raw: flights_raw/*}             flights_raw: 2013-01-01.csv, 2013-01-02.csv

    Datum(id="5f…", name="2013-01-01", items=(Item("raw", "flights_raw", "2013-01-01.csv", …),))
    Datum(id="c0…", name="2013-01-02", items=(Item("raw", "flights_raw", "2013-01-02.csv", …),))

A leaf gives a datum for each match of its glob; `/` gives one for the whole dataset, and none where
that is empty, as in Pachyderm. A cross gives every combination of its inputs' datums; an inner join
every combination of those with the same key, for each key that all of its inputs have. Order: as
the files are sorted, the first input of a cross slowest, a join's keys sorted.

The id is digest("datum", [[input, dataset, path], …]): which inputs, not what is in them.

A name is made of relative paths or a join's key, never of anything that could lead out of the
directory of a stage's outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, product
from typing import NamedTuple

from trunkline.digest import tree_oid
from trunkline.errors import MissingData, StageFailed
from trunkline.globs import Pattern, Template
from trunkline.globs.matches import matches, within
from trunkline.model import Cross, Datum, File, Input, Item, Join, Leaf, Snapshot, Stage
from trunkline.plan import bulk


class _Part(NamedTuple):
    """A datum of one node of the input: its items, its name ("": the stage's), its join key."""

    items: tuple[Item, ...]
    name: str
    key: str


def datums(stage: Stage, snapshots: Mapping[str, Snapshot]) -> tuple[Datum, ...]:
    """The stage's datums; `snapshots` by dataset name. Without an input: one, named as the stage.

    Raises MissingData for a dataset without a snapshot, StageFailed for two datums of one identity
    and for a join key that cannot be a name.
    """
    parts: Iterable[_Part] = [_Part((), "", "")]
    if stage.input is not None:
        parts = _Reader(stage, snapshots).parts(stage.input)
    found = tuple(_datums(parts, stage.name))
    if len({datum.id for datum in found}) < len(found):
        raise _twice(stage, found)
    return found


def _datums(parts: Iterable[_Part], stage_name: str) -> Iterator[Datum]:
    head = bulk.sha256(bulk.head("datum"))
    known: dict[tuple[str, str], bytes] = {}
    for items, name, key in parts:
        hasher = head.copy()
        hasher.update(bulk.listing(len(items)))
        for item in items:
            pair = item[:2]
            start = known.get(pair)
            if start is None:
                start = known[pair] = bulk.listing(3) + bulk.text(pair[0]) + bulk.text(pair[1])
            hasher.update(start + bulk.text(item.path))
        yield Datum(hasher.hexdigest(), name or stage_name, items, key)


class _Reader:
    """Forms the parts of a stage's input, node by node."""

    def __init__(self, stage: Stage, snapshots: Mapping[str, Snapshot]) -> None:
        self.stage = stage
        self.snapshots = snapshots
        self.directories: dict[tuple[str, str], tuple[str, int, int]] = {}
        self.paths: dict[str, list[str]] = {}

    def parts(self, node: Input) -> Iterator[_Part]:
        match node:
            case Leaf():
                return self.leaf(node)
            case Cross(inputs):
                return _cross([list(self.parts(child)) for child in inputs])
            case Join(inputs):
                return self.join([self.parts(child) for child in inputs])

    def leaf(self, leaf: Leaf) -> Iterator[_Part]:
        """One part for each match of the leaf's glob."""
        name = leaf.dataset.name
        snapshot = self.snapshots.get(name)
        if snapshot is None:
            raise MissingData(
                f"the dataset {name}, input `{leaf.name}` of stage {self.stage.ref}, is not there",
                where=leaf.dataset.path,
                hint="type `trunkline status` to see what there is",
            )
        if name not in self.paths:
            self.paths[name] = [file.path for file in snapshot.files]
        pattern, template = Pattern(leaf.glob), Template(leaf.join_on)
        skip = len(pattern.literal_prefix) + 1 if pattern.literal_prefix else 0
        files = _Lookup(snapshot.files)
        for path, captures, directory in matches(pattern, self.paths[name]):
            oid, size, nfiles = self.directory(name, path) if directory else files.after(path)
            called = _name(path, skip, directory) if pattern.has_wildcards else ""
            item = Item(leaf.name, name, path, oid, size, nfiles)
            yield _Part((item,), called, template.expand(captures) if leaf.join_on else "")

    def directory(self, dataset: str, path: str) -> tuple[str, int, int]:
        """Content hash, size and number of files of a directory of a dataset, computed once."""
        found = self.directories.get((dataset, path))
        if found is None:
            version, files = self.snapshots[dataset]
            if path:
                low, high = within(self.paths[dataset], path)
                inside: Sequence[File] = files[low:high]
                skip = len(path) + 1
                oid = tree_oid((file.path[skip:], file.md5) for file in inside)
            else:
                inside, oid = files, version.oid
            found = (oid, sum(file.size for file in inside), len(inside))
            self.directories[dataset, path] = found
        return found

    def join(self, sides: Sequence[Iterable[_Part]]) -> Iterator[_Part]:
        """Every combination of parts with one key, for each key that all sides have."""
        tables = [_by_key(side) for side in sides]
        for key in sorted(key for key in tables[0] if all(key in table for table in tables)):
            if not _is_name(key):
                raise StageFailed(
                    f"the join key {key!r} of stage {self.stage.ref} cannot be the name of a datum",
                    where=self.stage.pipeline_file,
                    hint="choose captures that do not begin or end with `/` and hold no `..`",
                )
            # Taken out of the tables one by one: a join of millions must not be held twice.
            for combination in product(*[table.pop(key) for table in tables]):
                yield _Part(tuple(chain.from_iterable(combination)), key, key)


class _Lookup:
    """Finds files of a sorted listing, asked for in its order, without a dictionary of them all."""

    def __init__(self, files: Sequence[File]) -> None:
        self._rest = iter(files)

    def after(self, path: str) -> tuple[str, int, None]:
        """Content hash and size of the file at `path`, which lies behind the last one asked for."""
        for file in self._rest:
            if file.path == path:
                return file.md5, file.size, None
        raise LookupError(path)


def _cross(sides: Sequence[Sequence[_Part]]) -> Iterator[_Part]:
    """Every combination, named after the sides that have more than one part."""
    several = [len(side) > 1 for side in sides]
    for combination in product(*sides):
        items = tuple(chain.from_iterable(part.items for part in combination))
        names = [part.name for part, naming in zip(combination, several, strict=True) if naming]
        yield _Part(items, "~".join(names), "".join(part.key for part in combination))


def _by_key(parts: Iterable[_Part]) -> dict[str, list[tuple[Item, ...]]]:
    """The items of each part with a key."""
    table: dict[str, list[tuple[Item, ...]]] = {}
    for items, _, key in parts:
        same = table.get(key)
        if same is None:
            table[key] = [items]  # a list of one is half the size of an empty one that is appended to
        else:
            same.append(items)
    return table


def _name(path: str, skip: int, directory: bool) -> str:
    """The path below the glob's literal prefix, a file's without its last suffix."""
    if directory:
        return path[skip:]
    dot = path.rfind(".")
    stem = path[path.rfind("/") + 1 : dot]
    suffixed = 0 < dot < len(path) - 1 and stem.strip(".") != ""
    return path[skip:dot] if suffixed else path[skip:]


def _is_name(key: str) -> bool:
    return not key or all(part not in ("", ".", "..") for part in key.split("/"))


def _twice(stage: Stage, found: Sequence[Datum]) -> StageFailed:
    seen: dict[str, Datum] = {}
    for datum in found:
        if seen.setdefault(datum.id, datum) is not datum:
            break
    paths = ", ".join(f"{item.dataset}/{item.path}" for item in datum.items)
    return StageFailed(
        f"two datums of stage {stage.ref} have the same inputs: {paths}",
        where=stage.pipeline_file,
        hint="give every input a name of its own, and name each dataset once",
    )
