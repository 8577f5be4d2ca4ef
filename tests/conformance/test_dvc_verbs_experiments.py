"""`dvc exp run` in all its kinds: in the workspace, beside it, from the queue."""

from __future__ import annotations

import time

import pytest

from tests.conformance.verbs import replace, settled, shout_louder
from tests.support import Tree

SUFFIX = "pipelines/letters.yaml:stages.upper.params.suffix"


def lock_of(tree: Tree, experiment: str) -> str:
    """dvc.lock as an experiment left it."""
    refs = tree.git("for-each-ref", "--format=%(refname)", "refs/exps").out.split()
    ref = next(ref for ref in refs if ref.endswith(f"/{experiment}"))
    return tree.git("show", f"{ref}:dvc.lock").out


def recorded(tree: Tree, experiment: str) -> None:
    """The latest run is that of an experiment beside the workspace; git has its code."""
    run = tree.trunkline("show", "--json").data
    assert (run["runner"], run["state"]) == ("dvc", "done")
    assert [stage["outcome"] for stage in run["stages"]] == ["committed"] * 2, "the third had the same inputs"
    assert run["code"]["experiment"]
    (ref,) = (
        ref
        for ref in tree.git("for-each-ref", "--format=%(refname)", "refs/trunkline/runs").out.split()
        if ref.endswith(run["id"])
    )
    assert 'suffix: "?"' in tree.git("show", f"{ref}:pipelines/letters.yaml").out.replace("'", '"')
    assert tree.trunkline("runs", "--json").data[0]["id"] == run["id"], experiment


def test_an_experiment_in_the_workspace(ran: Tree) -> None:
    head = ran.git("rev-parse", "HEAD").out
    shout_louder(ran)
    ran.dvc("exp", "run", "-q", "-n", "louder")
    assert ran.read("data/letters/upper/a.txt") == "ALPHA?!"
    assert lock_of(ran, "louder") == ran.read("dvc.lock")
    assert ran.git("rev-parse", "HEAD").out == head
    settled(ran)


def test_an_experiment_with_another_parameter(ran: Tree) -> None:
    ran.dvc("exp", "run", "-q", "-n", "asking", "-S", f"{SUFFIX}=?")
    assert ran.read("data/letters/upper/a.txt") == "ALPHA?"
    assert ran.counts()["letters.upper"] == (3, 0, 0)
    settled(ran)
    ran.dvc("exp", "run", "-q", "-n", "back", "-S", f"{SUFFIX}='!'", "letters-upper")
    assert ran.counts() == {"letters.upper": (0, 3, 0)}, "what is known from before is reused"


def test_an_experiment_beside_the_workspace(ran: Tree) -> None:
    before = ran.published()
    ran.dvc("exp", "run", "-q", "--temp", "-n", "asking", "-S", f"{SUFFIX}=?")
    assert ran.published() == before
    assert ran.git("status", "--porcelain").out == ""
    recorded(ran, "asking")
    settled(ran)
    replace(ran, "pipelines/letters.yaml", '"!"', '"?"')
    plan = ran.trunkline("plan", "--json").data["stages"]
    assert {stage["decision"] for stage in plan} == {"reuse"}, "its results are known here"
    ran.trunkline("run")
    assert lock_of(ran, "asking") == ran.read("dvc.lock")


@pytest.mark.whole
def test_experiments_from_the_queue(ran: Tree) -> None:
    before = ran.published()
    ran.dvc("exp", "run", "-q", "--queue", "-n", "asking", "-S", f"{SUFFIX}=?")
    ran.dvc("queue", "start", "-q")
    try:
        _wait_for(ran, "asking")
    finally:
        ran.dvc("queue", "stop", "-q", "--kill")  # its worker would stay for a while
    assert ran.published() == before
    recorded(ran, "asking")
    ran.dvc("exp", "apply", "-q", "asking")
    assert ran.read("data/letters/upper/a.txt") == "ALPHA?"
    settled(ran)


def _wait_for(tree: Tree, experiment: str) -> None:
    deadline = time.monotonic() + 120
    while not tree.git("for-each-ref", "refs/exps").out.strip().endswith(f"/{experiment}"):
        assert time.monotonic() < deadline, tree.dvc("queue", "logs", experiment).out
        time.sleep(0.2)
