"""The decisions, as values with typed reasons: what a stage must do, datum by datum.

    dvc.lock says           the world says          reason
    deps  raw  md5 1f…      deps  raw  md5 9a…      DATASET_CHANGED raw
    params.epochs  5        params.epochs  7        PARAM_CHANGED params.epochs 5 7
    outs  train  md5 c3…    (nothing there)         OUTPUT_MISSING train

From coarse to fine: `compare` finds why a stage must be looked at; none: `up_to_date`. Otherwise
`decide_datums` decides each datum by its key, and `conclude` what that means for the stage. A
reason is recorded wherever a difference is found; `plan.explain` puts it into words.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

from trunkline.errors import StageFailed
from trunkline.model import (
    Datum,
    DatumPlan,
    Decision,
    File,
    Item,
    LockEntry,
    LockItem,
    ManifestRow,
    PartKind,
    Reason,
    ReasonKind,
    Result,
    Stage,
    StagePlan,
    Version,
)

_TEXT = 60  # characters of a parameter's value that a reason quotes
_ABSENT = object()
_OUTPUT_REASONS = frozenset({ReasonKind.OUTPUT_MISSING, ReasonKind.OUTPUT_CHANGED})
_ALL = frozenset(
    {
        ReasonKind.FORCED, ReasonKind.CODE_CHANGED, ReasonKind.CODE_ADDED, ReasonKind.CODE_REMOVED,
        ReasonKind.PARAM_CHANGED, ReasonKind.COMMAND_CHANGED, ReasonKind.WRITER_CHANGED,
        ReasonKind.PACKAGE_CHANGED, ReasonKind.NOT_MADE,
    }
)  # fmt: skip


class OutputCollision(StageFailed):
    """Two datums of a stage write one path, or one writes a file where another needs a directory."""

    def __init__(self, path: str, first: str, second: str, stage: str = "") -> None:
        of = f" of stage {stage}" if stage else ""
        super().__init__(
            f"two datums{of} write {path}: {first} and {second}",
            where=stage,
            hint="nothing was published; name the files after the datum, or form datums that do not overlap",
        )
        self.path = path
        self.datums = (first, second)


# ---------------------------------------------------------------- stages


def compare(
    expected: LockEntry, locked: LockEntry | None, code: Collection[str] = frozenset()
) -> tuple[Reason, ...]:
    """How the world (`expected`, with the workspace's own outputs) differs from dvc.lock.

    `code` holds the paths among the expected deps that are code. No reasons: up to date.
    """
    if locked is None:
        return (Reason(ReasonKind.NEVER_RAN),)
    reasons: list[Reason] = []
    if expected.cmd != locked.cmd:
        reasons.append(Reason(ReasonKind.COMMAND_CHANGED, "", locked.cmd, expected.cmd))
    reasons += _deps(expected.deps, locked.deps, code)
    reasons += _params(expected.params, locked.params)
    reasons += _outs(expected.outs, locked.outs)
    return tuple(reasons)


def concerns_all(reason: Reason) -> bool:
    """Whether a stage's reason may be why any of its datums runs, whatever its inputs are."""
    cosmetic = any(part.kind is PartKind.COMMENTS for part in reason.parts)
    return reason.kind in _ALL and not cosmetic


def up_to_date(stage: Stage, total: int | None = None) -> StagePlan:
    """The plan of a stage of which nothing needs to be opened; `total` as its manifest counts."""
    return StagePlan(stage, Decision.REUSE, total=total)


def wait(stage: Stage, upstream: Iterable[str]) -> StagePlan:
    """The plan of a stage whose inputs are not known before `upstream` has run."""
    reasons = tuple(Reason(ReasonKind.UPSTREAM, name) for name in dict.fromkeys(upstream))
    return StagePlan(stage, Decision.WAIT, reasons)


def conclude(
    stage: Stage,
    reasons: tuple[Reason, ...],
    datums: tuple[DatumPlan, ...],
    outputs: Version | None,
    locked: LockEntry | None,
) -> StagePlan:
    """What the datums' decisions mean for their stage.

    `outputs` is the version that its dataset will have, None where a datum must run. `relock`:
    dataset and manifest stay what dvc.lock says, only the lock itself is out of date.
    """
    decisions = {plan.decision for plan in datums}
    total = sum(plan.decision is not Decision.DROP for plan in datums)
    if Decision.RUN in decisions:
        decision = Decision.RUN
    elif Decision.DROP in decisions:
        decision = Decision.DROP
    elif _only_lock(stage, reasons, datums, outputs, locked):
        decision = Decision.RELOCK
    else:
        decision = Decision.REUSE
    return StagePlan(stage, decision, reasons, datums, total)


def _only_lock(
    stage: Stage,
    reasons: Iterable[Reason],
    datums: Iterable[DatumPlan],
    outputs: Version | None,
    locked: LockEntry | None,
) -> bool:
    """Whether outputs are in place and as locked, and every result is the one in the manifest."""
    if outputs is None or locked is None or any(reason.kind in _OUTPUT_REASONS for reason in reasons):
        return False
    hashes = {item.path: item.md5 for item in locked.outs}
    same = hashes.get(stage.path) == outputs.oid and stage.manifest_path in hashes
    return same and not any(plan.reasons for plan in datums)


def _deps(
    expected: Sequence[LockItem], locked: Sequence[LockItem], code: Collection[str]
) -> Iterator[Reason]:
    now = {item.path: item for item in expected}
    then = {item.path: item for item in locked}
    for path in sorted(now.keys() | then.keys()):
        new, old = now.get(path), then.get(path)
        if new is None and old is not None:
            data = old.nfiles is not None or (path.startswith("data/") and not path.endswith(".py"))
            kind = ReasonKind.DATASET_CHANGED if data else ReasonKind.CODE_REMOVED
            yield Reason(kind, path, old.md5, "")
        elif new is not None and old is None:
            kind = ReasonKind.CODE_ADDED if path in code else ReasonKind.DATASET_CHANGED
            yield Reason(kind, path, "", new.md5)
        elif new is not None and old is not None and new.md5 != old.md5:
            kind = ReasonKind.CODE_CHANGED if path in code else ReasonKind.DATASET_CHANGED
            yield Reason(kind, path, old.md5, new.md5)


def _params(
    expected: Mapping[str, Mapping[str, Any]], locked: Mapping[str, Mapping[str, Any]]
) -> Iterator[Reason]:
    """Differences down to leaves; keys relative to the stage's subtree of its pipeline file."""
    for file in sorted(expected.keys() | locked.keys()):
        now, then = expected.get(file, {}), locked.get(file, {})
        for key in sorted(now.keys() | then.keys()):
            for reason in _values("", then.get(key, _ABSENT), now.get(key, _ABSENT)):
                yield reason if reason.subject else reason._replace(subject=key)


def _values(key: str, old: object, new: object) -> Iterator[Reason]:
    if _same(old, new):
        return
    before = old if isinstance(old, Mapping) else {} if old is _ABSENT and not _leaf(new) else None
    after = new if isinstance(new, Mapping) else {} if new is _ABSENT and not _leaf(old) else None
    if before is None or after is None:
        yield Reason(ReasonKind.PARAM_CHANGED, key, _short(old), _short(new))
        return
    for name in sorted({*before, *after}, key=str):
        child = f"{key}.{name}" if key else str(name)
        yield from _values(child, before.get(name, _ABSENT), after.get(name, _ABSENT))


def _leaf(value: object) -> bool:
    return not (isinstance(value, Mapping) and value)


def _same(old: object, new: object) -> bool:
    """Equality that tells 1 from 1.0 and from true, as digests do."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(_same, old, new))
    return old is new or (_number(old) == _number(new) and old == new)


def _number(value: object) -> str:
    """Which of the kinds of number that compare equal `value` is; "" for anything else."""
    return next((kind.__name__ for kind in (bool, int, float) if isinstance(value, kind)), "")


def _short(value: object) -> str:
    if value is _ABSENT:
        return ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"


def _outs(workspace: Sequence[LockItem], locked: Sequence[LockItem]) -> Iterator[Reason]:
    now = {item.path: item.md5 for item in workspace}
    then = {item.path: item.md5 for item in locked}
    for path in sorted(now.keys() | then.keys()):
        old, new = then.get(path, ""), now.get(path)
        if new is None:
            yield Reason(ReasonKind.OUTPUT_MISSING, path, old, "")
        elif new != old:
            yield Reason(ReasonKind.OUTPUT_CHANGED, path, old, new)


# ---------------------------------------------------------------- datums


def decide_datums(
    datums: Sequence[Datum],
    keys: Sequence[str],
    known: Mapping[str, Result],
    evicted: Collection[str],
    previous: Mapping[str, ManifestRow] | None,
    references: Collection[str] = (),
) -> tuple[DatumPlan, ...]:
    """Each datum's decision, then those of `previous` that are gone, by id.

    `known` holds results by key, `evicted` the md5s of files that cannot be had any more,
    `previous` the last manifest's rows by datum id, `references` the names of inputs whose content
    decides nothing. A datum without reasons either stays as the manifest has it, or runs for a reason
    of its whole stage; one whose reference changed is reused, and the manifest gets the new one.
    """
    before = previous or {}
    missing = frozenset(evicted)
    reasons = _DatumReasons(datums, before, references)
    plans: list[DatumPlan] = []
    staying = 0
    for datum, key in zip(datums, keys, strict=True):
        result = known.get(key)
        row = before.get(datum.id)
        staying += row is not None
        lost = _lost(result, missing) if missing and result is not None else ""
        if result is None or lost:
            why = (Reason(ReasonKind.RESULT_EVICTED, lost),) if lost else reasons.to_run(datum, row)
            plans.append(DatumPlan(datum, key, Decision.RUN, why))
        else:
            same = row is not None and row.key == key
            why = reasons.beside(datum, row) if same else reasons.to_reuse(result)
            plans.append(DatumPlan(datum, key, Decision.REUSE, why, result))
    return (*plans, *_dropped(datums, before)) if staying < len(before) else tuple(plans)


def _dropped(datums: Sequence[Datum], before: Mapping[str, ManifestRow]) -> Iterator[DatumPlan]:
    """The plans of those that are in `before` only, by id."""
    rows = [before[id_] for id_ in sorted(before.keys() - {datum.id for datum in datums})]
    gone = _only_in([row.datum for row in rows], datums)
    for datum, key, *_ in rows:
        places = [_place(item) for item in datum.items if item[1:3] in gone] or [datum.name]
        why = tuple(Reason(ReasonKind.INPUT_GONE, place) for place in places)
        yield DatumPlan(datum, key, Decision.DROP, why)


def _lost(result: Result, missing: Collection[str]) -> str:
    """The path of the first file of a result that cannot be had any more, or ""."""
    return next((file.path for file in result.files if file.md5 in missing), "")


class _DatumReasons:
    """Why datums are decided as they are. What needs all of them is computed at the first question."""

    def __init__(
        self, datums: Sequence[Datum], before: Mapping[str, ManifestRow], references: Collection[str]
    ) -> None:
        self._datums = datums
        self._references = references
        self._before = before
        self._added: set[tuple[str, str]] | None = None
        self._named: dict[str, Datum] | None = None
        self._reuse: dict[str, tuple[Reason, ...]] = {}

    def to_run(self, datum: Datum, row: ManifestRow | None) -> tuple[Reason, ...]:
        if not self._before:
            return (Reason(ReasonKind.NEVER_RAN, datum.name),)
        if row is not None:
            return tuple(reason for item, reason in _changed(datum, row) if item not in self._references)
        if self._added is None:
            new = (datum for datum in self._datums if datum.id not in self._before)
            self._added = _only_in(new, (row.datum for row in self._before.values()))
        added = [item for item in datum.items if item[1:3] in self._added]
        if not added:
            return self._shrunk(datum) or (Reason(ReasonKind.NEVER_RAN, datum.name),)
        return tuple(Reason(ReasonKind.FILE_ADDED, _place(item), "", item.oid) for item in added)

    def _shrunk(self, datum: Datum) -> tuple[Reason, ...]:
        """What a datum of a group had under this name, and has not any more; nothing of another datum."""
        if not datum.group_by:
            return ()
        if self._named is None:
            self._named = {row.datum.name: row.datum for row in self._before.values()}
        old = self._named.get(datum.name)
        now = {item[:3] for item in datum.items}
        gone = [item for item in (old.items if old is not None else ()) if item[:3] not in now]
        return tuple(Reason(ReasonKind.FILE_DELETED, _place(item), item.oid, "") for item in gone)

    def beside(self, datum: Datum, row: ManifestRow | None) -> tuple[Reason, ...]:
        """What changed of a datum whose key did not: references."""
        if not self._references or row is None:
            return ()
        return tuple(reason for _, reason in _changed(datum, row))

    def to_reuse(self, result: Result) -> tuple[Reason, ...]:
        """The result is not the last one but an earlier one, of `result.run`."""
        found = self._reuse.get(result.run)
        if found is None:
            found = self._reuse[result.run] = (Reason(ReasonKind.KNOWN_RESULT, result.run),)
        return found


def _changed(datum: Datum, row: ManifestRow) -> Iterator[tuple[str, Reason]]:
    """The inputs that have another content than then; a datum of one id has the same places in one order."""
    for item, old in zip(datum.items, row.datum.items, strict=False):
        if item.oid != old.oid:
            yield item.input, Reason(ReasonKind.FILE_CHANGED, _place(item), old.oid, item.oid)


def _only_in(some: Iterable[Datum], others: Iterable[Datum]) -> set[tuple[str, str]]:
    """The (dataset, path) that items of `some` have and none of `others`; as large as `some`."""
    places = {item[1:3] for datum in some for item in datum.items}
    for datum in others:
        for item in datum.items:
            places.discard(item[1:3])
    return places


def _place(item: Item) -> str:
    """A part of a dataset as a person writes it: `flights_raw/2013-01-01.csv`."""
    return f"{item.dataset}/{item.path}" if item.path else item.dataset


# ---------------------------------------------------------------- outputs


def outputs(plans: Iterable[DatumPlan], stage: str = "") -> tuple[File, ...]:
    """The listing of a stage of which no datum needs to run. Raises OutputCollision."""
    pairs = ((plan.datum.name, plan.result.files) for plan in plans if plan.result is not None)
    return merge(pairs, stage)


def merge(parts: Iterable[tuple[str, Sequence[File]]], stage: str = "") -> tuple[File, ...]:
    """The files of all datums, given as (datum's name, files), sorted by path.

    Raises OutputCollision where two datums write one path, or one writes the file `a` and another
    `a/b`.
    """
    parts = list(parts)
    merged = [file for _, files in parts for file in files]
    paths = {file[0] for file in merged}
    if len(paths) < len(merged) or not paths.isdisjoint(_directories(paths)):
        raise _collision(parts, stage)
    merged.sort()
    return tuple(merged)


def overlap(names: Set[str], others: Collection[str]) -> bool:
    """Whether a file is among both, or is a directory of one of the others."""
    if not others:
        return False
    if not names.isdisjoint(others) or not names.isdisjoint(_directories(others)):
        return True
    return not _directories(names).isdisjoint(others)


def _directories(paths: Iterable[str]) -> set[str]:
    """All directories above these files."""
    found: set[str] = set()
    level = {path[: path.rindex("/")] for path in paths if "/" in path}
    while level:
        found |= level
        level = {path[: path.rindex("/")] for path in level if "/" in path} - found
    return found


def _collision(parts: Iterable[tuple[str, Sequence[File]]], stage: str) -> OutputCollision:
    """Which two datums it is."""
    owners: dict[str, str] = {}
    for name, files in parts:
        for file in files:
            if file.path in owners:
                return OutputCollision(file.path, owners[file.path], name, stage)
            owners[file.path] = name
    path, directory = next(
        (path, above) for path in owners for above in sorted(_directories([path])) if above in owners
    )
    return OutputCollision(directory, owners[directory], owners[path], stage)
