"""`trunkline purge`: a file of a dataset, gone from every version."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from trunkline.cli.output import Answer, plural, size
from trunkline.errors import ProjectError, UsageError
from trunkline.project import Project
from trunkline.purging import Purge
from trunkline.sources import Recording
from trunkline.store.proof import Proof
from trunkline.store.purged import Purged

_SHOWN = 12


def arguments_purge(parser: argparse.ArgumentParser) -> None:
    """The arguments of `purge`."""
    parser.add_argument(
        "dataset", nargs="?", default="", help="a source dataset; none: purge here what was purged elsewhere"
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="files of the dataset, at any time")
    parser.add_argument("--yes", action="store_true", help="do it; without, nothing is done")
    parser.add_argument("--derived", action="store_true", help="also the models that have seen it")
    parser.add_argument("--reason", default="", help="why, for data/purged.jsonl")
    parser.add_argument(
        "--remote", nargs="?", const="", metavar="NAME", help="in a DVC remote, too (the default one)"
    )


def command_purge(args: argparse.Namespace) -> Answer:
    """Decide; show, or do and prove. Exit 1 where something still holds it."""
    with Project.find() as project:
        if project.root != project.home:
            raise ProjectError("this is a worktree of the project", hint=f"type it in {project.home}")
        if args.dataset and not args.files:
            raise UsageError("no file is named", hint=f"type `trunkline purge {args.dataset} FILE`")
        project.seal()
        remote = None if args.remote is None else project.transfer(args.remote)
        purger = project.purger
        if args.dataset:
            found = purger.plan(args.dataset, args.files, args.reason, derived=args.derived, remote=remote)
        else:
            found = purger.again()

        def remove(name: str, paths: Sequence[str], message: str) -> object:
            return project.sources.remove(name, paths, Recording(message))

        proof = purger.apply(found, remove, remote) if args.yes else None
    lines = [*_lines(found, proof is not None), *(_proof(proof, args.remote is None) if proof else [])]
    return Answer(_data(found, proof), lambda: "\n".join(lines), exit_code=int(bool(proof and proof.found)))


def _data(found: Purge, proof: Proof | None) -> dict[str, Any]:
    return {
        "done": proof is not None,
        "contents": [each._asdict() for each in found.contents],
        "derived": [each._asdict() for each in found.derived],
        "models": [each._asdict() for each in found.models],
        "elsewhere": [f"{dataset}/{path}" for dataset, path in found.elsewhere],
        "present": {name: list(paths) for name, paths in found.present.items()},
        "versions": found.versions,
        "unlisted": found.unlisted,
        "loose": len(found.loose),
        "proof": None if proof is None else proof._asdict(),
    }


def _lines(found: Purge, done: bool) -> Iterator[str]:
    verb = "purged" if done else "would be purged"
    if not found.contents:
        yield "nothing was ever purged here"
        return
    yield f"{verb}: {plural(len(found.contents), 'content')} of"
    yield from _list(sorted({each.name for each in found.contents}))
    if found.derived:
        yield f"{verb}, made from it: {plural(len(found.derived), 'content')}"
        yield from _list(sorted({each.name for each in found.derived}))
    if found.elsewhere:
        yield "the same content stands there too, and goes there too"
        yield from _list([f"{dataset}/{path}" for dataset, path in found.elsewhere])
    if found.models:
        yield "models that have seen it, and stay (--derived: they go)"
        yield from _list([_model(each) for each in found.models])
    for name, paths in found.present.items():
        yield f"{name} {'has' if done else 'gets'} a new version without {', '.join(paths)}"
    if found.versions:
        yield f"{plural(found.versions, 'version')} of datasets {'have' if done else 'would have'} a hole"
    if found.loose:
        yield f"{plural(len(found.loose), 'result')} of which no manifest tells the inputs {'went' if done else 'would go'}"
    if found.unlisted:
        yield (
            f"{plural(found.unlisted, 'version')} of the dataset is not listed here, and may hold it under other "
            "contents: `trunkline pull --all` first"
        )
    if not done:
        yield "nothing is done without --yes"


def _model(each: Purged) -> str:
    return f"{each.name} ({each.md5[:8]})"


def _list(names: Sequence[str]) -> Iterator[str]:
    yield from (f"  {name}" for name in names[:_SHOWN])
    if len(names) > _SHOWN:
        yield f"  and {len(names) - _SHOWN} more"


def _proof(proof: Proof, local: bool) -> Iterator[str]:
    read = ", ".join(f"{number} in the {place}" for place, number in proof.read.items())
    how = f"{plural(proof.whole, 'content')} by hash, {proof.partly} of them also as a part of something else"
    if proof.found:
        yield f"still held, among {sum(proof.read.values())} objects and files that were read ({read}):"
        yield from _list([f"{name} holds {md5[:8]}" for name, md5 in sorted(proof.found.items())])
    else:
        yield f"no object holds it: {sum(proof.read.values())} objects and files were read ({read}; {size(proof.size)})"
    yield f"looked for: {how}"
    if local:
        yield "no remote was looked at: --remote"
