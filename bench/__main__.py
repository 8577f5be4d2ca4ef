"""The command line of the benches."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType

from bench import figures
from bench.figures import Figure
from bench.projects import Tree, workshop
from bench.sizes import QUICK, Sizes

BENCHES = (
    "nothing",
    "datums",
    "scale",
    "graphs",
    "commit",
    "flights",
    "memory",
    "prefect",
    "lineage",
    "serve",
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what is asked for; a table on stdout. A missed budget is said, and no failure."""
    args = _arguments(argv)
    sizes = QUICK if args.quick else Sizes()
    found: list[Figure] = []
    for name in args.names or BENCHES:
        found += _measured(import_module(f"bench.{name}"), name, sizes)
    judge = not args.quick
    print(figures.table(found, judge))
    print(f"\nseconds are CPU / wall, medians of whole processes; {_load()}")
    if args.json:
        document = figures.document(found, _machine(), judge)
        args.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the performance budgets.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)} (default: all)")
    parser.add_argument("--quick", action="store_true", help="small sizes, no verdicts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    args = parser.parse_args(argv)
    for name in args.names:
        if name not in BENCHES:
            parser.error(f"there is no bench {name!r}; there are: {', '.join(BENCHES)}")
    return args


def _measured(module: ModuleType, name: str, sizes: Sizes) -> list[Figure]:
    bench: Callable[[Sizes, Callable[[str], Tree]], Iterator[Figure]] = module.bench
    began = time.monotonic()
    print(f"{name} …", end=" ", file=sys.stderr, flush=True)
    with workshop() as make:
        found = list(bench(sizes, make))
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found


def _machine() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "machine": platform.machine(),
        "cpus": os.cpu_count() or 1,
        "load": list(os.getloadavg()),
    }


def _load() -> str:
    return f"{os.cpu_count()} processors, load {os.getloadavg()[1]:.1f} in the last five minutes"


if __name__ == "__main__":
    sys.exit(main())
