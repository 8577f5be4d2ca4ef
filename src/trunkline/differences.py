"""What differs between two runs: data, code, parameters, environment, metrics. Decides from values, reads nothing.

    between(Side(run, entries), Side(run, entries), Reads(listing, text, code, tracked))
    {"runs": [{"id": …}, {"id": …}],
     "data": {"sources": [{"path": "data/orders_raw", "was": "…", "now": "…",
                           "files": {"added": 1, "removed": 0, "changed": 1}}], "outputs": [{"stage": …, …}]},
     "code": {"basis": "trees", "files": [{"path": "stages/shop.py", "added": 3, "removed": 1}],
              "read": [{"path": "stages/shop.py", "was": "…", "now": "…"}], "not_recorded": []},
     "params": [{"stage": "shop.train", "name": "params.alpha", "was": 0.5, "now": 0.25}],
     "environment": [{"name": "packages.numpy", "was": "2.2.1", "now": "2.3.0"}],
     "metrics": [{"stage": …, "file": …, "name": "rows", "was": 2, "now": 3, "difference": 1}]}

A run's entries are those of its own stages, and of its dvc.lock for stages that did not take part. What is
not there on one side is null. `code.files` is what git says between the recorded trees, or where there is
none, between commits; `code.read` are the code files that stages read, by their content, in every case.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from trunkline.ledger.records import RunRecord
from trunkline.model import File, LockEntry, LockItem

Entries = Mapping[str, LockEntry]
_MANIFESTS = "/.manifests/"


@dataclass(frozen=True, slots=True)
class Side:
    """A run, with the entries of dvc.lock by DVC's stage name; `tree` is its code as git has it, "" without."""

    run: RunRecord
    entries: Entries
    tree: str = ""

    @property
    def code(self) -> str:
        """What git compares: the tree that was recorded, else the commit; "" where there is neither."""
        return self.tree or self.run.git.commit or ""


@dataclass(frozen=True, slots=True)
class Reads:
    """What is asked of others. `listing`: the files of a version, None where they are not at hand; `text`: a
    metrics file's content by its hash, None likewise; `code`: files, with lines added and removed, by git.
    """

    listing: Callable[[str], Sequence[File] | None]
    text: Callable[[str], bytes | None]
    code: Callable[[str, str], list[dict[str, Any]] | None]


def between(one: Side, two: Side, reads: Reads) -> dict[str, Any]:
    """Everything that differs, as plain data."""
    return {
        "runs": [_run(side.run) for side in (one, two)],
        "data": {
            "sources": [*_items(_sources(one), _sources(two), "path", reads)],
            "outputs": [*_items(_outputs(one), _outputs(two), "stage", reads)],
        },
        "code": _code(one, two, reads),
        "params": [*_params(one, two)],
        "environment": [*_environment(one.run.environment, two.run.environment)],
        "metrics": [*_metrics(one, two, reads)],
    }


def _run(run: RunRecord) -> dict[str, Any]:
    return {
        "id": run.id,
        "state": run.state,
        "started": run.started,
        "commit": run.git.commit,
        "dirty": bool(run.git.dirty_files),
    }


# ---------------------------------------------------------------- data


def _sources(side: Side) -> dict[str, LockItem]:
    """The data that no stage makes, by path."""
    made = [out.path for entry in side.entries.values() for out in entry.outs]
    deps = (dep for entry in side.entries.values() for dep in entry.deps)
    return {
        dep.path: dep for dep in deps if _is_data(dep) and not any(_within(dep.path, out) for out in made)
    }


def _is_data(dep: LockItem) -> bool:
    return dep.path.startswith("data/") or dep.nfiles is not None


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _outputs(side: Side) -> dict[str, LockItem]:
    """What stages made, by the stage's name; by name and path where it made several things."""
    found: dict[str, LockItem] = {}
    for name, entry in side.entries.items():
        outs = [out for out in entry.outs if _MANIFESTS not in out.path]
        ref = _ref(name, entry)
        found.update({ref if len(outs) == 1 else f"{ref} {out.path}": out for out in outs})
    return found


def _items(
    one: Mapping[str, LockItem], two: Mapping[str, LockItem], label: str, reads: Reads
) -> Iterator[dict[str, Any]]:
    for name in _union(one, two):
        was, now = one.get(name), two.get(name)
        if (was and was.md5) != (now and now.md5):
            files = _counts(was, now, reads)
            yield {label: name, "was": was and was.md5, "now": now and now.md5, "files": files}


def _counts(was: LockItem | None, now: LockItem | None, reads: Reads) -> dict[str, int] | None:
    """How many files came, went and changed; None where a listing is not at hand."""
    sides = [_listed(item, reads) for item in (was, now)]
    if None in sides:
        return None
    old, new = (side or {} for side in sides)
    both = old.keys() & new.keys()
    return {
        "added": len(new.keys() - both),
        "removed": len(old.keys() - both),
        "changed": sum(old[path] != new[path] for path in both),
    }


def _listed(item: LockItem | None, reads: Reads) -> dict[str, str] | None:
    if item is None:
        return {}
    if not item.md5.endswith(".dir"):
        return {"": item.md5}
    files = reads.listing(item.md5)
    return None if files is None else {file.path: file.md5 for file in files}


