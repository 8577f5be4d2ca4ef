"""The places at which being killed matters: between two steps whose order matters.

What holds after a kill at each of them stands in docs/design/crash-safety.md; `make torture` kills this
process, and its workers, at every one of them and sees that it holds.

    TRUNKLINE_CRASH=lock-aside                  die, as by `kill -9`, when this point is reached
    TRUNKLINE_CRASH=checkout-linked:12          when it is reached for the 12th time in one process
    TRUNKLINE_CRASH=worker-wrote:2:/tmp/mark    and only who creates this file: of all processes, one

Only meant for that. In normal use a point costs a look at an empty variable.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum

VARIABLE = "TRUNKLINE_CRASH"


class Point(StrEnum):
    """Where a crash matters, in about the order in which a run comes by."""

    # any file that is written as a whole; the cache; the memory of stats
    FILE_ASIDE = "file-aside"  # complete under a temporary name, beside the file that it will replace
    FILE_REPLACED = "file-replaced"
    SCRATCH_CLAIMED = "scratch-claimed"  # this process's working space in the cache is there
    MEMO_CHANGED = "memo-changed"  # in the middle of a transaction
    OBJECT_COPIED = "object-copied"  # an object to be, complete in the working space
    OBJECT_PLACED = "object-placed"  # renamed into the cache; nobody knows of it
    OBJECTS_SYNCED = "objects-synced"  # on the disk; their stats are not remembered
    OBJECT_QUARANTINED = "object-quarantined"  # a damaged object is out of the cache, still remembered
    LISTING_SAVED = "listing-saved"  # a directory's listing is in the cache

    # git ignores datasets; DVC's own locks
    IGNORE_WRITTEN = "ignore-written"
    FILE_LOCKED = "file-locked"  # DVC's repo lock, or the guard of its read-write lock, is held
    PATHS_LOCKED = "paths-locked"  # the read-write lock names us
    PATHS_UNLOCKED = "paths-unlocked"

    # the record of a run
    RUN_SEALED = "run-sealed"  # the record of a dead run says how it ended; its mark is still there
    RUN_MARKED = "run-marked"  # a mark says who the new run's owner is; there is no record
    RUN_FOLDER = "run-folder"  # its directory is there, empty
    RECORD_ASIDE = "record-aside"  # a new state of the record, beside the old one
    RUN_BEGUN = "run-begun"  # the record is there
    RUN_ENDED = "run-ended"  # the record says how it ended; the mark is still there

    # a run
    COMPILED = "compiled"  # dvc.yaml says what the pipeline files say
    SOURCES_VERSIONED = "sources-versioned"  # pointers say what is in the workspace
    STAGE_BEGUN = "stage-begun"  # locks are held, the record names the stage; nothing is queued
    DATUM_DONE = "datum-done"  # outputs lie in the working space
    DATUM_KEPT = "datum-kept"  # outputs are in the cache; the result is not recorded
    RESULTS_WRITTEN = "results-written"  # in the middle of the transaction
    RESULTS_RECORDED = "results-recorded"
    CHECKOUT_REMOVED = "checkout-removed"  # what goes is gone from the workspace
    CHECKOUT_LINKED = "checkout-linked"  # after each file
    CHECKOUT_PROVEN = "checkout-proven"  # all is there; not remembered
    MANIFEST_WRITTEN = "manifest-written"  # in the working space
    MANIFEST_KEPT = "manifest-kept"  # its files are in the cache, its listing is not
    MANIFEST_SAVED = "manifest-saved"  # in the cache; not in the workspace
    LOCK_NOTED = "lock-noted"  # which stage dvc.lock is going to get
    LOCK_ASIDE = "lock-aside"  # the new dvc.lock, on the disk, beside the old one
    LOCK_WRITTEN = "lock-written"  # renamed
    RUN_COMPLETE = "run-complete"  # every stage is up to date; the record does not say so

    # put and rm
    SOURCE_KEPT = "source-kept"  # what is about to go is in the cache
    SOURCE_STAGED = "source-staged"  # copied beside the dataset
    SOURCE_MOVED = "source-moved"  # after each file that came into the dataset
    SOURCE_REMOVED = "source-removed"  # after each file that left it
    SOURCE_SAVED = "source-saved"  # files and listing are in the cache
    POINTER_ASIDE = "pointer-aside"
    POINTER_WRITTEN = "pointer-written"
    COMMIT_STAGED = "commit-staged"  # git's index has the new pointer
    COMMIT_MADE = "commit-made"  # the commit is there, the branch is not moved
    HEAD_MOVED = "head-moved"

    # gc and purge
    PURGE_NOTED = "purge-noted"  # what is to go is written down and committed; all of it is still there
    RESULTS_FORGOTTEN = "results-forgotten"  # the index knows nothing of them; the objects are there
    OBJECT_REMOVED = "object-removed"  # after each object that left the cache

    # worker processes
    WORKER_FORKED = "worker-forked"  # in the template: the pool is not told yet
    WORKER_GIVEN = "worker-given"  # in a worker: it holds a datum
    WORKER_WROTE = "worker-wrote"  # outputs lie in the working space; no answer is given
    WORKER_ANSWERED = "worker-answered"


def reached(point: Point) -> None:
    """This process has come to `point`."""
    if _armed:
        _count(point)


def arm(text: str) -> None:
    """Die where `text` says, as the environment variable does; "" never. Raises ValueError."""
    _armed.clear()
    if text:
        name, _, rest = text.partition(":")
        number, _, mark = rest.partition(":")
        _armed[Point(name)] = (int(number or 1), mark)


_armed: dict[Point, tuple[int, str]] = {}  # point -> how often it is still to be reached, the mark


def _count(point: Point) -> None:
    number, mark = _armed.get(point, (0, ""))
    _armed.update({point: (number - 1, mark)} if number > 1 else {})
    if number == 1 and _is_first(mark):
        os.kill(os.getpid(), signal.SIGKILL)


def _is_first(mark: str) -> bool:
    try:
        if mark:
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
    except FileExistsError:
        return False
    return True


arm(os.environ.get(VARIABLE, ""))
