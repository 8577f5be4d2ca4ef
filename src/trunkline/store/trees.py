"""Trees and commits by plumbing: what git stores, made without HEAD, an index or a working tree.

    entries      what a commit has at some paths
    blob         the object that `git add` would make of some bytes
    tree_of      a commit's tree with some entries changed, through a temporary index
    commit_tree  a commit of a tree, with any parents; no ref is moved

Nothing here decides anything. Objects that nothing points to are git's to collect.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from trunkline.errors import ProjectError
from trunkline.store.gitcall import Place, attempt, call, text


class Entry(NamedTuple):
    """A file in a tree or an index; without a mode it is not there."""

    mode: str
    blob: str


ABSENT = Entry("0", "")
_STRICT = ("-c", "user.useConfigOnly=true")  # no identity guessed from user and host


def tip(place: Place, ref: str) -> str | None:
    """The object that a ref, or any other name, stands for; None where it stands for none."""
    code, out, _ = attempt(place.root, "rev-parse", "--verify", "--quiet", ref)
    return None if code else text(out).strip()


def has_identity(place: Place) -> bool:
    """Whether git knows who commits, without guessing from user and host."""
    names = ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT")
    return not any(attempt(place.root, *_STRICT, "var", name)[0] for name in names)


def entries(
    place: Place, commit: str | None, paths: Mapping[str, object] | Sequence[str]
) -> dict[str, Entry]:
    """The entries of a commit's tree at these paths."""
    found = dict.fromkeys(paths, ABSENT)
    if commit is None or not found:
        return found
    full = {place.full(path): path for path in paths}
    out = call(place.top, "--literal-pathspecs", "ls-tree", "-r", "-z", "--full-tree", commit, "--", *full)
    for line in filter(None, text(out).split("\0")):
        facts, path = line.split("\t", 1)
        mode, _, blob_id = facts.split(" ")
        if path in full:
            found[full[path]] = Entry(mode, blob_id)
    return found


def blob(place: Place, path: str, data: bytes, *, write: bool) -> str:
    """The blob that `git add` would make of these bytes at this path."""
    options = ["-w"] if write else []
    out = call(place.top, "hash-object", *options, "--stdin", f"--path={place.full(path)}", data=data)
    return text(out).strip()


def targets(place: Place, changes: Mapping[str, bytes | None], base: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries for new contents (None: deletion); a file that is there keeps its mode."""
    return {
        path: ABSENT
        if data is None
        else Entry(base[path].mode if base[path] != ABSENT else "100644", blob(place, path, data, write=True))
        for path, data in changes.items()
    }


def null_id(commit: str | None, *some: Mapping[str, Entry]) -> str:
    """The null object id, as long as this repository's ids are."""
    known = [commit or "", *(entry.blob for each in some for entry in each.values())]
    return "0" * (max(map(len, known)) or 40)


def index_info(place: Place, changed: Mapping[str, Entry], null: str) -> bytes:
    """Lines for `git update-index --index-info`."""
    lines = [
        f"{entry.mode} {entry.blob or null}\t{place.full(path)}\0" for path, entry in sorted(changed.items())
    ]
    return "".join(lines).encode("utf-8", "surrogateescape")


def tree_of(
    place: Place,
    commit: str | None,
    changed: Mapping[str, Entry],
    look: Callable[[Mapping[str, str]], None] = lambda index: None,
) -> str:
    """`commit`'s tree with these entries changed.

    `look` may see, and change, the index it is made of: the variables that name it are its argument.
    """
    with tempfile.TemporaryDirectory(prefix="trunkline-") as folder:
        index = {"GIT_INDEX_FILE": os.path.join(folder, "index")}
        call(place.top, "read-tree", commit or "--empty", extra=index)
        data = index_info(place, changed, null_id(commit, changed))
        call(place.top, "update-index", "-z", "--index-info", data=data, extra=index)
        look(index)
        return text(call(place.top, "write-tree", extra=index)).strip()


def commit_tree(
    place: Place,
    tree: str,
    parents: Sequence[str],
    message: str,
    extra: Mapping[str, str] | None = None,
) -> str:
    """A commit of `tree`, signed where git says so. Raises ProjectError."""
    code, out, _ = attempt(place.root, "config", "--type=bool", "--get", "commit.gpgSign")
    sign = ["-S"] if not code and out.strip() == b"true" else []
    above = [word for parent in parents for word in ("-p", parent)]
    options = [*_STRICT, "-c", "i18n.commitEncoding=UTF-8"]
    code, out, stderr = attempt(
        place.root,
        *options,
        "commit-tree",
        *sign,
        tree,
        *above,
        "-F",
        "-",
        data=message.encode(),
        extra=extra,
    )
    if code:
        raise ProjectError(
            f"git could not make the commit: {stderr}",
            where=place.root,
            hint="git signs commits here (commit.gpgSign): see that `git commit -S` works" if sign else "",
        )
    return text(out).strip()
