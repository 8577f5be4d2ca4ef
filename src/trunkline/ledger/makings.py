"""The ways in which outputs came about, as values: the entries that dvc.lock and run records had.

    Making(7, "flights-train", "trunkline exec flights.train", deps, outs, '{"pipelines/…": …}')

A making is one entry by content: the same entry in a hundred commits and ten runs is one making, with
a hundred and ten origins.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from trunkline.digest import md5_bytes
from trunkline.model import LockEntry, LockItem


class Origin(NamedTuple):
    """Where an entry is written: `kind` is workspace, run or commit; `id` the run's or the commit's."""

    kind: str
    id: str = ""
    time: str = ""


class Declared(NamedTuple):
    """What an entry says of its stage: the name people use, and its part of the pipeline file."""

    ref: str
    values: Mapping[str, Any]
    ours: bool

    @property
    def model(self) -> tuple[str, str] | None:
        """(name, file) of the model among the outputs."""
        model = self.values.get("model")
        if not isinstance(model, Mapping):
            return None
        return str(model.get("name")), str(model.get("path"))


class Making(NamedTuple):
    """One entry of a stage, `name` is DVC's. `params` is JSON, read when it is asked for."""

    id: int
    name: str
    cmd: str
    deps: tuple[LockItem, ...]
    outs: tuple[LockItem, ...]
    params: str
    model: tuple[str, str] | None = None

    @classmethod
    def of(cls, id_: int, name: str, entry: LockEntry) -> Making:
        """The making of an entry."""
        params = json.dumps(entry.params, default=str)
        return cls(id_, name, entry.cmd, entry.deps, entry.outs, params, declared(name, entry).model)

    @property
    def entry(self) -> LockEntry:
        """The whole entry."""
        return LockEntry(self.cmd, self.deps, json.loads(self.params), self.outs)

    @property
    def declared(self) -> Declared:
        """What the entry says of its stage."""
        return _declared(self.name, self.cmd, self.params)

    @property
    def ref(self) -> str:
        """What people call the stage."""
        return ref_of(self.name, self.cmd)

    @property
    def ours(self) -> bool:
        """Whether a pipeline file declares the stage; else it was written by hand into dvc.yaml."""
        return self.cmd.startswith("trunkline exec ")

    @property
    def manifest(self) -> str:
        """The content hash of the stage's manifest, "" where it has none."""
        path = "data/" + self.ref.replace(".", "/.manifests/", 1)
        return next((out.md5 for out in self.outs if out.path == path), "")

    @property
    def data(self) -> Iterator[LockItem]:
        """The outputs but for the manifest."""
        return (out for out in self.outs if "/.manifests/" not in out.path)


def ref_of(name: str, cmd: str) -> str:
    """What people call a stage whose command is `cmd`."""
    words = cmd.split()
    return words[2] if words[:2] == ["trunkline", "exec"] and len(words) > 2 else name


def declared(name: str, entry: LockEntry) -> Declared:
    """What the entry records of our declaration; nothing for a stage written by hand."""
    ref = ref_of(name, entry.cmd)
    if not entry.cmd.startswith("trunkline exec "):
        return Declared(name, {}, False)
    key = f"stages.{ref.partition('.')[2]}"
    for values in entry.params.values():
        if isinstance(found := values.get(key), Mapping):
            return Declared(ref, found, True)
    return Declared(ref, {}, True)


@lru_cache(maxsize=1024)
def _declared(name: str, cmd: str, params: str) -> Declared:
    """Of a thousand makings of a stage few differ in this."""
    return declared(name, LockEntry(cmd, (), json.loads(params), ()))


def parameters(name: str, entry: LockEntry) -> Mapping[str, Any]:
    """The parameters of a stage by name; nested ones are nested."""
    found = declared(name, entry)
    if found.ours:
        return found.values.get("params") or {}
    return {key: value for some in entry.params.values() for key, value in some.items()}


def flat(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """(dotted name, canonical text of the value) of every parameter, and of every group of them."""
    for key, value in values.items():
        name = f"{prefix}.{key}"
        yield name, canonical(value)
        if isinstance(value, Mapping):
            yield from flat(value, name)


def canonical(value: object) -> str:
    """A text that is the same for values that YAML reads as the same: 1e-3 and .001, but not "1" and 1."""
    return json.dumps(_plain(value), sort_keys=True, default=str)


def _plain(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
    return value


def digest(value: object) -> str:
    """The MD5 of a value's JSON."""
    return md5_bytes(json.dumps(value, sort_keys=True, default=str).encode())
