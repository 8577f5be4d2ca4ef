"""The states of datums in a run: written as they come about, read at any moment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.plan.values import stage
from trunkline.errors import ProjectError
from trunkline.ledger import states
from trunkline.ledger.ids import FOLDER, uuid7
from trunkline.ledger.states import States, StatesLog
from trunkline.model import Datum, DatumPlan, Decision, Item, Reason, ReasonKind, StagePlan

STAGE = stage(name="clean", pipeline="flights")
REF = STAGE.ref


def item(name: str, decision: Decision, *reasons: Reason) -> DatumPlan:
    datum = Datum(f"{name}-id", name, (Item("raw", "flights_raw", f"{name}.csv", "0f" * 16, 12, None),))
    return DatumPlan(datum, f"{name}-key", decision, reasons)


ADDED = Reason(ReasonKind.FILE_ADDED, "flights_raw/a.csv", "", "0f" * 16)
PLANS = (
    item("a", Decision.RUN, ADDED),
    item("b", Decision.RUN, Reason(ReasonKind.FAILED, "run 1", "", "ValueError: no")),
    item("c", Decision.REUSE),
    item("d", Decision.REUSE, Reason(ReasonKind.KNOWN_RESULT, "run 2")),
    item("e", Decision.DROP, Reason(ReasonKind.INPUT_GONE, "flights_raw/e.csv")),
    item("f", Decision.REUSE),
)


class Place:
    """A project with runs, of which nothing but the states is there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.states = States(str(root))

    def begin(self, *plans: DatumPlan) -> StatesLog:
        self.run = uuid7()
        self.directory = self.root / FOLDER / self.run
        self.file = Path(states.path(str(self.directory), REF))
        return StatesLog(str(self.directory), StagePlan(STAGE, Decision.RUN, (), plans), "7d.dir")

    def now(self) -> dict[str, tuple[str, int, float, str]]:
        """name -> state, tries, seconds, message."""
        found = self.states.of(self.run, REF)
        assert found is not None
        return {row.datum.name: (row.state, row.tries, row.seconds, row.message) for row in found.rows}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_what_a_stage_begins_with_and_nothing_of_what_stays(place: Place) -> None:
    place.begin(*PLANS)
    found = place.states.of(place.run, REF)
    assert found is not None
    assert (found.run, found.manifest, found.reused) == (place.run, "7d.dir", 2)
    assert [(row.datum, row.reasons) for row in found.rows] == [
        (plan.datum, plan.reasons) for plan in PLANS if plan.datum.name in "abde"
    ]
    assert [row.state for row in found.rows] == ["waiting", "waiting", "reused", "dropped"]
    assert len(place.file.read_text().splitlines()) == 1 + 4


def test_every_state_can_be_read_while_the_run_goes_on(place: Place) -> None:
    log = place.begin(*PLANS)
    log.tried("a-id", 0.25, "ValueError: no")
    assert place.now()["a"] == ("waiting", 1, 0.25, "ValueError: no")
    log.settled("b-id", "recovered", 1.0, "KeyError: \udce9'b'")
    log.settled("a-id", "run", 0.5)
    assert place.now()["a"] == ("run", 2, 0.75, "")
    assert place.now()["b"] == ("recovered", 1, 1.0, "KeyError: \udce9'b'")


def test_one_changed_of_many_costs_one_line(place: Place) -> None:
    many = [item(str(number), Decision.REUSE) for number in range(1000)]
    log = place.begin(*many, item("new", Decision.RUN, ADDED))
    log.settled("new-id", "run", 0.1)
    assert len(place.file.read_text().splitlines()) == 3


def test_a_torn_line_is_passed_over(place: Place) -> None:
    log = place.begin(*PLANS)
    log.settled("a-id", "run", 0.1)
    whole = place.file.read_text()
    place.file.write_text(whole + '[1,"fai')
    assert place.now()["b"][0] == "waiting"
    log.settled("b-id", "failed", 0.1, "no")  # to the end of the torn line
    log.settled("b-id", "failed", 0.1, "no")
    assert place.now()["a"][0] == "run"
    assert place.now()["b"][0] == "failed"


def test_the_last_run_of_a_stage_and_what_failed_in_it(place: Place) -> None:
    assert place.states.last(REF) is None
    assert place.states.failed(REF) == {}
    place.begin(*PLANS).settled("a-id", "failed", 0.1, "ValueError: no")
    first = place.run
    (place.root / FOLDER / uuid7()).mkdir()  # a run in which it had nothing to do
    last = place.states.last(REF)
    assert last is not None
    assert last.run == first
    # b was to run because it had failed, and it was never its turn: it is still one that failed
    failed = {id_: (reason.subject, reason.new) for id_, reason in place.states.failed(REF).items()}
    assert failed == {"a-id": (first, "ValueError: no"), "b-id": ("run 1", "ValueError: no")}
    log = place.begin(*PLANS)
    for name in "ab":
        log.settled(f"{name}-id", "run", 0.1)
    assert place.states.failed(REF) == {}


def test_a_stage_that_begins_again_in_one_run_begins_anew(place: Place) -> None:
    place.begin(*PLANS).settled("a-id", "failed", 0.1)
    StatesLog(str(place.directory), StagePlan(STAGE, Decision.RUN, (), PLANS[:1]), "")
    assert place.now() == {"a": ("waiting", 0, 0.0, "")}


def test_a_newer_format_is_refused(place: Place) -> None:
    place.begin()
    place.file.write_text(json.dumps({"schema": states.SCHEMA + 1}) + "\n")
    with pytest.raises(ProjectError, match="a newer trunkline"):
        place.states.of(place.run, REF)
