"""What a datum hands back, as hashed files in `scratch/pfs/out`.

    frame or table                      <datum's name>.parquet
    {"metrics.json": {...}}             a key with a suffix is a file, written by its kind
    {"train": frame, "test": frame}     a key without one is a folder: train/<datum's name>.parquet

    .parquet    frame or table                  .json     dict, list, number, text: no NaN, sorted keys
    .csv        frame or table, or text         .jsonl    frame, table or list: one object a line
    .onnx       bytes or an ONNX model          others    bytes, or text as UTF-8
    bytes are written as they are, whatever the suffix

Equal values give equal bytes. Functions with `out: Path` and commands write files themselves; these
are collected: symbolic links become the content they point to, a file with a second name elsewhere
becomes a copy (it would change in the cache with its other name), empty directories are left out. A link
to an input without content (`empty_files`) becomes what the input has.

A path may not leave the output, nor have a name that DVC or git would not carry.
"""

from __future__ import annotations

import json
import os
import posixpath
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from trunkline.digest import md5_bytes, md5_file
from trunkline.model import File, Work
from trunkline.runners.failures import Fault
from trunkline.runners.views import Guard, contents, copy_file, remove_tree

_Place = tuple[int, int]  # device, inode
_HIDDEN = {".dvc", ".git", ".hg", ".dvcignore", ".gitignore"}  # DVC or git would pass these over
_LARGE = 1 << 20  # bytes: above it threads pay, below it they cost
_SUFFIXES = ".parquet, .csv, .json, .jsonl, .txt, .md, .html, .onnx"


class Outputs(NamedTuple):
    """The output files of one datum, sorted by path, and the scratch in whose `pfs/out` they lie."""

    files: tuple[File, ...]
    scratch: str


class TakenError(Exception):
    """Another datum's file has the place of ours."""


def write_returned(value: object, name: str, out: str) -> list[File]:
    """Write what a function returned for the datum `name`; all of it or nothing.

    Other datums may be writing to `out` beside us. Raises Fault, TrunklineError, TakenError.
    """
    if isinstance(value, Mapping):
        parts = [_placed(key, item, name) for key, item in value.items()]
    elif _is_table(value):
        parts = [(f"{name}.parquet", value)]
    else:
        raise Fault("BadOutput", _no_output(value, name))
    paths = [path for path, _ in parts]
    if len(set(paths)) < len(paths):
        double = next(path for path in paths if paths.count(path) > 1)
        raise Fault("BadOutput", f"{double} is written twice by this datum")
    opened: list[str] = []
    try:
        return [_write(out, path, item, opened) for path, item in parts]
    except BaseException:
        for path in opened:
            os.unlink(path)
        raise


def own_scratch(work: Work) -> str:
    """A scratch directory that is this datum's alone; `work.scratch` may be its stage's."""
    return f"{work.scratch}.{work.datum[:16]}"


def make_own_scratch(work: Work) -> tuple[str, str]:
    """Create the datum's own scratch, without what an earlier attempt left: it, and its output."""
    scratch = own_scratch(work)
    out = os.path.join(scratch, "pfs", "out")
    try:
        os.makedirs(out)
    except FileExistsError:
        remove_tree(scratch)
        os.makedirs(out)
    return scratch, out


def collect(out: str, guards: Iterable[Guard] = ()) -> list[File]:
    """The files below `out`, hashed; `guards` are those of the datum's inputs. Raises Fault."""
    if os.path.islink(out) or not os.path.isdir(out):
        raise Fault("BadOutput", "pfs/out is gone or no directory: write files into it, do not replace it")
    found = list(_Walk(contents(guards)).files(out, ""))
    hashes = _hashes([full for _, full, _ in found], [size for _, _, size in found])
    return [File(path, md5, size) for (path, _, size), md5 in zip(found, hashes, strict=True)]


def _hashes(files: list[str], sizes: list[int]) -> list[str]:
    """The md5 of each file: one by one, but several large ones beside each other."""
    large = [place for place, size in enumerate(sizes) if size > _LARGE]
    if len(large) < 2:
        return [md5_file(file) for file in files]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        started = {place: pool.submit(md5_file, files[place]) for place in large}
        return [
            started[place].result() if place in started else md5_file(file)
            for place, file in enumerate(files)
        ]


# ---------------------------------------------------------------- returned values


