"""Why a datum failed, in the words of the person whose code or data it was.

    Fault               raised here and beside: a failure with its own kind and message
    describe(error)     any exception as a Failure, with the user's frames only

Kinds of our own: BadFunction (the function cannot be found or called), BadInput (a file is not what its
suffix says), MissingData (an input left the cache), BadOutput (the result has no form as files),
InputModified (the datum wrote to its input), DiskError (its files could not be laid out or written),
ExitCode and CommandNotFound (commands), TimedOut and OutOfMemory (more than the stage allows),
MissingSecret, WorkerDied (the process, or the machine, ended), WorkerFailed and OutputLost (another
machine could not compute it, or hand it over). Every other kind is the name of an exception.
"""

from __future__ import annotations

import errno
import importlib
import os
import re
import traceback
from collections.abc import Iterable
from dataclasses import replace

import trunkline
from trunkline.errors import TrunklineError
from trunkline.model import Failure, Work

_OURS = os.path.dirname(os.path.abspath(trunkline.__file__)) + os.sep
# What is imported under another name than it is installed by.
_INSTALLED_AS = {"PIL": "pillow", "sklearn": "scikit-learn"}
_IMPORTLIB = os.path.dirname(importlib.__file__) + os.sep


class Fault(Exception):
    """A failure that we found ourselves and can explain."""

    def __init__(self, kind: str, message: str, *, damaged: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.failure = Failure(kind, message, damaged=tuple(damaged))


def describe(error: BaseException, work: Work | None = None) -> Failure:
    """`error` as a Failure. Names of cache objects are told as the dataset's files that they are."""
    if isinstance(error, Fault):
        failure = error.failure
    elif isinstance(error, TrunklineError):
        failure = Failure("BadOutput", f"{error.message}; {error.hint}" if error.hint else error.message)
    elif isinstance(error, OSError) and error.errno and not _by_user(error):
        failure = _refused(error, work)
    else:
        failure = Failure(type(error).__name__, f"{_text(error)}{_advice(error)}", user_traceback(error))
    return _named(failure, work) if work else failure


def interrupts(error: BaseException) -> bool:
    """Whether this is not the datum's own doing: Ctrl-C, or what Prefect makes of SIGTERM in a flow.

    Prefect is not asked: its exception is told by its name.
    """
    if isinstance(error, KeyboardInterrupt):
        return True
    kinds = type(error).__mro__
    return any(
        each.__name__ == "ExternalSignal" and each.__module__ == "prefect.exceptions" for each in kinds
    )


def _by_user(error: BaseException) -> bool:
    """Whether the user's code had a part in it."""
    return any(_users(frame.filename) for frame in traceback.extract_tb(error.__traceback__))


def _refused(error: OSError, work: Work | None) -> Failure:
    """What the operating system refused us while we laid out inputs or wrote outputs."""
    place = f" (in {os.path.dirname(work.scratch)})" if work else ""
    advice = "; free some space and run again" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return Failure("DiskError", f"{os.strerror(error.errno or 0)}{place}{advice}")


def user_traceback(error: BaseException) -> str:
    """The traceback as Python prints it, without our frames and the import system's."""
    report = traceback.TracebackException.from_exception(error, compact=True)
    if not _strip(report) and not isinstance(error, SyntaxError | ImportError):
        report = traceback.TracebackException.from_exception(error)  # no frame is the user's: it is our fault
    return "".join(report.format())


def written_to(files: Iterable[str], error: BaseException | None) -> str:
    """The message for a datum that changed `files`, its inputs."""
    message = f"it wrote to its input {', '.join(files)}; inputs are read-only: write to the output instead"
    if error is None:
        return message
    kind = error.failure.kind if isinstance(error, Fault) else type(error).__name__
    return f"{message} (and then failed: {kind}: {_text(error)})"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a __str__ of the user's own may fail as well
        return f"<{type(error).__name__} without a message>"


def _advice(error: BaseException) -> str:
    """What to type where a library is missing that one of trunkline's extras has."""
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return ""
    from importlib import metadata  # dear, and nearly never needed

    module = error.name.partition(".")[0]
    package = _INSTALLED_AS.get(module, module)
    try:
        needs = metadata.requires("trunkline") or []
    except metadata.PackageNotFoundError:
        return ""
    # As it is written there: `matplotlib>=3.10; extra == 'course'`
    mine = (need for need in needs if re.match(rf"{re.escape(package)}\b(?!-)", need, re.IGNORECASE))
    extras = sorted(found for need in mine for found in re.findall(r"extra == ['\"]([\w-]+)", need))
    return f"; type: pip install 'trunkline[{extras[0]}]'" if extras else ""


def _strip(report: traceback.TracebackException) -> int:
    """Leave the user's frames in `report` and in the errors it is chained to; how many those are."""
    report.stack = traceback.StackSummary.from_list([f for f in report.stack if _users(f.filename)])
    chained = [report.__cause__, report.__context__, *(getattr(report, "exceptions", None) or ())]
    return len(report.stack) + sum(_strip(other) for other in chained if other is not None)


def _users(filename: str) -> bool:
    return not filename.startswith((_OURS, _IMPORTLIB, "<frozen importlib"))


def _named(failure: Failure, work: Work) -> Failure:
    message, trace = failure.message, failure.traceback
    for given in work.inputs:
        for file in given.files:
            path = given.object(file)
            if path in message or path in trace:
                name = shown(given.dataset, file.path)
                message, trace = message.replace(path, name), trace.replace(path, name)
    places = re.compile(rf"{re.escape(os.path.dirname(work.scratch))}/[^/\s]+/(?=pfs/)")
    return replace(failure, message=places.sub("", message), traceback=places.sub("", trace))


def shown(dataset: str, path: str) -> str:
    """How a file of a dataset is called in messages."""
    return f"{dataset}/{path}" if path else dataset
