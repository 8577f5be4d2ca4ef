"""dvc.lock: read into LockEntry values, written one stage at a time.

    schema: '2.0'
    stages:
      flights-ingest:
        cmd: trunkline exec flights.ingest
        deps:
        - path: data/flights_raw
          hash: md5
          md5: 0bf3577fad45514b4e49807542620419.dir
          size: 84311
          nfiles: 365
        params:
          pipelines/flights.yaml:
            stages.ingest: {…}
        outs: […]

The file ends up as DVC would have written it, byte for byte: `locktext` does the writing. A stage
that is new goes where a run one by one, in a given order, would have put it: DVC appends. So the
stages that a run has added are remembered until it comes to its end (`.dvc/tmp/trunkline/young.json`):
the run that takes up what another left puts the rest where that would have put it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from threading import RLock
from typing import Any, NamedTuple

from trunkline.digest import md5_bytes
from trunkline.errors import StoreError
from trunkline.model import LockEntry, LockItem
from trunkline.points import Point, reached
from trunkline.store import locktext, yamltext
from trunkline.store.files import remove_quietly, replace_bytes
from trunkline.store.memo import Memo

NAME = "dvc.lock"
_KEPT = 16  # texts of it that are remembered
_REPAIR = "type `git checkout dvc.lock`; or delete it and run: results that are known are reused"


def parse(text: str, file: str = NAME) -> dict[str, LockEntry]:
    """The entries of a dvc.lock by DVC's stage name, in its order. Raises SpecError, StoreError."""
    return _entries(_stages(yamltext.load(text, file), file), file)


class LockFile:
    """The dvc.lock of one project, seen from one run."""

    def __init__(self, root: str, memo: Memo, guard: Callable[[], AbstractContextManager[None]]) -> None:
        self._path = os.path.join(root, NAME)
        self._memo = memo
        self._guard = guard
        self._held = _Held("", None, {})
        self._entries: dict[str, tuple[Any, LockEntry]] = {}  # by name: data and what they say
        self._young = os.path.join(root, ".dvc", "tmp", "trunkline", "young.json")
        self._first: frozenset[str] | None = None  # the entries that were there when the run began
        self._lock = RLock()

    def entry(self, name: str) -> LockEntry | None:
        """The stage's entry; None where it has none."""
        with self._lock:
            data = self._parsed(self._text()).stages.get(name)
            if data is None:
                return None
            known = self._entries.get(name)
            if known is None or known[0] is not data:
                known = self._entries[name] = (data, _entries({name: data})[name])
            return known[1]

    def names(self) -> list[str]:
        """The stages that have an entry."""
        with self._lock:
            return list(self._parsed(self._text()).stages)

    def write(self, name: str, entry: LockEntry, order: Sequence[str] = ()) -> None:
        """Replace or insert one stage's entry, durably. Raises LockedError."""
        with self._lock, self._guard():
            held = self._parsed(self._text())
            if name in order and name not in held.stages:
                self._remember(name)
                reached(Point.LOCK_NOTED)
            new = _changed(held, name, as_data(entry), self._followers(name, order))
            if new.text != held.text:
                replace_bytes(self._path, new.text.encode(), durable=True, aside=Point.LOCK_ASIDE)
                reached(Point.LOCK_WRITTEN)
            self._held = new

    def complete(self, names: Collection[str]) -> None:
        """A run of these stages came to its end: what is new from here on goes behind them."""
        with self._lock:
            self._first = None
            if self._held.text:
                _keep(self._memo, self._held)
            young = self._added()
            if young and not young.isdisjoint(names):
                self._save_young(young.difference(names))

    def _followers(self, name: str, order: Sequence[str]) -> frozenset[str]:
        """The stages, of those added by this run, before which a run one by one had put `name`."""
        if name not in order:
            return frozenset()
        later = frozenset(order[order.index(name) + 1 :])
        return later - (self._first or frozenset())

    def _added(self) -> frozenset[str]:
        """The stages that runs have added which then did not come to their end."""
        try:
            with open(self._young, encoding="utf-8") as stream:
                return frozenset(json.load(stream))
        except (OSError, ValueError, TypeError):
            return frozenset()  # it decides an order that nobody depends on

    def _remember(self, name: str) -> None:
        """Before the entry itself: a run that is killed in between has then added nothing."""
        self._save_young(self._added() | {name})

    def _save_young(self, names: frozenset[str]) -> None:
        if names:
            os.makedirs(os.path.dirname(self._young), exist_ok=True)
            replace_bytes(self._young, json.dumps(sorted(names)).encode())
        else:
            remove_quietly(self._young)

    def _text(self) -> str:
        try:
            with open(self._path, encoding="utf-8", newline="") as stream:
                return stream.read()
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError as error:
            raise StoreError(f"{NAME} is not UTF-8 text: {error.reason}", where=NAME) from error

    def _parsed(self, text: str) -> _Held:
        if self._held.text != text:
            self._held = _read(self._memo, text, self._held)
        if self._first is None:
            self._first = frozenset(self._held.stages) - self._added()
        return self._held