def _placed(key: object, value: object, name: str) -> tuple[str, object]:
    """The path that a key of a returned dict stands for."""
    if not isinstance(key, str):
        raise Fault("BadOutput", f"the key {key!r} is not text: keys are names of files or folders")
    if posixpath.splitext(key)[1]:
        return key, value
    if not _is_table(value):
        raise Fault(
            "BadOutput",
            f"the key {key!r} has no suffix, so it is a folder for a frame or a table, not for a "
            f"{type(value).__name__}; for a file give it a suffix ({_SUFFIXES})",
        )
    return f"{key.rstrip('/')}/{name}.parquet", value


def _write(out: str, path: str, value: object, opened: list[str]) -> File:
    check_path(path)
    target = os.path.join(out, path)
    try:
        descriptor = _create(target)
    except FileExistsError as error:
        raise TakenError(path) from error
    except NotADirectoryError as error:
        raise Fault("BadOutput", f"{path} would lie below a file that this stage writes") from error
    opened.append(target)
    with open(descriptor, "wb", buffering=0) as stream:
        if _is_table(value) and path.endswith(".parquet"):
            return File(path, *_tables().write_table(value, target))
        data = _bytes(path, value)
        view = memoryview(data)
        while view:
            view = view[stream.write(view) :]
    return File(path, md5_bytes(data), len(data))


def _create(path: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return os.open(path, flags, 0o644)


def _bytes(path: str, value: object) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    suffix = posixpath.splitext(path)[1].lower()
    writer = _WRITERS.get(suffix)
    if writer is not None:
        return writer(path, value)
    if isinstance(value, str):
        return value.encode()
    raise _unfit(path, value, "bytes or text")


def _json(path: str, value: object) -> bytes:
    try:
        text = json.dumps(
            value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False, default=_number
        )
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault("BadOutput", f"{path} has no form in JSON: {_json_hint(error)}") from error
    return f"{text}\n".encode()


def _json_lines(path: str, value: object) -> bytes:
    rows = _tables().canonical(value).to_pylist() if _is_table(value) else value
    if not isinstance(rows, list | tuple):
        raise _unfit(path, value, "a frame, a table or a list")
    try:
        lines = [
            json.dumps(row, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_number)
            for row in rows
        ]
    except (TypeError, ValueError, RecursionError) as error:
        raise Fault("BadOutput", f"{path} has no form in JSON: {_json_hint(error)}") from error
    return "".join(f"{line}\n" for line in lines).encode()


def _csv(path: str, value: object) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not _is_table(value):
        raise _unfit(path, value, "a frame, a table or text")
    return import_module("trunkline.runners.convert").csv_bytes(value)  # type: ignore[no-any-return]


def _onnx(path: str, value: object) -> bytes:
    serialize = getattr(value, "SerializeToString", None)
    if serialize is None:
        raise _unfit(path, value, "bytes or an ONNX model")
    return bytes(serialize(deterministic=True))


def _no_table(path: str, value: object) -> bytes:
    raise _unfit(path, value, "a frame or a table")


_WRITERS: dict[str, Callable[[str, object], bytes]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".csv": _csv,
    ".onnx": _onnx,
    ".parquet": _no_table,
}


def _number(value: Any) -> object:
    """Numbers and arrays of numpy as JSON's; everything else is a TypeError."""
    if type(value).__module__ == "numpy":
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} ({value!r:.60}) is neither text, number, list nor dict")


def _json_hint(error: Exception) -> str:
    if "JSON compliant" in str(error):
        return "NaN and infinity do not exist there; use None"
    if "not supported between" in str(error):
        return "the keys of a dict are of several types; use text"
    return str(error)


def _unfit(path: str, value: object, wanted: str) -> Fault:
    return Fault("BadOutput", f"{path} takes {wanted}, not a {type(value).__name__}")


def _is_table(value: object) -> bool:
    """Whether it is a frame or a table; the libraries are not imported to find out."""
    return any(
        kind.__name__ in ("DataFrame", "Table") and kind.__module__.partition(".")[0] in ("pandas", "pyarrow")
        for kind in type(value).__mro__
    )


def _tables() -> Any:
    return import_module("trunkline.tables")


def _no_output(value: object, name: str) -> str:
    wanted = "return a frame, a table or a dict of them, or take `out: Path` and write files there"
    if value is None:
        return f"the function returned None: {wanted}"
    if type(value).__name__ == "Series":
        return "the function returned a Series; return a frame: series.to_frame()"
    if isinstance(value, str | bytes):
        return f'the function returned {type(value).__name__}; name its file: {{"{name}.txt": value}}'
    return f"the function returned a {type(value).__name__}: {wanted}"


