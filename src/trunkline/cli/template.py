"""`trunkline init --template NAME`: a pipeline that trunkline ships, with the stages that it uses, as one's own.

    pipelines/carseats.yaml            the pipeline
    stages/ingest.py, stages/…         the modules of its functions, and what these import of `stages`

The shipped pipelines are those of trunkline's own repository: there is no second copy of any of them. An
installed package has them beside its example, a checkout has them at its top.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

import trunkline
from trunkline.errors import UsageError
from trunkline.plan.code import imports
from trunkline.spec.names import did_you_mean, listed
from trunkline.spec.read import load


class Template(NamedTuple):
    """What `init` writes: path and text of each file, and the source datasets that the pipeline reads."""

    contents: list[tuple[str, str]]
    sources: list[str]


def template(name: str) -> Template:
    """The shipped pipeline `name`. Raises UsageError where there is none of that name."""
    library = _library()
    known = [entry.name.removesuffix(".yaml") for entry in (library / "pipelines").iterdir()]
    if name not in known:
        advice = did_you_mean(name, known, f"there are: {listed(sorted(known))}")
        raise UsageError(f"there is no template {name!r}", hint=advice)
    path = f"pipelines/{name}.yaml"
    text = (library / "pipelines" / f"{name}.yaml").read_text(encoding="utf-8")
    stages: Mapping[str, Mapping[str, Any]] = load(text, path)["stages"]
    contents = {path: text}
    for stage in stages.values():
        if "run" in stage:
            _add(library, str(stage["run"]).partition(":")[0], contents)
        for file in [*stage.get("code", ()), *stage.get("cmd", ())]:
            _add_file(library, str(file), contents)
    datasets = {dataset for stage in stages.values() for dataset in _datasets(stage.get("input"))}
    sources = sorted(dataset for dataset in datasets - stages.keys() if "." not in dataset)
    return Template(sorted(contents.items(), key=lambda item: (item[0] == path, item[0])), sources)


def _library() -> Traversable:
    """Where `pipelines/` and `stages/` are."""
    shipped = files("trunkline") / "templates" / "course"
    return shipped if shipped.is_dir() else Path(trunkline.__file__).parents[2]


def _add(library: Traversable, module: str, contents: dict[str, str]) -> None:
    """Take the module, the packages around it, and what it imports of its own project."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        name = "/".join(parts[:depth])
        for path, is_package in ((f"{name}/__init__.py", True), (f"{name}.py", False)):
            if _add_file(library, path, contents):
                for imported in imports(contents[path].encode(), ".".join(parts[:depth]), is_package):
                    _add(library, imported, contents)


def _add_file(library: Traversable, path: str, contents: dict[str, str]) -> bool:
    """Whether the file is one of the library's, and was not taken before."""
    top, _, _ = path.partition("/")
    file = library.joinpath(*path.split("/"))
    if path in contents or top != "stages" or not file.is_file():
        return False
    contents[path] = file.read_text(encoding="utf-8")
    return True


def _datasets(value: object) -> Iterator[str]:
    """The datasets that an `input:` names, in its short form `name: dataset/glob` and in its long one."""
    if isinstance(value, str):
        yield value.partition("/")[0]
    elif isinstance(value, list):
        for item in value:
            yield from _datasets(item)
    elif isinstance(value, Mapping):
        if "dataset" in value:
            yield str(value["dataset"])
        else:
            for key, item in value.items():
                if key != "cron":
                    yield from _datasets(item)
