"""`make run`: the data, the pipeline, and what came out of it."""

from __future__ import annotations

from pathlib import Path

from demo import data, numbers
from demo.course import title, write
from demo.shell import trunkline, typed
from demo.verdict import verdict

MODEL = Path("data/flights/train/model.onnx")
REPORT = Path("data/flights/evaluate/report.html")


def first_run(root: Path, *, course: bool = True) -> None:
    """Write and check the sources, run `flights`, show the result. Raises SourceError, CommandError.

    The data of the course is written last, for a bare `dvc repro` to find it: what comes before is
    there even where nothing can be downloaded.
    """
    _sources(root)
    title("the pipeline")
    trunkline(root, "run", "flights")
    title("how good the model is, on flights that it never saw")
    print(numbers.beside_base(numbers.read(root)))
    print(f"\n  recent is the one to believe: docs/flights.md says why. As a page: {REPORT}")
    title("where the model comes from")
    print(f"  {MODEL}, {(root / MODEL).stat().st_size:,} bytes\n", flush=True)
    trunkline(root, "lineage", str(MODEL))
    print(f"\n{verdict(root)}")
    title("three things to type next")
    commands = _next(root)
    width = max(len(command) for command, _ in commands)
    for command, meaning in commands:
        print(f"  {command:{width}}  {meaning}")
    if course:
        title("the data of the course, for `make course` and `dvc repro`")
        write(root)


def _sources(root: Path) -> None:
    title("the data: every departure from New York in 2013, and the weather")
    written = data.write(root)
    for name, version in data.verify(root).items():
        print(
            f"  data/{name}: {version.nfiles} files, {written[name]} written, as data/{name}.dvc in git says"
        )


def _next(root: Path) -> list[tuple[str, str]]:
    if (root / f"data/flights_raw/{data.HELD_BACK}.csv").exists():
        first = (typed(root, "runs"), "the runs so far; `show` and `logs` tell more of one")
    else:
        first = ("make one-more-day", f"{data.HELD_BACK} arrives: one datum a stage, the rest reused")
    return [
        first,
        (typed(root, "lineage", str(MODEL), "--json"), "the same lineage, for programs"),
        (typed(root, "init", "../mine"), "a project for your own data: section 2 of the README"),
    ]
