"""The datums of a stage: which inputs form one unit of work, and how it is called.

    input: {raw: flights_raw/*}             flights_raw: 2013-01-01.csv, 2013-01-02.csv

    Datum(id="5f…", name="2013-01-01", items=(Item("raw", "flights_raw", "2013-01-01.csv", …),))
    Datum(id="c0…", name="2013-01-02", items=(Item("raw", "flights_raw", "2013-01-02.csv", …),))

What each part of an input gives, and in which order (files as they are sorted, keys sorted):

    leaf    a datum for each match of its glob; for `/` one of the whole dataset, none where it is empty
    cross   every combination of its inputs' datums, the first input slowest
    union   the datums of one input after those of the other, each once
    join    every combination of datums with one key, for each key that all inputs have; for the others
            the same of what has `outer_join`, if anything has
    group   for each key one datum of all files with it, whichever inputs have them; a file whose own
            input has no `group_by` goes with those that it was joined or crossed with

The id is digest("datum", [[input, dataset, path], …]): which inputs, not what is in them.

A name is made of relative paths or of a join's or group's key, never of anything that could lead out
of the directory of a stage's outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, product
from typing import NamedTuple

from trunkline.digest import tree_oid
from trunkline.errors import MissingData, StageFailed
from trunkline.globs import Pattern, Template
from trunkline.globs.matches import matches, within
from trunkline.model import Cross, Datum, File, Group, Input, Item, Join, Leaf, Snapshot, Stage, Union
from trunkline.plan import bulk


class _Part(NamedTuple):
    """A datum of one node of the input, with what the nodes around it need to know.

    `name` "": the stage's. `key` is for a join around it, `group` that of a group inside it. For a
    group around it `keys` has what each item is grouped by, None where its leaf does not say; without
    one it is empty. `outer`: a join keeps it without a partner.
    """

    items: tuple[Item, ...]
    name: str
    key: str = ""
    group: str = ""
    keys: tuple[str | None, ...] = ()
    outer: bool = False


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
        if not _has_union(stage.input):
            raise _twice(stage, found)
        found = tuple({datum.id: datum for datum in reversed(found)}.values())[::-1]
    return found


def gathered(stage: Stage) -> frozenset[str]:
    """The names of the inputs below a group: a datum has any number of their files, even one."""
    return frozenset(_gathered(stage.input, below=False))


def _gathered(node: Input | None, below: bool) -> Iterator[str]:
    match node:
        case Leaf(name) if below:
            yield name
        case Cross(inputs) | Union(inputs) | Join(inputs):
            for child in inputs:
                yield from _gathered(child, below)
        case Group(inputs):
            for child in inputs:
                yield from _gathered(child, below=True)


def _has_union(node: Input | None) -> bool:
    match node:
        case Cross(inputs) | Join(inputs) | Group(inputs):
            return any(map(_has_union, inputs))
        case Union():
            return True
    return False


def _datums(parts: Iterable[_Part], stage_name: str) -> Iterator[Datum]:
    head = bulk.sha256(bulk.head("datum"))
    known: dict[tuple[str, str], bytes] = {}
    for items, name, key, group, _, _ in parts:
        hasher = head.copy()
        hasher.update(bulk.listing(len(items)))
        for item in items:
            pair = item[:2]
            start = known.get(pair)
            if start is None:
                start = known[pair] = bulk.listing(3) + bulk.text(pair[0]) + bulk.text(pair[1])
            hasher.update(start + bulk.text(item.path))
        yield Datum(hasher.hexdigest(), name or stage_name, items, key, group)


class _Reader:
    """Forms the parts of a stage's input, node by node."""

    def __init__(self, stage: Stage, snapshots: Mapping[str, Snapshot]) -> None:
        self.stage = stage
        self.snapshots = snapshots
        self.directories: dict[tuple[str, str], tuple[str, int, int]] = {}
        self.paths: dict[str, list[str]] = {}

    def parts(self, node: Input, grouped: bool = False) -> Iterator[_Part]:
        """The parts of a node; `grouped`: there is a group around it."""
        match node:
            case Leaf():
                return self.leaf(node, grouped)
            case Cross(inputs):
                return _cross([list(self.parts(child, grouped)) for child in inputs])
            case Union(inputs):
                return chain.from_iterable(self.parts(child, grouped) for child in inputs)
            case Join(inputs) if grouped or _needs_parts(node):
                return self.outer_join([self.parts(child, grouped) for child in inputs])
            case Join(inputs):
                return self.join([self.parts(child) for child in inputs])
            case Group(inputs):
                return self.group([self.parts(child, True) for child in inputs], grouped)

    def leaf(self, leaf: Leaf, grouped: bool) -> Iterator[_Part]:
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
        pattern, join_on, group_by = Pattern(leaf.glob), Template(leaf.join_on), Template(leaf.group_by)
        skip = len(pattern.literal_prefix) + 1 if pattern.literal_prefix else 0
        files = _Lookup(snapshot.files)
        for path, captures, directory in matches(pattern, self.paths[name]):
            oid, size, nfiles = self.directory(name, path) if directory else files.after(path)
            called = _name(path, skip, directory) if pattern.has_wildcards else ""
            item = Item(leaf.name, name, path, oid, size, nfiles)
            key = join_on.expand(captures) if leaf.join_on else ""
            if grouped:
                own = group_by.expand(captures) if leaf.group_by else None
                yield _Part((item,), called, key, "", (own,), leaf.outer_join)
            else:
                yield _Part((item,), called, key, "", (), leaf.outer_join)

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
            self.check_name(key, "join")
            # Taken out of the tables one by one: a join of millions must not be held twice.
            for combination in product(*[table.pop(key) for table in tables]):
                yield _Part(tuple(chain.from_iterable(combination)), key, key)

    def outer_join(self, sides: Sequence[Iterable[_Part]]) -> Iterator[_Part]:
        """The same, and for keys that a side lacks the combinations of what is kept without it."""
        tables = [_parts_by_key(side) for side in sides]
        for key in sorted({key for table in tables for key in table}):
            rows = [table.pop(key, []) for table in tables]
            if not all(rows):
                kept = [[part for part in row if part.outer] for row in rows]
                rows = [row for row in kept if row]
            if rows:
                self.check_name(key, "join")
            for combination in product(*rows) if rows else ():
                yield _merged(combination, key, key)

    def group(self, sides: Sequence[Iterable[_Part]], grouped: bool) -> Iterator[_Part]:
        """One part for each key, of all items that have it."""
        table: dict[str, list[Item]] = {}
        joined: dict[str, dict[str, None]] = {}
        outer: set[str] = set()
        for part in chain.from_iterable(sides):
            for key, item in _grouped(part):
                same = table.get(key)
                if same is None:
                    table[key] = [item]
                else:
                    same.append(item)
                if part.key:
                    joined.setdefault(key, {})[part.key] = None
                if part.outer:
                    outer.add(key)
        for key in sorted(table):
            self.check_name(key, "group")
            items = tuple(dict.fromkeys(table.pop(key)))
            keys = (key,) * len(items) if grouped else ()
            yield _Part(items, key, "".join(joined.get(key, ())), key, keys, key in outer)

    def check_name(self, key: str, kind: str) -> None:
        """Raise StageFailed for a key that cannot be a datum's name."""
        if key and any(part in ("", ".", "..") for part in key.split("/")):
            raise StageFailed(
                f"the {kind} key {key!r} of stage {self.stage.ref} cannot be the name of a datum",
                where=self.stage.pipeline_file,
                hint="choose captures that do not begin or end with `/` and hold no `..`",
            )


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
    plain = not any(part[3:] != ("", (), False) for side in sides for part in side)
    for combination in product(*sides):
        names = [part.name for part, naming in zip(combination, several, strict=True) if naming]
        key = "".join(part.key for part in combination)
        if plain:
            items = tuple(chain.from_iterable(part.items for part in combination))
            yield _Part(items, "~".join(names), key)
        else:
            yield _merged(combination, "~".join(names), key)


