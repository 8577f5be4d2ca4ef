"""`python -m tests.torture --n 1000 --seed 7`: torture, and the table of what was done."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import ENVIRONMENT
from tests.torture.kills import BY_COLLECTOR
from tests.torture.rounds import Asked, Torture
from trunkline.points import Point


def main() -> int:
    """0 where all held and every point was hit."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--n", type=int, default=100, help="so many kills and troubles (default: 100)")
    parser.add_argument("--seed", type=int, default=7, help="what chance begins with (default: 7)")
    parser.add_argument("--seconds", type=float, default=1e9, help="end after about so many seconds")
    parser.add_argument("--files", type=int, default=24, help="files of the source dataset (default: 24)")
    parser.add_argument("--short", action="store_true", help="every point once, as in `make test`")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    environment = _environment(folder)
    os.environ.clear()
    os.environ.update(environment)
    here = os.getcwd()
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != here]  # it has `stages` too
    torture = Torture(folder, _asked(args), environment)
    torture.run()
    print("\n".join(table(torture)))
    if torture.failures:
        return 1
    shutil.rmtree(folder)
    return 1 if torture.missed() else 0


def _asked(args: argparse.Namespace) -> Asked:
    if args.short:
        return Asked(0, args.seed, args.seconds, files=9, short=True)
    return Asked(args.n, args.seed, args.seconds, args.files)


def _environment(folder: Path) -> dict[str, str]:
    """What every command sees: nobody's git, one thread a library (this process must have none to fork)."""
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    ours = {
        "PATH": path,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "DVC_SITE_CACHE_DIR": str(folder / "site"),
        "TMPDIR": str(folder),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    return {**ENVIRONMENT, **ours, **kept}


def table(torture: Torture) -> Iterator[str]:
    """What was done, and what did not hold."""
    kills = torture.kills
    yield f"{'killed at':22} times"
    for point in (point for point in Point if point not in BY_COLLECTOR):
        yield f"  {point:20} {kills.hits[point] or 'NEVER':>5}"
    yield "killed at any moment"
    for target, times in sorted(kills.random.items()):
        yield f"  {target:20} {times:5}"
    yield "troubles"
    for name, times in sorted(torture.troubles.items()):
        yield f"  {name:20} {times:5}"
    for name, reason in torture.skipped.items():
        yield f"  {name:20} skipped: {reason}"
    yield f"{torture.done} kills and troubles, {torture.failures} failures, {torture.seconds:.0f} s"
    if torture.missed():
        yield f"never hit: {', '.join(torture.missed())}"


if __name__ == "__main__":
    sys.exit(main())
