"""What Python code asks of trunkline: data and models at a version, without checking anything out.

    trunkline.open("flights.clean/rows@main~2").to_table(columns=["carrier"])
    trunkline.open("flights_raw@019aacb5", project="~/work/flights")
    trunkline.load_model("flights_late@v1.2").run(None, {…})
    trunkline.path("flights.train/model.onnx@latest")    the path of its bytes: read-only, named by content
    trunkline.files("flights.evaluate@latest")           {"metrics.json": Path(…), …}

Names are those of `trunkline lineage`: a dataset, PIPELINE.STAGE, a model, a file or directory of one,
`@` a commit, a run, `latest` or a content hash. Only what is read is fetched. Use `import trunkline`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trunkline import listing
from trunkline.artifacts import Named
from trunkline.errors import TrunklineError, UsageError
from trunkline.model import File
from trunkline.project import Project

if TYPE_CHECKING:
    from trunkline.reading.facts import Facts
    from trunkline.reading.table import Dataset

__all__ = ["files", "load_model", "open", "path"]

Start = str | os.PathLike[str] | None


def open(  # noqa: A001 - it is called trunkline.open
    name: str, *, project: Start = None, schema: Any = None, partitioning: Any = None
) -> Dataset:
    """The dataset, or a directory or file of it, as a lazy Arrow dataset.

    `project` is a directory of the project, the working directory without it; `schema` and
    `partitioning` are those of `pyarrow.dataset.dataset`. Raises TrunklineError.
    """
    from trunkline.reading.table import opened

    found, named = _find(name, project)
    tables = {_full(named, file.path): file.md5 for file in _files(found, named)}
    about = _about(found, named)
    base = named.path if named.md5.endswith(".dir") else named.path.rpartition("/")[0]
    return opened(name, base, tables, found.objects, about, schema=schema, partitioning=partitioning)


def load_model(name: str, *, project: Start = None, **options: Any) -> Any:
    """The ONNX model of that name as an `onnxruntime.InferenceSession`; `options` are its arguments.

    Raises TrunklineError; for pickles too, which are never loaded.
    """
    from trunkline.reading.models import load

    found, named = _find(name, project)
    if named.md5.endswith(".dir"):
        named = _only_model(found, named)
    options.setdefault("providers", ["CPUExecutionProvider"])
    return load(name, named.path, found.objects.path(named.md5, name), _about(found, named), **options)


def path(name: str, *, project: Start = None) -> Path:
    """Where the bytes of one file are: an object of DVC's cache, read-only. Raises TrunklineError."""
    found, named = _find(name, project)
    if named.md5.endswith(".dir"):
        raise UsageError(
            f"{name} is a directory", hint=f'use trunkline.files("{name}"), or name a file of it'
        )
    return Path(found.objects.path(named.md5, name))


def files(name: str, *, project: Start = None) -> dict[str, Path]:
    """The files of a dataset or directory by name, each with where its bytes are; fetched, all of them.

    Raises TrunklineError.
    """
    found, named = _find(name, project)
    skip = len(named.inside) + 1 if named.inside and named.md5.endswith(".dir") else 0
    each = _files(found, named)
    return {
        file.path[skip:] or named.path.rpartition("/")[2]: Path(found.objects.path(file.md5, file.path))
        for file in each
    }


def _find(name: str, start: Start) -> tuple[Project, Named]:
    found = Project.find(os.path.expanduser(os.fspath(start)) if start is not None else None)
    return found, found.reachable.find(name)


def _files(project: Project, named: Named) -> tuple[File, ...]:
    """The files that were named, their paths relative to the dataset."""
    if not named.md5.endswith(".dir"):
        return (File(named.inside, named.md5, -1),)
    return listing.below(project.objects.listing(named.oid), named.inside)


def _full(named: Named, path: str) -> str:
    return f"{named.dataset}/{path}" if path else named.dataset


def _only_model(project: Project, named: Named) -> Named:
    """The one ONNX file of a directory. Raises UsageError."""
    found = [file for file in _files(project, named) if file.path.lower().endswith(".onnx")]
    if len(found) != 1:
        what = f"{len(found)} ONNX files" if found else "no ONNX file"
        some = found[0].path if found else "FILE"
        raise UsageError(f"{named.given} has {what}", hint=f"name one: {named.stage or named.dataset}/{some}")
    return named._replace(inside=found[0].path, md5=found[0].md5)


# ---------------------------------------------------------------- what is known of it


def _about(project: Project, named: Named) -> tuple[Callable[[], Facts], Callable[[], Any]]:
    return lambda: _facts(project, named), lambda: _lineage(project, named)


def _lineage(project: Project, named: Named) -> Any:
    from trunkline.lineage import Artifact, walk

    return walk(Artifact(named.given, named.md5, named.path), project.history())


def _facts(project: Project, named: Named) -> Facts:
    from trunkline.reading.facts import Facts

    known = Facts(named.given, named.path, named.md5, named.stage)
    made = [run for run, stage in project.runs.of_version(named.oid) if stage.stage == named.stage]
    if made:
        known = known._replace(run=made[-1].id, time=made[-1].started)
    commit, time = _commit(project, named)
    return known._replace(
        commit=commit or (made[-1].git.commit or "" if made else ""), time=known.time or time
    )


def _commit(project: Project, named: Named) -> tuple[str, str]:
    """The commit that was named, or that brought this version; ("", "") where there is none."""
    from trunkline import versions
    from trunkline.store import git

    try:
        if named.when:
            return git.resolve(project.root, named.when), ""
        if named.stage:
            return "", ""
        for past in versions.of_source(project.root, named.dataset):
            if past.version.oid == named.oid:
                return past.commit.commit, past.commit.time
    except TrunklineError:
        pass  # a run's id, or no history: nothing to add
    return "", ""
