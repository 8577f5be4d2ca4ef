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
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from trunkline.errors import ProjectError

_FILES = ("cert_path", "configpath", "credentialpath", "gdrive_service_account_json_file_path",
          "gdrive_user_credentials_file", "key_path", "keyfile")  # fmt: skip
_PATHS = {
    ("cache", "dir"),
    ("remote", "url"),
    *(("remote", name) for name in _FILES),
    ("machine", "startup_script"),
    ("machine", "setup_script"),
}
_SAFE = re.compile(r"[A-Za-z0-9_./:@%+=~-]+").fullmatch
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


def load(root: str, environ: Mapping[str, str] | None = None, *, instead: str = "") -> Config:
    """The configuration of the project at `root`. Raises ProjectError.

    `instead` is a file that is read as the project's where that is not checked out.
    """
    merged: dict[str, dict[str, str]] = {}
    own = os.path.join(root, ".dvc", "config")
    for path in _files(root, os.environ if environ is None else environ):
        file = instead if instead and path == own and not os.path.exists(own) else path
        for section, values in _read(file, path).items():
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


def _read(file: str, path: str) -> dict[str, dict[str, str]]:
    """The contents of `file` as if it lay at `path`."""
    try:
        with open(file, encoding="utf-8-sig") as stream:
            text = stream.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"DVC's configuration cannot be read: {error}", where=path) from error
    return parse(text, path)


def parse(text: str, path: str) -> dict[str, dict[str, str]]:
    """Section -> key -> value of one file, paths made absolute. Raises ProjectError."""
    sections: dict[str, dict[str, str]] = {}
    for section, key, raw in _entries(text, path):
        values = sections.setdefault(section, {})
        if key:
            values[key] = _path(path, section, key, _plain(raw))
    return sections


def elsewhere(project: tuple[str, str], local: tuple[str, str], cache_dir: str) -> str:
    """The text of a config.local that says in another working tree what these two files say in theirs.

    Of `project`, a (text, path) that the other tree has as well, that is the relative paths; of `local`
    it is everything. Raises ProjectError.
    """
    wanted: dict[str, dict[str, str]] = {"cache": {}}
    for (text, path), everything in ((project, False), (local, True)):
        for section, key, raw in _entries(text, path):
            value = _plain(raw)
            absolute = _path(path, section, key, value)
            if key and (everything or absolute != value):
                wanted.setdefault(section, {})[key] = _quoted(absolute) if absolute != value else raw
    wanted["cache"]["dir"] = _quoted(cache_dir)
    lines = []
    for section, values in wanted.items():
        lines.append(f"['{section}']" if " " in section else f"[{section}]")
        lines += [f"    {key} = {value}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _entries(text: str, path: str) -> Iterator[tuple[str, str, str]]:
    """(section, key, value as it is written); a section's head comes with an empty key."""
    section = ""
    for number, given in enumerate(text.splitlines(), 1):
        line = given.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = _plain(line[1 : line.rindex("]")] if "]" in line else line[1:]).lower()
            yield section, "", ""
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ProjectError(
                f"DVC's configuration has a line without `=`: {line}", where=f"{path}:{number}:1"
            )
        yield section, _plain(key).lower(), value.strip()


def _quoted(value: str) -> str:
    """A value as DVC reads it back."""
    return value if _SAFE(value) else f"'{value}'" if '"' in value else f'"{value}"'


def _plain(text: str) -> str:
    """A key or value without its quotes, or without the comment behind it."""
    text = text.strip()
    if text[:1] in ("'", '"') and (end := text.find(text[0], 1)) > 0:
        return text[1:end]
    return text.split(" #", 1)[0].strip()


def _path(file: str, section: str, key: str, value: str) -> str:
    kind = section.partition(" ")[0]
    if (kind, key) not in _PATHS or not value or "://" in value:
        return value
    return os.path.abspath(os.path.join(os.path.dirname(file), os.path.expanduser(value)))


def _remote_name(section: str) -> str:
    head, _, rest = section.partition(" ")
    return rest.strip().strip('"') if head == "remote" else ""
