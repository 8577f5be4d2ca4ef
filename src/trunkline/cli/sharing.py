"""`trunkline push`, `pull`: records, manifests and data, together."""

from __future__ import annotations

import argparse

from trunkline.cli.output import Answer, plural
from trunkline.project import Project
from trunkline.sharing import Pushed
from trunkline.store import dvccall


def arguments_push(parser: argparse.ArgumentParser) -> None:
    """The arguments of `push`."""
    _remote(parser)
    parser.add_argument(
        "--with-history",
        action="store_true",
        help="also records of runs whose commit is not at origin yet, with all that leads to it",
    )


def arguments_pull(parser: argparse.ArgumentParser) -> None:
    """The arguments of `pull`."""
    _remote(parser)
    parser.add_argument(
        "--all", action="store_true", help="also the data of every recorded run, not the manifests alone"
    )


def _remote(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-r", "--remote", default="", metavar="NAME", help="a DVC remote (default: the default one)"
    )


def command_push(args: argparse.Namespace) -> Answer:
    """Data first, then the records that name them."""
    with Project.find() as project:
        project.seal()
        sharing = project.sharing(args.remote)
        done = sharing.push(project.named_now(), project.in_cache, history=args.with_history)
    return Answer(done._asdict(), lambda: _pushed(done))


def _pushed(done: Pushed) -> str:
    lines = [
        f"sent {plural(done.records, 'record')} of runs to origin, {plural(done.objects, 'object')} to the remote"
    ]
    if done.refused:
        lines.append(
            f"origin takes no records ({done.refused}): {done.bundled} are in the DVC remote, as a bundle"
        )
    if done.held:
        lines.append(
            f"{plural(done.held, 'record')} left here: origin has not got the commit; "
            "type `git push`, or `trunkline push --with-history`"
        )
    if done.lacking:
        lines.append(
            f"{plural(done.lacking, 'version')} that records name not sent: the cache has not got them"
        )
    return "\n".join(lines)


def command_pull(args: argparse.Namespace) -> Answer:
    """The records, what they name, and the workspace's data."""
    with Project.find() as project:
        project.seal()
        done = project.sharing(args.remote).pull(project.named_now(), everything=args.all)
        learnt = project.learn(done.manifests)
        refused = dvccall.attempt(project.root, "checkout")
    data = {"records": done.records, "objects": done.objects, "manifests": learnt, "checkout": refused}
    lines = [
        f"{plural(done.records, 'record')} of runs and {plural(done.objects, 'object')} came, "
        f"the results of {plural(learnt, 'manifest')} are known now"
    ]
    if refused:
        lines.append(f"the workspace is as it was: {refused}; `dvc checkout` says more")
    return Answer(data, lambda: "\n".join(lines), exit_code=1 if refused else 0)
