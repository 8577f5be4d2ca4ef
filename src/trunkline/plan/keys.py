"""Keys: under which digest a datum's result is known.

    transform digest = digest("transform", {run, code, params, env, writer, packages})
    datum key        = digest("key", [datum id, name, join key, [[input, path, hash], …], transform])

What enters the transform digest:

- `run`: a function's module and name; a command's arguments, its `stdin` and its stage's name,
  which a command finds in its environment;
- `code`: the digest of the code, see `plan.code`;
- `params`, `env`: whatever the stage declares there, with types (1, 1.0 and true differ);
- `writer`: what turns frames into bytes (our scheme, pyarrow's version); not for commands, which
  write for themselves;
- `accept`: the exit codes that count as success; absent where none are declared;
- `packages`: the versions of the packages that `fingerprint:` names; absent where it names none.

What does not: how often, how long and beside what a datum is tried (`datum_tries`, time limits,
`parallelism`, `datum_set_spec`, `resources`), `err_cmd`, `secrets`; description, metrics, plots and model
(they name outputs, they do not make them), the grammar of the inputs (which files they give is in the
datum's id and items), schedules.

How an input is handed over is in the items of the key: those of a `reference` input are [input, path],
without the hash; those of an input with `empty_files` end with "empty". A group's key stands behind the
transform digest where there is one.

A datum's name and join key do enter its key: the name becomes the name of its output files and both
are handed to the code, and the same inputs get another name when a glob is rewritten or when a
second file joins a cross product.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from trunkline.digest import digest
from trunkline.errors import UsageError
from trunkline.model import Datum, Function, Leaf, Stage
from trunkline.plan import bulk


def transform_digest(
    stage: Stage, code_digest: str, writer: str, packages: Mapping[str, str] | None = None
) -> str:
    """The digest of what a stage does to a datum. Raises UsageError for a value without one."""
    record: dict[str, object] = {"code": code_digest, "params": stage.params, "env": stage.env}
    if isinstance(stage.run, Function):
        record["run"] = ["function", stage.run.module, stage.run.name]
        record["writer"] = writer
    else:
        record["run"] = ["command", stage.ref, stage.run.argv, stage.run.stdin]
    if stage.accept_return_code:
        record["accept"] = stage.accept_return_code
    if packages:
        record["packages"] = packages
    try:
        return digest("transform", record)
    except TypeError as error:
        raise UsageError(
            f"the declaration of stage {stage.ref} holds a value that cannot be versioned: {error}",
            where=stage.pipeline_file,
            hint="use texts, finite numbers, true, false, null, lists and mappings with text keys",
        ) from error


def datum_key(datum: Datum, transform: str, leaves: Iterable[Leaf] = ()) -> str:
    """The key of one datum under a transform digest."""
    return datum_keys((datum,), transform, leaves)[0]


def datum_keys(datums: Iterable[Datum], transform: str, leaves: Iterable[Leaf] = ()) -> list[str]:
    """The keys of many datums, in their order; `leaves` are those of their stage's input."""
    text, listing = bulk.text, bulk.listing
    head = bulk.sha256(bulk.head("key") + listing(5))
    grouped = bulk.sha256(bulk.head("key") + listing(6))
    end = text(transform)
    starts, others = _forms(leaves)
    triple = listing(3)
    found: list[str] = []
    for id_, name, items, join_on, group_by in datums:
        pieces = [text(id_), text(name), text(join_on), listing(len(items))]
        for item in items:
            start = starts.get(item.input)
            if start is None:
                start = starts[item.input] = triple + text(item.input)
            if item.input in others:
                pieces += (start, text(item.path), *others[item.input].ends(item.oid))
            else:
                pieces += (start, text(item.path), text(item.oid))
        pieces.append(end)
        if group_by:
            pieces.append(text(group_by))
        hasher = (grouped if group_by else head).copy()
        hasher.update(b"".join(pieces))
        found.append(hasher.hexdigest())
    return found


class _Form(NamedTuple):
    """How the files of an input are handed over, where it is not simply by content."""

    reference: bool
    empty: bool

    def ends(self, oid: str) -> Iterator[bytes]:
        """What stands behind the path of an item."""
        if not self.reference:
            yield bulk.text(oid)
        if self.empty:
            yield bulk.text("empty")


def _forms(leaves: Iterable[Leaf]) -> tuple[dict[str, bytes], dict[str, _Form]]:
    """How the items of inputs begin, and the forms of those that are not handed over by content."""
    forms = {
        leaf.name: _Form(leaf.reference, leaf.empty_files)
        for leaf in leaves
        if leaf.reference or leaf.empty_files
    }
    starts = {
        name: bulk.listing(3 - form.reference + form.empty) + bulk.text(name) for name, form in forms.items()
    }
    return starts, forms
