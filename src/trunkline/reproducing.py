"""A recorded run made again, elsewhere: its code, its inputs, everything computed anew, and compared.

    .trunkline/reproduce/<run>/    a clone that borrows this repository's objects, with a cache of its own:
        the code as it was            nothing of what is made gets into the project's cache, results or records
        data/<source>                 the recorded versions, linked from the project's cache, else fetched

What comes out is compared artifact by artifact with what the run left: identical, equal within a tolerance,
or different. Of what differs, the first stage in the order of the data is named, with the likely cause: what
of the environment is another one; else whether the stage itself gives another result every time.
"""

from __future__ import annotations

import glob
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from trunkline.archive import digests
from trunkline.digest import sha256_file
from trunkline.errors import MissingData, StageFailed, TrunklineError, UsageError
from trunkline.ledger.owner import owner_of
from trunkline.ledger.records import RunRecord
from trunkline.ledger.runs import Runs
from trunkline.model import File, LockEntry
from trunkline.project import Project
from trunkline.store import git, lockfile, pointers, snapshots
from trunkline.store.gitcall import Place, call
from trunkline.store.transfer import Transfer
from trunkline.tolerance import apart

FOLDER = ".trunkline/reproduce"
LOCK = "dvc.lock"
TOLERANCE = 1e-6
# What decides numbers: the rest of an environment may differ, and is told only where nothing else does.
_NUMERIC = ("python", "implementation", "machine", "libc", "libraries")
_MANY = 5


@dataclass(frozen=True)
class Wanted:
    """What to make again: `stages`, as the commit's code makes them, and what they left then."""

    name: str
    commit: str
    stages: tuple[str, ...]
    entries: Mapping[str, LockEntry]
    environment: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


class Difference(NamedTuple):
    """A file that is another than it was: how far apart, and in what."""

    path: str
    apart: float
    what: str


class Verdict(NamedTuple):
    """A stage made again: `state` is identical, equal, different or missing (it was not made)."""

    stage: str
    state: str
    then: str
    now: str
    differences: tuple[Difference, ...] = ()
    more: int = 0


@dataclass(frozen=True)
class Reproduction:
    """All of them, upstream first; the first that parts, and what may be the cause."""

    wanted: Wanted
    verdicts: tuple[Verdict, ...]
    tolerance: float
    causes: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()  # how it differs, whether or not that matters
    models: Mapping[str, str] = field(default_factory=dict)  # sha256 of what the stages' models are now

    @property
    def parted(self) -> Verdict | None:
        """The first stage whose result is another one."""
        return next((each for each in self.verdicts if each.state not in ("identical", "equal")), None)

    @property
    def state(self) -> str:
        """identical, equal (within the tolerance), or different."""
        if self.parted is not None:
            return "different"
        return "equal" if any(each.state == "equal" for each in self.verdicts) else "identical"


# ---------------------------------------------------------------- what to make again


def of_run(project: Project, record: RunRecord, only: str = "") -> Wanted:
    """What a run made, or only one stage of it, with all that it stood on. Raises MissingData."""
    commit = snapshots.commit_of(project.home, record.id) or record.git.commit
    if commit is None:
        raise MissingData(f"the code of run {record.id} is not in git", hint="type `trunkline pull`")
    made = {ref: stage.entry for ref, stage in record.stages.items() if stage.entry is not None}
    entries = {
        **entries_at(project, commit),
        **{ref.replace(".", "-", 1): each for ref, each in made.items()},
    }
    left_out = tuple(str(each["path"]) for each in record.code.get("left_out", ()))
    stages = (only,) if only else tuple(made)
    if not stages:
        raise MissingData(f"run {record.id} made nothing: it ended {record.state}")
    return Wanted(f"run {record.id}", commit, stages, entries, record.environment, left_out)


def of_commit(project: Project, commit: str, stage: str) -> Wanted:
    """What a commit's dvc.lock names of a stage, made by that commit's code."""
    return Wanted(f"{stage} at {commit[:8]}", commit, (stage,), entries_at(project, commit))


def entries_at(project: Project, commit: str) -> dict[str, LockEntry]:
    """The dvc.lock of a commit; nothing where it has none that can be read."""
    data = git.show(project.home, commit, LOCK)
    with suppress(TrunklineError, ValueError):
        return {} if data is None else lockfile.parse(data.decode("utf-8", "replace"))
    return {}


