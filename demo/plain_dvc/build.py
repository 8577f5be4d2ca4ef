"""What one more day costs with DVC alone: measured here and now, on the same stages and data.

    python -m demo.plain_dvc.build
    plain DVC: 33.1 s for the first 364 days, 36.0 s for one more day

A project of its own is set up in a temporary directory and thrown away. The comparison is with
stages that read and write whole directories, as DVC's documentation has them: `dvc repro` then
runs each of the six again, over all days.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import yaml

from demo.data import DATE_COLUMNS, HELD_BACK, files_by_day

HERE = Path(__file__).resolve().parent


class Seconds(NamedTuple):
    """Wall time of `dvc add` and `dvc repro` together."""

    first: float
    one_more_day: float


def measure(root: Path, directory: Path, days: int | None = None) -> Seconds:
    """Set up a DVC project in the empty `directory`, run it, add the held back day, run it again.

    Stages and parameters are those of the project at `root`. `days` limits the days before the
    held back one, for tests. Raises CalledProcessError, with what DVC printed.
    """
    _set_up(root, directory)
    before = [day for day in files_by_day("flights_raw") if day != HELD_BACK][:days]
    first = _timed(directory, before)
    return Seconds(first, _timed(directory, [HELD_BACK]))


def _set_up(root: Path, directory: Path) -> None:
    shutil.copytree(root / "stages", directory / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(HERE / "run.py", directory / "run.py")
    shutil.copy(HERE / "pipeline.yaml", directory / "dvc.yaml")
    declared = yaml.safe_load((root / "pipelines" / "flights.yaml").read_text(encoding="utf-8"))["stages"]
    params = {name: stage["params"] for name, stage in declared.items() if "params" in stage}
    (directory / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    _call(directory, "git", "init", "-q")
    _dvc(directory, "init", "-q")


def _timed(directory: Path, days: list[str]) -> float:
    """The seconds that DVC takes once the files of these days have arrived."""
    for name in DATE_COLUMNS:
        (directory / "data" / name).mkdir(parents=True, exist_ok=True)
        for day in days:
            (directory / "data" / name / f"{day}.csv").write_bytes(files_by_day(name)[day])
    start = time.perf_counter()
    _dvc(directory, "add", "-q", *(f"data/{name}" for name in DATE_COLUMNS))
    _dvc(directory, "repro", "-q")
    return time.perf_counter() - start


def _dvc(directory: Path, *arguments: str) -> None:
    _call(directory, sys.executable, "-m", "dvc", *arguments)


def _call(directory: Path, *command: str) -> None:
    subprocess.run(
        command, cwd=directory, env=_environment(directory), check=True, text=True, capture_output=True
    )


def _environment(directory: Path) -> dict[str, str]:
    """This Python first on the path, DVC's own state inside the directory, no trace of a caller's git."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "DVC_"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return kept | {
        "PATH": path,
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(directory / ".site-cache"),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m demo.plain_dvc.build", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="the project (default: here)")
    root = parser.parse_args().root
    with tempfile.TemporaryDirectory(prefix="plain-dvc-") as directory:
        seconds = measure(root, Path(directory))
    print(
        f"plain DVC: {seconds.first:.1f} s for the first 364 days, {seconds.one_more_day:.1f} s for one more day"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
