"""Finds what a person names: a dataset, a model, a file or a directory of one, at some time.

    flights_raw                        a source dataset              as its pointer says now
    flights.train                      what a stage has made         as dvc.lock says now
    flights_late                       a model, by its name
    flights.train/model.onnx           a file or directory of one
    data/flights/train/model.onnx      the same by its path in the project
    5d41402a                           a content hash, eight digits of it or more

    …@main~3    …@v1.2    …@1a2b3c4d   as a commit of git has it
    …@019aacb5                         as that run left it; …@latest as the last one did
    …@5d41402a                         that version of it, by its content hash

Commits and runs are asked for dvc.lock and the pointers as they were, never the working tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import NamedTuple

from trunkline import listing
from trunkline.errors import ProjectError, TrunklineError, UsageError
from trunkline.ledger.catalog import Catalog
from trunkline.ledger.makings import declared
from trunkline.ledger.records import RunRecord
from trunkline.ledger.runs import Runs
from trunkline.model import File, LockEntry, Stage, Version
from trunkline.store import git, lockfile, pointers, snapshots
from trunkline.store.store import DvcStore

LOCK = "dvc.lock"
_HASH = re.compile(r"[0-9a-f]{8,32}(\.dir)?")
_RUN = re.compile(r"latest|[0-9a-f]{6,8}(-[0-9a-f-]*)?")


class Named(NamedTuple):
    """What was named: `inside` (a file or directory, "" for all) of the version `oid` of the dataset `dataset`.

    `dataset` is a path relative to the project's root; `md5` the content of what was named, a directory's
    ends in `.dir`; `stage` the stage that made it ("" for a source dataset), with its `entry` of dvc.lock;
    `when` says which time was meant: "", a commit's hash, or a run's id.
    """

    given: str
    dataset: str
    oid: str
    inside: str
    md5: str
    stage: str = ""
    entry: LockEntry | None = None
    when: str = ""

    @property
    def path(self) -> str:
        """Where it lies, or lay, in the project."""
        return f"{self.dataset}/{self.inside}" if self.inside else self.dataset


class _Time(NamedTuple):
    """What dvc.lock and the pointers said at some time. `pointer` takes the path of a dataset."""

    when: str
    entries: Mapping[str, LockEntry]
    pointer: Callable[[str], Version | None]


class _Place(NamedTuple):
    """Where something is in the project: in a dataset that a stage makes (`stage`), or in a source dataset."""

    dataset: str
    stage: str
    inside: str


class Artifacts:
    """The artifacts of the project at `root`. `stages` are those that are declared now.

    `listing` gives the files of a `.dir` object; without it, only of one that is in the cache.
    """

    def __init__(
        self,
        root: str,
        store: DvcStore,
        runs: Runs,
        catalog: Catalog,
        stages: Callable[[], Sequence[Stage]],
        listing: Callable[[str], tuple[File, ...]] | None = None,
    ) -> None:
        self._root = root
        self._store = store
        self._runs = runs
        self._catalog = catalog
        self._stages = stages
        self._listing = listing or store.listing

    def find(self, given: str) -> Named:
        """The artifact that is called so. Raises UsageError, MissingData where a listing is not at hand."""
        name, _, when = given.rpartition("@") if "@" in given else (given, "", "")
        if not when and _HASH.fullmatch(given) and given not in self._store.sources():
            return self._by_hash(given)
        place = self._place(name)
        if place is None:
            raise self._unknown(name)
        time = self._time(place, when)
        return self._at(given, place, time) if time is not None else self._version(given, place, when)

    def of_version(self, given: str, dataset: str, stage: str, oid: str, when: str = "") -> Named:
        """A version of a dataset whose content hash is known."""
        return Named(given, dataset, oid, "", oid, stage, None, when)

    # ------------------------------------------------------------ which

    def _place(self, name: str) -> _Place | None:
        """Where what is called so lies; None where nothing is."""
        text = name.rstrip("/").removeprefix("data/")
        head, _, rest = text.partition("/")
        if "/" not in name and (model := self._model(name)) is not None:
            return model
        if head in self._store.sources():
            return _Place(f"data/{head}", "", rest)
        ref, inside = (head, rest) if "." in head else self._as_path(head, rest)
        pipeline, _, stage_name = ref.partition(".")
        if not stage_name:
            return _Place(f"data/{head}", "", rest) if self._once(f"data/{head}") else None
        return _Place(f"data/{pipeline}/{stage_name}", ref, inside)

    def _as_path(self, head: str, rest: str) -> tuple[str, str]:
        """`flights/train/model.onnx` as the stage flights.train and model.onnx."""
        stage, _, inside = rest.partition("/")
        return (f"{head}.{stage}", inside) if stage else (head, "")

    def _model(self, name: str) -> _Place | None:
        """The model of this name: dvc.lock names those that were made; the declarations cost more to read."""
        if name in self._store.sources() or "." in name:
            return None
        for dvc_name, entry in self._present().items():
            found = declared(dvc_name, entry)
            if found.model is not None and found.model[0] == name:
                return _Place(f"data/{found.ref.replace('.', '/', 1)}", found.ref, found.model[1])
        for stage in self._stages_or_none():
            if stage.model is not None and stage.model.name == name:
                return _Place(stage.path, stage.ref, stage.model.path)
        return None

    def _stages_or_none(self) -> Sequence[Stage]:
        """The stages; none where a pipeline file is broken: what was made by it can be asked for."""
        with suppress(TrunklineError):
            return self._stages()
        return ()

    def _once(self, path: str) -> bool:
        """Whether a source dataset was ever there."""
        with suppress(TrunklineError):
            return bool(git.log_of(self._root, path + pointers.SUFFIX, 1, everywhere=True))
        return False

    # ------------------------------------------------------------ when

    def _time(self, place: _Place, when: str) -> _Time | None:
        """The time that is meant; None where `when` can only be a content hash. Raises UsageError."""
        if not when:
            return _Time("", self._present(), lambda path: self._store.pointer(path + pointers.SUFFIX))
        if when.startswith("latest") or _RUN.fullmatch(when):
            with suppress(UsageError):
                return self._of_run(self._runs.load(when), place)
        with suppress(UsageError):
            return self.at_commit(git.resolve(self._root, when), when)
        if _HASH.fullmatch(when):
            return None
        raise UsageError(
            f"{when!r} is no commit, no run and no version",
            hint="`git log --oneline --all`, `trunkline runs` and `trunkline versions DATASET` list them",
        )

    def _present(self) -> Mapping[str, LockEntry]:
        return self._store.lock_entries()

    def at_commit(self, commit: str, when: str = "") -> _Time:
        """What a commit says."""
        text = git.show(self._root, commit, LOCK)

        def pointer(path: str) -> Version | None:
            file = path + pointers.SUFFIX
            found = git.show(self._root, commit, file)
            return None if found is None else pointers.parse(found.decode("utf-8", "replace"), file)

        return _Time(when or commit, {} if text is None else _parsed(text), pointer)

    def _of_run(self, run: RunRecord, place: _Place) -> _Time:
        """What a run left: what it made itself, what it read, and else what its snapshot holds."""
        own = _recorded(run)
        if place.stage.replace(".", "-", 1) in own.entries or own.pointer(place.dataset) is not None:
            return own
        commit = snapshots.commit_of(self._root, run.id) or run.git.commit
        if commit is None:
            return own
        whole = self.at_commit(commit)
        return _Time(run.id, {**whole.entries, **own.entries}, whole.pointer)

    # ------------------------------------------------------------ found

    def _at(self, given: str, place: _Place, time: _Time) -> Named:
        entry = time.entries.get(place.stage.replace(".", "-", 1)) if place.stage else None
        if place.stage:
            outs = entry.outs if entry is not None else ()
            oid = next((out.md5 for out in outs if out.path == place.dataset), None)
        else:
            version = time.pointer(place.dataset)
            oid = None if version is None else version.oid
        if oid is None:
            raise self._absent(given, place, time.when)
        return Named(given, place.dataset, oid, place.inside, self._inside(given, oid, place.inside),
                        place.stage, entry, time.when)  # fmt: skip

    def _inside(self, given: str, oid: str, inside: str) -> str:
        if not inside:
            return oid
        found = listing.part(self._files(oid), inside) if oid.endswith(".dir") else None
        if found is None:
            raise UsageError(f"{given} is not in that version ({oid[:8]})", hint=self._close(oid, inside))
        return found.oid

    def _files(self, oid: str) -> tuple[File, ...]:
        return tuple(sorted(self._listing(oid)))

    def _close(self, oid: str, inside: str) -> str:
        names = [file.path for file in self._files(oid)] if oid.endswith(".dir") else []
        close = get_close_matches(inside, names, 1)
        return f"did you mean {close[0]}?" if close else f"it has {len(names)} files"

    def _version(self, given: str, place: _Place, prefix: str) -> Named:
        """The version of a dataset, or of a file of it, whose content hash begins so."""
        found: dict[str, Named] = {}
        role = "out" if place.stage else "dep"
        oids = dict.fromkeys(self._catalog.versions(role, place.dataset))
        if not place.stage:
            pointer = place.dataset + pointers.SUFFIX
            oids |= dict.fromkeys(version.oid for version, _ in self._catalog.pointed(pointer))
            present = self._store.pointer(pointer)
            oids |= {present.oid: None} if present is not None else {}
        contents = self._parts(place.inside, list(oids)) if place.inside else {oid: oid for oid in oids}
        for oid, md5 in contents.items():
            if md5.startswith(prefix):
                found.setdefault(md5, self._known(given, place, oid, md5))
        return _only(given, found)

    def _parts(self, inside: str, oids: Sequence[str]) -> Mapping[str, str]:
        """What lies at `inside` of these versions, as far as their listings are at hand."""
        known = self._catalog.parts(inside, oids)
        new = []
        for oid in oids:
            if oid not in known and oid.endswith(".dir"):
                with suppress(TrunklineError):
                    found = listing.part(self._files(oid), inside)
                    known[oid] = found.oid if found is not None else ""
                    new.append((oid, inside, known[oid]))
        self._catalog.learn(new)
        return {oid: md5 for oid, md5 in known.items() if md5}

    def _known(self, given: str, place: _Place, oid: str, md5: str) -> Named:
        """A version that the index knows, with the entry and the time in which it is known."""
        makings = self._catalog.with_out(place.dataset, oid) if place.stage else []
        if not makings:
            since = [
                commit.commit
                for version, commit in self._catalog.pointed(place.dataset + pointers.SUFFIX)
                if version.oid == oid
            ]
            return Named(given, place.dataset, oid, place.inside, md5, place.stage, None, (since or [""])[0])
        ids = [making.id for making in makings]
        present = self._catalog.present(ids)
        commits, runs = self._catalog.last_commits(ids), self._catalog.runs_of(ids)
        making = next((each for each in makings if each.id in present), makings[-1])
        when = ""
        if not present:
            run = next((run.id for run in runs if run.making == making.id), "")
            when = commits[making.id][0] if making.id in commits else run
        return Named(given, place.dataset, oid, place.inside, md5, making.ref, making.entry, when)

    def _by_hash(self, given: str) -> Named:
        """Something by its content hash alone: a version of a dataset, a model, or any other file of one."""
        found: dict[str, Named] = {}
        for path, oid in self._catalog.contents(given):
            if "/.manifests/" not in path:
                found.setdefault(oid, self._known(given, self._at_path(path), oid, oid))
        if not found:
            for oid, inside, md5 in self._catalog.known_parts(given):
                for path in self._catalog.paths_of(oid):
                    place = self._at_path(path)._replace(inside=inside)
                    found.setdefault(md5, self._known(given, place, oid, md5))
        return _only(given, found or self._file_by_hash(given))

    def _at_path(self, path: str) -> _Place:
        """The place of a dataset by its path."""
        pipeline, _, stage = path.removeprefix("data/").partition("/")
        return _Place(path, f"{pipeline}.{stage}" if stage else "", "")

    def _file_by_hash(self, given: str) -> dict[str, Named]:
        """A file in any version of any dataset: their listings are searched as bytes."""
        found: dict[str, Named] = {}
        needle = f'"{given}'.encode()
        for path, oid in self._catalog.contents(""):
            if "/.manifests/" in path or not oid.endswith(".dir"):
                continue
            with suppress(OSError, TrunklineError):
                with open(self._store.object_path(oid), "rb") as stream:
                    if needle not in stream.read():
                        continue
                for file in self._store.listing(oid):
                    if file.md5.startswith(given) and file.md5 not in found:
                        place = self._at_path(path)._replace(inside=file.path)
                        found[file.md5] = self._known(given, place, oid, file.md5)
        return found

    # ------------------------------------------------------------ errors

    def _unknown(self, name: str) -> UsageError:
        names = [*self._store.sources(), *(stage.ref for stage in self._stages_or_none())]
        names += [stage.model.name for stage in self._stages_or_none() if stage.model is not None]
        close = get_close_matches(name, names, 1)
        some = f"did you mean {close[0]}?" if close else f"there are: {', '.join(sorted(names)[:8])}"
        return UsageError(f"there is no dataset, stage, model or file {name!r}", hint=some)

    def _absent(self, given: str, place: _Place, when: str) -> TrunklineError:
        what = place.stage or place.dataset
        if place.stage and all(place.stage != stage.ref for stage in self._stages_or_none()):
            return self._unknown(place.stage)
        if not when:
            hint = f"type `trunkline run {place.stage}`" if place.stage else "type `trunkline put`"
            return ProjectError(f"{what} has no version yet", where=given, hint=hint)
        return UsageError(
            f"{what} had no version at {when}",
            hint=f"`trunkline versions {what.removeprefix('data/')}` lists them",
        )


def _recorded(run: RunRecord) -> _Time:
    """What a run made, and what it read."""
    made = {ref.replace(".", "-", 1): stage.entry for ref, stage in run.stages.items() if stage.entry}
    read = {dep.path: Version(dep.md5, dep.size, dep.nfiles) for entry in made.values() for dep in entry.deps}
    return _Time(run.id, made, read.get)


def _parsed(text: bytes) -> Mapping[str, LockEntry]:
    """The entries of a dvc.lock; none where it is not one (a conflict, an old format)."""
    with suppress(TrunklineError, ValueError):
        return lockfile.parse(text.decode("utf-8", "replace"))
    return {}


def _only(given: str, found: Mapping[str, Named]) -> Named:
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise UsageError(
            f"nothing here has the content {given!r}", hint="`trunkline versions` lists what has been"
        )
    some = ", ".join(sorted(found)[:3])
    raise UsageError(f"{len(found)} contents begin so: {some}", hint="type more of it")