# ---------------------------------------------------------------- made again


def reproduce(
    project: Project, wanted: Wanted, *, recorded: bool = False, tolerance: float = TOLERANCE
) -> Reproduction:
    """Make it again and compare; `recorded`: in the recorded environment, which is built for it.

    Raises MissingData, StageFailed, UsageError where that cannot be done.
    """
    with _clone(project, wanted) as root:
        _inputs(project, root, wanted.stages)
        python = installed(root, wanted.environment) if recorded else sys.executable
        _run(root, wanted.stages, python)
        with Project(root) as clone:
            order = [stage for stage in clone.select(wanted.stages) if stage.dvc_name in wanted.entries]
            now = _entries(root)
            verdicts = tuple(
                _compared(project, clone, stage.ref, stage.path, wanted.entries, now, tolerance)
                for stage in order
            )
            models = [f"{stage.path}/{stage.model.path}" for stage in order if stage.model is not None]
            environment = tuple(differences(wanted.environment, _environment(root)))
            found = Reproduction(
                wanted, verdicts, tolerance, environment=environment, models=digests(root, models, ())
            )
            return _with_causes(found, root, clone, python)


@contextmanager
def _clone(project: Project, wanted: Wanted) -> Iterator[str]:
    """The root of the project in a clone at the wanted commit; it is removed in the end."""
    place = Place.of(project.home)
    folder = os.path.join(project.home, FOLDER)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, ".gitignore"), "w", encoding="utf-8") as stream:
        stream.write("*\n")
    _clear(folder)
    top = os.path.join(folder, f"{wanted.commit[:12]}-{os.getpid()}")
    try:
        call(place.top, "clone", "--quiet", "--shared", "--no-checkout", "--no-tags", place.top, top)
        call(top, "-c", f"core.hooksPath={os.devnull}", "checkout", "--quiet", "--detach", wanted.commit)
        root = os.path.join(top, place.prefix).rstrip("/")
        shutil.rmtree(os.path.join(root, ".trunkline"), ignore_errors=True)
        os.makedirs(os.path.join(root, ".dvc"), exist_ok=True)
        with open(os.path.join(root, ".dvc", "config.local"), "w", encoding="utf-8") as stream:
            stream.write(f"[cache]\n    dir = {os.path.join(root, '.dvc', 'cache')}\n")
        open(os.path.join(root, ".dvc", "config"), "a", encoding="utf-8").close()
        yield root
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _clear(folder: str) -> None:
    """Remove the clones of processes that were killed."""
    for name in os.listdir(folder):
        pid = name.rpartition("-")[2]
        if pid.isdecimal() and owner_of(int(pid)) is None:
            shutil.rmtree(os.path.join(folder, name), ignore_errors=True)


def _inputs(project: Project, root: str, stages: Sequence[str]) -> None:
    """Bring the recorded versions of the source datasets that these stages go back to into the clone."""
    with Project(root) as clone:
        read = {leaf.dataset.path for stage in clone.select(stages) for leaf in stage.leaves}
        for name, file in clone.store.sources().items():
            version = clone.store.pointer(file)
            if version is None or file.removesuffix(pointers.SUFFIX) not in read:
                continue
            files = _fetched(project, name, version.oid)
            _link(project, clone, [version.oid, *(each.md5 for each in files)])
            if version.oid.endswith(".dir"):
                clone.store.checkout(file.removesuffix(pointers.SUFFIX), files)
            else:
                shutil.copyfile(
                    clone.store.object_path(version.oid), os.path.join(root, file[: -len(".dvc")])
                )


def _fetched(project: Project, name: str, oid: str) -> tuple[File, ...]:
    """The files of a version, all in the project's cache, which they are brought to where they are not."""
    for attempt in range(2):
        with suppress(MissingData):
            files = project.store.listing(oid) if oid.endswith(".dir") else ()
            lacking = [path for each in (oid, *(file.md5 for file in files))
                       if not os.path.exists(path := project.store.object_path(each))]  # fmt: skip
            if not lacking:
                return _sized(project, files)
        if not attempt:
            with suppress(TrunklineError):
                Transfer(project.root).fetch([oid])
    raise MissingData(
        f"the version {oid[:8]} of {name} is neither in the cache nor in the remote",
        where=f"data/{name}",
        hint="without its inputs a run cannot be made again",
    )


