"""`trunkline gc`: what nobody needs any longer is shown, and with --yes removed."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from trunkline.cli.options import count
from trunkline.cli.output import Answer, plural, size, table
from trunkline.collecting import FORGOTTEN, NOTHING, OLD_COMMITS, OLD_RUNS, Collection, Policy
from trunkline.errors import ProjectError
from trunkline.project import Project
from trunkline.store.sweep import Stored

_CLOSING = "nothing is done without --yes"


def arguments_gc(parser: argparse.ArgumentParser) -> None:
    """The arguments of `gc`."""
    parser.add_argument("--yes", action="store_true", help="remove it; without, nothing is done")
    parser.add_argument(
        "--all-commits", action="store_true", help="keep what any commit names, not only branches and tags"
    )
    parser.add_argument(
        "--keep-runs", type=count, metavar="N", help="keep the data of the newest N runs only"
    )
    parser.add_argument(
        "--older", type=float, metavar="DAYS", help="keep the data of runs of the last DAYS only"
    )
    parser.add_argument(
        "--grace", type=float, default=60.0, metavar="MINUTES", help="keep what is younger (default: 60)"
    )
    parser.add_argument(
        "--remote", nargs="?", const="", metavar="NAME", help="collect in a DVC remote, too (the default one)"
    )
    parser.add_argument(
        "--shared-cache-is-mine",
        action="store_true",
        help="the cache lies outside of the project, and no other project uses it",
    )


def command_gc(args: argparse.Namespace) -> Answer:
    """Decide; show, or do."""
    policy = Policy(args.all_commits, args.keep_runs, args.older, max(0.0, args.grace) * 60)
    with Project.find() as project:
        if project.root != project.home:
            raise ProjectError("this is a worktree of the project", hint=f"type it in {project.home}")
        project.seal()
        collector = project.collector
        foreign = collector.is_foreign() and not args.shared_cache_is_mine
        if foreign and args.yes:
            raise ProjectError(
                "the cache lies outside of the project: what other projects need of it is not known",
                where=project.store.cache_dir,
                hint="if no other project uses it, type `trunkline gc --yes --shared-cache-is-mine`",
            )
        remote = None if args.remote is None else project.transfer(args.remote)
        if remote is not None:
            project.sharing(args.remote).learn()  # what others have sent is needed, too
        with collector.alone() if args.yes else nullcontext():
            found = collector.plan(policy, remote)
            if args.yes:
                collector.apply(found, remote)
    return Answer(_data(found, args.yes), lambda: "\n".join(_lines(found, args.yes, foreign)))


def _data(found: Collection, done: bool) -> dict[str, Any]:
    return {
        "done": done,
        "objects": len(found.goes),
        "bytes": _size(found.goes),
        "reasons": _reasons(found.goes),
        "remote": {
            "objects": len(found.remote),
            "bytes": _size(found.remote),
            "reasons": _reasons(found.remote),
        },
        "results": len(found.results),
        "quarantined": len(found.quarantined),
        "runs": len(found.halves),
        "worktrees": list(found.worktrees),
        "kept": {"objects": found.kept, "bytes": found.kept_bytes, "young": found.young},
    }


def _size(some: Sequence[tuple[Stored, str]]) -> int:
    return sum(each.size for each, _ in some)


def _reasons(some: Sequence[tuple[Stored, str]]) -> list[dict[str, Any]]:
    objects, sizes = Counter(reason for _, reason in some), Counter[str]()
    for each, reason in some:
        sizes[reason] += each.size
    order = (NOTHING, FORGOTTEN, OLD_RUNS, OLD_COMMITS)
    return [
        {"reason": reason, "objects": objects[reason], "bytes": sizes[reason]}
        for reason in order
        if objects[reason]
    ]


def _lines(found: Collection, done: bool, foreign: bool) -> Iterator[str]:
    verb = "gone" if done else "would go"
    for some, where in ((found.goes, "cache"), (found.remote, "remote")):
        if some or where == "cache":
            yield f"{verb} from the {where}: {plural(len(some), 'object')}, {size(_size(some))}"
        rows = [
            (f"  {row['reason']}", plural(row["objects"], "object"), size(row["bytes"]))
            for row in _reasons(some)
        ]
        if rows:
            yield from table(("", "", ""), rows).splitlines()[1:]
    for number, word in (
        (len(found.results), "result of a datum whose files are gone"),
        (len(found.quarantined), "damaged object that was set aside"),
        (len(found.halves), "directory of a run without a record"),
        (len(found.worktrees), "worktree of a deployment that is no more"),
    ):
        if number:
            yield f"{verb}: {number} × {word}"
    young = f", {found.young} of them only because they are young" if found.young else ""
    yield f"{'kept' if done else 'would stay'}: {plural(found.kept, 'object')}, {size(found.kept_bytes)}{young}"
    if foreign:
        yield "the cache lies outside of the project: what other projects need of it is not known"
    if not done:
        yield _CLOSING
