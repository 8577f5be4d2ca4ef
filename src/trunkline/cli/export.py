"""`trunkline export` and `verify`: what is recorded, in the formats of others; and whether a signed one holds."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from typing import Any

from trunkline.cli.lineage import on_disk
from trunkline.cli.output import Answer
from trunkline.errors import CorruptData, StoreError, UsageError
from trunkline.exports import Exports, Subject, digest_of
from trunkline.project import Project

FORMATS = ("openlineage", "in-toto", "mermaid", "model-card")


def arguments_export(parser: argparse.ArgumentParser) -> None:
    """The arguments of `export`."""
    parser.add_argument(
        "what",
        metavar="RUN|ARTIFACT",
        help="a run by its id, its beginning, or `latest`; or an artifact as `trunkline lineage` takes it, "
        "also at a commit or a run: NAME@REV",
    )
    parser.add_argument("--format", required=True, choices=FORMATS, help="what is written")
    parser.add_argument(
        "-o", "--output", default="", metavar="FILE", help="where it is written (default: printed)"
    )
    parser.add_argument(
        "--url", default="", help="with openlineage: where the events are sent, like http://localhost:5000"
    )
    parser.add_argument(
        "--namespace", default="", help="with openlineage: of jobs and datasets (default: the project's name)"
    )
    parser.add_argument(
        "--sign",
        default="",
        metavar="KEY",
        help="with in-toto: an Ed25519 private key in PEM form to sign with",
    )


def command_export(args: argparse.Namespace) -> Answer:
    """Find what is meant, say it in the format, and print, write or send it."""
    _check(args)
    with Project.find() as project:
        project.seal()
        exports = project.exports()
        subject = exports.subject(args.what, lambda given: on_disk(project, given))
        if args.format == "openlineage":
            return _events(exports, subject, args)
        text = _text(exports, subject, args)
    return _written(text, args)


def _check(args: argparse.Namespace) -> None:
    for option, value, wanted in (
        ("--url", args.url, "openlineage"),
        ("--namespace", args.namespace, "openlineage"),
        ("--sign", args.sign, "in-toto"),
    ):
        if value and args.format != wanted:
            raise UsageError(f"{option} goes with --format {wanted}")
    if args.url and args.output:
        raise UsageError("either -o or --url")


def _text(exports: Exports, subject: Subject, args: argparse.Namespace) -> str:
    if args.format == "mermaid":
        return exports.mermaid(subject) + "\n"
    if args.format == "model-card":
        return exports.card(subject)
    found = exports.statement(subject)
    if args.sign:
        from trunkline.lineage.envelope import sign

        found = sign(found, args.sign)
    return json.dumps(found, indent=2, default=str, ensure_ascii=False) + "\n"


def _written(text: str, args: argparse.Namespace) -> Answer:
    if not args.output:
        return Answer({"format": args.format, "text": text}, lambda: text.rstrip("\n"))
    try:
        with open(args.output, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
    except OSError as error:
        raise StoreError(f"cannot be written: {error.strerror}", where=args.output) from error
    return Answer({"format": args.format, "file": args.output}, lambda: f"{args.output} is written")


def _events(exports: Exports, subject: Subject, args: argparse.Namespace) -> Answer:
    found = exports.events(subject, args.namespace)
    from trunkline.lineage import openlineage

    data = {"format": args.format, "events": len(found)}
    if args.url:
        openlineage.send(found, args.url)
        return Answer({**data, "url": args.url}, lambda: f"{len(found)} events are sent to {args.url}")
    if args.output:
        openlineage.write(found, args.output)
        return Answer({**data, "file": args.output}, lambda: f"{len(found)} events are in {args.output}")
    text = openlineage.text(found)
    return Answer({**data, "text": text}, lambda: text.rstrip("\n"))


# ---------------------------------------------------------------- verify


def arguments_verify(parser: argparse.ArgumentParser) -> None:
    """The arguments of `verify`."""
    parser.add_argument(
        "file", help="a signed statement, as `trunkline export --format in-toto --sign` writes it"
    )
    parser.add_argument("--key", required=True, metavar="PUBLIC", help="the Ed25519 public key in PEM form")
    parser.add_argument(
        "artifact",
        nargs="?",
        default="",
        help="a file or directory that the statement must be about, or the name of a version as `trunkline export` takes it",
    )


def command_verify(args: argparse.Namespace) -> Answer:
    """Whether the signature is by this key, and the artifact's bytes are a subject's. Exit 1 if not."""
    from trunkline.lineage.envelope import opened

    statement = opened(_read(args.file), args.key, args.file)
    if statement is None:
        said = f"no signature of {args.file} is by the key {args.key}, or what was signed has been changed"
        return Answer({"signed": False, "matches": None, "subjects": []}, lambda: said, exit_code=1)
    subjects = [subject for subject in statement["subject"] if isinstance(subject, dict)]
    names = [str(subject.get("name")) for subject in subjects]
    if not args.artifact:
        data = {"signed": True, "matches": None, "subjects": names}
        return Answer(data, lambda: f"the signature is good; it is about {', '.join(names)}")
    digest = _digest(args.artifact)
    found = next((str(each.get("name")) for each in subjects if _same(digest, each.get("digest"))), None)
    answer = {"signed": True, "matches": found, "subjects": names, "digest": digest}
    if found is None:
        [(kind, value)] = digest.items()
        said = (
            f"the signature is good, but {args.artifact} is not what it is about: "
            f"no subject has the {kind} {value}"
        )
        return Answer(answer, lambda: said, exit_code=1)
    return Answer(answer, lambda: f"the signature is good, and {args.artifact} is {found}")


def _read(path: str) -> object:
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=path) from error
    except ValueError as error:
        raise CorruptData("this is not JSON", where=path) from error


def _digest(artifact: str) -> dict[str, str]:
    """The digest of what is on disk; else of a version in the cache, its bytes hashed now."""
    try:
        if os.path.lexists(artifact):
            return digest_of(artifact)
        with Project.find() as project:
            return project.exports().digest_of(artifact)
    except OSError as error:
        raise StoreError(
            f"cannot be read: {error.strerror}", where=str(error.filename or artifact)
        ) from error


def _same(digest: Mapping[str, str], other: Any) -> bool:
    return isinstance(other, dict) and all(other.get(kind) == value for kind, value in digest.items())
