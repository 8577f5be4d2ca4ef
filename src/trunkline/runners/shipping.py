"""What crosses to another machine and back: plain values, with content in the place of paths.

    Shipment    what the datums of a stage have in common: their code as a zip, what it means and what it
                imports, and where the data are
    Work        a datum, without a path of this machine
    Returned    what became of it; its outputs are in the remote by then

Equal code is not enough for equal results. So the other side reads the meaning of the code that it
unpacked with its own Python, and compares it with what was planned; and so it does with what writes
frames, and with the versions of the packages that the code itself imports. What these import in turn is
not compared.
"""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from typing import NamedTuple

from trunkline.digest import digest, md5_bytes
from trunkline.errors import ProjectError
from trunkline.model import Outcome, Work
from trunkline.plan import code
from trunkline.writer import writer_tag

_EPOCH = (1980, 1, 1, 0, 0, 0)


class CodeOf(NamedTuple):
    """A stage's code in the project at `root`: its files, what was planned with, what else is declared.

    `digest` is the digest of what the code means; `writer` is "" for a command, which writes for itself;
    `fingerprint` names the packages that count as code, imported or not.
    """

    root: str
    files: tuple[str, ...]
    digest: str
    writer: str
    fingerprint: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shipment:
    """What all datums of a stage take along. `id` stands for the rest."""

    id: str
    archive: bytes
    code: str
    writer: str
    packages: Mapping[str, str]
    remote: Mapping[str, object]


class Returned(NamedTuple):
    """What became of a datum on the machine `worker`, where the project's code was at `root`."""

    outcome: Outcome
    said: bytes
    worker: str
    root: str


class Trouble(Exception):
    """Why a datum could not be computed there, though its code is not to blame."""


def shipment(source: CodeOf, remote: Mapping[str, object]) -> Shipment:
    """The shipment of a stage. Raises ProjectError."""
    try:
        contents = {path: _read(os.path.join(source.root, path)) for path in source.files}
        archive = _zip(source.root, contents)
    except OSError as error:
        place = str(error.filename)
        raise ProjectError(f"a file of the code cannot be read: {error.strerror}", where=place) from error
    versions = {**packages(contents), **{name: _version(name) for name in source.fingerprint}}
    parts = {"code": source.digest, "writer": source.writer, "packages": versions, "archive": archive}
    name = digest("shipment", {**parts, "remote": {key: str(value) for key, value in remote.items()}})
    return Shipment(name, archive, source.digest, source.writer, versions, remote)


def portable(work: Work) -> Work:
    """The datum without this machine's paths."""
    inputs = tuple(given._replace(objects="") for given in work.inputs)
    return replace(work, inputs=inputs, root="", scratch="", log="")


def unpack(sent: Shipment, root: str) -> None:
    """Write the code below `root`, and see that it means here what it means there. Raises Trouble."""
    with zipfile.ZipFile(io.BytesIO(sent.archive)) as archive:
        contents = {info.filename: archive.read(info) for info in archive.infolist()}
        for info in archive.infolist():
            path = archive.extract(info, root)
            os.chmod(path, info.external_attr >> 16)
    wrong = list(_differences(sent, contents))
    if wrong:
        raise Trouble(f"other results than on this machine are to be expected there: {'; '.join(wrong)}")


def _differences(sent: Shipment, contents: Mapping[str, bytes]) -> list[str]:
    """What is different on this machine, in words; the versions first, because they explain the rest."""
    here = {name: _version(name) for name in sent.packages}
    wrong = [
        f"{name} {here[name]}, not {version}"
        for name, version in sent.packages.items()
        if here[name] != version
    ]
    if sent.writer and writer_tag() != sent.writer:
        wrong.append(f"it writes with {writer_tag()}, not {sent.writer}")
    if not wrong and meaning(contents) != sent.code:
        wrong.append("the code is another one than was planned with; was it edited during the run?")
    return wrong


def meaning(contents: Mapping[str, bytes]) -> str:
    """The digest of what these files mean, as it enters the stage's transform digest."""
    return code.code_digest(
        {
            path: code.canonical(data) if path.endswith(".py") else md5_bytes(data)
            for path, data in contents.items()
        }
    )


def packages(contents: Mapping[str, bytes]) -> dict[str, str]:
    """The versions of Python, trunkline and the installed packages that these files import."""
    own = {path.partition("/")[0].removesuffix(".py") for path in contents}
    imported: set[str] = set()
    for path, data in contents.items():
        if path.endswith(".py"):
            module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            names = code.imports(data, module, path.endswith("/__init__.py"))
            imported.update(name.partition(".")[0] for name in names)
    foreign = imported - own - sys.stdlib_module_names
    found = (set(_installed().get(name, ())) for name in foreign)
    known = sorted({next(iter(names)) for names in found if len(names) == 1} - {"trunkline"})
    return {name: _version(name) for name in ("python", "trunkline", *known)}


@cache
def _installed() -> Mapping[str, list[str]]:
    """Which packages have a module of that name; asking takes a third of a second."""
    return metadata.packages_distributions()


def _version(name: str) -> str:
    if name == "python":
        return f"{sys.version_info.major}.{sys.version_info.minor}"
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "is missing"


def _zip(root: str, contents: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in sorted(contents.items()):
            info = zipfile.ZipInfo(path, _EPOCH)
            executable = os.stat(os.path.join(root, path)).st_mode & 0o111
            info.external_attr = (0o755 if executable else 0o644) << 16
            archive.writestr(info, data)
    return target.getvalue()


def _read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()
