"""`make run`: the data, the pipeline, and what came out of it."""

from __future__ import annotations

from pathlib import Path

from demo import data, numbers
from demo.shell import trunkline, typed
from demo.verdict import verdict

MODEL = Path("data/flights/train/model.onnx")
REPORT = Path("data/flights/evaluate/report.html")


def first_run(root: Path) -> None:
    """Write and check the sources, run `flights`, show the result. Raises SourceError, CommandError."""
    _sources(root)
    _title("the pipeline")
    trunkline(root, "run", "flights")
    _title("how good the model is, on flights that it never saw")
    print(numbers.beside_base(numbers.read(root)))
    print(f"\n  recent is the one to believe: docs/flights.md says why. As a page: {REPORT}")
    _title("where the model comes from")
    print(f"  {MODEL}, {(root / MODEL).stat().st_size:,} bytes\n", flush=True)
    trunkline(root, "lineage", str(MODEL))
    print(f"\n{verdict(root)}")
    _title("three things to type next")
    for command, meaning in _next(root):
        print(f"  {command:58} {meaning}")


def _sources(root: Path) -> None:
    _title("the data: every departure from New York in 2013, and the weather")
    written = data.write(root)
    for name, version in data.verify(root).items():
        print(
            f"  data/{name}: {version.nfiles} files, {written[name]} written, as data/{name}.dvc in git says"
        )


def _next(root: Path) -> list[tuple[str, str]]:
    return [
        ("make one-more-day", f"{data.HELD_BACK} arrives: one datum a stage, the rest reused"),
        (typed(root, "why", "flights.train"), "why a stage ran, or from which run it is reused"),
        (typed(root, "lineage", str(MODEL), "--json"), "the same lineage, for programs"),
    ]


def _title(text: str) -> None:
    print(f"\n== {text}", flush=True)
