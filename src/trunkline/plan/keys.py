"""Keys: under which digest a datum's result is known.

    transform digest = digest("transform", {run, code, params, env, writer})
    datum key        = digest("key", [datum id, name, join key, [[input, path, hash], …], transform])

What enters the transform digest:

- `run`: a function's module and name; a command's arguments, its `stdin` and its stage's name,
  which a command finds in its environment;
- `code`: the digest of the code, see `plan.code`;
- `params`, `env`: whatever the stage declares there, with types (1, 1.0 and true differ);
- `writer`: what turns frames into bytes (our scheme, pyarrow's version); not for commands, which
  write for themselves.

What does not: description, metrics, plots and model (they name outputs, they do not make them), the
grammar of the inputs (which files they give is in the datum's id and items), schedules.

A datum's name and join key do enter its key: the name becomes the name of its output files and both
are handed to the code, and the same inputs get another name when a glob is rewritten or when a
second file joins a cross product.
"""

from __future__ import annotations

from collections.abc import Iterable

from trunkline.digest import digest
from trunkline.errors import UsageError
from trunkline.model import Datum, Function, Stage
from trunkline.plan import bulk


def transform_digest(stage: Stage, code_digest: str, writer: str) -> str:
    """The digest of what a stage does to a datum. Raises UsageError for a value without one."""
    record: dict[str, object] = {"code": code_digest, "params": stage.params, "env": stage.env}
    if isinstance(stage.run, Function):
        record["run"] = ["function", stage.run.module, stage.run.name]
        record["writer"] = writer
    else:
        record["run"] = ["command", stage.ref, stage.run.argv, stage.run.stdin]
    try:
        return digest("transform", record)
    except TypeError as error:
        raise UsageError(
            f"the declaration of stage {stage.ref} holds a value that cannot be versioned: {error}",
            where=stage.pipeline_file,
            hint="use texts, finite numbers, true, false, null, lists and mappings with text keys",
        ) from error


def datum_key(datum: Datum, transform: str) -> str:
    """The key of one datum under a transform digest."""
    return datum_keys((datum,), transform)[0]


def datum_keys(datums: Iterable[Datum], transform: str) -> list[str]:
    """The keys of many datums, in their order."""
    text, listing = bulk.text, bulk.listing
    head = bulk.sha256(bulk.head("key") + listing(5))
    end = text(transform)
    triple = listing(3)
    inputs: dict[str, bytes] = {}
    found: list[str] = []
    for id_, name, items, join_on in datums:
        pieces = [text(id_), text(name), text(join_on), listing(len(items))]
        for item in items:
            start = inputs.get(item.input)
            if start is None:
                start = inputs[item.input] = triple + text(item.input)
            pieces += (start, text(item.path), text(item.oid))
        pieces.append(end)
        hasher = head.copy()
        hasher.update(b"".join(pieces))
        found.append(hasher.hexdigest())
    return found
