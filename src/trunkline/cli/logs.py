"""`trunkline logs`: what a run printed, or what its datums did; also while it goes on.

    ==> flights.clean/0f3cab12de45f678.log
    reading 2013-12-31
    --- flights.clean: datum 2013-12-31, try 1 of 3: ValueError: no such day; again ---
    reading 2013-12-31

A datum's log holds its stdout and stderr in the order in which they came, those of all its tries.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from trunkline.cli.output import Answer
from trunkline.errors import UsageError
from trunkline.ledger.ids import FOLDER
from trunkline.ledger.runs import RunRecord
from trunkline.ledger.states import States
from trunkline.project import Project

_LOOK = 0.2  # seconds between two looks at what has grown


class _Asked(NamedTuple):
    """Which logs: of a stage, of one datum. A log's name begins with its datum's id: with one of `ids`."""

    folder: str
    stage: str
    ids: tuple[str, ...]

    def paths(self) -> list[str]:
        """The logs that are there now, relative to the run's directory, sorted."""
        if not self.stage and not self.ids:
            return ["log.txt"]
        logs = os.path.join(self.folder, "logs")
        found = (
            os.path.relpath(os.path.join(place, name), self.folder)
            for place, _, names in os.walk(os.path.join(logs, self.stage))
            for name in names
            if not self.ids or name.startswith(self.ids)
        )
        return sorted(found)


def arguments_logs(parser: argparse.ArgumentParser) -> None:
    """The arguments of `logs`."""
    parser.add_argument(
        "run", nargs="?", default="latest", help="an id, its beginning, or `latest` (the default)"
    )
    parser.add_argument("--stage", metavar="PIPELINE.STAGE", default="", help="only this stage's datums")
    parser.add_argument(
        "--datum", metavar="ID", default="", help="only this datum, by the beginning of its id or by its name"
    )
    parser.add_argument(
        "-f", "--follow", action="store_true", help="go on printing what comes, until the run is over"
    )


def command_logs(args: argparse.Namespace) -> Answer:
    """What a run printed: the run itself, or its datums."""
    if args.follow and args.json:
        raise UsageError("--follow prints lines as they come, --json one object", hint="choose one of them")
    with Project.find() as project:
        record = project.runs.load(args.run)
        asked = _asked(project, record, args.stage, args.datum)
        if args.follow:
            _follow(asked, lambda: project.runs.under_way(record.id))
            project.seal()
            print(f"run {record.id}: {project.runs.load(record.id).state}", file=sys.stderr)
            return Answer({}, lambda: "")
    found = {path: _read(os.path.join(asked.folder, path)) for path in asked.paths()}
    if "log.txt" in found:
        text = found["log.txt"]
        return Answer({"id": record.id, "log": text}, lambda: text.rstrip() or "nothing was printed")
    logs = {path.removeprefix(f"logs{os.sep}"): text for path, text in found.items()}
    return Answer({"id": record.id, "logs": logs}, lambda: _text(logs))


def _asked(project: Project, record: RunRecord, stage: str, datum: str) -> _Asked:
    """Which logs are asked for. Raises UsageError for what was not part of the run."""
    if stage and stage not in record.stages:
        hint = f"`trunkline show {record.id}` lists them"
        raise UsageError(f"{stage} is not among the stages of run {record.id}", hint=hint)
    folder = os.path.join(project.home, FOLDER, record.id)
    if not datum:
        return _Asked(folder, stage, ())
    states = States(project.home)
    rows = [
        row.datum
        for ref in ([stage] if stage else record.stages)
        if (found := states.of(record.id, ref)) is not None
        for row in found.rows
    ]
    named = [row.id[:16] for row in rows if row.name == datum]
    asked = _Asked(folder, stage, tuple(named) or (datum[:16],))
    if not named and not any(row.id.startswith(datum) for row in rows) and not asked.paths():
        of = stage or (next(iter(record.stages), "PIPELINE.STAGE"))
        hint = f"`trunkline datums {of} --run {record.id}` lists them"
        raise UsageError(f"no datum called {datum!r} was tried in run {record.id}", hint=hint)
    return asked


def _text(logs: dict[str, str]) -> str:
    printed = (f"==> {path}\n{text.rstrip()}" for path, text in logs.items() if text.strip())
    return "\n".join(printed) or "no datum of this kind printed anything"


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""


# ---------------------------------------------------------------- follow


class _Tail:
    """What comes to a file that grows, line by line."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._position = 0
        self._rest = b""

    def lines(self, last: bool) -> Iterator[str]:
        """The lines that are whole by now; with `last`, also the one that is not."""
        try:
            with open(self._path, "rb") as stream:
                stream.seek(self._position)
                data = stream.read()
        except FileNotFoundError:
            return
        self._position += len(data)
        *whole, self._rest = (self._rest + data).split(b"\n")
        if last and self._rest:
            whole.append(self._rest)
        for line in whole:
            yield line.decode("utf-8", "replace")


def _follow(asked: _Asked, under_way: Callable[[], bool]) -> None:
    """Print what is there and what comes, as long as the run is under way."""
    tails: dict[str, _Tail] = {}
    shown = ""
    while True:
        began = time.monotonic()
        going = under_way()  # asked first: what is printed before the end is read after it
        for path in asked.paths():
            tail = tails.setdefault(path, _Tail(os.path.join(asked.folder, path)))
            for line in tail.lines(last=not going):
                if path not in (shown, "log.txt"):
                    shown = path
                    print(f"==> {path.removeprefix(f'logs{os.sep}')}")
                print(line)
        sys.stdout.flush()
        if not going:
            return
        time.sleep(max(_LOOK, 4 * (time.monotonic() - began)))
