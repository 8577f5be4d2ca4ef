"""What became of a stage's datums in one run: `.trunkline/runs/<id>/datums/<stage>.jsonl`.

    {"schema": 1, "stage": "flights.clean", "manifest": "7d79….dir", "reused": 363}
    ["waiting", "5f0c…", "2013-12-31", [["raw", "flights_raw", "2013-12-31.csv", "9a8b…", 120, null]],
     [["file_added", "flights_raw/2013-12-31.csv", "", "9a8b…"]]]
    ["dropped", "c0de…", "2013-02-30", …]
    [0, "waiting", 1, 0.03, "ValueError: no such day"]
    [0, "run", 2, 0.06, ""]

The first lines are written at once, when the stage begins: a header, then every datum that is to run,
is dropped, or is reused from elsewhere than the stage's last manifest, with its inputs and why. What is
reused from there (`reused` datums) is not written, so that one changed datum in 100,000 costs one line:
those are the rows of `manifest` that no line names. A line is appended for whatever happens to a datum:
its number (from 0, as listed), its state, its tries, the seconds of all of them, what went wrong. The
last line about a datum counts; one that was torn by kill -9 is passed over.

States: waiting (it has not been its turn, or it is at work), run (it ran and is done), reused, failed,
recovered (it failed, and `err_cmd` ended well), dropped (its inputs are gone). Measured: 4 microseconds a
datum that begins, 8 one that ends, the file opened and closed for each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from trunkline.errors import ProjectError
from trunkline.ledger.ids import FOLDER
from trunkline.ledger.records import recording
from trunkline.ledger.runs import Runs
from trunkline.model import Datum, DatumPlan, Decision, Item, Reason, ReasonKind, StagePlan

SCHEMA = 1
STATES = ("failed", "recovered", "reused", "run", "dropped", "waiting")
_BEGIN = {Decision.DROP: "dropped", Decision.REUSE: "reused"}


class DatumState(NamedTuple):
    """One datum in a run. `seconds` are those of all its tries, `message` says what went wrong."""

    datum: Datum
    state: str
    reasons: tuple[Reason, ...] = ()
    tries: int = 0
    seconds: float = 0.0
    message: str = ""


class StageStates(NamedTuple):
    """The datums of a stage in a run. Not among `rows`: `reused` datums, rows of `manifest` (its hash)."""

    run: str
    manifest: str
    reused: int
    rows: tuple[DatumState, ...]


# ---------------------------------------------------------------- written


class StatesLog:
    """Keeps the states of one stage's datums below `directory`, the run's, while they come about."""

    def __init__(self, directory: str, plan: StagePlan, manifest: str) -> None:
        """The stage begins; `manifest` is the hash of the one that its plan was made from, "" for none."""
        self._path = path(directory, plan.stage.ref)
        told = [item for item in plan.datums if item.decision is not Decision.REUSE or item.reasons]
        self._numbers = {item.datum.id: number for number, item in enumerate(told)}
        self._tried: dict[str, tuple[int, float]] = {}
        header = {
            "schema": SCHEMA,
            "stage": plan.stage.ref,
            "manifest": manifest,
            "reused": plan.count(Decision.REUSE) - sum(each.decision is Decision.REUSE for each in told),
        }
        beside = f"{self._path}.tmp"
        with recording(self._path):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            with open(beside, "w", encoding="utf-8", errors="surrogateescape") as stream:
                stream.write(_line(header))
                stream.writelines(_line(_begun(item)) for item in told)
            os.replace(beside, self._path)

    def tried(self, datum: str, seconds: float, message: str) -> None:
        """The datum with this id failed, and is tried again."""
        self._add(datum, "waiting", seconds, message)

    def settled(self, datum: str, state: str, seconds: float, message: str = "") -> None:
        """The datum with this id is done: run, failed or recovered."""
        self._add(datum, state, seconds, message)

    def _add(self, datum: str, state: str, seconds: float, message: str) -> None:
        tries, before = self._tried.get(datum, (0, 0.0))
        tries, total = tries + 1, before + seconds
        if state == "waiting":
            self._tried[datum] = (tries, total)
        line = _line([self._numbers[datum], state, tries, round(total, 6), message])
        with recording(self._path):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                os.write(descriptor, line.encode("utf-8", "surrogateescape"))
            finally:
                os.close(descriptor)


def path(directory: str, ref: str) -> str:
    """Where the states of the stage `ref` are kept, in the directory of a run."""
    return os.path.join(directory, "datums", f"{ref}.jsonl")


def _begun(item: DatumPlan) -> list[Any]:
    datum = item.datum
    state = _BEGIN.get(item.decision, "waiting")
    return [state, datum.id, datum.name, datum.items, [reason[:4] for reason in item.reasons]]


def _line(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


# ---------------------------------------------------------------- read


class States:
    """The states of datums in the runs of the project at `root`."""

    def __init__(self, root: str) -> None:
        self._folder = os.path.join(root, FOLDER)
        self._runs = Runs(root)

    def of(self, run: str, ref: str) -> StageStates | None:
        """The datums of the stage `ref` in a run, as far as it got; None where it had nothing to do."""
        place = path(os.path.join(self._folder, run), ref)
        try:
            with open(place, encoding="utf-8", errors="surrogateescape") as stream:
                return _states(run, stream, place)
        except FileNotFoundError:
            return None

    def last(self, ref: str) -> StageStates | None:
        """The same in the last run in which the stage had something to do."""
        return next((found for run in self._runs.ids() if (found := self.of(run, ref)) is not None), None)

    def failed(self, ref: str) -> dict[str, Reason]:
        """The datums of a stage that failed when it last ran, by id, and that they did."""
        last = self.last(ref)
        if last is None:
            return {}
        found = {row.datum.id: _failed(row, last.run) for row in last.rows}
        return {datum: reason for datum, reason in found.items() if reason is not None}


def _failed(row: DatumState, run: str) -> Reason | None:
    """That a datum failed in a run; or before, where this run was to repair that and did not get to it."""
    if row.state == "failed":
        return Reason(ReasonKind.FAILED, run, "", row.message)
    if row.state != "waiting":
        return None
    return next((reason for reason in row.reasons if reason.kind is ReasonKind.FAILED), None)


def _states(run: str, stream: Iterable[str], where: str) -> StageStates:
    rows: list[DatumState] = []
    header: dict[str, Any] = {}
    for value in _values(stream):
        if isinstance(value, dict):
            header = value
            if header["schema"] > SCHEMA:
                raise ProjectError(
                    f"these states were recorded by a newer trunkline (format {header['schema']})",
                    where=where,
                    hint="upgrade trunkline",
                )
        elif isinstance(value[0], str):
            rows.append(_row(*value))
        else:
            number, state, tries, seconds, message = value
            rows[number] = rows[number]._replace(state=state, tries=tries, seconds=seconds, message=message)
    return StageStates(run, header.get("manifest", ""), header.get("reused", 0), tuple(rows))


def _values(stream: Iterable[str]) -> Iterator[Any]:
    for line in stream:
        try:
            yield json.loads(line)
        except ValueError:  # torn
            continue


def _row(state: str, id_: str, name: str, items: list[list[Any]], reasons: list[list[str]]) -> DatumState:
    datum = Datum(id_, name, tuple(Item(*item) for item in items))
    found = tuple(Reason(ReasonKind(kind), subject, old, new) for kind, subject, old, new in reasons)
    return DatumState(datum, state, found)
