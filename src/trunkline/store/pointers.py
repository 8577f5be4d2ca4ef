"""Pointers: the small files in git that say which version of a source dataset belongs to a commit.

    outs:                                        data/flights_raw.dvc, for data/flights_raw/
    - md5: 2bb1ab0d4a051c86389bd68a9371f6ba.dir
      size: 84311
      nfiles: 365
      hash: md5
      path: flights_raw

Written as `dvc add` writes them, byte for byte; what a person added to one (`desc`, `meta`,
comments) stays.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from trunkline.digest import md5_bytes
from trunkline.errors import StoreError
from trunkline.model import Version
from trunkline.store import yamltext
from trunkline.store.memo import Memo

SUFFIX = ".dvc"
_PLAIN = re.compile(
    r"(outs:\n- md5: )[0-9a-f]{32}\.dir(\n  size: )\d+(\n  nfiles: )\d+(\n  hash: md5\n  path: [^\n]+\n)"
)
FOLDER = "data"


def parse(text: str, file: str) -> Version | None:
    """The version that a pointer names; None where it names none. Raises SpecError, StoreError."""
    return _version(yamltext.load(text, file), file)


def read(root: str, file: str, memo: Memo) -> Version | None:
    """The version that the pointer at `file` names; None where there is no such file."""
    try:
        with open(os.path.join(root, file), encoding="utf-8", newline="") as stream:
            text = stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except UnicodeDecodeError as error:
        raise _broken(file) from error
    key = md5_bytes(text.encode())
    known = memo.get("pointer", key)
    if known is not None:
        return Version(*json.loads(known)) if known != "null" else None
    version = parse(text, file)
    memo.put("pointer", key, json.dumps(version))
    return version


def sources(root: str) -> dict[str, str]:
    """The source datasets: name -> pointer file, sorted by name."""
    try:
        with os.scandir(os.path.join(root, FOLDER)) as entries:
            names = sorted(
                entry.name.removesuffix(SUFFIX)
                for entry in entries
                if entry.name.endswith(SUFFIX) and entry.name != SUFFIX and entry.is_file()
            )
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {name: f"{FOLDER}/{name}{SUFFIX}" for name in names}


def updated(text: str, path: str, version: Version, *, executable: bool = False) -> str:
    """The text of the pointer of `path` (relative to the root) once it names `version`.

    `text` is what it holds now, "" where there is none. Raises StoreError for an import.
    """
    fresh = _fresh(path, version, executable)
    if not text:
        return yamltext.dump({"outs": [fresh]})
    plain = _PLAIN.fullmatch(text)
    if plain is not None and version.nfiles is not None:  # as `dvc add` writes it: without a library
        return f"{plain[1]}{version.oid}{plain[2]}{version.size}{plain[3]}{version.nfiles}{plain[4]}"
    data = yamltext.load_commented(text)
    if not isinstance(data, dict) or not isinstance(data.get("outs"), list) or len(data["outs"]) != 1:
        raise _broken(path + SUFFIX)
    if data.get("deps"):
        raise StoreError(
            f"{path} was imported, so its content is not ours to change",
            where=path + SUFFIX,
            hint=f"type `dvc update {path}{SUFFIX}`, or `dvc checkout {path}{SUFFIX}` to drop the change",
        )
    out = data["outs"][0]
    for key in ("nfiles", "isexec", "files"):
        if key in out and key not in fresh:
            del out[key]
    for key, value in fresh.items():
        if out.get(key) != value:
            out[key] = value
    return yamltext.dump(data)


def _fresh(path: str, version: Version, executable: bool) -> dict[str, Any]:
    fresh: dict[str, Any] = {"md5": version.oid, "size": version.size}
    if version.nfiles is not None:
        fresh["nfiles"] = version.nfiles
    if executable and version.nfiles is None:
        fresh["isexec"] = True
    return {**fresh, "hash": "md5", "path": os.path.basename(path)}


def _version(data: Any, file: str) -> Version | None:
    if not isinstance(data, Mapping):
        raise _broken(file)
    outs = data.get("outs")
    if not isinstance(outs, list) or len(outs) != 1 or not isinstance(outs[0], Mapping):
        raise _broken(file)
    out = outs[0]
    if "files" in out:
        return None  # versioned by the cloud that it was imported from, not by content
    md5, size, nfiles = out.get("md5"), out.get("size"), out.get("nfiles")
    if not isinstance(md5, str):
        return None  # `dvc import --no-download`
    if nfiles is None and md5.endswith(".dir"):
        nfiles = -1
    return Version(md5, size if isinstance(size, int) else -1, nfiles if isinstance(nfiles, int) else None)


def _broken(file: str) -> StoreError:
    return StoreError(
        "this pointer is not one that `dvc add` writes", where=file, hint=f"type `git checkout {file}`"
    )