# ---------------------------------------------------------------- code, parameters, environment


def _code(one: Side, two: Side, reads: Reads) -> dict[str, Any]:
    files = reads.code(one.code, two.code) if one.code and two.code else None
    basis = "unknown" if files is None else "trees" if one.tree and two.tree else "commits"
    loose = [(side.run.id, _not_recorded(side)) for side in (one, two)]
    return {
        "basis": basis,
        "from": one.code or None,
        "to": two.code or None,
        "files": files or [],
        "read": [*_code_read(one, two)],
        "not_recorded": [{"run": run, "files": files} for run, files in loose if files],
    }


def _not_recorded(side: Side) -> list[str]:
    """The edited files that git has not got as the run had them."""
    if not side.tree:
        return list(side.run.git.dirty_files)
    return [str(each["path"]) for each in side.run.code.get("left_out", ())]


def _code_read(one: Side, two: Side) -> Iterator[dict[str, Any]]:
    """The code files of stages whose content differs."""
    sides = [
        {dep.path: dep.md5 for entry in side.entries.values() for dep in entry.deps if not _is_data(dep)}
        for side in (one, two)
    ]
    for path in _union(*sides):
        was, now = (side.get(path) for side in sides)
        if was != now:
            yield {"path": path, "was": was, "now": now}


def _params(one: Side, two: Side) -> Iterator[dict[str, Any]]:
    sides = [
        {_ref(name, entry): _flat_params(entry) for name, entry in s.entries.items()} for s in (one, two)
    ]
    for ref in _union(*sides):
        was, now = (side.get(ref, {}) for side in sides)
        yield from ({"stage": ref, **each} for each in _changes(was, now))


def _flat_params(entry: LockEntry) -> dict[str, Any]:
    """The values of a stage by dotted names; those of its pipeline file without the stage's own name."""
    own = f"stages.{_words(entry)[2].partition('.')[2]}" if _ours(entry) else None
    found: dict[str, Any] = {}
    for file, values in entry.params.items():
        for key, value in values.items():
            prefix = "" if key == own else f"{file}:{key}"
            found.update(_flat(value, prefix))
    return found


def _environment(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return _changes(
        *(
            {key: each for name, value in _flat(side).items() for key, each in _spread(name, value)}
            for side in (one, two)
        )
    )


def _spread(name: str, value: Any) -> list[tuple[str, Any]]:
    """A list as its members, each there or not: of a processor's vector units one may be missing."""
    return (
        [(f"{name}.{each}", True) for each in value] if isinstance(value, (list, tuple)) else [(name, value)]
    )


def _changes(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name in _union(one, two):
        was, now = one.get(name), two.get(name)
        if was != now:
            yield {"name": name, "was": was, "now": now}


# ---------------------------------------------------------------- metrics


def _metrics(one: Side, two: Side, reads: Reads) -> Iterator[dict[str, Any]]:
    sides = [dict(_measured(side, reads)) for side in (one, two)]
    for ref, file in _union(*sides):
        was, now = (side.get((ref, file), {}) for side in sides)
        for change in _changes(was, now):
            difference = _difference(change["was"], change["now"])
            yield {"stage": ref, "file": file, **change, "difference": difference}


def _measured(side: Side, reads: Reads) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    """The values of each metrics file that a stage declares, as far as it is at hand."""
    for name, entry in side.entries.items():
        for file in _metric_files(entry):
            md5 = _file(entry, file, reads)
            text = reads.text(md5) if md5 else None
            if text is not None and (values := _parsed(text)) is not None:
                yield (_ref(name, entry), file), values


def _metric_files(entry: LockEntry) -> Iterator[str]:
    if _ours(entry):
        key = f"stages.{_words(entry)[2].partition('.')[2]}"
        for values in entry.params.values():
            declared = values.get(key)
            for each in (declared.get("metrics") or ()) if isinstance(declared, Mapping) else ():
                yield from each if isinstance(each, Mapping) else [str(each)]


def _file(entry: LockEntry, path: str, reads: Reads) -> str | None:
    """The content hash of a file of the stage's dataset."""
    for out in entry.outs:
        if _MANIFESTS not in out.path and out.md5.endswith(".dir"):
            listed = reads.listing(out.md5) or ()
            return next((file.md5 for file in listed if file.path == path), None)
    return None


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        return _flat(json.loads(text))
    except ValueError:
        return None


def _difference(was: Any, now: Any) -> float | int | None:
    numbers = all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in (was, now))
    return now - was if numbers else None


# ---------------------------------------------------------------- names


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings by dotted names."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    parts = (_flat(each, f"{prefix}.{key}" if prefix else str(key)) for key, each in value.items())
    return dict(chain.from_iterable(part.items() for part in parts))


def _words(entry: LockEntry) -> list[str]:
    return entry.cmd.split()


def _ours(entry: LockEntry) -> bool:
    return _words(entry)[:2] == ["trunkline", "exec"] and len(_words(entry)) > 2


def _ref(name: str, entry: LockEntry) -> str:
    """The stage's name as people use it."""
    return _words(entry)[2] if _ours(entry) else name


def _union(one: Iterable[Any], two: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys([*one, *two]))