def _sized(project: Project, files: Sequence[File]) -> tuple[File, ...]:
    sizes = (os.path.getsize(project.store.object_path(file.md5)) for file in files)
    return tuple(file._replace(size=size) for file, size in zip(files, sizes, strict=True))


def _link(project: Project, clone: Project, oids: Sequence[str]) -> None:
    """See that the clone's cache has these objects: links to the project's where that can be."""
    for oid in oids:
        source, target = project.store.object_path(oid), clone.store.object_path(oid)
        if os.path.exists(target):
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)


def _run(root: str, stages: Sequence[str], python: str) -> None:
    """Run the stages, and all that they need, in a process of its own. Raises StageFailed."""
    command = [python, "-m", "trunkline", "run", "--engine", "local", "--force", "--no-ticks", *stages]
    done = subprocess.run(
        command, cwd=root, env=_variables(root), capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:]).replace(f"{root}/", "")
        raise StageFailed("it could not be made again", where=", ".join(stages), hint=said)


def _variables(root: str) -> dict[str, str]:
    """The environment, in which any Python finds this very trunkline, and nothing that lies beside it."""
    folder = os.path.join(root, ".trunkline", "path")
    os.makedirs(folder, exist_ok=True)
    with suppress(FileExistsError):
        os.symlink(os.path.dirname(os.path.abspath(__file__)), os.path.join(folder, "trunkline"))
    path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _entries(root: str) -> Mapping[str, LockEntry]:
    with open(os.path.join(root, LOCK), encoding="utf-8") as stream:
        return lockfile.parse(stream.read())


def _environment(root: str) -> Mapping[str, Any]:
    """What the run in the clone says it ran with."""
    return Runs(root).load("latest").environment


# ---------------------------------------------------------------- the recorded environment


def installed(root: str, environment: Mapping[str, Any]) -> str:
    """A Python with the recorded packages, in the clone; its path. Raises UsageError, StageFailed."""
    if not environment.get("packages"):
        raise UsageError("no environment is recorded for it", hint="leave out `--environment recorded`")
    folder = os.path.join(root, ".trunkline", "environment")
    python = os.path.join(folder, "bin", "python")
    _call([_interpreter(str(environment["python"])), "-m", "venv", folder], root)
    if packages := _packages(root, environment):
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        _call([*pip, *packages], root)
    return python


def _interpreter(version: str) -> str:
    """A Python of this version; of this minor version, where that very one is not there."""
    minor = ".".join(version.split(".")[:2])
    if platform.python_version() == version:
        return sys.executable
    names = [
        f"python{version}",
        f"python{minor}",
        *glob.glob(os.path.expanduser(f"~/.pyenv/versions/{minor}.*/bin/python")),
    ]
    found = [path for name in names if (path := shutil.which(name))]
    if not found:
        raise UsageError(f"it ran with Python {version}, which is not here", hint=f"install Python {minor}")
    return min(found, key=lambda path: version not in path)


def _packages(root: str, environment: Mapping[str, Any]) -> list[str]:
    """What pip is told: the lock file of then, where that has hashes; else each package by its version.

    Both name everything that was there, so pip looks for nothing more.
    """
    locks = environment.get("locks", {})
    for name in ("requirements.lock", "requirements.txt"):
        path = os.path.join(root, name)
        if os.path.exists(path) and locks.get(name) == f"sha256:{sha256_file(path)}" and _has_hashes(path):
            return ["--require-hashes", "-r", path]
    own = {"trunkline", "pip", "setuptools", "wheel"}
    return [f"{name}=={version}" for name, version in environment["packages"].items() if name not in own]


def _has_hashes(path: str) -> bool:
    with open(path, encoding="utf-8") as stream:
        return "--hash=" in stream.read()


def _call(command: Sequence[str], root: str) -> None:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if not line.startswith("WARNING")]
        said = "\n".join(lines[-4:])
        raise StageFailed(
            "the recorded environment cannot be built", where=os.path.basename(command[0]), hint=said
        )


# ---------------------------------------------------------------- compared


