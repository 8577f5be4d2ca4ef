"""Runs that a person forgot: their directories go; what they named is noted until it is collected.

.trunkline/runs/.forgotten/<id>      one content hash a line, so that `gc` can say why something goes
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection
from contextlib import suppress

from trunkline.ledger.ids import FOLDER, is_id
from trunkline.ledger.records import recording

_NOTES = ".forgotten"
_RECORD = "run.json"


def texts(root: str) -> dict[str, bytes]:
    """The bytes of the records here, by run, newest first."""
    found = {}
    folder = os.path.join(root, FOLDER)
    for run_id in sorted(_ids(folder), reverse=True):
        with suppress(OSError), open(os.path.join(folder, run_id, _RECORD), "rb") as stream:
            found[run_id] = stream.read()
    return found


def forget(root: str, run_id: str, named: Collection[str]) -> None:
    """Note what a run named, then remove its directory: the record first. Repeated, it ends the work."""
    folder = os.path.join(root, FOLDER)
    note = os.path.join(folder, _NOTES, run_id)
    with recording(folder):
        if named:
            os.makedirs(os.path.dirname(note), exist_ok=True)
            with open(note, "w", encoding="utf-8") as stream:
                stream.writelines(f"{oid}\n" for oid in sorted(named))
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, run_id, _RECORD))
        if os.path.isdir(os.path.join(folder, run_id)):
            shutil.rmtree(os.path.join(folder, run_id))
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, ".open", run_id))


def forgotten(root: str) -> dict[str, bytes]:
    """What forgotten runs named, by run."""
    folder = os.path.join(root, FOLDER, _NOTES)
    found = {}
    for run_id in _ids(folder):
        with suppress(OSError), open(os.path.join(folder, run_id), "rb") as stream:
            found[run_id] = stream.read()
    return found


def collected(root: str) -> None:
    """What forgotten runs named is gone: nobody needs the notes."""
    shutil.rmtree(os.path.join(root, FOLDER, _NOTES), ignore_errors=True)


def halves(root: str) -> list[str]:
    """Directories of runs that have no record: of a run, or of a `forget`, that was killed."""
    folder = os.path.join(root, FOLDER)
    open_ = _ids(os.path.join(folder, ".open"))
    return [
        os.path.join(folder, run_id)
        for run_id in sorted(_ids(folder))
        if run_id not in open_ and not os.path.exists(os.path.join(folder, run_id, _RECORD))
    ]


def _ids(folder: str) -> set[str]:
    try:
        return set(filter(is_id, os.listdir(folder)))
    except (FileNotFoundError, NotADirectoryError):
        return set()
