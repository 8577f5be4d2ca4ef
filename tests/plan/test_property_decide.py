"""Laws of decisions: what a run leaves is up to date, and nothing is run twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plan.values import entry, leaf, snapshot, stage
from trunkline.model import DatumPlan, Decision, File, ManifestRow, ReasonKind, Result
from trunkline.plan import decide
from trunkline.plan.datums import datums
from trunkline.plan.keys import datum_keys

STAGE = stage(leaf("raw", "/*"))
worlds = st.tuples(
    st.dictionaries(st.sampled_from("abcde"), st.sampled_from("123")), st.sampled_from(["t", "u"])
)


class History:
    """What runs have left: results by key, and the last manifest."""

    def __init__(self) -> None:
        self.known: dict[str, Result] = {}
        self.rows: dict[str, ManifestRow] = {}

    def plan(self, files: Mapping[str, str], transform: str) -> tuple[DatumPlan, ...]:
        found = datums(STAGE, {"raw": snapshot(files)})
        return decide.decide_datums(found, datum_keys(found, transform), self.known, (), self.rows)

    def run(self, files: Mapping[str, str], transform: str) -> None:
        plans = [plan for plan in self.plan(files, transform) if plan.decision is not Decision.DROP]
        for plan in plans:
            self.known.setdefault(
                plan.key, Result(plan.key, (File(plan.datum.name, plan.key[:32], 1),), "r", 0.0)
            )
        self.rows = {
            plan.datum.id: ManifestRow(plan.datum, plan.key, self.known[plan.key].files) for plan in plans
        }


@given(st.lists(worlds, min_size=1, max_size=5))
@settings(deadline=None)
def test_after_a_run_the_plan_is_empty_and_no_key_ever_runs_again(
    history: list[tuple[dict[str, str], str]],
) -> None:
    past = History()
    executed: set[str] = set()
    for files, transform in history:
        plans = past.plan(files, transform)
        running = {plan.key for plan in plans if plan.decision is Decision.RUN}
        assert not running & executed
        executed |= running
        past.run(files, transform)
        assert all(
            plan.decision is Decision.REUSE and not plan.reasons for plan in past.plan(files, transform)
        )


@given(worlds, worlds)
@settings(deadline=None)
def test_every_decision_is_right_and_every_run_has_a_reason(
    before: tuple[dict[str, str], str], after: tuple[dict[str, str], str]
) -> None:
    past = History()
    past.run(*before)
    same_transform = before[1] == after[1]
    found = {plan.datum.name: plan for plan in past.plan(*after)}
    assert found.keys() == before[0].keys() | after[0].keys()
    for name, plan in found.items():
        old, new = before[0].get(name), after[0].get(name)
        if new is None:
            assert plan.decision is Decision.DROP
            assert plan.reasons[0].kind is ReasonKind.INPUT_GONE
        else:
            assert (plan.decision is Decision.REUSE) == (old == new and same_transform)
            assert bool(plan.reasons) == (old != new)


values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(0, 2), st.sampled_from([0.0, 1.0, 2.5]), st.sampled_from("ab")
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("xyz"), inner, max_size=2)
    ),
    max_leaves=6,
)
declarations = st.dictionaries(st.sampled_from("xyz"), values, max_size=3)


@given(declarations, declarations)
@settings(deadline=None)
def test_declarations_differ_where_a_reason_says_so(old: dict[str, Any], new: dict[str, Any]) -> None:
    reasons = decide.compare(entry(params=new), entry(params=old))
    assert bool(reasons) == (repr(_sorted(old)) != repr(_sorted(new)))
    subjects = [reason.subject for reason in reasons]
    assert len(set(subjects)) == len(subjects)
    for reason in reasons:
        assert reason.old != reason.new


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return [(key, _sorted(value[key])) for key in sorted(value)]
    return ["list", *map(_sorted, value)] if isinstance(value, list) else value
