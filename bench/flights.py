"""The reference pipeline on about 200,000 real departures, cold, against one plain Python process.

The days from the first of January on, and the last thirty of the year, which the pipeline holds
back: so that every stage has what it needs. The plain process is the script that the demonstration
compares DVC with: it calls the same functions with the same parameters, reads and writes the same
Parquet files between them, and does nothing else.

A run that is cold knows the versions of its source datasets, as after `put`, and no result.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping

import yaml

from bench.figures import Figure
from bench.processes import medians
from bench.projects import ROOT, Tree
from bench.sizes import Sizes
from demo.data import HELD_BACK, files_by_day

NAME = "flights"
DATA = ("flights_raw", "weather_raw")
STAGES = ("ingest", "weather", "clean", "split", "train", "evaluate")
LAST = 30  # days


def bench(sizes: Sizes, make: Callable[[str], Tree]) -> Iterator[Figure]:
    """One figure."""
    tree, plain = make("flights"), make("plain")
    departures = prepared(tree, sizes.departures)
    _data_and_stages(plain, sizes.departures)
    stages = yaml.safe_load(_declared())["stages"]
    params = {name: stage["params"] for name, stage in stages.items() if "params" in stage}
    plain.write("params.yaml", yaml.safe_dump(params))
    plain.write("run.py", (ROOT / "demo" / "plain_dvc" / "run.py").read_bytes())
    floor, ours = medians(
        sizes.few,
        plain.python("run.py", *STAGES, before=lambda: plain.make_cold(*(f"data/{name}" for name in STAGES))),
        tree.trunkline("run", before=lambda: tree.make_cold("data/flights")),
    )
    what = f"{len(STAGES)} stages, {departures:,} departures, cold"
    yield Figure(NAME, what, "one plain process", ours, floor, 1.3)


def prepared(tree: Tree, departures: int) -> int:
    """Make `tree` the reference pipeline over so many departures, or a few more: how many it has."""
    found = _data_and_stages(tree, departures)
    tree.write("pipelines/flights.yaml", _declared())
    tree.source(*DATA)
    return found


def _data_and_stages(tree: Tree, departures: int) -> int:
    days, found = chosen(files_by_day("flights_raw"), departures)
    for name in DATA:
        for day in days:
            tree.write(f"data/{name}/{day}.csv", files_by_day(name)[day])
    shutil.copytree(ROOT / "stages", tree.root / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    return found


def _declared() -> str:
    return (ROOT / "pipelines" / "flights.yaml").read_text(encoding="utf-8")


def chosen(by_day: Mapping[str, bytes], departures: int) -> tuple[list[str], int]:
    """The last days, and so many from the first on that `departures` are reached; how many they have."""
    days = sorted(set(by_day) - {HELD_BACK})
    found = days[-LAST:]
    total = sum(_rows(by_day[day]) for day in found)
    for day in days[:-LAST]:
        if total >= departures and day > days[0]:
            break
        found.append(day)
        total += _rows(by_day[day])
    return found, total


def _rows(text: bytes) -> int:
    return text.count(b"\n") - 1
