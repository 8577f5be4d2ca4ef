"""`make one-more-day`: 2013-12-31 arrives. What runs, what is reused, and what plain DVC takes."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from demo import data, numbers
from demo.first_run import MODEL
from demo.plain_dvc.build import measure
from demo.shell import git, trunkline, typed
from trunkline.digest import md5_file

DAY = data.HELD_BACK
RUNS = Path(".trunkline/runs")
CLEANED = Path(f"data/flights/clean/rows/{DAY}.parquet")


class Counts(NamedTuple):
    """What a run did with the datums of a stage."""

    stage: str
    run: int
    reused: int
    up_to_date: bool


class NotYetError(Exception):
    """The first run has not been made."""


def one_more_day(root: Path, compare: bool = True) -> None:
    """Put the day, run, show the difference. Raises NotYetError, SourceError, CommandError."""
    if not (root / MODEL).exists():
        raise NotYetError("there is no model yet to compare with; type: make run")
    before, model = numbers.read(root), md5_file(str(root / MODEL))
    start = time.perf_counter()
    if not _put(root) and (root / CLEANED).exists():
        print(f"{DAY} has arrived already. To see it arrive again, take it out first:")
        for name in data.DATE_COLUMNS:
            print(f"  {typed(root, 'rm', name, f'{DAY}.csv')}")
        print("  make run")
        return
    trunkline(root, "run", "flights")
    seconds = time.perf_counter() - start
    print("\n== datums run and reused\n" + counts_text(last_run(root)))
    print("\n== before and after\n" + numbers.before_and_after(before, numbers.read(root)))
    print(_model_text(model == md5_file(str(root / MODEL))))
    print(f"\n== seconds, for the day to be put and everything to be up to date\n  trunkline  {seconds:6.1f}")
    if compare:
        _compare(root, seconds)
    print("\n== to keep it\n  git commit -m 'One more day' dvc.lock")


def last_run(root: Path) -> list[Counts]:
    """What the newest run did, stage by stage, from its record. Ids of runs sort by time."""
    newest = max(file.parent.name for file in (root / RUNS).glob("*/run.json"))
    record = json.loads((root / RUNS / newest / "run.json").read_text(encoding="utf-8"))
    return [
        Counts(name, stage["datums"]["run"], stage["datums"]["reuse"], stage["state"] == "up_to_date")
        for name, stage in record["stages"].items()
    ]


def _put(root: Path) -> bool:
    """Put what is not there yet; whether there was anything. A commit each, as any `put` makes."""
    waiting = {
        name: file
        for name, file in data.day_files(DAY, root).items()
        if not (root / "data" / name / file.name).exists()
    }
    options = [] if git(root, "symbolic-ref", "-q", "HEAD") else ["--no-commit"]
    for name, file in waiting.items():
        trunkline(root, "put", name, file.relative_to(root).as_posix(), *options, **_identity(root))
    return bool(waiting)


def _identity(root: Path) -> dict[str, str]:
    """An author for the commits where git knows none, so that a fresh machine can show this too."""
    if git(root, "config", "user.email") or os.environ.get("GIT_AUTHOR_EMAIL"):
        return {}
    who = {"NAME": "flights demo", "EMAIL": "demo@example.invalid"}
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}


def counts_text(counts: list[Counts]) -> str:
    """A line for each stage: `flights.clean       1 run   364 reused`."""
    width = max(len(count.stage) for count in counts)
    return "\n".join(
        f"  {c.stage:{width}}  " + ("up to date" if c.up_to_date else f"{c.run:4} run  {c.reused:4} reused")
        for c in counts
    )


def _model_text(same: bool) -> str:
    if not same:
        return "\n  The model is a new one."
    return (
        f"\n  The model was trained again and came out the same, byte for byte: {DAY} lies in the days\n"
        "  that are never trained on. It is one more day of `recent` to judge the model by."
    )


def _compare(root: Path, seconds: float) -> None:
    print(
        "  plain DVC  … the same stages, all days and then this one, in a project of its own: a minute or two",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="plain-dvc-") as directory:
        plain = measure(root, Path(directory)).one_more_day
    print(
        f"  plain DVC  {plain:6.1f}   {plain / seconds:.1f} times as long; every stage over all {_days()} days"
    )


def _days() -> int:
    return len(data.files_by_day("flights_raw"))