# ---------------------------------------------------------------- written files


class _Walk:
    """Goes through what a datum wrote. `contents`: the object behind an input without content, by path."""

    def __init__(self, contents: Mapping[str, str]) -> None:
        self._contents = contents
        self._inodes = {_inode(path): content for path, content in contents.items() if os.path.exists(path)}

    def files(self, directory: str, prefix: str) -> Iterator[tuple[str, str, int]]:
        """(path, full path, size) of every file below, links made real."""
        with os.scandir(directory) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        for entry in ordered:
            path = prefix + entry.name
            check_path(path)
            link = entry.is_symlink()
            if link:
                self._materialise(entry.path, path)
            if os.path.isdir(entry.path) if link else entry.is_dir():
                yield from self.files(entry.path, f"{path}/")
            else:
                yield path, entry.path, self._make_own(entry.path, path)

    def _materialise(self, link: str, path: str) -> None:
        """Put the content that a symbolic link points to in the link's place."""
        target = os.path.realpath(link)
        status = _followed(target, path)
        os.unlink(link)
        self._take(target, status, link, path, _around(os.path.dirname(link)))

    def _take(self, source: str, status: os.stat_result, target: str, path: str, around: set[_Place]) -> None:
        """Copy a file, or a directory with what its links point to; `around` are those that it lies in."""
        place = (status.st_dev, status.st_ino)
        if stat.S_ISREG(status.st_mode):
            self._copy(source, target)
        elif not stat.S_ISDIR(status.st_mode):
            raise Fault("BadOutput", f"{path} is no file but a pipe, a socket or a device")
        elif place in around:
            raise Fault("BadOutput", f"{path} is a link to a directory that it lies in")
        else:
            os.mkdir(target)
            for name in sorted(os.listdir(source)):
                inner, where = os.path.join(source, name), f"{path}/{name}"
                self._take(
                    inner, _followed(inner, where), os.path.join(target, name), where, around | {place}
                )

    def _make_own(self, file: str, path: str) -> int:
        """See to it that `file` is a plain file, and that no other name leads to it; its size."""
        status = os.lstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise Fault("BadOutput", f"{path} is no file but a pipe, a socket or a device")
        if status.st_nlink == 1:
            return status.st_size
        copy = f"{file}.trunkline-copy"
        self._copy(file, copy)
        os.replace(copy, file)
        return os.lstat(file).st_size

    def _copy(self, source: str, target: str) -> None:
        content = self._contents.get(os.path.realpath(source)) if self._contents else None
        content = content or (self._inodes.get(_inode(source)) if self._inodes else None)
        if content is None:
            shutil.copyfile(source, target)
        elif os.path.exists(content):
            copy_file(content, target)
        else:
            name = os.path.basename(source)
            raise Fault(
                "MissingData", f"an output links to the input {name}, whose content is not in the cache"
            )


def _followed(file: str, path: str) -> os.stat_result:
    try:
        return os.stat(file)
    except OSError as error:  # also a circle of links
        raise Fault("BadOutput", f"{path} is a link that leads nowhere") from error


def _around(directory: str) -> set[_Place]:
    """A directory and all above it."""
    here = os.path.realpath(directory)
    found = {_inode(here)}
    while here != (here := os.path.dirname(here)):
        found.add(_inode(here))
    return found


def _inode(path: str) -> _Place:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def check_path(path: str) -> None:
    """Refuse a path that leaves the output, or a name that DVC or git would not carry. Raises Fault."""
    for part in path.split("/"):
        reason = _wrong(part)
        if reason:
            raise Fault("BadOutput", f"{path!r} is no path for an output: {reason}")


def _wrong(part: str) -> str:
    if not part:
        return "it is absolute or has an empty part"
    if part in (".", ".."):
        return f"it may not contain {part!r}"
    if part in _HIDDEN or part.endswith(".dvc"):
        return f"{part} has a meaning for DVC or git"
    if "\\" in part or not part.isprintable():
        return "names consist of printable characters without backslash"
    if part != part.strip():
        return "a name neither begins nor ends with a blank"
    if len(part.encode()) > 255:
        return "a name has at most 255 bytes"
    return ""
