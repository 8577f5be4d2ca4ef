"""Where DVC keeps things, read from its configuration files as DVC reads them.

    [core]                          system  $DVC_SYSTEM_CONFIG_DIR or /etc/xdg/dvc/config
        remote = store              user    $DVC_GLOBAL_CONFIG_DIR or ~/.config/dvc/config
    [cache]                         project .dvc/config
        dir = ../../cache           local   .dvc/config.local
    ['remote "store"']
        url = /srv/dvc

A later file overrides an earlier one, key by key. A relative path is relative to the directory of
the file that says it. Without `cache.dir` the cache is `.dvc/cache` of this working tree; copies
made by `dvc exp run --temp` name the cache of the tree they came from in `.dvc/config.local`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trunkline.errors import ProjectError

_PATHS = {("cache", "dir"), ("remote", "url")}
_MAC = "/Library/Application Support"


@dataclass(frozen=True, slots=True)
class Config:
    """What of DVC's configuration matters to the store. `remotes`: name -> key -> value."""

    cache_dir: str
    shared: bool = False
    hardlink_lock: bool = False
    no_scm: bool = False
    remote: str = ""
    remotes: Mapping[str, Mapping[str, str]] | None = None


def load(root: str, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration of the project at `root`. Raises ProjectError."""
    merged: dict[str, dict[str, str]] = {}
    for path in _files(root, os.environ if environ is None else environ):
        for section, values in _read(path).items():
            merged.setdefault(section, {}).update(values)
    core, cache = merged.get("core", {}), merged.get("cache", {})
    return Config(
        cache_dir=_cache_dir(root, cache, merged),
        shared=cache.get("shared", "") == "group",
        hardlink_lock=core.get("hardlink_lock", "").lower() == "true",
        no_scm=core.get("no_scm", "").lower() == "true",
        remote=core.get("remote", ""),
        remotes={name: values for section, values in merged.items() if (name := _remote_name(section))},
    )


def _files(root: str, environ: Mapping[str, str]) -> Iterator[str]:
    home = os.path.expanduser("~")
    mac = sys.platform == "darwin"
    system = environ.get("XDG_CONFIG_DIRS", "").split(os.pathsep)[0] or (_MAC if mac else "/etc/xdg")
    user = environ.get("XDG_CONFIG_HOME", "") or (home + _MAC if mac else os.path.join(home, ".config"))
    yield os.path.join(environ.get("DVC_SYSTEM_CONFIG_DIR") or os.path.join(system, "dvc"), "config")
    yield os.path.join(environ.get("DVC_GLOBAL_CONFIG_DIR") or os.path.join(user, "dvc"), "config")
    yield os.path.join(root, ".dvc", "config")
    yield os.path.join(root, ".dvc", "config.local")


def _cache_dir(root: str, cache: Mapping[str, str], merged: Mapping[str, Mapping[str, str]]) -> str:
    named = cache.get("local")  # the form of DVC 0.x: the name of a remote
    found = merged.get(f'remote "{named}"', {}).get("url", "") if named else cache.get("dir", "")
    if "://" in found:
        raise ProjectError(
            f"the DVC cache {found} is not a local directory",
            where=".dvc/config",
            hint="type `dvc cache dir PATH` with a path on this machine",
        )
    return os.path.abspath(found or os.path.join(root, ".dvc", "cache"))


def _read(path: str) -> dict[str, dict[str, str]]:
    try:
        with open(path, encoding="utf-8-sig") as stream:
            text = stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"DVC's configuration cannot be read: {error}", where=path) from error
    return parse(text, path)


def parse(text: str, path: str) -> dict[str, dict[str, str]]:
    """Section -> key -> value of one file, paths made absolute. Raises ProjectError."""
    sections: dict[str, dict[str, str]] = {}
    values: dict[str, str] = {}
    section = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = _plain(line[1 : line.rindex("]")] if "]" in line else line[1:]).lower()
            values = sections.setdefault(section, {})
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ProjectError(
                f"DVC's configuration has a line without `=`: {line}", where=f"{path}:{number}:1"
            )
        key = _plain(key).lower()
        values[key] = _path(path, section, key, _plain(value))
    return sections


def _plain(text: str) -> str:
    """A key or value without its quotes, or without the comment behind it."""
    text = text.strip()
    if text[:1] in ("'", '"') and (end := text.find(text[0], 1)) > 0:
        return text[1:end]
    return text.split(" #", 1)[0].strip()


def _path(file: str, section: str, key: str, value: str) -> str:
    kind = "remote" if _remote_name(section) else section
    if (kind, key) not in _PATHS or not value or "://" in value:
        return value
    return os.path.abspath(os.path.join(os.path.dirname(file), os.path.expanduser(value)))


def _remote_name(section: str) -> str:
    head, _, rest = section.partition(" ")
    return rest.strip().strip('"') if head == "remote" else ""
