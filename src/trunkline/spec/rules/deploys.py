"""Rules about how a pipeline is deployed: from which branch, to which branch, where."""

from __future__ import annotations

import re

from trunkline.spec.drafts import PipelineDraft
from trunkline.spec.keys import CATCH_UP
from trunkline.spec.names import branch_fault, did_you_mean, listed
from trunkline.spec.rules.plain import plain
from trunkline.spec.world import World

_FORBIDDEN_IN_PREFECT = re.compile("[/%&<>]").search
_LOGIN = re.compile(r"[a-z+]+://[^/@]*:[^/@]*@").match


def catch_up(pipeline: PipelineDraft, world: World) -> None:
    """What is made up for is one of three."""
    word = pipeline.fields.text("catch_up")
    if word is not None and word.text not in CATCH_UP:
        advice = did_you_mean(word.text, CATCH_UP, f"write one of {listed(CATCH_UP)}")
        pipeline.say.at(word.node, f"'catch_up' cannot be '{word.text}'", advice)


def branches(pipeline: PipelineDraft, world: World) -> None:
    """Branches have names that git allows."""
    for key in ("branch", "commit_to"):
        name = pipeline.fields.text(key)
        if name is not None and (fault := branch_fault(name.text)):
            advice = "write the name of a branch, such as main or trunkline/flights"
            pipeline.say.at(name.node, f"the branch '{name.text}' {fault}", advice)


def work_pools(pipeline: PipelineDraft, world: World) -> None:
    """A work pool has a name that Prefect allows, and variables that JSON can say."""
    if pipeline.deploy is None:
        return
    pool = pipeline.deploy.text("work_pool")
    if pool is not None and (not pool.text or _FORBIDDEN_IN_PREFECT(pool.text)):
        advice = "write its name without / % & < >; `prefect work-pool ls` lists them"
        pipeline.say.at(pool.node, f"'{pool.text}' cannot be the name of a work pool", advice)
    for _, node in pipeline.deploy.pairs("job_variables"):
        plain(node, pipeline.say)


def repositories(pipeline: PipelineDraft, world: World) -> None:
    """A repository is an address that means the same on every machine, and holds no password."""
    address = pipeline.deploy.text("repository") if pipeline.deploy is not None else None
    if address is None:
        return
    if _LOGIN(address.text):
        advice = "leave the password out: the worker's git has to know it"
        pipeline.say.at(address.node, "this address has a password in it, which Prefect would store", advice)
    elif not address.text or address.text[0] in "/.~":
        advice = 'write an address, such as "https://git.example.org/flights.git"'
        pipeline.say.at(address.node, f"'{address.text}' is a place on one machine", advice)


# ---------------------------------------------------------------- all files together


def one_branch_each(world: World) -> None:
    """No two pipelines commit to one branch: each would take back what the other wrote into dvc.lock.

    Nor is the name of a branch a directory in another's, which git cannot have.
    """
    owners: dict[str, str] = {}  # branch of results -> pipeline
    for name, pipeline in {each.name.text: each for each in world.pipelines if each.name}.items():
        written, tracked = pipeline.fields.text("commit_to"), pipeline.fields.text("branch")
        branch = written.text if written is not None else f"trunkline/{name}"
        place = written.node if written is not None else pipeline.fields.key
        others = [*owners, tracked.text if tracked is not None else "main"]
        nested = next((other for other in others if _nested(other, branch)), None)
        if branch in owners:
            message = f"the pipeline '{owners[branch]}' commits to the branch '{branch}' too"
            pipeline.say.at(place, message, "write another branch as commit_to")
        elif nested is not None:
            message = f"git cannot have a branch '{branch}' beside a branch '{nested}'"
            pipeline.say.at(place, message, "write another branch as commit_to")
        owners.setdefault(branch, name)


def _nested(one: str, other: str) -> bool:
    return one.startswith(f"{other}/") or other.startswith(f"{one}/")