def _merged(parts: Sequence[_Part], name: str, key: str) -> _Part:
    """The parts as one; a join's key may stand for several of them."""
    return _Part(
        tuple(chain.from_iterable(part.items for part in parts)),
        name,
        key,
        "".join(part.group for part in parts),
        tuple(chain.from_iterable(part.keys for part in parts)),
        any(part.outer for part in parts),
    )


def _grouped(part: _Part) -> Iterator[tuple[str, Item]]:
    """Each item of a part with each key that it is grouped by."""
    all_keys = tuple(dict.fromkeys(key for key in part.keys if key is not None))
    for item, key in zip(part.items, part.keys, strict=True):
        for each in all_keys if key is None else (key,):
            yield each, item


def _by_key(parts: Iterable[_Part]) -> dict[str, list[tuple[Item, ...]]]:
    """The items of each part with a key."""
    table: dict[str, list[tuple[Item, ...]]] = {}
    for part in parts:
        same = table.get(part.key)
        if same is None:
            table[part.key] = [part.items]  # a list of one is half the size of one that is appended to
        else:
            same.append(part.items)
    return table


def _parts_by_key(parts: Iterable[_Part]) -> dict[str, list[_Part]]:
    """The parts with each key."""
    table: dict[str, list[_Part]] = {}
    for part in parts:
        table.setdefault(part.key, []).append(part)
    return table


def _needs_parts(node: Input) -> bool:
    """Whether something below it is kept without a partner, or holds a group, whose key must not be lost."""
    match node:
        case Leaf():
            return node.outer_join
        case Group():
            return True
        case Cross(inputs) | Union(inputs) | Join(inputs):
            return any(map(_needs_parts, inputs))


def _name(path: str, skip: int, directory: bool) -> str:
    """The path below the glob's literal prefix, a file's without its last suffix."""
    if directory:
        return path[skip:]
    dot = path.rfind(".")
    stem = path[path.rfind("/") + 1 : dot]
    suffixed = 0 < dot < len(path) - 1 and stem.strip(".") != ""
    return path[skip:dot] if suffixed else path[skip:]


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