def as_data(entry: LockEntry) -> dict[str, Any]:
    """The entry as DVC lays it out; what is empty is left out."""
    data: dict[str, Any] = {"cmd": entry.cmd}
    if entry.deps:
        data["deps"] = [_item_data(item) for item in sorted(entry.deps)]
    if entry.params:
        files = sorted(entry.params, key=lambda file: (file != "params.yaml", file))
        data["params"] = {
            file: {key: entry.params[file][key] for key in sorted(entry.params[file])} for file in files
        }
    if entry.outs:
        data["outs"] = [_item_data(item) for item in sorted(entry.outs)]
    return data


def _item_data(item: LockItem) -> dict[str, Any]:
    data: dict[str, Any] = {"path": item.path, "hash": "md5", "md5": item.md5, "size": item.size}
    if item.nfiles is not None:
        data["nfiles"] = item.nfiles
    if item.isexec:
        data["isexec"] = True
    return data


# ---------------------------------------------------------------- the text and what it says


class _Held(NamedTuple):
    """A text of dvc.lock with its parts, where it is in DVC's own form, and the plain data of its stages."""

    text: str
    parts: locktext.Parts | None
    stages: Mapping[str, Any]


def _read(memo: Memo, text: str, before: _Held) -> _Held:
    """What a text says. What it shares with the one before is not read again, nor what was remembered."""
    parts = locktext.split(text)
    if parts is not None and before.parts is not None:
        same = {name for name, block in parts.blocks.items() if before.parts.blocks.get(name) == block}
        other = "".join(block for name, block in parts.blocks.items() if name not in same)
        fresh = _stages(yamltext.load(f"stages:\n{other}", NAME)) if other else {}
        stages = {name: before.stages[name] if name in same else fresh[name] for name in parts.blocks}
        return _Held(text, parts, stages)
    known = memo.get("dvc.lock", md5_bytes(text.encode()))
    if known is not None:
        return _Held(text, parts, json.loads(known))
    held = _Held(text, parts, _stages(yamltext.load(text, NAME)) if text else {})
    _keep(memo, held)
    return held


def _changed(held: _Held, name: str, data: dict[str, Any], followers: Collection[str]) -> _Held:
    """The same with `data` as the entry of one stage."""
    old = held.stages.get(name)
    parts = held.parts or (None if held.text else locktext.split(locktext.HEAD))
    parts = None if parts is None else parts.put(name, data, followers, old)
    if parts is None:
        text = locktext.put(held.text, name, data, followers)
        return _Held(text, None, _stages(yamltext.load(text, NAME)))
    if parts.blocks[name] == (held.parts.blocks.get(name) if held.parts is not None else None):
        return held
    fresh = _stages(yamltext.load(f"stages:\n{parts.blocks[name]}", NAME))
    return _Held(parts.text, parts, {**held.stages, **fresh})


def _keep(memo: Memo, held: _Held) -> None:
    """Remember what a text says, where JSON can say it."""
    try:
        plain = json.dumps(held.stages)
        if json.loads(plain) == held.stages:  # a number as a key would come back as text
            memo.put("dvc.lock", md5_bytes(held.text.encode()), plain, keep=_KEPT)
    except (TypeError, ValueError):
        pass


def _stages(data: Any, file: str = NAME) -> Mapping[str, Any]:
    stages = data.get("stages") if isinstance(data, Mapping) else None
    if stages is None and isinstance(data, Mapping):
        return {}
    if not isinstance(stages, Mapping):
        raise StoreError(f"{file} is not a lock file of DVC 2 or later", where=file, hint=_REPAIR)
    return {str(name): stage for name, stage in stages.items()}


def _entries(stages: Mapping[str, Any], file: str = NAME) -> dict[str, LockEntry]:
    try:
        return {name: _entry(stage) for name, stage in stages.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(
            f"{file} has an entry that DVC would not have written", where=file, hint=_REPAIR
        ) from error


def _entry(stage: Mapping[str, Any]) -> LockEntry:
    return LockEntry(
        cmd=_command(stage["cmd"]),
        deps=tuple(sorted(map(_item, stage.get("deps") or ()))),
        params=stage.get("params") or {},
        outs=tuple(sorted(map(_item, stage.get("outs") or ()))),
    )


def _command(cmd: Any) -> str:
    return "\n".join(map(str, cmd)) if isinstance(cmd, list) else str(cmd)


def _item(item: Mapping[str, Any]) -> LockItem:
    return LockItem(
        path=item["path"],
        md5=str(item.get("md5") or item.get("etag") or item.get("checksum") or ""),
        size=item.get("size") or 0,
        nfiles=item.get("nfiles"),
        isexec=bool(item.get("isexec", False)),
    )
