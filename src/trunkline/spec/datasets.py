"""What a dataset's name stands for.

    clean            a stage of the same pipeline, or the source dataset data/clean
    flights.clean    a stage of the pipeline `flights`
    models/base      an output of a hand-written DVC stage, by its path

A name that stands for two of these is ambiguous: the file must say which one it means.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from trunkline.model import Dataset, DatasetKind
from trunkline.spec.inputs import LeafDraft
from trunkline.spec.names import listed, nearest


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the project beside its pipeline files.

    `sources` are the names of the source datasets, `foreign` the paths of what hand-written DVC
    stages put out. The rest is optional, and where it is missing nothing is checked against it:
    `functions` gives the top-level functions of a project's module, None where there is no such
    module; `exists` says whether there is a file or directory at a path; `timezones` gives the
    names of all time zones (`zoneinfo.available_timezones`), `packages` the version of an installed
    package ("": there is none); both are asked only where one is named.
    """

    sources: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()
    functions: Callable[[str], Collection[str] | None] | None = None
    exists: Callable[[str], bool] | None = None
    timezones: Callable[[], Collection[str]] | None = None
    packages: Callable[[str], str] | None = None


class Found(NamedTuple):
    """A dataset that a text may stand for, and the glob that remains of the text."""

    dataset: Dataset
    glob: str


class Datasets:
    """Every dataset of the project: source datasets, stages, outputs of hand-written stages."""

    def __init__(
        self, stages: Mapping[str, Collection[str]], known: Known, unread: Collection[str] = ()
    ) -> None:
        self._stages = stages  # pipeline -> names of its stages
        self._unread = unread  # pipelines whose files could not be read
        self._known = known

    def find(self, leaf: LeafDraft, pipeline: str) -> list[Found]:
        """Everything that a leaf's dataset may stand for."""
        if leaf.dataset is None:
            return []
        text = leaf.dataset.text
        name, _, rest = text.partition("/") if leaf.short else (text, "", "")
        glob = "/" + rest if leaf.short else leaf.glob.text if leaf.glob is not None else "/"
        found = [Found(dataset, glob) for dataset in self._named(name, pipeline)]
        return found + self._foreign(text, leaf.short, glob)

    def may_be_unread(self, leaf: LeafDraft) -> bool:
        """Whether a leaf's dataset may be a stage in a file that could not be read."""
        return leaf.dataset is not None and leaf.dataset.text.partition(".")[0] in self._unread

    def _named(self, name: str, pipeline: str) -> list[Dataset]:
        found = []
        if name in self._stages.get(pipeline, ()):
            found.append(stage_dataset(pipeline, name))
        other, dot, stage = name.partition(".")
        if dot and stage in self._stages.get(other, ()):
            found.append(stage_dataset(other, stage))
        if name in self._known.sources:
            found.append(Dataset(name, f"data/{name}", DatasetKind.SOURCE))
        return found

    def _foreign(self, text: str, short: bool, glob: str) -> list[Found]:
        paths = [
            path for path in self._known.foreign if text == path or (short and text.startswith(path + "/"))
        ]
        if not paths:
            return []
        path = max(paths, key=len)
        rest = "/" + text[len(path) + 1 :] if short else glob
        return [Found(Dataset(path, path, DatasetKind.FOREIGN), rest)]

    def advice(self, leaf: LeafDraft, pipeline: str, own: str) -> str:
        """What to write instead of a dataset that is not known to the stage `own`."""
        assert leaf.dataset is not None
        text = leaf.dataset.text
        name = text.partition("/")[0] if leaf.short else text
        siblings = (stage for stage in self._stages.get(pipeline, ()) if stage != own)
        names = list(dict.fromkeys([*siblings, *sorted(self._known.sources)]))
        if text.startswith("data/") and (meant := self._by_path(text, pipeline, leaf.short)):
            return f"write '{meant}': a dataset is named, not given by its path"
        elsewhere = [f"{other}.{stage}" for other, stages in self._stages.items() for stage in stages]
        elsewhere = [full for full in elsewhere if full != f"{pipeline}.{own}"]
        others = [full for full in elsewhere if full.endswith(f".{name}")]
        if others:
            return f"a stage of another pipeline is written '{others[0]}'"
        close = nearest(name, [*names, *elsewhere]) or nearest(text, self._known.foreign)
        if close:
            return f"did you mean '{close}'?"
        return (
            f"known here: {listed(names)}" if names else "there is no dataset yet; `trunkline put` makes one"
        )

    def _by_path(self, text: str, pipeline: str, short: bool) -> str:
        """`clean/*` for `data/flights/clean/*`, `raw/*` for `data/raw/*`, "" where it is neither."""
        _, first, *rest = text.split("/")
        if rest and rest[0] in self._stages.get(first, ()):
            name = rest[0] if first == pipeline else f"{first}.{rest[0]}"
            rest = rest[1:]
        elif first in self._known.sources:
            name = first
        else:
            return ""
        return "/".join([name, *rest]) if short else name


def stage_dataset(pipeline: str, stage: str) -> Dataset:
    """The dataset that a stage puts out."""
    return Dataset(f"{pipeline}.{stage}", f"data/{pipeline}/{stage}", DatasetKind.STAGE)


def ticks_name(pipeline: str, name: str) -> str:
    """What the source dataset of a cron input is called."""
    return f"{pipeline}_{name}"


def ticks_dataset(pipeline: str, name: str) -> Dataset:
    """The source dataset of a cron input."""
    full = ticks_name(pipeline, name)
    return Dataset(full, f"data/{full}", DatasetKind.SOURCE)
