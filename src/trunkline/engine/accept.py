"""Keeps a stage's present outputs under the code and parameters as they are, because a person vouches.

Nothing runs and no output is touched. Every datum's last result becomes its result under the new key
too, marked with the transform that really made it; the manifest gets the new keys and the marks, and
dvc.lock is refreshed. So the stage is up to date for both runners, and what changes later runs datum by
datum.

What a person cannot vouch for is refused: other inputs, outputs that nobody's code made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from trunkline import listing
from trunkline.engine.manifests import ManifestFacts
from trunkline.engine.planner import Planner
from trunkline.errors import MissingData, UsageError
from trunkline.model import Datum, LockEntry, ManifestRow, Reason, ReasonKind, Recovered, Result, Stage
from trunkline.plan import decide, explain
from trunkline.ports import Ledger, Store

_NAMED = 3  # so many datums are named in a refusal
_REFUSED = frozenset(
    {
        ReasonKind.NEVER_RAN, ReasonKind.DATASET_CHANGED, ReasonKind.UPSTREAM_CHANGED,
        ReasonKind.OUTPUT_MISSING, ReasonKind.OUTPUT_CHANGED,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What is to be accepted: a stage's datums under their new keys, and why they would run otherwise."""

    stage: Stage
    transform: str
    reasons: tuple[Reason, ...]
    rows: tuple[ManifestRow, ...]
    results: tuple[Result, ...]
    recovered: tuple[Recovered, ...]


class Acceptor:
    """Accepts the present outputs of stages."""

    def __init__(self, planner: Planner, store: Store, ledger: Ledger) -> None:
        self._planner = planner
        self._store = store
        self._ledger = ledger

    def examine(self, stage: Stage) -> Acceptance | None:
        """What accepting would do; None where there is nothing to accept. Raises UsageError, MissingData."""
        plan = self._planner.stage(stage)
        wrong = [explain.sentence(reason) for reason in plan.reasons if reason.kind in _REFUSED]
        if wrong:
            raise _refused(stage, wrong)
        facts, rows = self._planner.facts(stage), self._planner.rows(stage)
        transform = self._planner.transform(stage)
        if plan.up_to_date and (facts is None or facts.transform == transform):
            return None
        if facts is None or len(rows) != facts.total:
            raise MissingData(
                f"the manifest of {stage.ref} is not in the cache: what is there cannot be accepted datum by datum",
                where=stage.manifest_path,
                hint=f"type `dvc pull {stage.dvc_name}`",
            )
        self._check_outputs(stage, rows)
        return self._acceptance(stage, plan.reasons, transform, facts, rows)

    def apply(self, acceptance: Acceptance, order: Sequence[str] = ()) -> LockEntry:
        """Accept; the entry of dvc.lock that was written. `order` is dvc.yaml's."""
        stage, planner = acceptance.stage, self._planner
        self._ledger.record(stage.ref, acceptance.results)
        self._ledger.recover(stage.ref, acceptance.recovered)
        manifest = planner.publish(stage, acceptance.rows, acceptance.transform)
        planner.gather.settle(stage.manifest_path, manifest)
        entry = planner.expected(stage)
        self._store.write_lock(stage.dvc_name, entry, order)
        return entry

    def _check_outputs(self, stage: Stage, rows: Sequence[ManifestRow]) -> None:
        """The outputs are those that the manifest tells of: not edited and then committed."""
        made = listing.version(decide.merge((row.datum.name, row.files) for row in rows))
        present = self._planner.gather.version(stage.path)
        if present is None or present.oid != made.oid:
            raise _refused(stage, [f"the outputs in {stage.path} were edited after they had been made"])

    def _acceptance(
        self,
        stage: Stage,
        reasons: tuple[Reason, ...],
        transform: str,
        facts: ManifestFacts,
        rows: Sequence[ManifestRow],
    ) -> Acceptance:
        datums, old = self._planner.keyed(stage, facts.transform)
        new = dict(zip(old, self._planner.keyed(stage, transform)[1], strict=True))
        recovered = self._ledger.recovered(stage.ref)
        wrong = list(_others(datums, old, rows, recovered))
        if wrong:
            more = [f"and {len(wrong) - _NAMED} datums more"] if len(wrong) > _NAMED else []
            raise _refused(stage, [*wrong[:_NAMED], *more])
        known = self._ledger.results(old + list(new.values()))
        current = dict(zip(old, datums, strict=True))
        accepted: list[ManifestRow] = []
        results: list[Result] = []
        for row in rows:
            key, before = new[row.key], known.get(row.key)
            made, there = row.made or facts.transform, known.get(key)
            if made == transform or (there is not None and not there.made and there.files == row.files):
                made = ""  # that very code has made it, at some time
            accepted.append(ManifestRow(current[row.key], key, row.files, made))
            if made or there is None:
                run, seconds = (before.run, before.seconds) if before is not None else ("", 0.0)
                results.append(Result(key, row.files, run, seconds, made))
        kept = tuple(item._replace(key=new[key]) for key, item in recovered.items() if key in new)
        return Acceptance(stage, transform, reasons, tuple(accepted), tuple(results), kept)


def _others(
    datums: Sequence[Datum],
    keys: Sequence[str],
    rows: Sequence[ManifestRow],
    recovered: Mapping[str, Recovered],
) -> list[str]:
    """How the datums as they are differ from those whose outputs are there, in words."""
    made = {row.key for row in rows}
    left = made.difference(keys)
    found = []
    before = {row.datum.id: row.datum for row in rows if row.key in left}
    for datum, key in zip(datums, keys, strict=True):
        if key not in made and key not in recovered:
            then = before.pop(datum.id, None)
            found.append(_other(datum, then))
    return found + [f"datum {datum.name} is gone" for datum in before.values()]


def _other(datum: Datum, then: Datum | None) -> str:
    if then is None:
        return f"datum {datum.name} has no outputs"
    pairs = zip(datum.items, then.items, strict=False)
    paths = [f"{new.dataset}/{new.path}".rstrip("/") for new, old in pairs if new.oid != old.oid]
    return f"{', '.join(islice(paths, _NAMED))} changed" if paths else f"datum {datum.name} is another one"


def _refused(stage: Stage, wrong: Sequence[str]) -> UsageError:
    return UsageError(
        f"the outputs of {stage.ref} cannot be accepted: {'; '.join(wrong)}",
        where=stage.path,
        hint="accepting is for other code, parameters and packages; "
        f"type `trunkline run {stage.ref}` for what else changed",
    )
