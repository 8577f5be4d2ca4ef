"""The figures in the course's pages, from the metrics of the pipelines: nobody types one by hand.

    RMSE is <!--= carseats/evaluate/metrics.json holdout.rmse .2f-->1.04<!--/--> thousand units.

A page shows the number alone, as comments are not shown. Behind `=` stand a metrics file below `data/`, the
path to a number or word in it (of a list by place, from 0), and how it is written (as Python's `format` has it).

    python tools/figures.py docs/course/*.md            write the numbers that are there now
    python tools/figures.py --check docs/course/*.md    say which are others; exit 1 where any is
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

FIGURE = re.compile(r"<!--= (?P<file>\S+) (?P<path>\S+) (?P<form>\S+)-->(?P<text>[^<]*)<!--/-->")


class Figure(NamedTuple):
    """A number on a page: where it comes from, what the page says, and what it is."""

    source: str
    said: str
    found: str


def figures(text: str, data: Path) -> Iterator[Figure]:
    """The figures of a page. Raises ValueError for one that no metrics file has."""
    for match in FIGURE.finditer(text):
        yield Figure(f"{match['file']} {match['path']}", match["text"], _found(match, data))


def filled(text: str, data: Path) -> str:
    """The page with the numbers that are there now."""
    return FIGURE.sub(lambda match: _with(match, _found(match, data)), text)


def _with(match: re.Match[str], number: str) -> str:
    return f"<!--= {match['file']} {match['path']} {match['form']}-->{number}<!--/-->"


def _found(match: re.Match[str], data: Path) -> str:
    value = _metrics(data / match["file"])
    for key in match["path"].split("."):
        if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
            continue
        if not isinstance(value, dict) or key not in value:
            known = f"a list of {len(value)}" if isinstance(value, list) else "a number"
            known = ", ".join(value) if isinstance(value, dict) else known
            raise ValueError(f"{match['file']} has no {match['path']}: at {key!r} there is {known}")
        value = value[key]
    if isinstance(value, list):
        value = ", ".join(str(each) for each in value)
    return format(value, match["form"])


@cache
def _metrics(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(f"{file} is not there: type `make course` first") from error


def main(argv: Sequence[str] | None = None) -> int:
    """The command line at the top of this module."""
    parser = argparse.ArgumentParser(prog="python tools/figures.py", description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 where a number is another"
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="where the pipelines' data is")
    chosen = parser.parse_args(argv)
    stale = 0
    try:
        for page in chosen.pages:
            text = page.read_text(encoding="utf-8")
            for figure in figures(text, chosen.data):
                if figure.said != figure.found:
                    stale += 1
                    print(
                        f"{page}: {figure.source} is {figure.found}, the page says {figure.said or 'nothing'}"
                    )
            if not chosen.check:
                page.write_text(filled(text, chosen.data), encoding="utf-8")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1 if stale and chosen.check else 0


if __name__ == "__main__":
    sys.exit(main())