def _compared(
    project: Project,
    clone: Project,
    ref: str,
    path: str,
    then: Mapping[str, LockEntry],
    now: Mapping[str, LockEntry],
    tolerance: float,
) -> Verdict:
    name = ref.replace(".", "-", 1)
    before, after = (_out(entries.get(name), path) for entries in (then, now))
    if not after:
        return Verdict(ref, "missing", before, after)
    if before == after:
        return Verdict(ref, "identical", before, after)
    found = _files(project, clone, before, after)
    little = bool(found) and all(each.apart <= tolerance for each in found)
    found.sort(key=lambda each: -each.apart)
    return Verdict(
        ref, "equal" if little else "different", before, after, tuple(found[:_MANY]), len(found[_MANY:])
    )


def _out(entry: LockEntry | None, path: str) -> str:
    return next((out.md5 for out in entry.outs if out.path == path), "") if entry is not None else ""


def _files(project: Project, clone: Project, before: str, after: str) -> list[Difference]:
    """How the files of two versions differ; nothing can be said where the old one is gone."""
    try:
        old = {file.path: file.md5 for file in _listing(project, before)}
    except TrunklineError:
        return [Difference("", float("inf"), "what it was is neither in the cache nor in the remote")]
    new = {file.path: file.md5 for file in clone.store.listing(after)}
    found = [Difference(path, float("inf"), "it is not there any more") for path in old.keys() - new.keys()]
    found += [Difference(path, float("inf"), "it was not there") for path in new.keys() - old.keys()]
    for path in sorted(old.keys() & new.keys()):
        if old[path] != new[path]:
            found.append(_file(project, clone, path, old[path], new[path]))
    return found


def _listing(project: Project, oid: str) -> tuple[File, ...]:
    with suppress(MissingData):
        return project.store.listing(oid)
    Transfer(project.root).fetch([oid])
    return project.store.listing(oid)


def _file(project: Project, clone: Project, path: str, before: str, after: str) -> Difference:
    folder = os.path.join(clone.root, ".trunkline", "compared")
    os.makedirs(folder, exist_ok=True)
    names = [os.path.join(folder, f"{which}-{os.path.basename(path)}") for which in ("then", "now")]
    for name, place in zip(
        names, (project.store.object_path(before), clone.store.object_path(after)), strict=True
    ):
        with suppress(FileNotFoundError):
            os.unlink(name)
        if not os.path.exists(place):
            return Difference(path, float("inf"), "what it was is not in the cache")
        os.symlink(place, name)
    found = apart(*names)
    return Difference(path, found.difference, found.what)


# ---------------------------------------------------------------- why


def _with_causes(found: Reproduction, root: str, clone: Project, python: str) -> Reproduction:
    parted = found.parted
    if parted is None:
        return found
    causes = [f"the environment: {each}" for each in found.environment if not each.startswith("(")]
    causes += [f"{path} took part and was not recorded" for path in found.wanted.left_out]
    if not causes and not _same_again(root, clone, parted, python):
        causes = [
            f"{parted.stage} gives another result every time: random numbers without a seed, time, or order"
        ]
    causes = causes or [
        "nothing that is recorded: time, the network, or files outside of the project may take part"
    ]
    return Reproduction(
        found.wanted, found.verdicts, found.tolerance, tuple(causes), found.environment, found.models
    )


def _same_again(root: str, clone: Project, parted: Verdict, python: str) -> bool:
    """Whether the stage gives the same result once more."""
    path = clone.stage(parted.stage).path
    try:
        _run(root, [parted.stage], python)
    except StageFailed:
        return False
    return _out(_entries(root).get(parted.stage.replace(".", "-", 1)), path) == parted.now


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """How two environments differ: what may matter to numbers; in brackets, what should not."""
    if not then:
        return
    for name in _NUMERIC:
        if then.get(name) != now.get(name):
            yield f"{name} {_brief(then.get(name))}, now {_brief(now.get(name))}"
    before, after = then.get("packages", {}), now.get("packages", {})
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            yield f"{name} {before[name]}, now {after[name]}"
    for name in sorted(before.keys() - after.keys() - {"trunkline"}):  # it is found by its path
        yield f"{name} {before[name]}, now not installed"
    features = [set(each.get("cpu", {}).get("features", ())) for each in (then, now)]
    if features[0] != features[1]:
        yield f"the processor's vector units: {', '.join(sorted(features[0] ^ features[1]))}"
    for name in sorted({*then.get("variables", {}), *now.get("variables", {})}):
        values = [each.get("variables", {}).get(name) for each in (then, now)]
        if values[0] != values[1]:
            yield f"({name}={values[0] or ''}, now {values[1] or ''})"


def _brief(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
